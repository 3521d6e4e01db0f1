#pragma once
// The numbers behind the decisions, with their defaults. The app fills them from the configuration;
// health.h, retry_budget.h and picker.h say what each one does.

#include <chrono>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/model_name.h"
#include "base/time.h"
#include "core/variants.h"

namespace drover::core {

enum class PolicyName : std::uint8_t { kRoundRobin, kLeastLoaded, kExpectedCompletion };
std::string_view to_string(PolicyName policy);

// When silence is suspicious: see hang_watch.h.
struct HangRules {
  // GPUs below 2 % for so long, with requests under way: a healthy runner is never idle for
  // seconds. With a report every 2 s and the canary's own deadline a hung runner is found within 30
  // s.
  double idle_below = 0.02;
  Duration idle_for = std::chrono::seconds(20);
  Duration report_fresh = std::chrono::seconds(6);  // older readings say nothing
  // Prefill: estimated tokens / learned rate * margin + extra, within these bounds.
  double prefill_margin = 3.0;
  Duration prefill_extra = std::chrono::seconds(5);
  Duration prefill_min = std::chrono::seconds(20);
  Duration prefill_max = std::chrono::minutes(15);
  Duration foreign_min = std::chrono::minutes(2);  // others may use it, unseen by drover
  // Tool calls are composed in silence; a document is silent until its end. Both are the gateway's
  // own deadlines.
  Duration token_gap = std::chrono::minutes(3);
  Duration document = std::chrono::hours(1);
  // A load: neither GPU memory nor CPU time move. Ollama's own stall timer is as long.
  Duration load_stall = std::chrono::minutes(5);
  Duration canary_interval = std::chrono::minutes(1);  // a canary may stand in users' way
};

// A model that is configured to stay loaded.
struct Stay {
  ModelName model;
  std::uint32_t instances = 0;    // on so many; gives way where nobody else can
  std::vector<BackendId> pinned;  // on these, whoever waits for another one
};

struct Settings {
  PolicyName policy = PolicyName::kLeastLoaded;

  std::uint32_t failures_to_down = 2;  // consecutive failed requests, or consecutive missed checks
  std::uint32_t residency_misses_forgiven = 2;            // /api/ps blocks while a model unloads
  Duration probation_wait_min = std::chrono::seconds(1);  // doubling
  Duration probation_wait_max = std::chrono::seconds(60);
  double probation_jitter = 0.5;  // of the wait, added at random: instances do not return in step
  Duration last_resort_interval = std::chrono::seconds(1);  // between requests to a last holder

  std::uint32_t max_retries = 2;       // per request
  double retry_budget = 0.2;           // retries under way / first tries under way
  std::uint32_t retry_budget_min = 3;  // always allowed at once

  Duration refresh_wait = std::chrono::seconds(2);  // longest wait for catalogues on a miss
  std::uint32_t max_waiting = 4096;                 // requests that wait for catalogues
  // How often the probe asks. Only used to tell clients when coming back makes sense.
  Duration check_interval = std::chrono::seconds(2);

  // What is under way at an instance that is to be restarted may take this long to end.
  Duration drain_grace = std::chrono::minutes(10);
  // After the order to restart, a newer process has to show up within this time. Loading a driver
  // takes half a minute at worst, and a supervisor that backs off waits 60 s.
  Duration restart_patience = std::chrono::minutes(5);

  // Requests whose model needs GPU memory that others use wait this long at most, max_waiting of
  // them. While they wait, so do requests to those others, so this is also the longest pause that a
  // very large model can cause.
  Duration room_wait = std::chrono::minutes(2);

  // With kExpectedCompletion: requests that wait for a slot, of all models together, and how long
  // one of them may. A client that waits longer has given up; a browser does after five minutes.
  std::uint32_t max_queued = 10'000;
  std::uint64_t max_queued_bytes = 1ULL << 30;  // of bodies
  Duration queue_wait = std::chrono::minutes(10);
  std::vector<Stay> stays;

  HangRules hang;
  VariantRules variants;

  std::uint64_t seed = 1;
};

}  // namespace drover::core
