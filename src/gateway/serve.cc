// The life of one request, top to bottom. Whatever can happen to it happens in tell() and
// attempt_until_answered(), in this order.

#include <fmt/format.h>

#include "gateway/fleet_answers.h"
#include "gateway/gateway.h"
#include "gateway/read_request.h"
#include "gateway/refusal.h"
#include "gateway/relay.h"

namespace drover::gateway {
namespace {

using core::AttemptResult;

core::RetryCause cause_of(AttemptResult result) {
  switch (result) {
    case AttemptResult::kRefused:
    case AttemptResult::kDied:
    case AttemptResult::kRevoked:
      return core::RetryCause::kInstanceDied;
    case AttemptResult::kBusy:
      return core::RetryCause::kBusy;
    case AttemptResult::kNoModel:
      return core::RetryCause::kNoModel;
    default:
      return core::RetryCause::kInstanceFailed;
  }
}

// The error that ends a request whose attempts all failed.
Error exhausted(const Relayed& last, const std::string& instance) {
  const bool late = last.result == AttemptResult::kTimedOut;
  return {late ? ErrorKind::kTimeout : ErrorKind::kUpstream, Origin::kInstance, Retry::kNever,
          last.detail.starts_with("instance ")
              ? last.detail
              : fmt::format("instance {} failed: {}", instance, last.detail)};
}

Error shutting_down_error() {
  return {ErrorKind::kUnavailable, Origin::kSelf, Retry::kNever, "the server is shutting down"};
}

}  // namespace

net::Task<void> Gateway::tell(Client& client, Link& link, const wire::RequestHead& head,
                              Exchange& exchange) {
  const Duration stall = settings_.deadlines.write_stall;
  // Who asks for what, judged by the head alone: before anything is kept for them.
  Result<void> admitted = admit(client, head, exchange, settings_);
  if (!admitted) {
    co_return co_await refuse(client, exchange, std::move(admitted).error(), {}, stall,
                              &link.cancel);
  }
  if (exchange.route == nullptr || exchange.route->treatment <= Treatment::kModels) {
    co_return co_await answer_own(client, link, exchange);
  }

  // What it asks for: the whole body, kept for as long as it may have to be sent again.
  Result<void> body = co_await read_body(client, exchange, settings_, &link.cancel);
  if (!body && link.cancel.reason() == net::CancelReason::kShutdown) {
    co_return co_await refuse(client, exchange, shutting_down_error(), {}, stall, nullptr);
  }
  if (!body) {
    co_return co_await refuse(client, exchange, std::move(body).error(), {}, stall, &link.cancel);
  }

  // From here on the client has nothing to do but wait; if it leaves, so do we, wherever we are.
  client.stream().watch_hangup(&link.cancel);
  co_await attempt_until_answered(client, link, exchange);
  client.stream().watch_hangup(nullptr);
}

net::Task<void> Gateway::attempt_until_answered(Client& client, Link& link, Exchange& exchange) {
  core::RequestArrived request{exchange.id, exchange.ask, core::RetryCause::kFirstTry, 0, {}};
  const Duration stall = settings_.deadlines.write_stall;
  Relayed last;
  for (;;) {
    // Where: the fleet decides, or says why not.
    engine::Grant grant = co_await port_.acquire(request, link.cancel);
    exchange.record.queued = loop_.now() - exchange.arrived;
    if (grant.refused) {
      exchange.why = grant.refused->why;
      if (link.cancel.reason() == net::CancelReason::kClientGone) {
        exchange.record.outcome = engine::Outcome::kClientGone;
        client.close_after_answer();
        co_return;
      }
      if (link.cancel.triggered()) {
        client.close_after_answer();
        co_return co_await refuse(client, exchange, shutting_down_error(), {}, stall, nullptr);
      }
      const bool tried = request.attempt > 0;
      const bool spent = tried && grant.refused->error.kind == ErrorKind::kUpstream;
      Error error =
          spent ? exhausted(last, exchange.record.backend) : std::move(grant.refused->error);
      co_return co_await refuse(client, exchange, std::move(error), grant.refused->retry_after,
                                stall, &link.cancel);
    }
    exchange.why = grant.lease.why();
    exchange.record.retries = request.attempt;
    exchange.record.backend = settings_.instances[grant.lease.backend().value].name;

    // Then: carry it there and the answer back.
    Relay relay(pool_, settings_, client, exchange, grant.lease, link.cancel);
    last = co_await relay.run();
    grant.lease.settle(last.result, last.detail, last.usage);
    exchange.record.usage = last.usage;
    if (!last.detail.empty()) exchange.failure = last.detail;
    if (last.answered) {
      if (last.result == AttemptResult::kClientGone) {
        exchange.record.outcome = engine::Outcome::kClientGone;
        client.cut_short();
      }
      co_return;
    }

    // Nothing was sent to the client: hide the failure if another instance may do better.
    if (link.cancel.reason() == net::CancelReason::kClientGone) {
      exchange.record.outcome = engine::Outcome::kClientGone;
      client.close_after_answer();
      co_return;
    }
    if (link.cancel.reason() == net::CancelReason::kShutdown || cut_) {
      co_return co_await refuse(client, exchange, shutting_down_error(), {}, stall, nullptr);
    }
    if (last.own) {
      co_return co_await refuse(client, exchange, std::move(*last.own), {}, stall, nullptr);
    }
    if (!last.retryable) {
      co_return co_await refuse(client, exchange, exhausted(last, exchange.record.backend), {},
                                stall, nullptr);
    }
    request.cause = cause_of(last.result);
    request.tried.push_back(grant.lease.backend());
    ++request.attempt;
    link.cancel.reset();
    client.stream().watch_hangup(&link.cancel);
  }
}

net::Task<void> Gateway::answer_own(Client& client, Link& link, Exchange& exchange) {
  const Duration stall = settings_.deadlines.write_stall;
  // A body that nobody reads must not be taken for the next request.
  if (exchange.body_unread) client.close_after_answer();
  if (exchange.route == nullptr) {
    exchange.record.route = "OPTIONS";
    exchange.record.status = 204;
    Answer answer{204, {}, exchange.answer_fields};
    Result<void> sent = co_await client.send_whole(std::move(answer), {}, stall, &link.cancel);
    if (!sent) client.close_after_answer();
    co_return;
  }
  const std::shared_ptr<const core::FleetView> fleet = port_.engine().view();
  Result<FleetAnswer> own = answer_for_fleet(exchange.route->treatment, *fleet);
  if (!own) {
    co_return co_await refuse(client, exchange, std::move(own).error(), std::chrono::seconds(1),
                              stall, &link.cancel);
  }
  exchange.record.status = 200;
  Answer answer{200, own->content_type, exchange.answer_fields};
  Result<void> sent = co_await client.send_whole(std::move(answer), own->body, stall, &link.cancel);
  if (!sent) client.close_after_answer();
}

}  // namespace drover::gateway
