#include "app/run_demo.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "app/demo_client.h"
#include "app/log_sink.h"
#include "app/server.h"
#include "config/address.h"
#include "fake_ollama/fake_ollama.h"
#include "net/epoll_loop.h"

namespace drover::app {
namespace {

constexpr int kInstances = 3;

// A child that ends with its parent, killed or not, and is ended by its destructor.
class Child {
 public:
  // Runs `body` in a new process. To be called before this process has threads.
  template <class Body>
  explicit Child(Body body) {
    const pid_t parent = ::getpid();
    pid_ = ::fork();
    if (pid_ != 0) return;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) std::_Exit(1);
    // Copies of the parent's connections would keep them open.
    ::close_range(3, ~0U, 0);
    body();
    std::_Exit(0);
  }
  Child(Child&& other) noexcept : pid_(std::exchange(other.pid_, -1)) {}
  Child& operator=(Child&& other) noexcept {
    std::swap(pid_, other.pid_);
    return *this;
  }
  ~Child() { kill(); }

  void kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }

 private:
  pid_t pid_ = -1;
};

// A port that nobody uses: the demo gets in nobody's way.
std::uint16_t free_port() {
  net::EpollLoop loop;
  Result<std::unique_ptr<net::Listener>> listener =
      loop.listen(*net::Endpoint::from_literal("127.0.0.1", 0), {});
  return listener ? (*listener)->local().port() : 0;
}

void simulate(int index, std::uint16_t port) {
  net::EpollLoop loop;
  Result<std::unique_ptr<net::Listener>> listener =
      loop.listen(*net::Endpoint::from_literal("127.0.0.1", port), {});
  if (!listener) std::_Exit(1);
  fake::FakeOptions options;
  options.name = fmt::format("sim{}", index);
  options.models = {{"llama3.2:latest", 2'000'000'000}, {"qwen3:4b", 2'600'000'000}};
  options.tokens = 40;
  options.token_time = std::chrono::milliseconds(50);
  options.load_time = std::chrono::seconds(1);
  fake::FakeOllama ollama(loop, std::move(options));
  ollama.serve(std::move(*listener));
  loop.run();
}

void serve(const config::Config& config) {
  // The demo tells its story itself: neither the greeting nor the log belongs on this terminal.
  if (std::freopen("/dev/null", "w", stdout) == nullptr) std::_Exit(1);
  LogSink log({.least = LogLevel::kError, .format = LineFormat::kText});
  Result<Sockets> sockets = Sockets::bind(config, 1);
  Result<std::unique_ptr<Server>> server =
      sockets ? Server::create(config, std::move(*sockets), {}, {}, log)
              : Result<std::unique_ptr<Server>>(sockets.error());
  if (!server) {
    std::fprintf(stderr, "drover: %s\n", server.error().message.c_str());
    std::_Exit(1);
  }
  (*server)->run();
}

config::Config demo_config(const std::vector<std::uint16_t>& ports) {
  config::Config config;
  config.listen = {{"127.0.0.1", free_port()}};
  config.admin = {"127.0.0.1", 0};
  config.loops = 1;
  for (int i = 0; i < kInstances; ++i) {
    Result<config::Backend> backend = config::parse_backend_url(
        fmt::format("http://127.0.0.1:{}", ports[static_cast<std::size_t>(i)]));
    backend->name = fmt::format("sim{}", i);
    config.backends.push_back(std::move(*backend));
  }
  return config;
}

void say(const std::string& text) {
  std::fputs(text.c_str(), stdout);
  std::fflush(stdout);
}

}  // namespace

int run_demo(const cli::DemoCommand&) {
  say("Three SIMULATED Ollama instances (no model runs, no GPU is used) and drover in front.\n\n");
  std::vector<std::uint16_t> ports;
  for (int i = 0; i < kInstances; ++i) ports.push_back(free_port());
  const config::Config config = demo_config(ports);
  std::vector<Child> instances;
  const auto start = [&ports](int i) {
    return Child([&ports, i] { simulate(i, ports[static_cast<std::size_t>(i)]); });
  };
  for (int i = 0; i < kInstances; ++i) instances.push_back(start(i));
  Child drover([&config] { serve(config); });

  net::EpollLoop loop;
  DemoClient client(loop, *net::Endpoint::from_literal("127.0.0.1", config.listen.front().port));
  const Story story{say, [&](int i) { instances[static_cast<std::size_t>(i)].kill(); },
                    [&](int i) { instances[static_cast<std::size_t>(i)] = start(i); }};
  return client.run(story) ? cli::kDone : cli::kFailed;
}

}  // namespace drover::app
