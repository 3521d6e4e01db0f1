#pragma once
// What one request wants, and what it cost: values that both the wire and the decisions speak.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/ids.h"
#include "base/model_name.h"
#include "base/time.h"

namespace drover {

// How a route answers and how its errors look.
enum class Dialect : std::uint8_t { kNative, kOpenAi, kAnthropic };

// What the terminal record of a stream looks like; each protects against a cut stream.
enum class StreamShape : std::uint8_t {
  kNone,       // one JSON document
  kNdjson,     // lines, the last with "done":true
  kOpenAiSse,  // events, the last `data: [DONE]`
  kResponses,  // events, the last response.completed | incomplete | failed
  kAnthropic,  // events, the last message_stop
};

// Who goes first where not all can: in every line the higher one, until who is passed over has
// waited for half of its patience.
enum class Priority : std::uint8_t { kInteractive, kNormal, kBatch };
inline constexpr std::size_t kPriorities = 3;
std::string_view to_string(Priority priority);  // "interactive", "normal", "batch"
std::optional<Priority> parse_priority(std::string_view text);

// Where messages of a prompt end: a hash of everything up to there, and how much that is. Equal
// hashes are equal beginnings, of the same tenant where tenants must not learn of each other:
// whoever makes the hashes salts them. Of a long conversation the first two ends are kept, where
// the instructions are that many share, and the last six, where the turn before ended.
class Beginnings {
 public:
  struct End {
    std::uint64_t hash = 0;
    std::uint64_t bytes = 0;  // of the body, or in any other unit that body_bytes has
  };
  static constexpr std::size_t kMost = 8;
  static constexpr std::size_t kFirst = 2;

  Beginnings() = default;
  Beginnings(const Beginnings& other)
      : ends_(other.empty() ? nullptr : std::make_unique<Ends>(*other.ends_)) {}
  Beginnings(Beginnings&&) noexcept = default;
  Beginnings& operator=(Beginnings other) noexcept {
    ends_ = std::move(other.ends_);
    return *this;
  }
  ~Beginnings() = default;

  // In the order of the prompt.
  void add(End end) {
    if (ends_ == nullptr) ends_ = std::make_unique<Ends>();
    if (ends_->count == kMost) {
      std::shift_left(ends_->all.begin() + kFirst, ends_->all.end(), 1);
      --ends_->count;
    }
    ends_->all[ends_->count++] = end;
  }
  std::span<const End> all() const {
    return empty() ? std::span<const End>() : std::span(ends_->all).first(ends_->count);
  }
  bool empty() const { return ends_ == nullptr; }

 private:
  struct Ends {
    std::array<End, kMost> all;
    std::size_t count = 0;
  };
  std::unique_ptr<Ends> ends_;  // not in place: most requests pass without any
};

// One inference or lookup that some instance has to carry out.
struct Ask {
  ModelName model;            // canonical
  std::string model_as_sent;  // for messages: a client recognises its own spelling
  Dialect dialect = Dialect::kNative;
  bool streaming = false;  // the answer was asked for as a stream
  // Load-time options, which are a loaded model's rather than a request's. Only native routes take
  // any: others leave these as they are.
  bool takes_runner_options = false;
  Priority priority = Priority::kNormal;
  std::uint32_t other_runner_options = 0;  // a hash of those but num_ctx; 0: none is named
  std::optional<std::uint64_t> num_ctx;    // tokens; absent: the instance's default
  std::uint64_t body_bytes = 0;            // size of the request body as received
  TenantId tenant;                         // zero: all alike
  Beginnings beginnings;                   // none: nothing is known of the prompt
  std::optional<BackendId> only;           // it may go nowhere else
  // Later than this the first token, or the whole document, is of no use to the client.
  Instant deadline = kNever;
};

// What a finished answer reported about itself. Zero means "not said".
struct Usage {
  std::uint64_t prompt_tokens = 0;
  std::uint64_t output_tokens = 0;
  Duration total{};
  Duration load{};
  Duration prompt_eval{};
  Duration eval{};
};

}  // namespace drover
