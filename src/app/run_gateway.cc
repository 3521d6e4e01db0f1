#include "app/run_gateway.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <map>

#include "app/cli.h"
#include "app/keeper_session.h"
#include "app/log_sink.h"
#include "app/places.h"
#include "app/sandbox.h"
#include "app/server.h"
#include "config/address.h"
#include "config/discover.h"
#include "config/overlay.h"
#include "keeper/gateway_process.h"
#include "keeper/model_store.h"
#include "net/descriptor_limit.h"
#include "net/sd_notify.h"
#include "net/signals.h"
#include "net/socket_activation.h"
#include "store/folder.h"

namespace drover::app {
namespace {

constexpr int kWelcomeTimeMs = 10'000;  // the keeper sends it before it does anything else

void say(const std::string& line) { std::fprintf(stderr, "%s\n", line.c_str()); }

// --listeners N, as GatewayProcess writes it.
std::optional<std::size_t> listener_count(const std::vector<std::string>& arguments) {
  std::size_t count = 0;
  if (arguments.size() != 2 || arguments[0] != "--listeners") return std::nullopt;
  const std::string& text = arguments[1];
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return count;
}

struct Start {
  keeper::Welcome welcome;
  keeper::MessageReader rest;  // what came behind it
};

// Waits for the first message, before there is a loop.
std::optional<Start> read_welcome(int link) {
  Start start;
  char buffer[64 * 1024];
  for (;;) {
    Result<std::optional<keeper::Message>> message = start.rest.next();
    if (!message) return std::nullopt;
    if (*message) {
      auto* welcome = std::get_if<keeper::Welcome>(&**message);
      if (welcome == nullptr) return std::nullopt;
      start.welcome = std::move(*welcome);
      return start;
    }
    pollfd readable{link, POLLIN, 0};
    if (::poll(&readable, 1, kWelcomeTimeMs) <= 0) return std::nullopt;
    const ssize_t count = ::read(link, buffer, sizeof(buffer));
    if (count <= 0) return std::nullopt;
    start.rest.feed({buffer, static_cast<std::size_t>(count)});
  }
}

// The keeper's configuration, and behind its instances those that the keeper found and runs.
config::Config complete_config(const keeper::Welcome& welcome) {
  config::Config config = config::assemble(welcome.file, welcome.settings).config;
  for (const config::HostPort& found : welcome.foreign) {
    config.backends.push_back({.url = fmt::format("http://{}", found.to_string()),
                               .address = found,
                               .name = found.to_string()});
  }
  for (const keeper::SupervisedInstance& each : welcome.supervised) {
    Result<config::Backend> backend = config::parse_backend_url(each.url);
    DROVER_ASSERT(backend.ok());
    backend->name = each.name;
    config.backends.push_back(std::move(*backend));
  }
  return config;
}

// Model directories that drover reads, to copy from them. The one of its own instances is found as
// the keeper found it; where the gateway runs as somebody else it may have to be named.
std::vector<std::string> readable_stores(config::Config& config, bool supervises) {
  if (config.copy_between_stores != config::StoreCopies::kAlways) return {};
  if (supervises && !config.ollama.models) {
    std::map<std::string, std::string> variables;
    for (const char* name : {"OLLAMA_MODELS", "HOME"}) {
      if (const char* value = std::getenv(name)) variables[name] = value;
    }
    Result<keeper::ModelStore> own = keeper::find_model_store({std::nullopt, variables, ""});
    if (own) config.ollama.models = own->path;
  }
  std::vector<std::string> all;
  if (supervises && config.ollama.models) all.push_back(*config.ollama.models);
  for (const config::Backend& backend : config.backends) {
    if (!backend.models.empty()) all.push_back(backend.models);
  }
  return all;
}

void check_descriptors(const config::Config& config, Log& log) {
  const std::uint64_t limit = net::raise_descriptor_limit();
  const auto warning =
      net::descriptor_warning(limit, config.limits.connections * loop_count(config));
  if (warning) log.warn("few descriptors", {{"warning", std::string_view(*warning)}});
}

// What differs between a child of the keeper and a service beside it.
struct Surroundings {
  net::Notifier notifier;
  std::optional<std::string> keeper_path;  // set: the keeper may come and go
};

net::Task<void> feed_watchdog(net::EpollLoop& home, const net::Notifier& notifier) {
  for (;;) {
    (void)notifier.alive();
    co_await home.sleep_for(*notifier.watchdog() / 2);
  }
}

void announce(Server& server, const net::Notifier& notifier) {
  server.on_serving([&server, &notifier] {
    (void)notifier.ready("serving");
    if (notifier.watchdog()) server.home().spawn(feed_watchdog(server.home(), notifier));
  });
}

int serve(Start start, std::vector<int> listeners, int link, const Surroundings& around) {
  config::Config config = complete_config(start.welcome);
  const std::vector<std::string> readable =
      readable_stores(config, !start.welcome.supervised.empty());
  net::block_signals(kEndingSignals);
  // Before the log has its thread: what is given up is given up thread by thread.
  const std::string folder = store_dir(state_dir(config, config::process_environment()));
  Result<store::Folder> opened = store::Folder::open(folder);
  std::vector<std::string> writable = {config.limits.spill_dir};
  if (opened) writable.push_back(folder);
  const std::string sandbox = enter_sandbox(writable, readable);
  LogSink log({.least = config.log.level, .format = line_format(config.log.format)});
  if (config.copy_between_stores == config::StoreCopies::kAlways && readable.empty()) {
    log.warn("no model is copied between stores",
             {{"why", "the model directory of no store is known here"},
              {"remedy", "name it as backends[].models"}});
  }
  std::shared_ptr<const store::Folder> kept;
  if (opened) {
    kept = std::make_shared<const store::Folder>(std::move(*opened));
  } else {
    // A unit's sandbox leaves but few directories, and says "read-only file system" of the others.
    const std::string remedy = around.keeper_path
                                   ? "drover systemd install anew, with this state_dir in the "
                                     "configuration, and chown drover of the directory"
                                   : "another state_dir";
    log.warn("nothing outlives a restart", {{"why", std::string_view(opened.error().message)},
                                            {"remedy", std::string_view(remedy)}});
  }
  check_descriptors(config, log);
  Result<Sockets> sockets = Sockets::adopt(std::move(listeners), loop_count(config));
  if (!sockets) {
    say("drover gateway: " + sockets.error().message);
    return cli::kFailed;
  }
  Result<std::unique_ptr<Server>> server =
      Server::create(config, std::move(*sockets), start.welcome.supervised, kept, log);
  if (!server) {
    say("drover gateway: " + server.error().message);
    return cli::kFailed;
  }
  KeeperSession keeper(**server, log, start.welcome.supervised, around.keeper_path);
  if (!keeper.start(link, std::move(start.rest))) return cli::kFailed;
  announce(**server, around.notifier);
  log.info("sandbox", {{"state", std::string_view(sandbox)}});
  std::fputs(start.welcome.greeting.c_str(), stdout);
  return (*server)->run() == Server::Ended::kDrained ? cli::kDone : cli::kFailed;
}

// --- as a service ---

// One listening socket serves all loops: systemd has bound it once.
Result<std::vector<int>> passed_listeners(std::size_t loops) {
  Result<std::vector<net::PassedSocket>> passed = net::take_passed_sockets();
  if (!passed) return std::move(passed).error();
  std::vector<int> admin;
  std::vector<int> all;
  for (const net::PassedSocket& each : *passed) {
    if (each.name == "admin") {
      admin.push_back(each.fd);
      continue;
    }
    all.push_back(each.fd);
    for (std::size_t i = 1; i < loops; ++i) {
      all.push_back(::fcntl(each.fd, F_DUPFD_CLOEXEC, 0));
    }
  }
  if (admin.size() != 1 || all.empty()) {
    return Error{ErrorKind::kConfig, Origin::kSelf, Retry::kNever,
                 "wants one socket named admin and at least one for clients (drover.socket and "
                 "drover-admin.socket); by hand, run drover serve"};
  }
  all.insert(all.begin(), admin.front());
  return all;
}

// The keeper may be on its way up, too.
std::optional<int> connect_patiently(const std::string& path) {
  constexpr int kTries = 300;
  constexpr int kPauseMs = 100;
  for (int i = 0; i < kTries; ++i) {
    const std::optional<int> fd = connect_keeper(path);
    if (fd) return fd;
    ::poll(nullptr, 0, kPauseMs);
  }
  return std::nullopt;
}

int run_service() {
  Surroundings around;
  around.notifier = net::Notifier::from_environment();
  const char* path = std::getenv("DROVER_KEEPER_SOCKET");
  around.keeper_path = path == nullptr ? kKeeperSocket : path;
  const std::optional<int> link = connect_patiently(*around.keeper_path);
  std::optional<Start> start;
  if (link) start = read_welcome(*link);
  if (!start) {
    say(fmt::format("drover gateway: no keeper answers on {}; see drover-keeper.service",
                    *around.keeper_path));
    return cli::kFailed;
  }
  ::fcntl(*link, F_SETFL, O_NONBLOCK);
  Result<std::vector<int>> listeners =
      passed_listeners(loop_count(complete_config(start->welcome)));
  if (!listeners) {
    say("drover gateway: " + listeners.error().message);
    return cli::kFailed;
  }
  return serve(std::move(*start), std::move(*listeners), *link, around);
}

}  // namespace

int run_gateway(const std::vector<std::string>& arguments) {
  if (arguments.empty() && std::getenv("LISTEN_FDS") != nullptr) return run_service();
  const std::optional<std::size_t> count = listener_count(arguments);
  // Without the keeper's socket there is nothing to do; by hand nobody has it.
  const bool by_keeper = count && ::fcntl(keeper::kLinkDescriptor, F_SETFD, FD_CLOEXEC) == 0;
  std::optional<Start> start;
  if (by_keeper) start = read_welcome(keeper::kLinkDescriptor);
  if (!start) {
    say("drover gateway: is started by drover serve or by systemd, not by hand");
    return cli::kWrongUse;
  }
  std::vector<int> listeners;
  for (std::size_t i = 0; i < *count; ++i) {
    listeners.push_back(keeper::kFirstListener + static_cast<int>(i));
  }
  return serve(std::move(*start), std::move(listeners), keeper::kLinkDescriptor, {});
}

}  // namespace drover::app
