#include "gateway/stream_copy.h"

#include <algorithm>

#include "gateway/usage_wish.h"

namespace drover::gateway {

StreamCopy::StreamCopy(Client& client, std::string& pending, StreamShape shape,
                       wire::Framing framing, std::uint64_t content_length, std::size_t hold_limit)
    : client_(client),
      pending_(pending),
      decoder_(framing, content_length, Origin::kInstance),
      watch_(shape),
      shape_(shape),
      hold_limit_(hold_limit) {}

// Decodes until the input or the room for pieces is used up; returns the bytes consumed.
Result<std::size_t> StreamCopy::decode(std::string_view input, Pieces& pieces) {
  const bool from_a_chunk = client_.takes_chunks() && decoder_.between_chunks() && held_.empty();
  const std::uint32_t extensions = decoder_.extension_bytes();
  std::size_t used = 0;
  pieces.count = 0;
  pieces.framed = {};
  while (used < input.size() && pieces.count < pieces.views.size() && !decoder_.done()) {
    Result<wire::BodyDecoder::Step> step = decoder_.next(input.substr(used));
    if (!step) return std::move(step).error();
    used += step->consumed;
    if (step->data.empty()) continue;
    watch_.feed(step->data);
    pieces.views[pieces.count++] = step->data;
  }
  // The usual case: whole records, nothing held, the pieces go out as they are.
  if (held_.empty() && watch_.at_boundary() && !hides_usage_) {
    const bool to_a_chunk = decoder_.between_chunks() && decoder_.extension_bytes() == extensions;
    if (from_a_chunk && to_a_chunk) pieces.framed = input.substr(0, used);
    return used;
  }
  for (const std::string_view piece : pieces.span()) held_.append(piece);
  pieces.count = 0;
  return used;
}

// Something whole to send, or the end? An error record before any content stays hidden.
bool StreamCopy::ready(const Pieces& pieces) const {
  if (!content_sent_ && watch_.failed()) return false;
  if (decoder_.done() && watch_.terminal() && content_sent_) return true;
  return pieces.count > 0 || last_boundary() > 0;
}

// How much of `held_` can go: whole records, or everything once a record outgrew the limit.
std::size_t StreamCopy::last_boundary() const {
  if (held_.empty()) return 0;
  if (watch_.at_boundary() || held_.size() > hold_limit_) return held_.size();
  // The last record ends where the body does: some servers leave out the line end.
  const bool over = over_ || decoder_.done();
  if (over && (watch_.terminal() || watch_.failed())) return held_.size();
  if (shape_ == StreamShape::kNdjson) {
    const std::size_t line = held_.rfind('\n');
    return line == std::string::npos ? 0 : line + 1;
  }
  std::size_t whole = 0;
  for (std::string_view blank : {"\n\n", "\n\r\n"}) {  // the line before may end either way
    const std::size_t at = held_.rfind(blank);
    if (at != std::string::npos) whole = std::max(whole, at + blank.size());
  }
  return whole;
}

Result<void> StreamCopy::send(std::string_view head, const Pieces& pieces) {
  const bool complete = decoder_.done() && watch_.terminal();
  const std::string_view end = complete ? client_.stream_end() : std::string_view();
  if (pieces.count > 0) {
    mid_record_ = false;
    return send_pieces(head, pieces.span(), end);
  }
  const std::size_t whole = last_boundary();
  std::string_view records = std::string_view(held_).substr(0, whole);
  std::string shown;
  if (hides_usage_) records = shown = without_usage(records, mid_record_);
  const std::array<std::string_view, 1> piece = {records};
  const std::span<const std::string_view> spans(piece.data(), records.empty() ? 0 : 1);
  Result<void> sent = send_pieces(head, spans, end);
  if (whole > 0) mid_record_ = whole == held_.size() && !watch_.at_boundary();
  held_.erase(0, whole);
  if (held_.empty()) std::string().swap(held_);
  return sent;
}

Result<void> StreamCopy::send_framed(std::string_view head, const Pieces& pieces) {
  mid_record_ = false;
  content_sent_ = true;
  if (!pending_.empty()) {
    pending_ += pieces.framed;
    return {};
  }
  Result<std::string> rest = client_.send_framed_now(head, pieces.framed);
  if (!rest) return std::move(rest).error();
  pending_ = std::move(*rest);
  return {};
}

Result<void> StreamCopy::send_pieces(std::string_view head,
                                     std::span<const std::string_view> pieces,
                                     std::string_view end) {
  content_sent_ = true;
  if (!pending_.empty()) {
    // The client is behind already: queue what belongs to this read, the caller waits afterwards.
    client_.frame(pending_, pieces, end);
    return {};
  }
  Result<std::string> rest = client_.send_now(head, pieces, end);
  if (!rest) return std::move(rest).error();
  pending_ = std::move(*rest);
  return {};
}

}  // namespace drover::gateway
