#include "config/schema.h"

#include <algorithm>
#include <array>
#include <type_traits>
#include <utility>

namespace drover::config {
namespace {

// A slot is a function from a Config to one member; the type of the member picks the alternative.
template <class Member>
using At = Member& (*)(Config&);
#define AT(member)                                                                      \
  static_cast<At<std::remove_reference_t<decltype((std::declval<Config&>().member))>>>( \
      [](Config& config) -> auto& { return config.member; })

// The numbers' reasons: ranges keep out what can only be a slip (a head limit that refuses every
// request, a check interval that is a flood). Defaults are explained beside each meaning.
constexpr std::array kKeys = std::to_array<Key>({
    {.path = "listen",
     .kind = Kind::kAddresses,
     .fallback = "127.0.0.1:11434",
     .meaning = "Where clients connect; Ollama's own port, so that clients need no change."},
    {.path = "admin",
     .kind = Kind::kAddress,
     .fallback = "127.0.0.1:11436",
     .meaning = "Where status, metrics and health answers are served; keep it on a loopback "
                "address."},
    {.path = "backends",
     .kind = Kind::kBackends,
     .meaning = "The Ollama instances that share the work; each needs a url."},
    {.path = "backends[].url",
     .kind = Kind::kUrl,
     .meaning = "Address of the instance, as http://host:port."},
    {.path = "backends[].name",
     .kind = Kind::kName,
     .meaning = "What logs, metrics and tables call it; host:port of the url when left out."},
    {.path = "backends[].max_in_flight",
     .kind = Kind::kCount,
     .fallback = "512",
     .least = "1",
     .most = "65536",
     .meaning = "Requests it may have at once; 512 is where Ollama itself begins to refuse."},
    {.path = "ollama", .kind = Kind::kSection, .meaning = "How drover runs Ollama itself."},
    {.path = "ollama.supervise",
     .kind = Kind::kChoice,
     .fallback = "auto",
     .choices = "auto|always|never",
     .meaning = "Whether drover starts Ollama itself, one instance per GPU; auto does so when no "
                "instance is configured and none is found running.",
     .slot = AT(ollama.supervise)},
    {.path = "ollama.program",
     .kind = Kind::kAutoPath,
     .fallback = "auto",
     .meaning = "The ollama program; auto looks in PATH, /usr/local/bin and /usr/bin.",
     .slot = AT(ollama.program)},
    {.path = "ollama.models",
     .kind = Kind::kAutoPath,
     .fallback = "auto",
     .meaning = "The directory of pulled models; auto takes the one that OLLAMA_MODELS, "
                "ollama.service or this user already uses.",
     .slot = AT(ollama.models)},
    {.path = "ollama.spanning",
     .kind = Kind::kChoice,
     .fallback = "auto",
     .choices = "auto|never",
     .meaning = "Whether an instance over all GPUs stands by for models that fit on no single one; "
                "it holds no memory while it is idle.",
     .slot = AT(ollama.spanning)},
    {.path = "ollama.parallel",
     .kind = Kind::kAutoCount,
     .fallback = "auto",
     .least = "1",
     .most = "64",
     .meaning = "Requests that a loaded model answers at once; auto is the largest of 4, 2 and 1 "
                "that leaves room for the largest model.",
     .slot = AT(ollama.parallel)},
    {.path = "ollama.context_length",
     .kind = Kind::kAutoCount,
     .fallback = "auto",
     .least = "512",
     .most = "16777216",
     .meaning = "Tokens of context, the same on every instance; auto is Ollama's own rule for the "
                "GPU with the least memory.",
     .slot = AT(ollama.context_length)},
    {.path = "ollama.first_port",
     .kind = Kind::kCount,
     .fallback = "11440",
     .least = "1024",
     .most = "32000",
     .meaning = "Port of the first instance, on 127.0.0.1; the others follow. Below the range from "
                "which Ollama takes ports for its runners.",
     .slot = AT(ollama.first_port)},
    {.path = "ollama.start_timeout",
     .kind = Kind::kDuration,
     .fallback = "3m",
     .least = "1s",
     .most = "1h",
     .meaning = "Longest wait for the first HTTP answer of an instance that was started.",
     .slot = AT(ollama.start_timeout)},
    {.path = "ollama.stop_timeout",
     .kind = Kind::kDuration,
     .fallback = "10s",
     .least = "0s",
     .most = "10m",
     .meaning = "How long an instance may take to end before it is killed with its runners.",
     .slot = AT(ollama.stop_timeout)},
    {.path = "ollama.log_bytes",
     .kind = Kind::kSize,
     .fallback = "10MiB",
     .least = "64KiB",
     .most = "1GiB",
     .meaning = "Size at which an instance's log file is put aside; three older ones are kept.",
     .slot = AT(ollama.log_bytes)},
    {.path = "ollama.environment",
     .kind = Kind::kVariables,
     .meaning =
         "Variables for every instance, as NAME=value; they win over those that drover sets, "
         "but for its pinning and address."},
    {.path = "ollama.instances",
     .kind = Kind::kInstances,
     .meaning = "The instances to run, when one per GPU is not what you want."},
    {.path = "ollama.instances[].gpus",
     .kind = Kind::kGpus,
     .meaning =
         "Its GPUs, as UUIDs or indices that 'drover gpus' shows; an empty list is the CPU."},
    {.path = "ollama.instances[].name",
     .kind = Kind::kName,
     .meaning = "What logs, metrics and tables call it; gpu and a number when left out."},
    {.path = "ollama.instances[].port",
     .kind = Kind::kCount,
     .least = "1",
     .most = "65535",
     .meaning = "Its port on 127.0.0.1; the next free one from first_port when left out."},
    {.path = "ollama.instances[].environment",
     .kind = Kind::kVariables,
     .meaning = "Variables for this instance alone, as NAME=value."},
    {.path = "state_dir",
     .kind = Kind::kAutoPath,
     .fallback = "auto",
     .meaning = "Directory of logs and of what outlives a restart; auto is $STATE_DIRECTORY, "
                "/var/lib/drover for root, else $XDG_STATE_HOME/drover or ~/.local/state/drover.",
     .slot = AT(state_dir)},
    {.path = "policy",
     .kind = Kind::kChoice,
     .fallback = "least_loaded",
     .choices = "round_robin|least_loaded|expected_completion",
     .meaning = "How an instance is chosen among those that can serve a request.",
     .slot = AT(policy)},
    {.path = "loops",
     .kind = Kind::kAutoCount,
     .fallback = "auto",
     .least = "1",
     .most = "64",
     .meaning = "IO loops (threads); auto is one per core, at most 4.",
     .slot = AT(loops)},
    {.path = "allowed_hosts",
     .kind = Kind::kHosts,
     .meaning = "Names in a client's Host field that are accepted besides Ollama's own list: a "
                "name, *.suffix or *."},
    {.path = "allowed_origins",
     .kind = Kind::kOrigins,
     .meaning = "Web pages that may call besides Ollama's own list: an origin such as "
                "https://chat.example.com, scheme://* or *."},
    {.path = "limits", .kind = Kind::kSection, .meaning = "What one client may cost."},
    {.path = "limits.head_bytes",
     .kind = Kind::kSize,
     .fallback = "64KiB",
     .least = "4KiB",
     .most = "1MiB",
     .meaning = "Longest request head; more is answered 431.",
     .slot = AT(limits.head_bytes)},
    {.path = "limits.fields",
     .kind = Kind::kCount,
     .fallback = "100",
     .least = "16",
     .most = "1000",
     .meaning = "Most fields of one request head; more is answered 431.",
     .slot = AT(limits.fields)},
    {.path = "limits.target_bytes",
     .kind = Kind::kSize,
     .fallback = "8KiB",
     .least = "256B",
     .most = "64KiB",
     .meaning = "Longest path with query; more is answered 414.",
     .slot = AT(limits.target_bytes)},
    {.path = "limits.body_bytes",
     .kind = Kind::kSize,
     .fallback = "100MB",
     .least = "1KiB",
     .most = "16GiB",
     .meaning = "Longest request body; more is answered 413.",
     .slot = AT(limits.body_bytes)},
    {.path = "limits.spill_bytes",
     .kind = Kind::kSize,
     .fallback = "1MiB",
     .least = "4KiB",
     .most = "1GiB",
     .meaning = "A longer body may wait in a file instead of memory until an instance takes it.",
     .slot = AT(limits.spill_bytes)},
    {.path = "limits.body_memory",
     .kind = Kind::kSize,
     .fallback = "64MiB",
     .least = "0",
     .most = "64GiB",
     .meaning =
         "Memory for such bodies in each IO loop, as long as it lasts: it is faster than a file.",
     .slot = AT(limits.body_memory)},
    {.path = "limits.spill_dir",
     .kind = Kind::kPath,
     .fallback = "/tmp",
     .meaning = "Directory of those files; they have no name there and vanish with the request.",
     .slot = AT(limits.spill_dir)},
    {.path = "limits.connections",
     .kind = Kind::kCount,
     .fallback = "10000",
     .least = "1",
     .most = "1000000",
     .meaning = "Client connections open at once in each IO loop; the longest idle one makes room.",
     .slot = AT(limits.connections)},
    {.path = "limits.head_timeout",
     .kind = Kind::kDuration,
     .fallback = "10s",
     .least = "1s",
     .most = "10m",
     .meaning = "Longest wait for a complete request head; then 408.",
     .slot = AT(limits.head_timeout)},
    {.path = "limits.body_stall_timeout",
     .kind = Kind::kDuration,
     .fallback = "30s",
     .least = "1s",
     .most = "1h",
     .meaning = "Longest time in which a request body makes no real progress; then 408.",
     .slot = AT(limits.body_stall_timeout)},
    {.path = "limits.idle_timeout",
     .kind = Kind::kDuration,
     .fallback = "2m",
     .least = "1s",
     .most = "24h",
     .meaning = "How long a connection stays open between two requests.",
     .slot = AT(limits.idle_timeout)},
    {.path = "limits.write_stall_timeout",
     .kind = Kind::kDuration,
     .fallback = "1m",
     .least = "1s",
     .most = "1h",
     .meaning = "How long a client may take nothing of its answer before the instance is freed.",
     .slot = AT(limits.write_stall_timeout)},
    {.path = "timeouts", .kind = Kind::kSection, .meaning = "How long an instance may take."},
    {.path = "timeouts.connect",
     .kind = Kind::kDuration,
     .fallback = "1s",
     .least = "10ms",
     .most = "1m",
     .meaning = "Longest wait for a connection to an instance.",
     .slot = AT(timeouts.connect)},
    {.path = "timeouts.first_token",
     .kind = Kind::kDuration,
     .fallback = "15m",
     .least = "1s",
     .most = "24h",
     .meaning = "Longest wait for the first token: the instance's queue, loading and the prompt; "
                "then 504.",
     .slot = AT(timeouts.first_token)},
    {.path = "timeouts.document",
     .kind = Kind::kDuration,
     .fallback = "1h",
     .least = "1s",
     .most = "24h",
     .meaning = "Longest wait for an answer that is not streamed, which begins only when it is "
                "complete; then 504.",
     .slot = AT(timeouts.document)},
    {.path = "timeouts.token_gap",
     .kind = Kind::kDuration,
     .fallback = "3m",
     .least = "1s",
     .most = "24h",
     .meaning = "Longest silence inside an answer; tool calls are composed silently, so keep it "
                "long.",
     .slot = AT(timeouts.token_gap)},
    {.path = "timeouts.check_interval",
     .kind = Kind::kDuration,
     .fallback = "2s",
     .least = "100ms",
     .most = "5m",
     .meaning = "Time between two health checks of an instance.",
     .slot = AT(timeouts.check_interval)},
    {.path = "timeouts.check_timeout",
     .kind = Kind::kDuration,
     .fallback = "2s",
     .least = "100ms",
     .most = "1m",
     .meaning = "Longest wait for the answer to a health check.",
     .slot = AT(timeouts.check_timeout)},
    {.path = "timeouts.residency_timeout",
     .kind = Kind::kDuration,
     .fallback = "5s",
     .least = "100ms",
     .most = "5m",
     .meaning = "Longest wait for /api/ps, which Ollama holds back while it unloads a model.",
     .slot = AT(timeouts.residency_timeout)},
    {.path = "timeouts.drain",
     .kind = Kind::kDuration,
     .fallback = "10m",
     .least = "0s",
     .most = "24h",
     .meaning = "How long running answers may still take when drover is asked to stop.",
     .slot = AT(timeouts.drain)},
    {.path = "retries",
     .kind = Kind::kSection,
     .meaning = "How often drover tries another instance before the client has seen a byte."},
    {.path = "retries.max",
     .kind = Kind::kCount,
     .fallback = "2",
     .least = "0",
     .most = "10",
     .meaning = "Most retries of one request.",
     .slot = AT(retries.max)},
    {.path = "retries.budget",
     .kind = Kind::kShare,
     .fallback = "0.2",
     .least = "0",
     .most = "1",
     .meaning = "Retries under way as a share of active requests, so that failing instances are "
                "not flooded.",
     .slot = AT(retries.budget)},
    {.path = "retries.budget_min",
     .kind = Kind::kCount,
     .fallback = "3",
     .least = "0",
     .most = "1000",
     .meaning = "Retries that are allowed at once however few requests are active.",
     .slot = AT(retries.budget_min)},
    {.path = "log", .kind = Kind::kSection, .meaning = "What is written to standard error."},
    {.path = "log.level",
     .kind = Kind::kChoice,
     .fallback = "info",
     .choices = "debug|info|warn|error",
     .meaning = "The least important lines that are written.",
     .slot = AT(log.level)},
    {.path = "log.format",
     .kind = Kind::kChoice,
     .fallback = "auto",
     .choices = "auto|text|json",
     .meaning = "How lines look; auto is text on a terminal and json elsewhere.",
     .slot = AT(log.format)},
});
#undef AT

}  // namespace

std::string_view Key::name() const {
  const std::size_t dot = path.rfind('.');
  return dot == std::string_view::npos ? path : path.substr(dot + 1);
}

std::string_view Key::section() const {
  const std::size_t dot = path.rfind('.');
  return dot == std::string_view::npos ? std::string_view{} : path.substr(0, dot);
}

std::span<const Key> schema() { return kKeys; }

const Key* find_key(std::string_view path) {
  const auto found =
      std::find_if(kKeys.begin(), kKeys.end(), [&](const Key& key) { return key.path == path; });
  return found == kKeys.end() ? nullptr : &*found;
}

std::vector<std::string_view> names_in(std::string_view section) {
  std::vector<std::string_view> names;
  for (const Key& key : kKeys) {
    if (key.section() == section) names.push_back(key.name());
  }
  return names;
}

std::vector<std::string_view> split_choices(std::string_view choices) {
  std::vector<std::string_view> words;
  while (!choices.empty()) {
    const std::size_t bar = choices.find('|');
    words.push_back(choices.substr(0, bar));
    choices = bar == std::string_view::npos ? std::string_view{} : choices.substr(bar + 1);
  }
  return words;
}

}  // namespace drover::config
