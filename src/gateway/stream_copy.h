#pragma once
// The inner loop of a stream: bytes of the instance in, whole records to the client, as they come.
// Never suspends; what the client's kernel buffer refuses is kept for the caller to flush.

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "gateway/client.h"
#include "gateway/exchange.h"
#include "wire/http_body.h"
#include "wire/stream_watch.h"

namespace drover::gateway {

class StreamCopy {
 public:
  // A record longer than `hold_limit` bytes is passed on before it is whole. To `pending` is added
  // what the client's kernel buffer refuses, framed.
  StreamCopy(Client& client, std::string& pending, StreamShape shape, wire::Framing framing,
             std::uint64_t content_length, std::size_t hold_limit);
  // Before the first bytes: records that only tell usage are not for the client (usage_wish.h).
  void hide_usage() { hides_usage_ = true; }

  // Decodes `input` and sends every record that is whole, the head first. When the instance's body
  // ends with its terminal record, the client's ends in the same send. Errors: origin kClient when
  // the client is gone, kInstance when the framing is broken.
  template <class AnswerFn>
  Result<void> take(std::string_view input, AnswerFn head_of_answer) {
    Pieces pieces;
    while (!input.empty() && !decoder_.done()) {
      Result<std::size_t> used = decode(input, pieces);
      if (!used) return std::move(used).error();
      input.remove_prefix(*used);
      if (!ready(pieces)) continue;
      std::string head;
      if (!content_sent_) head = client_.stream_head(head_of_answer());
      Result<void> sent = pieces.framed.empty() ? send(head, pieces) : send_framed(head, pieces);
      if (!sent) return sent;
    }
    if (!input.empty()) left_over_ = true;
    return {};
  }

  // The instance's side is over: sends a final or error record that was whole but for its line end,
  // except an error record before any content.
  template <class AnswerFn>
  Result<void> send_last(AnswerFn head_of_answer) {
    over_ = true;
    const Pieces none;
    if (held_.empty() || !ready(none)) return {};
    std::string head;
    if (!content_sent_) head = client_.stream_head(head_of_answer());
    return send(head, none);
  }

  bool content_sent() const { return content_sent_; }
  // The client has the beginning of a record that was too long to hold, and not its end.
  bool mid_record() const { return mid_record_; }
  std::uint64_t records() const { return watch_.records(); }
  bool terminal() const { return watch_.terminal(); }
  bool failed() const { return watch_.failed(); }
  const std::string& error() const { return watch_.error(); }
  Usage usage() const { return watch_.usage(); }
  // The instance's body is complete; bytes behind it are no part of this answer.
  bool body_done() const { return decoder_.done(); }
  // The instance's body is complete and nothing followed it: its connection may serve again.
  bool finished() const { return decoder_.done() && !left_over_; }

 private:
  // Decoded views into one input; on the stack, since a waiting stream needs none of it.
  struct Pieces {
    std::array<std::string_view, Client::kMaxPieces> views;
    std::size_t count = 0;
    // The same with the instance's framing, when that is good for the client as it is: whole chunks
    // without extensions, and whole records.
    std::string_view framed;
    std::span<const std::string_view> span() const { return {views.data(), count}; }
  };
  Result<std::size_t> decode(std::string_view input, Pieces& pieces);
  bool ready(const Pieces& pieces) const;
  Result<void> send(std::string_view head, const Pieces& pieces);
  Result<void> send_framed(std::string_view head, const Pieces& pieces);
  Result<void> send_pieces(std::string_view head, std::span<const std::string_view> pieces,
                           std::string_view end);
  std::size_t last_boundary() const;

  Client& client_;
  std::string& pending_;
  wire::BodyDecoder decoder_;
  wire::StreamWatch watch_;
  StreamShape shape_;
  std::size_t hold_limit_;
  std::string held_;  // decoded, the beginning of a record that is not whole
  bool content_sent_ = false;
  bool left_over_ = false;
  bool mid_record_ = false;
  bool hides_usage_ = false;
  bool over_ = false;  // nothing will follow
};

}  // namespace drover::gateway
