#pragma once
// What the connections of one simulated instance share. Owned by the frames that use it, so that it
// outlives whichever goes last: the FakeOllama, or a connection of an abandoned loop.

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "fake_ollama/directory.h"
#include "fake_ollama/fake_ollama.h"
#include "fake_ollama/faults.h"
#include "fake_ollama/http.h"
#include "fake_ollama/request.h"
#include "fake_ollama/scheduler.h"
#include "net/loop.h"
#include "net/wait.h"

namespace drover::fake {

// A request as it arrived, for tests that ask what the balancer sent.
struct Seen {
  std::string method;
  std::string path;
  std::vector<std::pair<std::string, std::string>> fields;
  std::uint64_t body_bytes = 0;
  std::string body;  // its first 4 KiB, of inference only
};

// A client that left before its answer was whole.
struct CancelNote {
  Instant at;
  WallTime wall;
  std::string path;
  std::string_view phase;  // "waiting", "loading", "prefill", "generating", "hanging"
  std::uint64_t tokens = 0;
};

struct State {
  State(net::Loop& on, FakeOptions with);

  net::Loop& loop;
  FakeOptions options;
  std::shared_ptr<Scheduler> scheduler;
  FaultList faults;
  Instant started;

  // The port. `closed_port` ends the accept loops; they open again unless `stopping`.
  net::Cancel closed_port;
  net::Cancel stopping;
  Duration closed_for{};
  bool on_loopback = true;
  std::set<Connection*> connections;
  std::uint64_t accepted = 0;
  std::function<void()> exit;

  // What happened.
  std::uint64_t requests = 0;
  std::uint64_t completed = 0;
  std::uint64_t cancelled = 0;
  std::uint64_t tokens = 0;
  std::uint64_t next_id = 1;
  std::map<std::string, std::uint64_t> routes;
  std::map<std::string, Seen> last_of_route;
  Seen last_inference;
  std::deque<CancelNote> cancels;
  static constexpr std::size_t kCancelsKept = 1000;

  std::set<std::string> blobs;         // without a directory: digests that are there
  std::optional<Directory> directory;  // of the options
  std::uint64_t fetched = 0;           // bytes, from the registry
  bool has_blob(const std::string& digest) const {
    return directory ? directory->has(digest) : blobs.contains(digest);
  }

  const FakeModel* find_model(std::string_view name) const;
  void note_cancel(std::string_view path, std::string_view phase, std::uint64_t sent);
  void close_port(Duration pause);
  // All but `spared`, which asked for it and shall hear the answer.
  void cut_connections(const Connection* spared);
};

// 64 hex digits; the model's own, or made from its name.
std::string digest_of(const FakeModel& model);

net::Task<void> accept_connections(std::shared_ptr<State> state,
                                   std::unique_ptr<net::Listener> listener);

}  // namespace drover::fake
