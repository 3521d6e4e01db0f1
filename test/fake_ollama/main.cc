// The program: one simulated instance on a real port.

#include <CLI/CLI.hpp>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <string>
#include <vector>

#include "fake_ollama/fake_ollama.h"
#include "fake_ollama/runner_process.h"
#include "net/epoll_loop.h"
#include "net/signals.h"

namespace {

using namespace drover;

// "localhost:11434" and ":11434" are understood too, as OLLAMA_HOST does.
std::optional<net::Endpoint> parse_listen(std::string text) {
  if (text.starts_with("localhost:")) text = "127.0.0.1" + text.substr(9);
  if (text.starts_with(":")) text = "127.0.0.1" + text;
  return net::Endpoint::parse(text);
}

int complain(const std::string& what) {
  std::fprintf(stderr, "fake_ollama: %s\n", what.c_str());
  return 2;
}

// Milliseconds as typed; negative and absurd values are refused by the range of the option.
Duration milliseconds(double ms) { return Duration(static_cast<std::int64_t>(ms * 1e6)); }

struct Arguments {
  fake::FakeOptions options;
  std::string listen = "127.0.0.1:0";
  std::string models;
  std::string vram = "24GB";
  double load_ms = 300;
  double token_ms = 10;
  double prefill_ms_per_kb = 2;
};

void declare(CLI::App& app, Arguments& a) {
  const auto times = CLI::Range(0.0, 86'400'000.0);
  const auto counts = CLI::Range(0, 1'000'000'000);
  app.add_option("--listen", a.listen, "Address and port; port 0 lets the kernel choose")
      ->capture_default_str();
  app.add_option("--name", a.options.name, "Shown in /fake/state")->capture_default_str();
  app.add_option("--seed", a.options.seed, "Equal seeds give equal answers")->capture_default_str();
  app.add_option("--models", a.models, "Names with optional sizes: a,b,c:4GB");
  app.add_option("--vram", a.vram, "Memory for loaded models")->capture_default_str();
  app.add_option("--parallel", a.options.parallel, "Slots of a loaded model")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  app.add_option("--max-queue", a.options.max_queue, "Requests that may wait for a load")
      ->check(counts)
      ->capture_default_str();
  app.add_option("--max-loaded", a.options.max_loaded, "Models loaded at once")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  app.add_option("--load-ms", a.load_ms, "Time of a load")->check(times)->capture_default_str();
  app.add_option("--token-ms", a.token_ms, "Time between tokens")
      ->check(times)
      ->capture_default_str();
  app.add_option("--tokens", a.options.tokens, "Length of an answer")
      ->check(counts)
      ->capture_default_str();
  app.add_option("--prefill-ms-per-kb", a.prefill_ms_per_kb, "Time for a KB of prompt text")
      ->check(times)
      ->capture_default_str();
  app.add_flag("--runner-processes", a.options.runner_processes,
               "A process for each loaded model, as Ollama has");
  app.add_option("--directory", a.options.directory, "Pulled models are small files there");
  app.add_flag("--echo", a.options.echo, "Answers repeat the question");
  app.add_option("--version", a.options.version, "What /api/version says")->capture_default_str();
}

// `ollama serve` takes no arguments, only variables; the stand-in's own are in DROVER_FAKE_OPTIONS.
std::vector<std::string> arguments_of_serve() {
  std::vector<std::string> all = {"--runner-processes"};
  const auto variable = [](const char* name) {
    const char* value = std::getenv(name);
    return std::string(value == nullptr ? "" : value);
  };
  if (const std::string host = variable("OLLAMA_HOST"); !host.empty()) {
    all.insert(all.end(), {"--listen", host});
  }
  if (const std::string slots = variable("OLLAMA_NUM_PARALLEL"); !slots.empty()) {
    all.insert(all.end(), {"--parallel", slots});
  }
  std::istringstream more(variable("DROVER_FAKE_OPTIONS"));
  for (std::string word; more >> word;) all.push_back(word);
  return all;
}

int serve(const net::Endpoint& at, fake::FakeOptions options) {
  net::EpollLoop loop;
  // The death of a runner is found by asking; nobody else reaps.
  const net::Signals signals(loop, {SIGTERM, SIGINT}, [&loop](int) { loop.stop(); });
  auto listener = loop.listen(at, {});
  if (!listener.ok()) {
    return complain("can not listen on " + at.to_string() + ": " + listener.error().message);
  }
  const std::string where = (*listener)->local().to_string();
  fake::FakeOllama ollama(loop, std::move(options));
  ollama.on_exit([&loop] { loop.stop(); });
  ollama.serve(std::move(*listener));
  std::printf("listening on %s\n", where.c_str());
  std::fflush(stdout);
  loop.run();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> words(argv + 1, argv + argc);
  if (words.size() == 2 && words[0] == fake::kRunnerVerb) {
    return fake::run_runner(std::strtoull(words[1].c_str(), nullptr, 10));
  }
  if (words == std::vector<std::string>{"serve"}) words = arguments_of_serve();
  CLI::App app(
      "A simulated Ollama for tests and demonstrations: no model runs in it. Faults are posted to "
      "/fake/fault.",
      "fake_ollama");
  Arguments arguments;
  declare(app, arguments);
  try {
    app.parse(std::vector<std::string>(words.rbegin(), words.rend()));
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  std::string wrong;
  if (!arguments.models.empty()) {
    arguments.options.models = fake::parse_models(arguments.models, wrong);
    if (!wrong.empty()) return complain("--models: " + wrong);
  }
  if (!fake::parse_bytes(arguments.vram, arguments.options.vram_bytes)) {
    return complain("--vram: '" + arguments.vram + "' is not a size such as 24GB");
  }
  const auto at = parse_listen(arguments.listen);
  if (!at) return complain("--listen: '" + arguments.listen + "' is not an address and a port");
  arguments.options.load_time = milliseconds(arguments.load_ms);
  arguments.options.token_time = milliseconds(arguments.token_ms);
  arguments.options.prefill_per_kb = milliseconds(arguments.prefill_ms_per_kb);
  std::signal(SIGPIPE, SIG_IGN);
  return serve(*at, std::move(arguments.options));
}
