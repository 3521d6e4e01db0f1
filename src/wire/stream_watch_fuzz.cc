// Any bytes as a stream of each shape: how it is cut must not change what the watch has seen. The
// first byte chooses the shape.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/rng.h"
#include "wire/document.h"
#include "wire/json_fuzz_grammar.h"
#include "wire/stream_watch.h"

namespace {

using drover::Rng;
using drover::StreamShape;
using drover::Usage;
using drover::wire::StreamWatch;

std::string watched(StreamShape shape, std::string_view stream, std::uint64_t longest) {
  Rng rng(stream.size());
  StreamWatch watch(shape);
  while (!stream.empty()) {
    const std::string_view piece = stream.substr(0, 1 + rng.below(longest));
    watch.feed(piece);
    stream.remove_prefix(piece.size());
  }
  const Usage usage = watch.usage();
  if (watch.error().size() > 200 || watch.error().empty() == watch.failed()) std::abort();
  std::string out = watch.error();
  for (const bool fact : {watch.at_boundary(), watch.terminal(), watch.failed()}) {
    out += fact ? '1' : '0';
  }
  for (const auto number : {watch.records(), usage.prompt_tokens, usage.output_tokens}) {
    out += '/' + std::to_string(number);
  }
  for (const auto duration : {usage.total, usage.load, usage.prompt_eval, usage.eval}) {
    out += '/' + std::to_string(duration.count());
  }
  return out;
}

std::string told(const drover::wire::DocumentFacts& facts) {
  const drover::Usage& usage = facts.usage;
  std::string out = facts.valid ? "valid" : "invalid";
  out += facts.truncated ? " truncated " : " ";
  out += facts.has_error ? "error " + facts.error : "";
  for (const std::uint64_t number : {usage.prompt_tokens, usage.output_tokens}) {
    out += '/' + std::to_string(number);
  }
  for (const auto duration : {usage.total, usage.load, usage.prompt_eval, usage.eval}) {
    out += '/' + std::to_string(duration.count());
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr StreamShape kShapes[] = {StreamShape::kNdjson, StreamShape::kOpenAiSse,
                                     StreamShape::kResponses, StreamShape::kAnthropic};
  if (size == 0) return 0;
  const StreamShape shape = kShapes[data[0] % 4];
  const std::string_view stream(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::string whole = watched(shape, stream, 1 << 30);
  for (const std::uint64_t longest : {1, 3, 40, 400}) {
    const std::string cut = watched(shape, stream, longest);
    if (cut != whole) std::abort();
  }
  const std::optional<drover::wire::DocumentFacts> plain =
      drover::wire::read_plain_document(stream);
  if (plain && told(*plain) != told(drover::wire::read_any_document(stream))) std::abort();
  return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t max_size, unsigned seed) {
  return drover::wire::GrammarMutation(drover::wire::kJsonGrammar, seed)
      .apply(data, size, max_size);
}
