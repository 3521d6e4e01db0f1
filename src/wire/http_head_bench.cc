// How long one head or body takes. The heads are those of real clients: curl, the Python client of
// Ollama, a browser; the answer is that of an instance.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <string>

#include "wire/http_body.h"
#include "wire/http_head.h"

namespace drover::wire {
namespace {

constexpr std::string_view kCurl =
    "POST /api/generate HTTP/1.1\r\n"
    "Host: localhost:11434\r\n"
    "User-Agent: curl/8.5.0\r\n"
    "Accept: */*\r\n"
    "Content-Type: application/json\r\n"
    "Content-Length: 71\r\n\r\n";

constexpr std::string_view kTenFields =
    "POST /v1/chat/completions HTTP/1.1\r\n"
    "Host: models.example.internal:11434\r\n"
    "Accept-Encoding: gzip, deflate, zstd\r\n"
    "Connection: keep-alive\r\n"
    "Accept: application/json\r\n"
    "Content-Type: application/json\r\n"
    "User-Agent: OpenAI/Python 1.54.3\r\n"
    "X-Stainless-Lang: python\r\n"
    "X-Stainless-Runtime-Version: 3.12.7\r\n"
    "Authorization: Bearer 0123456789abcdef0123456789abcdef\r\n"
    "Content-Length: 4096\r\n\r\n";

constexpr std::string_view kAnswer =
    "HTTP/1.1 200 OK\r\n"
    "Content-Type: application/x-ndjson\r\n"
    "Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
    "Transfer-Encoding: chunked\r\n\r\n";

void parse_request(benchmark::State& state, std::string_view bytes) {
  RequestParser parser;
  RequestHead head;
  for (auto _ : state) {
    auto result = parser.parse(bytes, head);
    benchmark::DoNotOptimize(result);
    benchmark::DoNotOptimize(head);
    if (!result.ok()) state.SkipWithError("refused");
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * bytes.size()));
}

void parse_response(benchmark::State& state) {
  ResponseParser parser;
  ResponseHead head;
  for (auto _ : state) {
    auto result = parser.parse(kAnswer, Method::kPost, head);
    benchmark::DoNotOptimize(result);
    benchmark::DoNotOptimize(head);
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * kAnswer.size()));
}

// The worst that is allowed, one byte at a time: it must stay linear.
void dribble(benchmark::State& state) {
  std::string bytes = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
  bytes.append(static_cast<std::size_t>(state.range(0)), 'x');
  bytes += "\r\n\r\n";
  RequestParser parser;
  RequestHead head;
  for (auto _ : state) {
    for (std::size_t size = 1; size <= bytes.size(); ++size) {
      auto result = parser.parse(std::string_view(bytes).substr(0, size), head);
      benchmark::DoNotOptimize(result);
    }
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * bytes.size()));
}

// A stream of tokens: one record of `range` bytes a chunk.
void decode_chunks(benchmark::State& state) {
  const std::string data(static_cast<std::size_t>(state.range(0)), 'x');
  std::string bytes;
  for (int i = 0; i < 100; ++i) {
    bytes += ChunkHead(data.size()).view();
    bytes += data + "\r\n";
  }
  bytes += kLastChunk;
  for (auto _ : state) {
    BodyDecoder decoder(Framing::kChunked, 0, Origin::kInstance);
    std::string_view rest = bytes;
    while (!rest.empty()) {
      auto step = decoder.next(rest);
      benchmark::DoNotOptimize(step);
      rest.remove_prefix(step->consumed);
    }
  }
  state.SetItemsProcessed(state.iterations() * 100);
}

BENCHMARK_CAPTURE(parse_request, curl_5_fields, kCurl);
BENCHMARK_CAPTURE(parse_request, ten_fields, kTenFields);
BENCHMARK(parse_response);
BENCHMARK(dribble)->Arg(1000)->Arg(60000);
BENCHMARK(decode_chunks)->Arg(100)->Arg(4096);

}  // namespace
}  // namespace drover::wire
