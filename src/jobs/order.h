#pragma once
// What a client wants done to the models of the whole fleet, and how that ended.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/model_name.h"
#include "base/time.h"

namespace drover::jobs {

enum class Verb : std::uint8_t {
  kPull,    // on every store; a second client that wants the same joins the first
  kPush,    // from the first store that has the model
  kCreate,  // on the stores that have what it is made from; on every store when none has, or from
            // files
  kCopy,    // on every store that has the source
  kDelete,  // out of memory everywhere, then off every store that has it
  kUnload,  // out of the memory of every instance
  kLoad,    // into the memory of one instance, and to stay there
  kUpload,  // a blob, to every store; the gateway does it
};
std::string_view to_string(Verb verb);  // "pull", …

struct Order {
  Verb verb = Verb::kPull;
  std::string path;                  // of Ollama's route
  std::string body;                  // for the instances
  ModelName model;                   // that changes: one order at a time
  std::string shown;                 // the same as the client wrote it, for messages
  bool insecure = false;             // pull: one that is not is another order
  std::optional<BackendId> load_on;  // with kLoad
  ModelName from;                    // create, push: whose stores it goes to; empty: every one
};

struct Ending {
  int status = 200;
  std::string content_type;  // empty without a body
  std::string body;          // one JSON document without a line end
  std::optional<Duration> retry_after;
  bool streamed = false;  // progress came before: a client of a stream gets the body as a last line
};

// How one store, or one instance, fared.
struct Fared {
  std::string name;   // of the store or instance
  bool done = false;  // it did what was asked
  int status = 0;     // of its answer; 0: none came
  std::string error;  // one sentence; empty when done
  std::string type;   // of the body, as sent
  std::string body;   // as sent
  bool absent() const { return status == 404; }
};

// One answer for all of them, such as one Ollama would give as long as they agree. When they do
// not, the error says what happened where, and that the same request again mends it.
Ending conclude(const Order& order, const std::vector<Fared>& all);
// "done", "partial", "absent", "failed": for log and metrics.
std::string_view result_of(const std::vector<Fared>& all);

}  // namespace drover::jobs
