#pragma once
// What the gateway is told at start: limits, deadlines, who may talk to it, where instances are.
// Plain values; app fills them from the configuration. Defaults are the contract's.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "jobs/stores.h"
#include "net/endpoint.h"
#include "net/network.h"
#include "wire/http_head.h"
#include "wire/json_scan.h"

namespace drover::gateway {

struct Limits {
  wire::HeadLimits head;
  wire::JsonLimits json;
  std::uint64_t body_bytes = 100'000'000;              // above: 413
  std::uint64_t spill_bytes = 1024 * 1024;             // above: a file, if there is no room
  std::uint64_t body_memory_bytes = 64 * 1024 * 1024;  // the room for larger ones, per loop
  std::uint64_t document_bytes = 4 * 1024 * 1024;      // whole answers held back for a hidden retry
  std::uint64_t first_record_bytes = 64 * 1024;  // of a stream held back until a record is whole
  std::string spill_dir = "/tmp";                // unlinked files live here
  std::size_t connections = 10'000;              // per loop; the longest idle one makes room
};

struct Deadlines {
  Duration head = std::chrono::seconds(10);         // the whole head
  Duration idle = std::chrono::seconds(120);        // between requests of one connection
  Duration body_window = std::chrono::seconds(30);  // at least kBodyWindowBytes in each
  Duration write_stall = std::chrono::seconds(60);  // a client that takes nothing
  Duration first_token = std::chrono::minutes(15);  // queue, load and prefill in an instance
  Duration document = std::chrono::hours(1);        // the same for an answer in one piece
  Duration look_up = std::chrono::seconds(30);      // an answer that no model computes: /api/show
  // What is loaded, asked while a client waits. Ollama says it in a millisecond, or is unloading.
  Duration loaded_now = std::chrono::seconds(1);
  Duration token_gap = std::chrono::seconds(180);  // tool calls are composed in silence
  Duration linger = std::chrono::seconds(2);       // for a refused body still on its way
};
inline constexpr std::uint64_t kBodyWindowBytes =
    3'000;  // 100 B/s: slower is an attack, not a link

// Names beyond Ollama's own lists; see access.h.
struct AccessPolicy {
  std::vector<std::string> hosts;    // exact names or "*.suffix"; "*" allows every name
  std::vector<std::string> origins;  // exact origins, "scheme://*" or "*"
  std::vector<net::Network> trust;   // may change models from outside this machine
  std::string hostname;              // this machine's own name
};

struct Instance {
  BackendId id;
  std::string name;
  net::HostPort address;
  std::string host_field;  // what its Host check wants to see
};

// A name of the operator's for the first of these models that can be served.
struct Alias {
  std::vector<std::string> models;  // as configured, in the order of preference
};

struct Settings {
  Limits limits;
  Deadlines deadlines;
  AccessPolicy access;
  // In lower case; names who a request is counted for. Empty: its client's address does.
  std::string tenant_header;
  bool hears_priorities = true;  // X-Drover-Priority
  // Messages are hashed, so that it is known where a conversation was held; for a policy that asks.
  bool names_beginnings = false;
  std::vector<Instance> instances;    // indexed by BackendId
  std::vector<jobs::Store> stores;    // for blobs
  std::optional<BackendId> identity;  // the instance that has the account
  std::unordered_map<ModelName, Alias> aliases;
  bool list_aliases = false;  // among the models
  bool wants_usage = false;   // of every stream
  // Clients' shorter wishes are left out; and all of them for models that shall stay loaded.
  Duration least_keep_alive = std::chrono::minutes(5);
  std::unordered_set<ModelName> stay_loaded;
};

}  // namespace drover::gateway
