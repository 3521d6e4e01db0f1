// A stream of an instance, any bytes, through the copy to a client that takes as much as chance
// allows: what the client can decode is the beginning of what the instance said, cut only behind a
// whole record, and none that was whole is missing.
//
// The first byte chooses the shape, the second the room of the held-back record and the framing:
// that of the rest as it stands, none, or chunks made here, so that the records can be mutated
// without breaking it; and of OpenAI's streams, whether drover keeps the records that tell usage.

#include "gateway/stream_copy.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gateway/usage_wish.h"
#include "net/testing.h"
#include "wire/http_fuzz_pieces.h"
#include "wire/json_fuzz_grammar.h"

namespace drover::gateway {
namespace {

using net::testing::ManualLoop;
using net::testing::ManualStream;
using wire::require;

struct Setup {
  std::string_view path;
  StreamShape shape;
  wire::Framing framing;
  std::size_t hold;
  bool hides;
};

Setup setup_of(std::uint8_t first, std::uint8_t second) {
  constexpr std::pair<std::string_view, StreamShape> kRoutes[] = {
      {"/api/chat", StreamShape::kNdjson},
      {"/v1/chat/completions", StreamShape::kOpenAiSse},
      {"/v1/responses", StreamShape::kResponses},
      {"/v1/messages", StreamShape::kAnthropic}};
  const auto& [path, shape] = kRoutes[first % 4];
  const auto framing = second % 2 == 0 ? wire::Framing::kChunked : wire::Framing::kUntilClose;
  const bool hides = shape == StreamShape::kOpenAiSse && (second & 8) != 0;
  const bool holds = hides || second % 4 < 2;
  return {path, shape, framing, holds ? std::size_t{64} * 1024 : std::size_t{48}, hides};
}

std::string in_chunks(std::string_view body) {
  wire::RandomPieces pieces(body);
  std::string out;
  while (!body.empty()) {
    const std::string_view part = body.substr(0, pieces(body.size()));
    body.remove_prefix(part.size());
    out += wire::ChunkHead(part.size()).view();
    out += std::string(part) + "\r\n";
  }
  return out.append(wire::kLastChunk);
}

// What came of one way to cut the stream.
struct Copied {
  std::string content;
  bool ended = false;  // with the last chunk
  bool mid_record = false;
  bool content_sent = false;
  bool failed = false;
  bool terminal = false;
  bool broken = false;  // the instance's framing
};

// Takes the head and the chunks off what the client received.
void read_received(std::string_view received, Copied& out) {
  if (received.empty()) return;
  wire::ResponseParser parser;
  wire::ResponseHead head;
  const auto parsed = parser.parse(received, wire::Method::kPost, head);
  require(parsed.ok() && *parsed && head.framing == wire::Framing::kChunked, "a head in front");
  received.remove_prefix(**parsed);
  wire::BodyDecoder decoder(head.framing, 0, Origin::kInstance);
  while (!received.empty()) {
    require(!decoder.done(), "nothing follows the end");
    const auto step = decoder.next(received);
    require(step.ok(), "the client's framing is sound");
    out.content += step->data;
    received.remove_prefix(step->consumed);
  }
  out.ended = decoder.done();
}

template <class Pieces>
Copied copy(const Setup& setup, std::string_view input, Pieces pieces, Rng rng) {
  ManualLoop loop;
  const Limits limits;
  Exchange exchange(limits, loop.now());
  wire::RequestHead request;
  request.method = wire::Method::kPost;
  request.path = setup.path;
  exchange.route = match_route(request)->route;
  auto made = std::make_unique<ManualStream>(loop);
  ManualStream& stream = *made;
  Client client(std::move(made));
  client.begin_request(request);
  std::string pending;
  StreamCopy copying(client, pending, exchange.route->shape, setup.framing, 0, setup.hold);
  if (setup.hides) copying.hide_usage();
  const auto answer = [] { return Answer{200, "application/x-ndjson", {}}; };

  Copied out;
  const auto take_the_rest = [&] { stream.written += std::exchange(pending, {}); };
  while (!input.empty() && !out.broken) {
    stream.room = rng.below(2) == 0 ? 1L << 30 : static_cast<long>(rng.below(40));
    const std::string piece(input.substr(0, pieces(input.size())));
    input.remove_prefix(piece.size());
    out.broken = !copying.take(piece, answer).ok();
    // The relay flushes before it reads again, but it may read a few times while it waits.
    if (rng.below(3) != 0) take_the_rest();
  }
  const bool last = !out.broken;
  if (last) require(copying.send_last(answer).ok(), "the client is there");
  take_the_rest();
  read_received(stream.written, out);
  require(!out.ended || copying.terminal(), "only a terminal record ends well");
  out.mid_record = copying.mid_record();
  out.content_sent = copying.content_sent();
  out.failed = copying.failed();
  out.terminal = copying.terminal();
  return out;
}

// The instance's body without its framing, as far as that is sound.
std::string decoded(const Setup& setup, std::string_view input) {
  wire::BodyDecoder decoder(setup.framing, 0, Origin::kInstance);
  std::string out;
  while (!input.empty() && !decoder.done()) {
    const auto step = decoder.next(input);
    if (!step) break;
    out += step->data;
    input.remove_prefix(step->consumed);
  }
  return out;
}

// Where a stream may be cut, by the watch's own word: `may` after each byte, and where the last
// whole record ends. An error or end that lacks only its line end may go with all that follows it.
struct Cuts {
  std::vector<bool> may;
  std::size_t last_record = 0;
};

Cuts cuts_of(StreamShape shape, std::string_view body) {
  wire::StreamWatch watch(shape);
  Cuts cuts{{true}, 0};
  std::uint64_t records = 0;
  for (std::size_t at = 0; at < body.size(); ++at) {
    watch.feed(body.substr(at, 1));
    cuts.may.push_back(watch.at_boundary());
    if (watch.records() > records) cuts.last_record = at + 1;
    records = watch.records();
  }
  if (watch.terminal() || watch.failed()) cuts.may.back() = true;
  return cuts;
}

// What Ollama's streams are made of: records of one line of data each. What a record is elsewhere
// is not decided by who hides one.
bool is_plain_sse(std::string_view body) {
  if (body.find('\r') != body.npos) return false;
  while (!body.empty()) {
    const std::size_t end = body.find('\n');
    if (!body.starts_with("data:")) return false;
    if (end == body.npos) return true;
    if (body.substr(end + 1, 1) != "\n") return end + 1 == body.size();
    body.remove_prefix(end + 2);
  }
  return true;
}

// Nothing but what the instance said, less the records that only tell usage.
void check_hidden(const Setup& setup, std::string_view body, const Copied& copied) {
  if (!is_plain_sse(body) || body.size() > setup.hold) return;
  const bool over = copied.terminal || copied.failed;
  require(over || !copied.mid_record, "what can be held is never half sent");
  if (copied.mid_record) return;
  const std::string shown = without_usage(body, false);
  require(shown.starts_with(copied.content), "nothing but what is shown");
  if (copied.broken || copied.failed) return;
  const std::size_t whole = cuts_of(setup.shape, body).last_record;
  const std::string records = without_usage(body.substr(0, whole), false);
  require(copied.content.size() >= records.size(), "every whole record");
}

void check(const Setup& setup, std::string_view body, const Copied& copied) {
  if (setup.hides) return check_hidden(setup, body, copied);
  require(body.starts_with(copied.content), "nothing but what the instance said");
  require(copied.content_sent || copied.content.empty(), "the flag tells the truth");
  // A last record that lacks its line end is whole, but the next could not begin behind it.
  const bool held = body.size() <= setup.hold && !copied.terminal && !copied.failed;
  require(!(held && copied.mid_record), "what can be held is never half sent");
  if (copied.mid_record) return;
  const Cuts cuts = cuts_of(setup.shape, body);
  require(cuts.may[copied.content.size()], "no half record");
  if (copied.broken) return;
  if (copied.failed && !copied.content_sent) return;  // hidden, so that another attempt is made
  require(copied.content.size() >= cuts.last_record, "every whole record");
}

}  // namespace
}  // namespace drover::gateway

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace drover::gateway;
  if (size < 2) return 0;
  const Setup setup = setup_of(data[0], data[1]);
  const bool chunk_here = setup.framing == drover::wire::Framing::kChunked && (data[1] & 4) != 0;
  std::string input(reinterpret_cast<const char*>(data) + 2, size - 2);
  if (chunk_here) input = in_chunks(input);
  const std::string body = decoded(setup, input);
  const auto whole = [](std::size_t rest) { return rest; };
  const auto byte = [](std::size_t) { return std::size_t{1}; };
  check(setup, body, copy(setup, input, whole, drover::Rng(1)));
  check(setup, body, copy(setup, input, drover::wire::RandomPieces(input), drover::Rng(size)));
  if (size < 512) check(setup, body, copy(setup, input, byte, drover::Rng(2)));
  return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t max_size, unsigned seed) {
  return drover::wire::GrammarMutation(drover::wire::kJsonGrammar, seed)
      .apply(data, size, max_size);
}
