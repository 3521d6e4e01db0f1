#include "wire/json_scan.h"

#include <benchmark/benchmark.h>

#include <optional>
#include <string>

namespace drover::wire {
namespace {

void inspect(benchmark::State& state, const std::string& body,
             std::optional<std::uint64_t> salt = {}) {
  constexpr std::size_t kPiece = 64 * 1024;  // as much as one read of a socket brings
  for (auto _ : state) {
    RequestInspector inspector({}, salt);
    for (std::string_view rest = body; !rest.empty();) {
      const std::string_view piece = rest.substr(0, kPiece);
      if (!inspector.feed(piece)) state.SkipWithError("refused");
      rest.remove_prefix(piece.size());
    }
    auto facts = inspector.finish();
    benchmark::DoNotOptimize(facts);
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(body.size()) * state.iterations());
}

void small_chat(benchmark::State& state) {
  inspect(state,
          R"({"model":"llama3.2","messages":[{"role":"user","content":"Why is the sky blue?"}],)"
          R"("stream":true,"options":{"temperature":0.7,"num_ctx":4096}})");
}
BENCHMARK(small_chat);

// A conversation of twenty turns, 32 KiB; 1: its beginnings are hashed.
void long_chat(benchmark::State& state) {
  std::string body = R"({"model":"llama3.2","messages":[)";
  for (int i = 0; i < 40; ++i) {
    body += (i == 0 ? "" : ",") + (R"({"role":"user","content":")" + std::string(780, 'a') + "\"}");
  }
  const bool hashed = state.range(0) == 1;
  inspect(state, body + R"(],"stream":true})",
          hashed ? std::optional<std::uint64_t>(7) : std::nullopt);
}
BENCHMARK(long_chat)->Arg(0)->Arg(1);

void base64_of_20_megabytes(benchmark::State& state) {
  inspect(state, R"({"images":[")" + std::string(20 << 20, 'A') + R"("],"model":"llava"})");
}
BENCHMARK(base64_of_20_megabytes)->Unit(benchmark::kMillisecond);

// Three bytes a character, as Chinese text has.
void wide_text(benchmark::State& state) {
  std::string text;
  while (text.size() < (1 << 20)) text += "\xE5\xA4\xA9\xE7\xA9\xBA\xE4\xB8\xBA";
  inspect(state, R"({"prompt":")" + text + R"(","model":"m"})");
}
BENCHMARK(wide_text)->Unit(benchmark::kMicrosecond);

// Code has an escape every few dozen bytes.
void escaped_text(benchmark::State& state) {
  std::string text;
  while (text.size() < (1 << 20)) text += R"(  if (x == \"y\") return 1;\n)";
  inspect(state, R"({"prompt":")" + text + R"(","model":"m"})");
}
BENCHMARK(escaped_text)->Unit(benchmark::kMicrosecond);

void embedding_numbers(benchmark::State& state) {
  std::string text = "0";
  while (text.size() < (1 << 20)) text += ",-0.012345678";
  inspect(state, R"({"x":[)" + text + R"(],"model":"m"})");
}
BENCHMARK(embedding_numbers)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace drover::wire
