#include "fake_ollama/generation.h"

#include <algorithm>

namespace drover::fake {
namespace {

constexpr int kCpuFactor = 20;
constexpr Duration kUsualSlowToken = std::chrono::seconds(1);
constexpr std::string_view kMidError =
    "an error was encountered while running the model: CUDA error: unspecified launch failure";

std::string_view mid_error(const Fault& fault) {
  if (!fault.text.empty()) return fault.text;
  const std::string_view named = error_text(fault.variant);
  return named.empty() ? kMidError : named;
}

// Time and numbers of the last record.
void close_books(Generation& g) {
  g.finish.output_tokens = g.wanted.tool_call ? 1 : g.sent;
  g.finish.eval = g.token_time * static_cast<std::int64_t>(g.sent);
  g.finish.total = g.state.loop.now() - g.began;
}

// Sleeps as long as a hang_mid lasts. False: the client left, or was cut off.
net::Task<bool> pause(Generation& g, net::Cancel& gone) {
  const Instant until = g.fault->pause ? g.state.loop.now() + *g.fault->pause : kNever;
  const net::WaitResult slept = co_await g.state.loop.sleep_until(until, &gone);
  co_return slept != net::WaitResult::kCancelled;
}

// What a fault leaves of a stream once its tokens are out. The head may still be unsent.
void end_badly(Generation& g, Connection& connection) {
  std::string out;
  switch (g.fault->kind) {
    case FaultKind::kResetMid:
      connection.reset();
      break;
    case FaultKind::kErrorMid:
      g.writer->error(out, mid_error(*g.fault));
      connection.end_stream(out);
      break;
    case FaultKind::kCutRaw:
      connection.close_after();
      break;
    default:
      connection.end_stream();
      break;  // cut, missing_done
  }
}

net::Task<bool> stream(Generation& g, Connection& connection) {
  net::Loop& loop = g.state.loop;
  net::Cancel& gone = connection.gone();
  connection.begin_stream(200, g.writer->stream_type());
  const std::uint64_t stop = g.before_fault();
  std::string out;
  g.writer->begin(out);
  Instant due = loop.now();
  for (;; due += g.token_time) {
    if (g.sent == stop && g.fault && !g.strikes(FaultKind::kSlowTokens)) {
      if (!g.strikes(FaultKind::kHangMid)) {
        end_badly(g, connection);
        co_return false;
      }
      const bool on = co_await pause(g, gone);
      if (!on) co_return false;
      due = loop.now();
    }
    if (g.sent == g.length) break;
    const net::WaitResult slept = co_await loop.sleep_until(due + g.token_time, &gone);
    if (slept == net::WaitResult::kCancelled) co_return false;
    if (g.runner_died()) {
      end_badly(g, connection);
      co_return false;
    }
    if (g.wanted.tool_call) {
      g.writer->tool(out, *g.wanted.tool_call);
    } else {
      g.writer->token(out, g.words.token(g.sent));
    }
    connection.chunk(out);
    out.clear();
    ++g.sent;
    ++g.state.tokens;
    if (connection.settled()) continue;
    // A full socket holds up the generation, and what was not generated is not caught up with.
    const bool sent = co_await connection.drain();
    if (!sent) co_return false;
    due = loop.now() - g.token_time;
  }
  close_books(g);
  g.writer->end(out, g.finish);
  connection.end_stream(out);
  co_return true;
}

std::string whole_text(const Generation& g) {
  std::string text;
  for (std::uint64_t i = 0; i < g.sent; ++i) text += g.words.token(i);
  return text;
}

// A document whose generation was struck.
void answer_badly_done(Generation& g, Connection& connection) {
  const Dialect dialect = dialect_of(g.wanted.route);
  switch (g.fault->kind) {
    case FaultKind::kResetMid:
      connection.reset();
      return;
    case FaultKind::kErrorMid:
      connection.answer(500, kJsonType, error_body(dialect, 500, mid_error(*g.fault)));
      return;
    default:
      break;
  }
  g.finish.done = g.strikes(FaultKind::kCutRaw);
  const std::string body = g.writer->document(whole_text(g), nullptr, g.finish);
  if (!g.strikes(FaultKind::kCutRaw)) {
    connection.answer(200, kJsonType, body);
    return;
  }
  connection.put("HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\n",
                 "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n",
                 std::string_view(body).substr(0, body.size() / 2));
  connection.close_after();
}

net::Task<bool> collect(Generation& g, Connection& connection) {
  net::Loop& loop = g.state.loop;
  net::Cancel& gone = connection.gone();
  bool struck = g.fault && !g.strikes(FaultKind::kSlowTokens);
  const std::uint64_t stop = struck ? g.before_fault() : g.length;
  const auto time_of = [&g](std::uint64_t tokens) {
    return g.token_time * static_cast<std::int64_t>(tokens);
  };
  net::WaitResult slept = co_await loop.sleep_for(time_of(stop), &gone);
  if (slept == net::WaitResult::kCancelled) co_return false;
  g.sent = stop;
  if (g.strikes(FaultKind::kHangMid)) {
    const bool on = co_await pause(g, gone);
    if (!on) co_return false;
    slept = co_await loop.sleep_for(time_of(g.length - stop), &gone);
    if (slept == net::WaitResult::kCancelled) co_return false;
    g.sent = g.length;
  }
  struck = g.runner_died() || struck;
  g.state.tokens += g.sent;
  close_books(g);
  if (struck && !g.strikes(FaultKind::kHangMid)) {
    answer_badly_done(g, connection);
    co_return false;
  }
  const ToolCall* call = g.wanted.tool_call ? &*g.wanted.tool_call : nullptr;
  const std::string text = call != nullptr ? std::string() : whole_text(g);
  connection.answer(200, kJsonType, g.writer->document(text, call, g.finish));
  co_return true;
}

}  // namespace

Generation::Generation(State& of, const Wanted& asked, const Request& request)
    : state(of), wanted(asked), words(of.options.seed, asked.question, of.options.echo) {
  const FaultTarget target{request.path, true, request.body};
  const bool on_cpu = state.faults.take(FaultKind::kCpuFallback, target).has_value();
  const int slower = on_cpu ? kCpuFactor : 1;
  token_time = state.options.token_time * slower;

  constexpr std::size_t kBytesPerToken = 4;
  finish.prompt_tokens = wanted.text_bytes / kBytesPerToken + 1;
  finish.prompt_eval =
      state.options.prefill_per_kb * slower * static_cast<std::int64_t>(wanted.text_bytes) / 1024;
  if (is_embedding(wanted.route) || wanted.empty) return;  // no tokens, no faults among them

  fault = state.faults.take_generation(target);
  if (strikes(FaultKind::kSlowTokens)) token_time = fault->pause.value_or(kUsualSlowToken);
  const auto usual = static_cast<std::size_t>(state.options.tokens);
  const std::uint64_t natural = words.natural_length(usual);
  // num_predict decides the length of made-up text; an echo ends by itself.
  const bool made_up = natural == usual && !state.options.echo;
  length = wanted.exact_tokens && made_up ? *wanted.exact_tokens : natural;
  const std::uint64_t most =
      std::min(wanted.exact_tokens.value_or(UINT64_MAX), wanted.most_tokens.value_or(UINT64_MAX));
  finish.limited = most <= length && most != UINT64_MAX;
  length = std::min(length, most);
  if (wanted.tool_call) {
    length = 1;
    finish.limited = false;
  }
  writer = make_writer(
      wanted, {state.loop, hex(fnv1a(request.path) ^ state.next_id++, 16), finish.prompt_tokens});
}

bool Generation::runner_died() {
  if (runner == nullptr || runner->alive()) return false;
  fault = Fault{.kind = FaultKind::kErrorMid, .variant = "runner_stopped"};
  return true;
}

std::uint64_t Generation::before_fault() const {
  if (!fault || strikes(FaultKind::kSlowTokens) || strikes(FaultKind::kMissingDone)) return length;
  return std::min(fault->after_tokens, length);
}

net::Task<bool> generate(Generation& generation, Connection& connection) {
  if (generation.wanted.stream) {
    const bool whole = co_await stream(generation, connection);
    co_return whole;
  }
  const bool whole = co_await collect(generation, connection);
  co_return whole;
}

}  // namespace drover::fake
