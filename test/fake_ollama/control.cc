#include "fake_ollama/control.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <map>

#include "fake_ollama/writer.h"

namespace drover::fake {
namespace {

constexpr Duration kUsualClosed = std::chrono::seconds(1);

std::string seen_json(const Seen& seen) {
  // A field that came twice is shown joined, as HTTP lets a reader do.
  std::map<std::string, std::string> fields;
  for (const auto& [name, value] : seen.fields) {
    std::string& joined = fields[name];
    joined += (joined.empty() ? "" : ", ") + value;
  }
  std::string headers;
  for (const auto& [name, value] : fields) {
    headers += (headers.empty() ? "" : ",") + json_quoted(name) + ":" + json_quoted(value);
  }
  return fmt::format(R"({{"method":{},"path":{},"headers":{{{}}},"body_bytes":{},"body":{}}})",
                     json_quoted(seen.method), json_quoted(seen.path), headers, seen.body_bytes,
                     json_quoted(seen.body));
}

std::string cancels_json(const State& state) {
  std::string out = "[";
  for (const CancelNote& note : state.cancels) {
    if (out.size() > 1) out += ',';
    out += fmt::format(R"({{"ns":{},"unix_ns":{},"path":{},"phase":"{}","tokens":{}}})",
                       (note.at - state.started).count(), note.wall.unix_nanos,
                       json_quoted(note.path), note.phase, note.tokens);
  }
  return out + "]";
}

std::string routes_json(const State& state) {
  std::string counts;
  std::string last;
  for (const auto& [path, count] : state.routes) {
    counts += fmt::format("{}{}:{}", counts.empty() ? "" : ",", json_quoted(path), count);
  }
  for (const auto& [path, seen] : state.last_of_route) {
    last += fmt::format("{}{}:{}", last.empty() ? "" : ",", json_quoted(path), seen_json(seen));
  }
  return fmt::format(R"("routes":{{{}}},"last":{{{}}})", counts, last);
}

// Empty, or the name that is not an option.
std::string change_options(State& state, const std::string& json) {
  simdjson::dom::parser parser;
  simdjson::dom::object fields;
  if (parser.parse(json).get(fields) != simdjson::SUCCESS) return "not a JSON object";
  constexpr double kMost = 86'400'000;  // a day in milliseconds
  for (const auto field : fields) {
    double number = 0;
    const std::string_view key = field.key;
    if (field.value.get(number) != simdjson::SUCCESS || number < 0 || number > kMost) {
      return fmt::format("{} wants a number of at least 0", json_quoted(key));
    }
    const Duration time(static_cast<std::int64_t>(number * 1e6));
    if (key == "tokens")
      state.options.tokens = static_cast<int>(number);
    else if (key == "token_ms")
      state.options.token_time = time;
    else if (key == "load_ms")
      state.options.load_time = time;
    else if (key == "prefill_ms_per_kb")
      state.options.prefill_per_kb = time;
    else if (key == "echo")
      state.options.echo = number != 0;
    else
      return fmt::format("no option {}", json_quoted(key));
  }
  return {};
}

void answer_done(Connection& connection, const std::string& wrong) {
  if (wrong.empty()) {
    connection.answer(200, kJsonType, R"({"ok":true})");
  } else {
    connection.answer(400, kJsonType, error_body(Dialect::kNative, 400, wrong));
  }
}

}  // namespace

std::string inject(State& state, const std::string& fault_json, const Connection* asker) {
  Fault fault;
  std::string wrong = state.faults.add(fault_json, fault);
  if (!wrong.empty()) return wrong;
  if (fault.kind == FaultKind::kRefuse || fault.kind == FaultKind::kCrash) {
    state.close_port(fault.pause.value_or(kUsualClosed));
  }
  if (fault.kind == FaultKind::kCrash) {
    state.cut_connections(asker);
    state.scheduler->unload_all();
  }
  return {};
}

std::string state_json(const State& state) {
  Scheduler& scheduler = *state.scheduler;
  std::string loaded;
  for (const Scheduler::Runner* runner : scheduler.loaded()) {
    loaded += (loaded.empty() ? "" : ",") + json_quoted(runner->model.name);
  }
  const std::string loading = scheduler.loading();
  return fmt::format(R"({{"name":{},"version":{},"seed":{},"uptime_ns":{},)",
                     json_quoted(state.options.name), json_quoted(state.options.version),
                     state.options.seed, (state.loop.now() - state.started).count()) +
         fmt::format(
             R"("requests":{},"completed":{},"cancelled":{},"tokens":{},"fetched":{},"loads":{},)"
             R"("loads_thrown_away":{},"evictions":{},"running":{},"most_running":{},)"
             R"("waiting":{},"faults_taken":{},"connections":{},"accepted":{},)",
             state.requests, state.completed, state.cancelled, state.tokens, state.fetched,
             scheduler.loads(), scheduler.loads_thrown_away(), scheduler.evictions(),
             scheduler.running(), scheduler.most_running(), scheduler.waiting(),
             state.faults.taken(), state.connections.size(), state.accepted) +
         fmt::format(R"("loading":{},"loaded":[{}],{},"last_inference":{},)",
                     loading.empty() ? "null" : json_quoted(loading), loaded, routes_json(state),
                     state.last_inference.path.empty() ? "null" : seen_json(state.last_inference)) +
         fmt::format(R"("cancels":{},"faults":{}}})", cancels_json(state), state.faults.json());
}

void answer_control(State& state, Connection& connection, const Request& request) {
  using wire::Method;
  if (request.path == "/fake/fault" && request.method == Method::kPost) {
    answer_done(connection, inject(state, request.body, &connection));
  } else if (request.path == "/fake/fault" && request.method == Method::kDelete) {
    state.faults.clear();
    answer_done(connection, "");
  } else if (request.path == "/fake/options" && request.method == Method::kPost) {
    answer_done(connection, change_options(state, request.body));
  } else if (request.path == "/fake/state" && request.method == Method::kGet) {
    connection.answer(200, kJsonType, state_json(state));
  } else if (request.path == "/fake/exit" && request.method == Method::kPost) {
    answer_done(connection, "");
    if (state.exit) state.exit();
  } else {
    connection.answer(404, "text/plain", "404 page not found");
  }
}

}  // namespace drover::fake
