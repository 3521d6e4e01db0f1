#include "gateway/refusal.h"

#include <fmt/format.h>

#include "wire/dialect.h"

namespace drover::gateway {
namespace {

// After these the position in the client's byte stream is not certain any more.
bool ends_connection(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kMalformed:
    case ErrorKind::kTooLarge:
    case ErrorKind::kHeadTooLarge:
    case ErrorKind::kTargetTooLong:
    case ErrorKind::kSlow:
    case ErrorKind::kUnsupported:
    case ErrorKind::kHttpVersion:
    case ErrorKind::kMediaType:
    case ErrorKind::kExpectation:
    case ErrorKind::kMisdirected:
      return true;
    default:
      return false;
  }
}

}  // namespace

int status_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kMalformed:
      return 400;
    case ErrorKind::kTooLarge:
      return 413;
    case ErrorKind::kHeadTooLarge:
      return 431;
    case ErrorKind::kTargetTooLong:
      return 414;
    case ErrorKind::kSlow:
      return 408;
    case ErrorKind::kUnsupported:
      return 501;
    case ErrorKind::kHttpVersion:
      return 505;
    case ErrorKind::kMediaType:
      return 415;
    case ErrorKind::kExpectation:
      return 417;
    case ErrorKind::kMisdirected:
      return 421;
    case ErrorKind::kForbidden:
      return 403;
    case ErrorKind::kNotFound:
      return 404;
    case ErrorKind::kMethodNotAllowed:
      return 405;
    case ErrorKind::kNoSuchModel:
      return 404;
    case ErrorKind::kUnavailable:
    case ErrorKind::kTooBig:
      return 503;
    case ErrorKind::kBusy:
      return 503;
    case ErrorKind::kTimeout:
      return 504;
    case ErrorKind::kUpstream:
    case ErrorKind::kRefused:
    case ErrorKind::kClosed:
    case ErrorKind::kResolve:
      return 502;
    case ErrorKind::kCancelled:
      return 499;  // logged, never sent: nobody is there
    case ErrorKind::kSystem:
    case ErrorKind::kConfig:
      return 500;
  }
  return 500;
}

net::Task<void> refuse(Client& client, Exchange& exchange, Error error,
                       std::optional<Duration> retry_after, Duration stall, net::Cancel* cancel) {
  const int status = status_of(error.kind);
  std::string fields = exchange.answer_fields;
  // What fits into no GPU today does not fit in a second: coming back is no remedy.
  const bool hopeless = error.kind == ErrorKind::kTooBig;
  if (status == 503 && !retry_after && !hopeless) retry_after = std::chrono::seconds(1);
  if (retry_after) {
    const auto seconds = std::chrono::ceil<std::chrono::seconds>(*retry_after).count();
    fmt::format_to(std::back_inserter(fields), "Retry-After: {}\r\n",
                   std::max<std::int64_t>(1, seconds));
  }
  // Official clients try again by themselves; drover has already spent the tries that make sense.
  if (status == 502 || hopeless) fields += "x-should-retry: false\r\n";
  if (ends_connection(error.kind) || exchange.body_unread) client.close_after_answer();

  exchange.record.status = status;
  exchange.record.reason = to_string(error.kind);
  const bool instances_failed =
      error.kind == ErrorKind::kUpstream || error.kind == ErrorKind::kTimeout;
  exchange.record.outcome = instances_failed ? engine::Outcome::kFailed : engine::Outcome::kRefused;
  if (exchange.failure == nullptr) exchange.failure = std::make_unique<std::string>(error.message);
  const std::string body =
      wire::error_body(exchange.dialect, status, error.message, exchange.id_text);
  Answer answer{status, "application/json; charset=utf-8", fields, exchange.id_text};
  if (exchange.explain) answer.why = exchange.why;
  Result<void> sent = co_await client.send_whole(answer, body, stall, cancel);
  if (!sent) {
    client.close_after_answer();
    exchange.record.status = 0;
    exchange.record.outcome = engine::Outcome::kClientGone;
  }
}

}  // namespace drover::gateway
