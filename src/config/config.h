#pragma once
// The configuration as plain values. A Config that `load` or `apply_overlay` handed out is valid:
// every number is in its range, every address parsed, every name unique. The member initialisers
// are the defaults of the documentation; config/drover.example.yaml repeats them and a test
// compares the two.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "base/time.h"

namespace drover::config {

// A host and a port as configured. The host is a name or an address literal without brackets.
struct HostPort {
  std::string host;
  std::uint16_t port = 0;

  // "name:80", "127.0.0.1:80", "[::1]:80".
  std::string to_string() const;
  // The host names this machine only: 127.0.0.0/8, ::1, "localhost".
  bool is_loopback() const;
  // Every address of this machine: 0.0.0.0 or [::].
  bool is_wildcard() const;
  friend bool operator==(const HostPort&, const HostPort&) = default;
};

enum class Policy : std::uint8_t { kRoundRobin, kLeastLoaded, kExpectedCompletion };
std::string_view to_string(Policy policy);  // as written in the file: "least_loaded"

// One Ollama instance.
struct Backend {
  std::string url;                        // canonical: "http://127.0.0.1:11434"
  HostPort address;                       // the same, taken apart
  std::string name;                       // unique; "127.0.0.1:11434" when the file gives none
  std::string store;                      // shared model directory; empty: one of its own
  std::string models;                     // where drover can read that directory; empty: nowhere
  std::uint32_t max_in_flight = 512;      // Ollama's own queue bound; more would be answered 503
  std::optional<std::uint32_t> parallel;  // its OLLAMA_NUM_PARALLEL; none: to be learned
  friend bool operator==(const Backend&, const Backend&) = default;
};

// Does drover run Ollama itself?
enum class Supervise : std::uint8_t {
  kAuto,    // when no instance is configured and none is found running
  kAlways,  // beside instances that are configured or found, too
  kNever,
};
std::string_view to_string(Supervise supervise);  // "auto", "always", "never"

// Does an instance over all GPUs stand by for models that fit on no single one?
enum class Spanning : std::uint8_t { kAuto, kNever };
std::string_view to_string(Spanning spanning);  // "auto", "never"

// One supervised instance, for those who do not want one per GPU as they are found.
struct SupervisedInstance {
  std::vector<std::string> gpus;         // UUIDs or indices, as `drover gpus` shows them; none: CPU
  std::string name;                      // empty: gpuN
  std::optional<std::uint16_t> port;     // none: the next free one
  std::vector<std::string> environment;  // "NAME=value", on top of ollama.environment
  friend bool operator==(const SupervisedInstance&, const SupervisedInstance&) = default;
};

// How drover runs Ollama.
struct OllamaSettings {
  Supervise supervise = Supervise::kAuto;
  std::optional<std::string> program;  // none: looked for in PATH and the usual places
  std::optional<std::string> models;   // the store; none: the one that is used already
  Spanning spanning = Spanning::kAuto;
  std::optional<std::uint32_t> parallel;        // slots of a loaded model; none: by memory
  std::optional<std::uint32_t> context_length;  // none: Ollama's rule for the smallest GPU
  std::uint32_t first_port = 11440;
  Duration start_timeout = std::chrono::minutes(3);  // GPU discovery may take 30 s per library
  Duration stop_timeout = std::chrono::seconds(10);  // then it is killed
  std::uint64_t log_bytes = 10 * 1024 * 1024;        // of one log file; three older ones are kept
  std::vector<std::string> environment;              // "NAME=value" for every instance
  std::vector<SupervisedInstance> instances;         // empty: one per GPU
  friend bool operator==(const OllamaSettings&, const OllamaSettings&) = default;
};

// What one client may cost.
struct Limits {
  std::uint64_t head_bytes = 64 * 1024;     // request line and fields
  std::uint32_t fields = 100;               // fields of one head
  std::uint64_t target_bytes = 8 * 1024;    // path and query
  std::uint64_t body_bytes = 100'000'000;   // 100 MB; more is answered 413
  std::uint64_t spill_bytes = 1024 * 1024;  // a larger body waits in a file, unless there is room
  std::uint64_t body_memory = 64 * 1024 * 1024;      // in memory for such bodies, per IO loop
  std::string spill_dir = "/tmp";                    // for those files; an absolute path
  std::uint32_t connections = 10'000;                // client connections open at once, per IO loop
  Duration head_timeout = std::chrono::seconds(10);  // a whole request head
  Duration body_stall_timeout = std::chrono::seconds(30);  // without progress of a body
  Duration idle_timeout = std::chrono::minutes(2);         // between two requests
  Duration write_stall_timeout = std::chrono::minutes(1);  // a client that takes nothing
  friend bool operator==(const Limits&, const Limits&) = default;
};

// How long an instance, or drover itself, may take.
struct Timeouts {
  Duration connect = std::chrono::seconds(1);
  Duration first_token = std::chrono::minutes(15);  // queue, load and prompt processing included
  Duration document = std::chrono::hours(1);        // an answer that is not streamed
  Duration token_gap = std::chrono::seconds(180);   // between two pieces of an answer
  Duration check_interval = std::chrono::seconds(2);
  Duration check_timeout = std::chrono::seconds(2);
  Duration residency_timeout = std::chrono::seconds(5);  // /api/ps blocks while a model unloads
  Duration drain = std::chrono::minutes(10);
  friend bool operator==(const Timeouts&, const Timeouts&) = default;
};

struct Retries {
  std::uint32_t max = 2;         // per request
  double budget = 0.2;           // retries under way as a share of active requests
  std::uint32_t budget_min = 3;  // always allowed at once
  friend bool operator==(const Retries&, const Retries&) = default;
};

// Requests that wait for a free slot.
struct Queue {
  std::uint32_t requests = 10'000;
  std::uint64_t bytes = 1ULL << 30;  // of bodies
  Duration wait = std::chrono::minutes(10);
  friend bool operator==(const Queue&, const Queue&) = default;
};

enum class Priorities : std::uint8_t { kNone, kByHeader };
std::string_view to_string(Priorities priorities);  // "none", "by_header"

struct Fairness {
  std::optional<std::string> tenant_header;  // none: each client address is a tenant
  Priorities priorities = Priorities::kByHeader;
  friend bool operator==(const Fairness&, const Fairness&) = default;
};

std::string_view to_string(LogLevel level);

enum class LogFormat : std::uint8_t { kAuto, kText, kJson };
std::string_view to_string(LogFormat format);

struct LogSettings {
  LogLevel level = LogLevel::kInfo;
  LogFormat format = LogFormat::kAuto;  // text on a terminal, json elsewhere
  friend bool operator==(const LogSettings&, const LogSettings&) = default;
};

// A name that stands for the first of these models that can be served.
struct Alias {
  std::string name;
  std::vector<std::string> models;  // never empty
  friend bool operator==(const Alias&, const Alias&) = default;
};

// What becomes of load-time options that a client names?
enum class NumCtxRule : std::uint8_t { kNormalise, kPass, kRefuse };
std::string_view to_string(NumCtxRule rule);  // "normalise", "pass", "refuse"

struct NumCtx {
  NumCtxRule rule = NumCtxRule::kNormalise;
  std::vector<std::uint32_t> steps = {4096, 8192, 16384, 32768, 65536, 131072, 262144};
  friend bool operator==(const NumCtx&, const NumCtx&) = default;
};

// What is special about a model.
struct Model {
  static constexpr std::uint32_t kAllStores = UINT32_MAX;
  std::string name;
  std::optional<NumCtxRule> num_ctx;  // none: the rule for all
  // Stores that shall have it; none: it is not fetched. `all` is the largest number.
  std::optional<std::uint32_t> copies;
  std::uint32_t preload = 0;     // instances that shall have it loaded
  std::vector<std::string> pin;  // names of instances that shall have it loaded at any rate
  friend bool operator==(const Model&, const Model&) = default;
};

// Are models that one store has fetched copied to the others?
enum class StoreCopies : std::uint8_t { kNever, kAlways };
std::string_view to_string(StoreCopies copies);  // "never", "always"

// Do lists of models show aliases?
enum class AliasListing : std::uint8_t { kNever, kAlways };
std::string_view to_string(AliasListing listing);  // "never", "always"

struct Config {
  std::vector<HostPort> listen = {{"127.0.0.1", 11434}};
  bool listen_is_default = true;  // nobody named an address: drover may choose another
  HostPort admin = {"127.0.0.1", 11436};
  std::vector<Backend> backends;  // empty: the caller decides (zero configuration)
  OllamaSettings ollama;
  std::optional<std::string> state_dir;  // none: the usual place, see docs/configuration.md
  Policy policy = Policy::kExpectedCompletion;
  std::optional<std::uint32_t> loops;        // IO loops; nullopt is "auto": one per core, at most 4
  std::vector<std::string> allowed_hosts;    // beyond Ollama's own list
  std::vector<std::string> allowed_origins;  // beyond Ollama's own list
  std::vector<Alias> aliases;                // names are unique, and no alias stands for another
  AliasListing list_aliases = AliasListing::kNever;
  StoreCopies copy_between_stores = StoreCopies::kNever;
  std::optional<std::string> identity;  // the instance with the account at ollama.com
  NumCtx num_ctx;
  Duration least_keep_alive = std::chrono::minutes(5);  // shorter ones of clients are left out
  std::vector<Model> models;                            // each at most once
  std::vector<std::string> trust;  // networks, "172.17.0.0/16": may manage models from outside
  Limits limits;
  Timeouts timeouts;
  Retries retries;
  Queue queue;
  Fairness fairness;
  LogSettings log;
  friend bool operator==(const Config&, const Config&) = default;
};

}  // namespace drover::config
