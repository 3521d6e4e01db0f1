#include "wire/stream_watch.h"

#include <benchmark/benchmark.h>

#include <string>

namespace drover::wire {
namespace {

// One token, as it comes: one write of the instance, one call here.
void feed(benchmark::State& state, StreamShape shape, const std::string& chunk) {
  StreamWatch watch(shape);
  for (auto _ : state) {
    watch.feed(chunk);
    benchmark::DoNotOptimize(watch);
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(chunk.size()) * state.iterations());
}

void native_line(benchmark::State& state) {
  feed(state, StreamShape::kNdjson,
       R"({"model":"llama3.2","created_at":"2025-05-04T17:37:44.7060153Z","response":" sky",)"
       R"("done":false})"
       "\n");
}
BENCHMARK(native_line);

void openai_chunk(benchmark::State& state) {
  feed(state, StreamShape::kOpenAiSse,
       R"(data: {"id":"chatcmpl-123","object":"chat.completion.chunk","created":1746380264,)"
       R"("model":"llama3.2","system_fingerprint":"fp_ollama","choices":[{"index":0,"delta":)"
       R"({"role":"assistant","content":" sky"},"finish_reason":null}]})"
       "\n\n");
}
BENCHMARK(openai_chunk);

void responses_event(benchmark::State& state) {
  feed(state, StreamShape::kResponses,
       "event: response.output_text.delta\n"
       R"(data: {"content_index":0,"delta":" sky","item_id":"msg_123456","output_index":0,)"
       R"("sequence_number":17,"type":"response.output_text.delta"})"
       "\n\n");
}
BENCHMARK(responses_event);

void anthropic_event(benchmark::State& state) {
  feed(state, StreamShape::kAnthropic,
       "event: content_block_delta\n"
       R"(data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta",)"
       R"("text":" sky"}})"
       "\n\n");
}
BENCHMARK(anthropic_event);

// The same line in two writes: it is parsed instead of searched.
void native_line_cut(benchmark::State& state) {
  const std::string line =
      R"({"model":"llama3.2","created_at":"2025-05-04T17:37:44.7060153Z","response":" sky",)"
      R"("done":false})"
      "\n";
  const std::string_view whole = line;
  StreamWatch watch(StreamShape::kNdjson);
  for (auto _ : state) {
    watch.feed(whole.substr(0, 50));
    watch.feed(whole.substr(50));
    benchmark::DoNotOptimize(watch);
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(line.size()) * state.iterations());
}
BENCHMARK(native_line_cut);

void final_line_with_a_context(benchmark::State& state) {
  std::string line = R"({"model":"llama3.2","done":true,"context":[)";
  while (line.size() < 9'000'000) line += "128006,";
  line += "1]}\n";
  StreamWatch watch(StreamShape::kNdjson);
  for (auto _ : state) watch.feed(line);
  state.SetBytesProcessed(static_cast<std::int64_t>(line.size()) * state.iterations());
}
BENCHMARK(final_line_with_a_context)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace drover::wire
