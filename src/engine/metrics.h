#pragma once
// What operators count. Owned by the home loop: recorded there (ports post), read there (the admin
// listener runs there); only the cells at the end may be touched from any loop.
//
// Labels are bounded, because a time series lives as long as the process: routes, instances and
// reasons are closed lists, and of models only those that reached an instance get a label, at most
// kMaxModels of them; the rest is "other". So a client who invents names adds nothing.

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

#include "base/ask.h"
#include "base/metric_cells.h"
#include "base/time.h"

namespace drover::engine {

// Every request ends in exactly one of these.
enum class Outcome : std::uint8_t {
  kServed,   // a complete answer, or an instance's own 4xx passed on
  kRefused,  // answered by drover with an error status, nothing was relayed
  kClientGone,
  kFailed,  // an error status after instances failed
  kBroken,  // an error record: content had been sent
};
inline constexpr std::size_t kOutcomes = 5;
std::string_view to_string(Outcome outcome);

// What becomes of one client request, as it goes on.
struct RequestTally {
  std::string_view route;  // a literal of the route table, e.g. "/api/chat"
  int status = 0;          // sent to the client; 0 when none was
  Outcome outcome = Outcome::kServed;
  std::string_view reason;  // to_string(ErrorKind) with kRefused, kFailed and kBroken
  std::uint32_t retries = 0;
  std::uint32_t stale_connections = 0;  // pooled ones that were replaced unseen
  Duration queued{};                    // until the (last) grant
  Duration first_byte{};                // from arrival to the first content byte; zero when none
  Usage usage;
};

// One finished client request.
struct RequestRecord : RequestTally {
  std::string model;    // canonical, or empty
  std::string backend;  // name of the last instance, or empty
  Duration total{};

  // Not counted, only kept for a while (finished.h).
  Instant arrived{};
  std::string id;       // the X-Request-ID that the client was told
  std::string client;   // its address
  std::string failure;  // the last one, as a sentence
  std::string why;      // the last decision, as one line
};

class Metrics {
 public:
  static constexpr std::size_t kMaxModels = 200;
  static constexpr std::size_t kMaxReloads = 1000;  // of {model, cause, client}

  struct RequestKey {
    std::string route, model, backend;
    int status = 0;
  };
  struct PerRoute {
    SecondsHistogram duration;
    SecondsHistogram first_byte;
    SecondsHistogram queued;
  };
  // Orders stored keys and those looked up without copying strings.
  struct KeyOrder {
    using is_transparent = void;
    using View = std::tuple<std::string_view, std::string_view, std::string_view, int>;
    static View view(const RequestKey& key) {
      return {key.route, key.model, key.backend, key.status};
    }
    static View view(const View& key) { return key; }
    bool operator()(const auto& a, const auto& b) const { return view(a) < view(b); }
  };
  using Requests = std::map<RequestKey, std::uint64_t, KeyOrder>;
  using ByName = std::map<std::string, std::uint64_t, std::less<>>;
  using Routes = std::map<std::string, PerRoute, std::less<>>;
  using ByPair = std::map<std::pair<std::string, std::string>, std::uint64_t>;

  using Reloads = std::map<std::array<std::string, 3>, std::uint64_t>;

  // --- home loop: counting ---
  void record(const RequestRecord& record);
  void count_malformed(std::string_view reason);  // before a request existed
  void count_health_change(std::string_view backend, std::string_view to);
  void count_revoked() { ++revoked_; }
  void count_restart(std::string_view backend, std::string_view cause);
  void count_canary(std::string_view backend);
  void count_unload(std::string_view backend, std::string_view reason);
  void count_load(std::string_view backend, std::string_view reason);
  void count_hang(std::string_view backend);
  void count_fallback(std::string_view backend);
  // A change of models is over; both are literals of closed lists.
  void count_job(std::string_view verb, std::string_view result);
  // Beyond kMaxReloads the rest is counted as of "other" models and clients.
  void count_reload(std::string_view model, std::string_view cause, std::string_view client);

  // --- home loop: reading ---
  const Requests& requests() const { return requests_; }
  std::uint64_t outcomes(Outcome outcome) const {
    return outcomes_[static_cast<std::size_t>(outcome)];
  }
  const ByName& refusals() const { return refusals_; }    // by reason
  const ByName& malformed() const { return malformed_; }  // by reason
  const Routes& routes() const { return routes_; }
  const ByPair& health_changes() const { return health_changes_; }  // {instance, state}
  const ByPair& restarts() const { return restarts_; }              // {instance, cause}
  const ByPair& unloads() const { return unloads_; }                // {instance, reason}
  const ByPair& loads() const { return loads_; }                    // {instance, reason}
  const ByPair& jobs() const { return jobs_; }                      // {verb, result}
  const Reloads& reloads() const { return reloads_; }               // {model, cause, client}
  const ByName& canaries() const { return canaries_; }              // these three by instance
  const ByName& hangs() const { return hangs_; }
  const ByName& fallbacks() const { return fallbacks_; }
  std::uint64_t retries() const { return retries_; }
  std::uint64_t stale_connections() const { return stale_connections_; }
  std::uint64_t revoked() const { return revoked_; }
  std::uint64_t prompt_tokens() const { return prompt_tokens_; }
  std::uint64_t output_tokens() const { return output_tokens_; }

  // --- any loop ---
  Counter connections_accepted;
  Counter connections_evicted;  // idle ones that made room for others
  Gauge connections_open;
  Gauge body_memory_bytes;  // that larger request bodies take
  Gauge requests_active;
  Gauge jobs_active;          // changes of models, waiting ones included
  Counter blob_bytes_copied;  // from store to store
  Counter log_lines_dropped;
  Counter notes_written;    // of what was learned, for the next start
  Counter notes_failed;     // writes of these
  Gauge notes_age_seconds;  // of the newest, when it was last asked for; none written: -1

 private:
  std::string_view label_of(const RequestRecord& record);
  void find_like(const RequestRecord& record);

  Requests requests_;
  Requests::iterator last_ = requests_.end();  // what find_like() found last
  PerRoute* last_route_ = nullptr;             // in routes_, which only grows
  std::array<std::uint64_t, kOutcomes> outcomes_{};
  ByName refusals_;
  ByName malformed_;
  Routes routes_;
  ByPair health_changes_;
  ByPair restarts_;
  ByPair unloads_;
  ByPair loads_;
  ByPair jobs_;
  Reloads reloads_;
  ByName canaries_;
  ByName hangs_;
  ByName fallbacks_;
  std::set<std::string, std::less<>> models_;
  std::uint64_t retries_ = 0;
  std::uint64_t stale_connections_ = 0;
  std::uint64_t revoked_ = 0;
  std::uint64_t prompt_tokens_ = 0;
  std::uint64_t output_tokens_ = 0;
};

}  // namespace drover::engine
