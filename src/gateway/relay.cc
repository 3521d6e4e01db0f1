#include "gateway/relay.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/put.h"
#include "gateway/verdict.h"
#include "wire/dialect.h"

namespace drover::gateway {
namespace {

constexpr int kMaxInformational = 8;  // 1xx before the answer: more is an attack
constexpr std::size_t kSendPiece = 64 * 1024;
// A connection that the instance has forgotten is answered by a reset within a round trip. Whatever
// comes later ended a request that had begun, and begins once more only under the retry budget.
constexpr Duration kStaleWithin = std::chrono::seconds(1);
// The instance's terminal record has arrived; how long its framing may take to follow.
constexpr Duration kTailWait = std::chrono::seconds(2);

Error instance_error(ErrorKind kind, Retry retry, std::string message) {
  return {kind, Origin::kInstance, retry, std::move(message)};
}

// An instance that can not be reached in time has not begun anything: unlike a late first token, a
// late connection is worth another instance.
Error unreachable(Error error) {
  if (error.kind == ErrorKind::kTimeout) error.kind = ErrorKind::kClosed;
  return error;
}

}  // namespace

Relay::Relay(const Means& means, Client& client, Exchange& exchange, engine::Lease& lease,
             net::Cancel& cancel, Relayed& outcome)
    : means_(means),
      client_(client),
      exchange_(exchange),
      lease_(lease),
      cancel_(cancel),
      outcome_(outcome) {
  outcome_ = Relayed();
}

// One frame for the whole of a stream, since thousands wait at once; what happens only at its
// beginning or its end has frames of its own.
net::Task<void> Relay::run() {
  Upstream up;
  const bool opened = co_await is_opened(up);
  if (!opened) co_return;
  if (!is_stream(up.head)) {
    co_await relay_document(up);
    co_return;
  }
  // Carries records until the instance's body is over, one way or another, which the outcome then
  // says.
  StreamCopy copy(client_, pending_, exchange_.route->shape, up.head.framing,
                  up.head.content_length, settings().limits.first_record_bytes);
  if (exchange_.hides_usage) copy.hide_usage();
  Step step = take_input(up, copy, std::exchange(up.input, {}));
  for (;;) {
    const Flushed flushed = co_await flush();
    if (flushed == Flushed::kClientGone) {
      client_left();
      break;
    }
    if (step == Step::kOver) break;
    const bool tail = copy.terminal() || copy.failed();
    Instant deadline = loop().now() + (tail ? kTailWait : settings().deadlines.token_gap);
    if (!content_sent_) deadline = std::min(deadline, exchange_.ask.deadline);
    const net::WaitResult ready = co_await up.stream->readable(deadline, &cancel_);
    if (ready != net::WaitResult::kReady) {
      called_off(ready, copy);
      break;
    }
    step = take_arrived(up, copy);
  }
  co_await end_stream(up, copy);
}

// Connects, sends the request and reads the head of the answer. A pooled connection that proves
// stale is replaced unseen: the instance has not answered a byte on it. False: the outcome says
// why.
net::Task<bool> Relay::is_opened(Upstream& up) {
  up.stream = means_.pool.take_idle(instance().id);
  const bool reused = up.stream != nullptr;
  Result<void> opened = Done{};
  if (!reused) opened = co_await connect(up);
  if (opened) opened = co_await send_request(up);
  const Instant sent = loop().now();
  if (opened) opened = co_await read_head(up);
  const bool stale = !opened && reused && !up.heard && opened.error().kind == ErrorKind::kClosed &&
                     loop().now() - sent < kStaleWithin;
  if (stale) {
    ++exchange_.record.stale_connections;
    up = Upstream();
    opened = co_await connect(up);
    if (opened) opened = co_await send_request(up);
    if (opened) opened = co_await read_head(up);
  }
  if (!opened) failed(std::move(opened).error());
  co_return opened.ok();
}

net::Task<Result<void>> Relay::connect(Upstream& up) {
  Result<std::unique_ptr<net::Stream>> connection =
      co_await means_.pool.connect(instance().address, &cancel_);
  if (!connection) {
    Error error = std::move(connection).error();
    if (error.origin == Origin::kSelf) co_return error;
    error.message = "instance " + instance().name + ": " + error.message;
    co_return unreachable(std::move(error));
  }
  up.stream = std::move(*connection);
  co_return Result<void>();
}

// Into a buffer of the loop's: with a body behind it, it is of a size of which malloc keeps none.
std::string Relay::request_head() const {
  constexpr std::size_t kFixed = 128;  // the words between
  const KeptRequest& kept = *exchange_.kept;
  const std::string& host = instance().host_field;
  const bool get = exchange_.method == wire::Method::kGet;
  const std::uint64_t body = kept.body.sent_bytes();
  const bool joined = body <= net::Stream::kJoinBytes;  // the body is put behind it
  const std::size_t bound = kFixed + kept.target.size() + host.size() + kept.forward_fields.size();
  std::string head = loop().take_buffer();
  head.reserve(bound + (joined ? body : 0));
  head.resize(bound);
  char* at = put(head.data(), get ? std::string_view("GET ") : "POST ");
  at = put(at, kept.target);
  at = put(at, " HTTP/1.1\r\nHost: ");
  at = put(at, host);
  at = put(at, "\r\n");
  at = put(at, kept.forward_fields);
  // A GET is sent without a body: its store is empty (read_body).
  if (!get) {
    at = put(at, "Content-Length: ");
    at = put_number(at, body);
    at = put(at, "\r\n");
  }
  at = put(at, "\r\n");
  head.resize(static_cast<std::size_t>(at - head.data()));
  return head;
}

net::Task<Result<void>> Relay::send_request(Upstream& up) {
  std::string head = request_head();
  // A spilled body needs room of its own: the loop's scratch does not survive a wait.
  std::unique_ptr<char[]> room;
  std::span<char> space;
  if (exchange_.kept->body.spilled()) {
    room = std::make_unique<char[]>(kSendPiece);
    space = {room.get(), kSendPiece};
  }
  BodyStore::Cursor cursor;
  std::string_view before = head;
  co_await loop().late();
  for (;;) {
    Result<std::string_view> piece = exchange_.kept->body.read(cursor, space);
    if (!piece) co_return std::move(piece).error();
    if (piece->empty() && before.empty()) {
      loop().give_buffer(std::move(head));
      up.answered_early = up.stream->has_input();
      co_return Result<void>();
    }
    if (!before.empty() && piece->size() <= net::Stream::kJoinBytes) {
      head += *piece;
      before = head;
      *piece = {};
    }
    const std::array<std::string_view, 2> parts = {before, *piece};
    Result<void> sent =
        co_await net::write_all(*up.stream, parts, settings().deadlines.write_stall, &cancel_);
    if (!sent) {
      Error error = std::move(sent).error();
      error.origin = Origin::kInstance;
      co_return unreachable(std::move(error));
    }
    before = {};
  }
}

// After waiting for it: true when bytes were added to up.input, or none came yet; false when the
// instance ended its side.
Result<bool> Relay::take_more(Upstream& up, net::WaitResult ready) {
  if (ready == net::WaitResult::kTimedOut) {
    return instance_error(ErrorKind::kTimeout, Retry::kNever,
                          "instance " + instance().name + " did not answer in time");
  }
  if (ready == net::WaitResult::kCancelled) {
    return instance_error(ErrorKind::kCancelled, Retry::kSafe,
                          "instance " + instance().name + " went down before it answered");
  }
  const net::Arrived got = up.stream->receive();
  switch (got.state) {
    case net::Io::State::kMoved:
      up.heard = true;
      if (up.input.empty()) up.input = loop().take_buffer();
      up.input.append(got.bytes);
      return true;
    case net::Io::State::kWouldBlock:
      return true;
    case net::Io::State::kEnd:
      return false;
    case net::Io::State::kFailed:
      break;
  }
  return instance_error(ErrorKind::kClosed, Retry::kSafe,
                        "instance " + instance().name + " reset the connection");
}

// A stream begins with its first token; a document begins when it is complete; what no model
// computes is there at once.
Duration Relay::longest_wait() const {
  if (!exchange_.route->inference) return settings().deadlines.look_up;
  return exchange_.ask.streaming ? settings().deadlines.first_token : settings().deadlines.document;
}

// Nothing has come, and nothing that comes now is of use to the client.
bool Relay::is_too_late() const { return !content_sent_ && loop().now() >= exchange_.ask.deadline; }

net::Task<Result<void>> Relay::read_head(Upstream& up) {
  wire::ResponseParser parser(settings().limits.head);
  const Instant deadline = std::min(loop().now() + longest_wait(), exchange_.ask.deadline);
  for (int informational = 0; informational <= kMaxInformational;) {
    Result<bool> arrived = take_head(up, parser);
    if (!arrived) co_return std::move(arrived).error();
    if (*arrived && up.head.status == 101) break;
    if (*arrived && up.head.status >= 200) co_return Result<void>();
    if (*arrived) {
      ++informational;
      continue;
    }
    const net::WaitResult ready = co_await up.stream->readable(deadline, &cancel_);
    Result<bool> more = take_more(up, ready);
    if (!more) co_return std::move(more).error();
    if (!*more) {
      co_return instance_error(
          ErrorKind::kClosed, Retry::kSafe,
          "instance " + instance().name + " closed the connection before it answered");
    }
  }
  co_return instance_error(ErrorKind::kUpstream, Retry::kSafe,
                           "instance " + instance().name + " answered with interim responses only");
}

// Moves a head that is whole from up.input to up.head. False: more has to arrive.
Result<bool> Relay::take_head(Upstream& up, wire::ResponseParser& parser) const {
  if (up.input.empty()) return false;
  wire::ResponseHead& head = means_.head;
  Result<std::optional<std::size_t>> parsed = parser.parse(up.input, exchange_.method, head);
  if (!parsed) return std::move(parsed).error();
  if (!parsed->has_value()) return false;
  if (head.status >= 200) {
    Result<void> fit = judge_answer_head(head);
    if (!fit) return std::move(fit).error();
  }
  up.head.status = head.status;
  up.head.framing = head.framing;
  up.head.keep_alive = head.keep_alive;
  up.head.content_length = head.content_length;
  up.head.content_type.set(head.find("content-type").value_or(""));
  up.input.erase(0, **parsed);
  return true;
}

bool Relay::is_stream(const AnswerHead& head) const {
  if (head.status != 200 || exchange_.route->shape == StreamShape::kNone) return false;
  return is_media_type(head.content_type.text(), "application/x-ndjson") ||
         is_media_type(head.content_type.text(), "text/event-stream");
}

Answer Relay::answer_head(const Upstream& up) const {
  Answer answer{up.head.status, up.head.content_type.text(), exchange_.answer_fields,
                exchange_.id_text, instance().name};
  if (exchange_.explain) answer.why = exchange_.why;
  return answer;
}

// --- streams ---

net::Task<void> Relay::end_stream(Upstream& up, StreamCopy& copy) {
  using core::AttemptResult;
  if (outcome_.result != AttemptResult::kClientGone) co_await send_last(up, copy);
  const AttemptResult how = outcome_.result;
  if (how == AttemptResult::kClientGone) co_return answered(how, "", copy.usage());
  // The instance's own error record: the client has it already, or never needs to see it.
  if (copy.failed() && !content_sent_) {
    co_return hidden(judge_error(copy.error()), copy.error(), Again::kYes);
  }
  if (copy.failed()) {
    co_return co_await end_broken(copy.error(), judge_error(copy.error()), RecordSent::kYes);
  }
  if (copy.terminal()) co_return co_await end_complete(up, copy);
  std::string why = std::move(outcome_.detail);
  if (!content_sent_) {
    const bool late = how == AttemptResult::kTimedOut || how == AttemptResult::kTooLate;
    co_return hidden(how, std::move(why), late ? Again::kNo : Again::kYes);
  }
  const RecordSent sent = copy.mid_record() ? RecordSent::kBegun : RecordSent::kNo;
  co_await end_broken(std::move(why), how, sent);
}

// What the instance has sent, straight out of the loop's memory.
Relay::Step Relay::take_arrived(Upstream& up, StreamCopy& copy) {
  const net::Arrived got = up.stream->receive();
  switch (got.state) {
    case net::Io::State::kMoved:
      return take_input(up, copy, got.bytes);
    case net::Io::State::kWouldBlock:
      return Step::kGoesOn;
    case net::Io::State::kEnd:
      over(core::AttemptResult::kDied, without_final_record());
      return Step::kOver;
    case net::Io::State::kFailed:
      over(core::AttemptResult::kDied,
           "instance " + instance().name + " reset the connection in mid-stream");
      return Step::kOver;
  }
  return Step::kOver;
}

Relay::Step Relay::take_input(Upstream& up, StreamCopy& copy, std::string_view input) {
  Result<void> took = copy.take(input, [this, &up] { return answer_head(up); });
  if (copy.content_sent() && !content_sent_) {
    cross_the_fence(up, engine::Lease::Tell::kNow);
    // The head is sent, and the stream may last for minutes.
    std::string().swap(exchange_.answer_fields);
    up.head.content_type.release();
  }
  note_progress(copy);
  if (!took && took.error().origin == Origin::kClient) {
    pending_.clear();
    client_left();
  } else if (!took) {
    over(core::AttemptResult::kFailed, std::move(took).error().message);
  } else if (copy.body_done()) {
    over(core::AttemptResult::kDied, without_final_record());
  } else {
    return Step::kGoesOn;
  }
  return Step::kOver;
}

// One message a second is enough to see that an instance lives; one a token would be the busiest
// traffic of the home loop.
void Relay::note_progress(const StreamCopy& copy) {
  constexpr Duration kInterval = std::chrono::seconds(1);
  const Instant now = loop().now();
  if (!content_sent_ || now - progress_told_ < kInterval) return;
  progress_told_ = now;
  lease_.progress(copy.records());
}

// From here on the client has seen content: no retry, and the lease can not be revoked any more.
void Relay::cross_the_fence(const Upstream& up, engine::Lease::Tell tell) {
  content_sent_ = true;
  lease_.first_byte(tell);
  exchange_.kept.reset();
  progress_told_ = loop().now();
  exchange_.record.first_byte = loop().now() - exchange_.arrived;
  exchange_.record.status = up.head.status;
  // Declared down in the very moment of its first byte: that is not the time to let go.
  if (cancel_.reason() != net::CancelReason::kRevoked) return;
  cancel_.reset();
  client_.stream().watch_hangup(&cancel_);
}

// A last record without its line end is still a record.
net::Task<void> Relay::send_last(Upstream& up, StreamCopy& copy) {
  Result<void> sent = copy.send_last([this, &up] { return answer_head(up); });
  if (copy.content_sent() && !content_sent_) cross_the_fence(up, engine::Lease::Tell::kNow);
  const Flushed flushed = co_await flush();
  if (!sent || flushed == Flushed::kClientGone) client_left();
}

std::string Relay::too_late() const {
  return "instance " + instance().name +
         " had not begun to answer at the request's deadline (X-Drover-Deadline)";
}

std::string Relay::without_final_record() const {
  return "instance " + instance().name + " ended the stream without its final record";
}

// The instance's side of a stream is over for this reason; the client's may not be yet.
void Relay::over(core::AttemptResult how, std::string why) {
  outcome_.result = how;
  outcome_.detail = std::move(why);
}

void Relay::client_left() { over(core::AttemptResult::kClientGone, {}); }

// The wait for the next token ended without one.
void Relay::called_off(net::WaitResult result, const StreamCopy& copy) {
  // Behind the terminal record only framing is due: the answer is whole, whoever leaves.
  if (copy.terminal()) return;
  if (result == net::WaitResult::kTimedOut && is_too_late()) {
    over(core::AttemptResult::kTooLate, too_late());
    return;
  }
  if (result == net::WaitResult::kTimedOut) {
    over(core::AttemptResult::kTimedOut, "instance " + instance().name + " sent no token in time");
    return;
  }
  switch (cancel_.reason()) {
    case net::CancelReason::kClientGone:
      return client_left();
    case net::CancelReason::kRevoked:
      over(core::AttemptResult::kRevoked, "instance " + instance().name + " went down");
      return;
    default:
      over(core::AttemptResult::kRevoked, "the server is shutting down");
  }
}

// The terminal record went to the client; its end may still be due, when the instance's framing
// stayed open behind the record.
net::Task<void> Relay::end_complete(Upstream& up, StreamCopy& copy) {
  if (!copy.body_done()) {
    Result<std::string> rest = client_.send_now({}, {}, client_.stream_end());
    if (rest) pending_ = std::move(*rest);
    const Flushed flushed = co_await flush();
    if (!rest || flushed == Flushed::kClientGone) client_.cut_short();
  }
  give_back(up, copy.finished());
  answered(core::AttemptResult::kServed, "", copy.usage());
}

// Content was sent and the answer can not be completed: say so in the client's dialect.
net::Task<void> Relay::end_broken(std::string detail, core::AttemptResult result,
                                  RecordSent record_sent) {
  client_.close_after_answer();
  exchange_.record.outcome = engine::Outcome::kBroken;
  exchange_.record.reason = to_string(ErrorKind::kUpstream);
  std::string record;
  // Ends the record that the error record would fall into.
  const bool lines = exchange_.route->shape == StreamShape::kNdjson;
  if (record_sent == RecordSent::kBegun) record = lines ? "\n" : "\n\n";
  if (record_sent != RecordSent::kYes) {
    record += wire::error_record(exchange_.route->shape, detail, exchange_.id_text);
  }
  const std::array<std::string_view, 1> pieces = {record};
  Result<std::string> rest = client_.send_now({}, pieces, client_.stream_end());
  if (rest) {
    pending_ = std::move(*rest);
    const Flushed flushed = co_await flush();
    if (flushed == Flushed::kClientGone) client_.cut_short();
  }
  answered(result, std::move(detail), {});
}

// Sends what is pending; most often there is nothing.
net::Task<Relay::Flushed> Relay::flush() {
  if (pending_.empty()) return net::Task<Flushed>::completed();
  return send_pending();
}

net::Task<Relay::Flushed> Relay::send_pending() {
  // Back-pressure: while the client takes nothing, nothing is read from the instance, and its
  // silence must not be taken for a hang.
  lease_.held_up_by_client(true);
  Result<void> sent = co_await client_.send_rest(std::exchange(pending_, {}),
                                                 settings().deadlines.write_stall, &cancel_);
  lease_.held_up_by_client(false);
  const Flushed flushed = sent ? Flushed::kAll : Flushed::kClientGone;
  co_return flushed;
}

core::AttemptResult Relay::result_of(const Error& error) const {
  if (error.origin == Origin::kSelf) return core::AttemptResult::kOwnFault;
  switch (error.kind) {
    case ErrorKind::kRefused:
      return core::AttemptResult::kRefused;
    case ErrorKind::kClosed:
      return core::AttemptResult::kDied;
    case ErrorKind::kTimeout:
      return is_too_late() ? core::AttemptResult::kTooLate : core::AttemptResult::kTimedOut;
    case ErrorKind::kCancelled:
      return cancel_.reason() == net::CancelReason::kRevoked ? core::AttemptResult::kRevoked
                                                             : core::AttemptResult::kClientGone;
    default:
      return core::AttemptResult::kFailed;
  }
}

void Relay::answered(core::AttemptResult result, std::string detail, const Usage& usage) {
  outcome_.result = result;
  outcome_.detail = std::move(detail);
  outcome_.answered = true;
  exchange_.record.usage = usage;
}

void Relay::hidden(core::AttemptResult result, std::string detail, Again again) {
  outcome_.result = result;
  outcome_.detail = std::move(detail);
  outcome_.retryable = again == Again::kYes;
}

void Relay::failed(Error error) {
  const core::AttemptResult result = result_of(error);
  if (result == core::AttemptResult::kOwnFault) {
    // Another instance would be no help, and another try would want more of what is short.
    hidden(result, error.message, Again::kNo);
    outcome_.own = std::make_unique<Error>(std::move(error));
    return;
  }
  if (result == core::AttemptResult::kTooLate) return hidden(result, too_late(), Again::kNo);
  // Whoever waited for tokens that long is not made to wait once more; a look-up is short.
  const bool late = result == core::AttemptResult::kTimedOut && exchange_.route->inference;
  const bool retryable = result != core::AttemptResult::kClientGone && !late &&
                         cancel_.reason() != net::CancelReason::kShutdown;
  hidden(result, std::move(error.message), retryable ? Again::kYes : Again::kNo);
}

// A connection serves again only when its answer ended where it said and nothing is left over. Who
// answered before it had the request may take the rest of it for the next one.
void Relay::give_back(Upstream& up, bool body_done) {
  if (up.answered_early || !body_done || !up.head.keep_alive || !up.input.empty()) return;
  if (up.stream->has_input()) return;
  means_.pool.give_back(instance().id, std::move(up.stream));
}

}  // namespace drover::gateway
