#include "app/models.h"

#include <fmt/format.h>
#include <simdjson.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <vector>

#include "app/admin_target.h"
#include "app/escape.h"
#include "app/http_get.h"
#include "app/store_bars.h"
#include "app/verbs.h"
#include "net/cares_resolver.h"
#include "net/epoll_loop.h"
#include "net/http_call.h"
#include "wire/catalogue.h"
#include "wire/progress.h"

namespace drover::app {
namespace {

using simdjson::dom::element;
using Action = cli::ModelsCommand::Action;

constexpr Duration kConnect = std::chrono::seconds(3);
constexpr Duration kPatience = std::chrono::hours(24);  // of a pull; drover itself has its limits
constexpr std::size_t kLongestList = 64 * 1024 * 1024;

cli::Printed failure(std::string_view message) {
  return {cli::kFailed, "", fmt::format("drover: {}\n", message)};
}

// Of each model that is loaded: on which instances, by name.
std::map<ModelName, std::string> loaded_on(std::string_view ps) {
  std::map<ModelName, std::string> loaded;
  simdjson::dom::parser parser;
  simdjson::dom::array list;
  if (parser.parse(ps.data(), ps.size())["models"].get(list) != simdjson::SUCCESS) return loaded;
  for (const element each : list) {
    std::string_view name;
    std::string_view instance;
    if (each["name"].get(name) != simdjson::SUCCESS) continue;
    if (each["drover_instance"].get(instance) != simdjson::SUCCESS) continue;
    std::string& names = loaded[ModelName::canonical(name)];
    names += (names.empty() ? "" : ", ") + text_words(instance);
  }
  return loaded;
}

class Work {
 public:
  Work(const cli::ModelsCommand& command, const ModelsSide& side)
      : command_(command), side_(side) {}

  cli::Printed list() const;
  cli::Printed for_each_name();
  cli::Printed sync();

 private:
  Result<std::string> fetch(std::string_view path) const;
  // Nothing, or why not.
  std::string act(Action action, const std::string& name);
  void show_progress(const wire::ProgressLine& line);
  void show_bars(StoreBars& bars, std::string_view line);
  bool text() const { return command_.output == cli::Output::kText; }

  const cli::ModelsCommand& command_;
  const ModelsSide& side_;
  std::string last_said_;
};

Result<std::string> Work::fetch(std::string_view path) const {
  std::string body;
  Result<int> status =
      side_.ask("GET", path, {}, [&body](std::string_view line) { body.append(line); });
  if (!status) return std::move(status).error();
  if (*status == 200) return body;
  const Result<wire::ProgressLine> said = wire::read_progress(body);
  const bool worded = said && !said->error.empty();
  return Error{ErrorKind::kUpstream, Origin::kInstance, Retry::kNever,
               worded ? said->error : fmt::format("{} answered {}", path, *status)};
}

cli::Printed Work::list() const {
  Result<std::string> tags = fetch("/api/tags");
  if (!tags) return failure(side_.silence(tags.error()));
  Result<std::string> ps = fetch("/api/ps");
  if (!ps) return failure(side_.silence(ps.error()));
  if (!text()) return {cli::kDone, *tags + "\n", ""};
  Result<std::vector<InstalledModel>> models = wire::read_tags(*tags);
  if (!models) return failure(models.error().message);
  const std::map<ModelName, std::string> loaded = loaded_on(*ps);
  std::size_t widest = 5;
  for (const InstalledModel& model : *models) {
    widest = std::max(widest, text_words(model.shown_name).size());
  }
  std::string out =
      fmt::format("{:<{}}  {:<12}  {:>9}  {}\n", "MODEL", widest, "DIGEST", "SIZE", "LOADED ON");
  for (const InstalledModel& model : *models) {
    const auto on = loaded.find(model.name);
    out += fmt::format("{:<{}}  {:<12}  {:>9}  {}\n", text_words(model.shown_name), widest,
                       text_words(model.digest.substr(0, 12)), size_text(model.bytes),
                       on == loaded.end() ? "-" : on->second);
  }
  return {cli::kDone, out, ""};
}

// A line for each phase, and one for each tenth of a layer.
void Work::show_progress(const wire::ProgressLine& line) {
  if (!text() || line.status.empty()) return;
  std::string said = text_words(line.status);
  if (line.total > 0) {
    const std::uint64_t tenths = line.completed / std::max<std::uint64_t>(1, line.total / 10);
    said += fmt::format(": {} % of {}", std::min<std::uint64_t>(tenths, 10) * 10,
                        size_text(line.total));
  }
  if (said == last_said_) return;
  last_said_ = said;
  side_.say(said + "\n");
}

void Work::show_bars(StoreBars& bars, std::string_view line) {
  const std::string drawn = bars.take(line);
  if (!drawn.empty()) side_.say(drawn);
}

std::string Work::act(Action action, const std::string& name) {
  const std::string model = json_quoted(name);
  std::string error;
  std::string last;
  StoreBars bars(name);
  const bool draws = text() && side_.terminal;
  const auto hear = [&](std::string_view line) {
    const Result<wire::ProgressLine> read = wire::read_progress(line);
    if (!read) return;
    last = read->status;
    if (!read->error.empty()) error = read->error;
    if (draws && !read->digest.empty()) {
      show_bars(bars, line);
    } else {
      bars.leave();
      show_progress(*read);
    }
  };
  Result<int> status = 0;
  switch (action) {
    case Action::kPull:
      status = side_.ask("POST", "/api/pull", fmt::format("{{\"model\":{}}}", model), hear);
      break;
    case Action::kRemove:
      status = side_.ask("DELETE", "/api/delete", fmt::format("{{\"model\":{}}}", model), hear);
      break;
    case Action::kLoad:
      status = side_.ask("POST", "/api/generate",
                         fmt::format("{{\"model\":{},\"stream\":false}}", model), hear);
      break;
    default:
      status =
          side_.ask("POST", "/api/generate",
                    fmt::format("{{\"model\":{},\"keep_alive\":0,\"stream\":false}}", model), hear);
      break;
  }
  if (!status) return side_.silence(status.error());
  if (!error.empty()) return error;
  if (*status != 200) return fmt::format("status {}", *status);
  const bool cut = action == Action::kPull && last != "success";
  return cut ? "the answer ended before success" : "";
}

// On the first that fails the rest is left alone.
cli::Printed Work::for_each_name() {
  std::string done;
  for (const std::string& name : command_.names) {
    const std::string why_not = act(command_.action, name);
    if (!why_not.empty()) {
      cli::Printed printed = failure(fmt::format("{}: {}", text_words(name), text_words(why_not)));
      if (!text()) {
        printed.out = fmt::format("{{\"done\":[{}],\"failed\":{},\"reason\":{}}}\n", done,
                                  json_quoted(name), json_quoted(why_not));
      }
      return printed;
    }
    done += (done.empty() ? "" : ",") + json_quoted(name);
    const std::string_view word = command_.action == Action::kPull     ? "pulled"
                                  : command_.action == Action::kRemove ? "removed"
                                  : command_.action == Action::kLoad   ? "loaded"
                                                                       : "unloaded";
    if (text()) side_.say(fmt::format("{}: {}\n", text_words(name), word));
  }
  if (text()) return {};
  return {cli::kDone, fmt::format("{{\"done\":[{}]}}\n", done), ""};
}

struct Gap {
  std::string name;
  std::uint64_t stores = 0;  // that lack it
  std::uint64_t loads = 0;   // instances that shall have it loaded and have not
};

Result<std::vector<Gap>> read_gaps(std::string_view text) {
  simdjson::dom::parser parser;
  simdjson::dom::array list;
  std::vector<Gap> gaps;
  if (parser.parse(text.data(), text.size())["models"].get(list) != simdjson::SUCCESS) {
    return Error{ErrorKind::kUpstream, Origin::kInstance, Retry::kNever,
                 "its list of wanted models cannot be read"};
  }
  for (const element each : list) {
    const auto lacks = [&each](const char* what) -> std::uint64_t {
      std::uint64_t wanted = 0;
      std::uint64_t have = 0;
      const bool said = each[what]["wanted"].get(wanted) == simdjson::SUCCESS &&
                        each[what]["have"].get(have) == simdjson::SUCCESS;
      return said && wanted > have ? wanted - have : 0;
    };
    std::string_view name;
    if (each["name"].get(name) != simdjson::SUCCESS) continue;
    gaps.push_back({std::string(name), lacks("stores"), lacks("loaded")});
  }
  return gaps;
}

// What drover would do by itself in a while, now and watched.
cli::Printed Work::sync() {
  Result<std::string> wanted = side_.wanted();
  if (!wanted) return failure(wanted.error().message);
  Result<std::vector<Gap>> gaps = read_gaps(*wanted);
  if (!gaps) return failure(gaps.error().message);
  std::string rows;
  for (const Gap& gap : *gaps) {
    std::string why_not;
    std::string_view word = "is as it shall be";
    if (gap.stores > 0) {
      why_not = act(Action::kPull, gap.name);
      word = "pulled";
    }
    if (why_not.empty() && gap.loads > 0) {
      why_not = act(Action::kLoad, gap.name);
      word = "loaded";
    }
    if (!why_not.empty()) {
      return failure(fmt::format("{}: {}", text_words(gap.name), text_words(why_not)));
    }
    rows += (rows.empty() ? "" : ",") + json_quoted(gap.name);
    if (text()) side_.say(fmt::format("{}: {}\n", text_words(gap.name), word));
  }
  if (!text()) return {cli::kDone, fmt::format("{{\"done\":[{}]}}\n", rows), ""};
  if (gaps->empty()) side_.say("the configuration says nothing of models that shall be there\n");
  return {};
}

// --- the real side ---

struct Told {
  Result<int> status = 0;
};

net::Task<void> ask_once(net::EpollLoop& loop, net::CaresResolver& resolver, net::HostPort to,
                         std::string request, const std::function<void(std::string_view)>& on_line,
                         Told& told) {
  net::HttpCall call(loop, nullptr);
  Result<void> done = co_await call.connect(resolver, to, loop.now() + kConnect);
  if (done) done = co_await call.send(request, kConnect);
  if (done) done = co_await call.read_head(wire::Method::kPost, loop.now() + kPatience);
  std::string text;
  while (done) {
    Result<bool> more = co_await call.read_more(text, loop.now() + kPatience);
    if (!more) done = std::move(more).error();
    if (!more || !*more || text.size() > kLongestList) break;
    for (std::size_t end = 0; (end = text.find('\n')) != std::string::npos;) {
      on_line(std::string_view(text).substr(0, end));
      text.erase(0, end + 1);
    }
  }
  if (!text.empty()) on_line(text);
  told.status = call.status();
  if (!done) told.status = std::move(done).error();
  loop.stop();
}

Result<int> ask(const net::HostPort& to, std::string_view method, std::string_view path,
                std::string_view body, const std::function<void(std::string_view)>& on_line) {
  net::EpollLoop loop;
  net::CaresResolver resolver(loop);
  Told told;
  std::string request = fmt::format(
      "{} {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: drover\r\nContent-Type: application/json\r\n"
      "Content-Length: {}\r\nConnection: close\r\n\r\n{}",
      method, path, to.to_string(), body.size(), body);
  loop.spawn(ask_once(loop, resolver, to, std::move(request), on_line, told));
  loop.run();
  return std::move(told.status);
}

// Where clients are answered, as the admin side says: a loopback address when there is one.
Result<net::HostPort> client_address(const config::HostPort& admin) {
  Result<Answer> status = http_get(admin, "/api/v1/status", kAdminPatience);
  if (!status) return std::move(status).error();
  simdjson::dom::parser parser;
  simdjson::dom::array list;
  std::optional<net::Endpoint> best;
  if (parser.parse(status->body)["listen"].get(list) == simdjson::SUCCESS) {
    for (const element each : list) {
      std::string_view text;
      if (each.get(text) != simdjson::SUCCESS) continue;
      const std::optional<net::Endpoint> at = net::Endpoint::parse(text);
      if (at && (!best || at->is_loopback())) best = at;
    }
  }
  if (!best) {
    return Error{ErrorKind::kUpstream, Origin::kInstance, Retry::kNever,
                 "its status does not say where clients connect"};
  }
  const std::string host = best->is_wildcard() ? admin.host : best->address_text();
  return net::HostPort{host, best->port()};
}

}  // namespace

cli::Printed work_on_models(const cli::ModelsCommand& command, const ModelsSide& side) {
  Work work(command, side);
  if (command.action == Action::kList) return work.list();
  return command.action == Action::kSync ? work.sync() : work.for_each_name();
}

cli::Printed run_models(const cli::ModelsCommand& command, const config::Environment& environment) {
  const Result<AdminTarget> where = admin_target(command.config, environment);
  if (!where) return failure(where.error().message);
  Result<net::HostPort> at = client_address(where->admin);
  if (!at) return failure(explain_no_answer(where->admin, at.error()));
  ModelsSide side;
  side.ask = [&at](std::string_view method, std::string_view path, std::string_view body,
                   const std::function<void(std::string_view)>& on_line) {
    return ask(*at, method, path, body, on_line);
  };
  side.wanted = [&where]() -> Result<std::string> {
    Result<Answer> answer = http_get(where->admin, "/api/v1/models", kAdminPatience);
    if (!answer) return std::move(answer).error();
    return std::move(answer->body);
  };
  side.say = [](std::string_view line) {
    std::fwrite(line.data(), 1, line.size(), stdout);
    std::fflush(stdout);
  };
  side.terminal = ::isatty(STDOUT_FILENO) == 1;
  side.silence = [&at](const Error& error) {
    return fmt::format("{} gave no answer: {}", at->to_string(), error.message);
  };
  cli::Printed printed = work_on_models(command, side);
  printed.err = where->warning + printed.err;
  return printed;
}

}  // namespace drover::app
