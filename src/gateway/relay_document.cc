// The part of Relay that carries whole documents: held back, so that every failure of them can be
// hidden; passed on as they come once they are too long for that.

#include <algorithm>
#include <array>

#include "gateway/relay.h"
#include "gateway/verdict.h"

namespace drover::gateway {
namespace {

// Moves what has arrived from `input`, framing taken off, to the end of `out`.
Result<void> decode_arrived(std::string& input, wire::BodyDecoder& decoder, std::string& out) {
  // Most documents come in one piece with nothing behind it.
  if (out.empty() && decoder.take_whole(input)) {
    out.swap(input);
    return {};
  }
  std::size_t used = 0;
  while (used < input.size() && !decoder.done()) {
    Result<wire::BodyDecoder::Step> step = decoder.next(std::string_view(input).substr(used));
    if (!step) return std::move(step).error();
    used += step->consumed;
    out.append(step->data);
  }
  input.erase(0, used);
  return {};
}

}  // namespace

net::Task<void> Relay::relay_document(Upstream& up) {
  wire::BodyDecoder decoder(up.head.framing, up.head.content_length, Origin::kInstance);
  std::string body;
  for (;;) {
    Result<void> decoded = decode_arrived(up.input, decoder, body);
    if (!decoded) co_return failed(std::move(decoded).error());
    if (decoder.done()) break;
    if (body.size() > settings().limits.document_bytes) {
      if (is_hidden_error(up)) co_return;
      co_return co_await relay_long_document(up, decoder, std::move(body));
    }
    const net::WaitResult ready = co_await more_of(up);
    Result<bool> more = take_more_of(up, decoder, ready);
    if (!more) co_return failed(std::move(more).error());
    if (!*more) break;
  }

  // It is whole: the client's, if it is any good.
  const wire::DocumentFacts facts = wire::read_document(body);
  Verdict verdict = judge(*exchange_.route, up.head.status, up.head.content_type.text(), facts);
  if (verdict.result != core::AttemptResult::kServed) {
    give_back(up, decoder.done());
    co_return hidden(verdict.result, std::move(verdict.detail),
                     verdict.retryable ? Again::kYes : Again::kNo);
  }
  const bool short_one = body.size() <= net::Stream::kJoinBytes;  // one send, and it is over
  cross_the_fence(up, short_one ? engine::Lease::Tell::kAtTheEnd : engine::Lease::Tell::kNow);
  Result<void> sent = co_await client_.send_whole(answer_head(up), body,
                                                  settings().deadlines.write_stall, &cancel_);
  give_back(up, decoder.done());
  loop().give_buffer(std::move(body));
  answered(sent ? core::AttemptResult::kServed : core::AttemptResult::kClientGone, "", facts.usage);
}

// A document too long to hold is judged by its head alone, and an error read no further.
bool Relay::is_hidden_error(const Upstream& up) {
  wire::DocumentFacts unread;
  unread.valid = up.head.status == 200;
  Verdict verdict = judge(*exchange_.route, up.head.status, up.head.content_type.text(), unread);
  if (verdict.retryable) hidden(verdict.result, std::move(verdict.detail), Again::kYes);
  return verdict.retryable;
}

net::Stream::ReadyAwaiter Relay::more_of(Upstream& up) {
  const Duration gap = std::min(longest_wait(), settings().deadlines.token_gap);
  Instant deadline = loop().now() + gap;
  if (!content_sent_) deadline = std::min(deadline, exchange_.ask.deadline);
  return up.stream->readable(deadline, &cancel_);
}

// After that wait. True: more of the document has arrived, or may. False: it is complete, where
// only the close says so.
Result<bool> Relay::take_more_of(Upstream& up, wire::BodyDecoder& decoder, net::WaitResult ready) {
  Result<bool> more = take_more(up, ready);
  if (!more || *more) return more;
  Result<void> end = decoder.end();
  if (!end) return std::move(end).error();
  return false;
}

net::Task<void> Relay::relay_long_document(Upstream& up, wire::BodyDecoder& decoder,
                                           std::string begun) {
  cross_the_fence(up, engine::Lease::Tell::kNow);
  std::string head = client_.stream_head(answer_head(up));
  for (bool complete = false;;) {
    const std::array<std::string_view, 1> pieces = {begun};
    Result<std::string> rest =
        client_.send_now(head, pieces, complete ? client_.stream_end() : std::string_view());
    if (!rest) co_return answered(core::AttemptResult::kClientGone, "", {});
    pending_ = std::move(*rest);
    // Before anything more is read: the client sets the pace.
    const Flushed flushed = co_await flush();
    if (flushed == Flushed::kClientGone)
      co_return answered(core::AttemptResult::kClientGone, "", {});
    if (complete) break;
    head.clear();
    begun.clear();
    const net::WaitResult ready = co_await more_of(up);
    Result<bool> more = take_more_of(up, decoder, ready);
    if (!more) co_return cut_document(more.error());
    Result<void> decoded = decode_arrived(up.input, decoder, begun);
    if (!decoded) co_return cut_document(decoded.error());
    complete = !*more || decoder.done();
  }
  give_back(up, decoder.done());
  answered(core::AttemptResult::kServed, "", {});
}

// A document has no place for an error record: the client's connection ends in a reset.
void Relay::cut_document(const Error& error) {
  const core::AttemptResult result = result_of(error);
  client_.cut_short();
  if (result == core::AttemptResult::kClientGone) return answered(result, "", {});
  exchange_.record.outcome = engine::Outcome::kBroken;
  exchange_.record.reason = to_string(ErrorKind::kUpstream);
  answered(result, error.message, {});
}

}  // namespace drover::gateway
