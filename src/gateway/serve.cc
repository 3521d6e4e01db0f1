// The life of one request, top to bottom. Whatever can happen to it happens in prepare() and
// attempt_until_answered(), in this order.

#include <fmt/format.h>

#include "base/check.h"
#include "gateway/account.h"
#include "gateway/aliases.h"
#include "gateway/fleet_answers.h"
#include "gateway/gateway.h"
#include "gateway/orders.h"
#include "gateway/read_request.h"
#include "gateway/refusal.h"
#include "gateway/relay.h"
#include "gateway/runner_options.h"

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
Error exhausted(const Relayed& last, const Instance& instance) {
  const bool late =
      last.result == AttemptResult::kTimedOut || last.result == AttemptResult::kTooLate;
  return {late ? ErrorKind::kTimeout : ErrorKind::kUpstream, Origin::kInstance, Retry::kNever,
          last.detail.starts_with("instance ")
              ? last.detail
              : fmt::format("instance {} failed: {}", instance.name, last.detail)};
}

// Its body says what it is, and is kept; all others are answered, or streamed on, without.
bool is_read_whole(const Route& route) {
  switch (route.treatment) {
    case Treatment::kJsonBody:
    case Treatment::kMultipart:
    case Treatment::kPathModel:
    case Treatment::kOrder:
      return true;
    case Treatment::kAlive:
    case Treatment::kVersion:
    case Treatment::kTags:
    case Treatment::kPs:
    case Treatment::kModels:
    case Treatment::kBlob:
    case Treatment::kIdentity:
      return false;
  }
  return false;
}

Error shutting_down_error() {
  return {ErrorKind::kUnavailable, Origin::kSelf, Retry::kNever, "the server is shutting down"};
}

}  // namespace

// head_ has just been read.
net::Task<void> Gateway::serve_request(Client& client, Link& link) {
  Exchange exchange(settings_.limits, loop_.now(), &room_);
  exchange.id = port_.engine().next_request_id();
  client.begin_request(head_);
  // Told to go in the very moment of a request: it is served, and is the last one.
  if (draining_ || link.cancel.triggered()) client.close_after_answer();
  link.cancel.reset();
  port_.engine().metrics().requests_active.add(1);
  bool ready = false;
  co_await prepare(client, link, exchange, ready);
  DROVER_ASSERT(client.is_kept());
  if (ready) {
    // From here on the client has nothing to do but wait; if it leaves, so do we, wherever we are.
    client.stream().watch_hangup(&link.cancel);
    if (exchange.for_jobs) {
      co_await answer_order(client, link, exchange);
    } else {
      co_await attempt_until_answered(client, link, exchange);
    }
    client.stream().watch_hangup(nullptr);
  }
  port_.engine().metrics().requests_active.add(-1);
  finish(client, exchange);
}

// `ready`: it is for an instance to answer. Otherwise it has been answered here.
net::Task<void> Gateway::prepare(Client& client, Link& link, Exchange& exchange, bool& ready) {
  // Who asks for what, judged by the head alone: before anything is kept for them.
  Result<void> told = admit(client, head_, exchange, settings_);
  if (told && exchange.route != nullptr && is_read_whole(*exchange.route)) {
    // What it asks for: the whole body, kept for as long as it may have to be sent again.
    told = co_await read_body(client, exchange, settings_, &link.cancel);
  } else {
    client.keep();
    if (!told) co_return co_await refuse_early(client, link, exchange, std::move(told).error());
    if (exchange.route == nullptr || exchange.route->treatment <= Treatment::kModels) {
      co_return co_await answer_own(client, link, exchange);
    }
    if (exchange.route->treatment == Treatment::kBlob) {
      co_return co_await answer_blob(client, link, exchange);
    }
    co_return co_await answer_account(client, link, exchange);
  }
  if (told) told = resolve_alias(exchange, *port_.engine().view(), settings_);
  if (told) told = keep_to_account(exchange.ask, settings_);
  if (!told) co_return co_await refuse_early(client, link, exchange, std::move(told).error());
  exchange.for_jobs = is_order(exchange);
  ready = true;
}

net::Task<void> Gateway::refuse_early(Client& client, Link& link, Exchange& exchange, Error error) {
  net::Cancel* cancel = &link.cancel;
  if (link.cancel.reason() == net::CancelReason::kShutdown) {
    error = shutting_down_error();
    cancel = nullptr;
  }
  co_await refuse(client, exchange, std::move(error), {}, settings_.deadlines.write_stall, cancel);
}

// Its frame lives as long as the answer, thousands at once: endings have frames of their own.
net::Task<void> Gateway::attempt_until_answered(Client& client, Link& link, Exchange& exchange) {
  Attempts attempts;
  Relayed last;
  for (;;) {
    // Where: the fleet decides, or says why not.
    engine::Lease lease = co_await find_instance(client, link, exchange, attempts, last);
    if (!lease) co_return;

    // Then: carry it there and the answer back.
    {
      Relay relay(means_, client, exchange, lease, link.cancel, last);
      co_await relay.run();
    }
    note_attempt(exchange, lease, last);

    // Nothing was sent to the client: hide the failure if another instance may do better.
    const bool another = !last.answered && last.retryable && !is_over(link);
    if (!another && last.answered) co_return end_answered(client, exchange, last);
    if (!another) co_return co_await end_unanswered(client, link, exchange, last);
    attempts.again(exchange.instance->id, cause_of(last.result));
    link.cancel.reset();
    client.stream().watch_hangup(&link.cancel);
  }
}

// No coroutine: a request built among the arguments of a co_await is destroyed twice by g++ 12.
net::Task<engine::Grant> Gateway::ask_fleet(Link& link, const Exchange& exchange,
                                            const Attempts& attempts) {
  return port_.acquire({exchange.id, exchange.ask, attempts.cause, attempts.made, attempts.tried},
                       link.cancel);
}

// An empty lease: the fleet let it in nowhere, and the client has heard so. `last` is the attempt
// before.
net::Task<engine::Lease> Gateway::find_instance(Client& client, Link& link, Exchange& exchange,
                                                const Attempts& attempts, Relayed& last) {
  engine::Grant grant = co_await ask_fleet(link, exchange, attempts);
  exchange.record.queued = loop_.now() - exchange.arrived;
  if (grant.waited_as > 0 && exchange.queue_position == 0) {
    exchange.queue_position = grant.waited_as;
    fmt::format_to(std::back_inserter(exchange.answer_fields), "X-Drover-Queue-Position: {}\r\n",
                   grant.waited_as);
  }
  if (grant.refused) {
    co_await end_refused(client, link, exchange, *grant.refused,
                         attempts.made > 0 ? &last : nullptr);
    co_return engine::Lease();
  }
  exchange.why = std::move(grant.why);
  exchange.record.retries = attempts.made;
  exchange.instance = &settings_.instances[grant.lease.backend().value];
  set_runner_options(*exchange.kept, grant.variant);
  if (grant.reload) note_reload(client, exchange, *grant.reload);
  co_return std::move(grant.lease);
}

// Who makes everybody wait for a load that his options cause.
void Gateway::note_reload(const Client& client, const Exchange& exchange,
                          const core::Reload& reload) {
  const LogField fields[] = {{"id", std::string_view(exchange.id_text)},
                             {"client", std::string_view(client.peer())},
                             {"model", std::string_view(exchange.ask.model.text())},
                             {"instance", std::string_view(exchange.instance->name)},
                             {"cause", to_string(reload.cause)},
                             {"from_tokens", reload.from},
                             {"to_tokens", reload.to}};
  log_.write(LogLevel::kInfo, "model reload", fields);
  port_.count_reload(exchange.ask.model.text(), to_string(reload.cause),
                     std::string(client.peer()));
}

// Nobody is there to be answered any more, or nothing new may begin.
bool Gateway::is_over(const Link& link) const {
  const net::CancelReason reason = link.cancel.reason();
  return reason == net::CancelReason::kClientGone || reason == net::CancelReason::kShutdown || cut_;
}

// What became of one attempt, for the fleet and for the log.
void Gateway::note_attempt(Exchange& exchange, engine::Lease& lease, const Relayed& last) {
  lease.settle(last.result, last.detail, exchange.record.usage);
  if (!last.detail.empty()) exchange.failure = std::make_unique<std::string>(last.detail);
}

// The fleet let it in nowhere. `last` is the attempt before, null when there was none.
net::Task<void> Gateway::end_refused(Client& client, Link& link, Exchange& exchange,
                                     engine::Refusal& refusal, const Relayed* last) {
  exchange.why = std::move(refusal.why);
  if (link.cancel.triggered()) co_return co_await end_cancelled(client, link, exchange);
  const bool spent = last != nullptr && refusal.error.kind == ErrorKind::kUpstream;
  Error error = spent ? exhausted(*last, *exchange.instance) : std::move(refusal.error);
  co_await refuse(client, exchange, std::move(error), refusal.retry_after,
                  settings_.deadlines.write_stall, &link.cancel);
}

net::Task<void> Gateway::end_cancelled(Client& client, Link& link, Exchange& exchange) {
  client.close_after_answer();
  if (link.cancel.reason() == net::CancelReason::kClientGone) {
    exchange.record.outcome = engine::Outcome::kClientGone;
    co_return;
  }
  co_await refuse(client, exchange, shutting_down_error(), {}, settings_.deadlines.write_stall,
                  nullptr);
}

// After the last attempt: its answer is with the client.
void Gateway::end_answered(Client& client, Exchange& exchange, const Relayed& last) {
  if (last.result != AttemptResult::kClientGone) return;
  exchange.record.outcome = engine::Outcome::kClientGone;
  client.cut_short();
}

// After the last attempt, without an answer: the client hears why.
net::Task<void> Gateway::end_unanswered(Client& client, Link& link, Exchange& exchange,
                                        Relayed& last) {
  if (is_over(link)) co_return co_await end_cancelled(client, link, exchange);
  Error error = last.own ? std::move(*last.own) : exhausted(last, *exchange.instance);
  co_await refuse(client, exchange, std::move(error), {}, settings_.deadlines.write_stall, nullptr);
}

net::Task<void> Gateway::answer_own(Client& client, Link& link, Exchange& exchange) {
  const Duration stall = settings_.deadlines.write_stall;
  // A body that nobody reads must not be taken for the next request.
  if (exchange.body_unread) client.close_after_answer();
  if (exchange.route == nullptr) {
    exchange.record.route = "OPTIONS";
    exchange.record.status = 204;
    const Answer answer{204, {}, exchange.answer_fields, exchange.id_text};
    Result<void> sent = co_await client.send_whole(answer, {}, stall, &link.cancel);
    if (!sent) client.close_after_answer();
    co_return;
  }
  std::shared_ptr<const core::FleetView> fleet = port_.engine().view();
  if (exchange.route->treatment == Treatment::kPs) fleet = co_await loaded_now_.look(link.cancel);
  Result<FleetAnswer> own = answer_for_fleet(exchange.route->treatment, *fleet, settings_);
  if (!own) {
    co_return co_await refuse(client, exchange, std::move(own).error(), std::chrono::seconds(1),
                              stall, &link.cancel);
  }
  exchange.record.status = 200;
  const Answer answer{200, own->content_type, exchange.answer_fields, exchange.id_text};
  Result<void> sent = co_await client.send_whole(answer, own->body, stall, &link.cancel);
  if (!sent) client.close_after_answer();
}

}  // namespace drover::gateway
