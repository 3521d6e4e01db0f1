// The part of the story for what concerns the models of the whole fleet: the work is done by jobs,
// the client watches.

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "gateway/aliases.h"
#include "gateway/gateway.h"
#include "gateway/orders.h"
#include "gateway/passage.h"
#include "gateway/read_request.h"
#include "gateway/refusal.h"

namespace drover::gateway {
namespace {

constexpr std::string_view kShuttingDown = "{\"error\":\"the server is shutting down\"}\n";

// Of the request's record: who ended it, and how.
void note_ending(Exchange& exchange, int status) {
  exchange.record.status = status;
  if (status < 500) return;
  const bool refused = status == 503;
  exchange.record.outcome = refused ? engine::Outcome::kRefused : engine::Outcome::kFailed;
  exchange.record.reason = to_string(refused ? ErrorKind::kUnavailable : ErrorKind::kUpstream);
}

// HEAD: there, when every store has it. One that is away does not say no for the others.
jobs::Ending ending_of_look(const std::vector<jobs::Fared>& all) {
  const auto count = [&](auto&& test) { return std::count_if(all.begin(), all.end(), test); };
  const auto there = count([](const jobs::Fared& each) { return each.done; });
  const auto heard = count([](const jobs::Fared& each) { return each.status != 0; });
  if (heard == 0) return {503, {}, {}, std::chrono::seconds(1)};
  return {there == static_cast<std::ptrdiff_t>(all.size()) ? 200 : 404, {}, {}, {}};
}

}  // namespace

net::Task<void> Gateway::answer_order(Client& client, Link& link, Exchange& exchange) {
  Result<jobs::Order> order = read_order(exchange);
  if (!order) co_return co_await refuse_early(client, link, exchange, std::move(order).error());
  Result<void> named = resolve_alias(exchange, *port_.engine().view(), settings_);
  if (!named) co_return co_await refuse_early(client, link, exchange, std::move(named).error());
  exchange.kept.reset();
  const bool streaming = exchange.ask.streaming;
  jobs::Watch watch(jobs_, loop_, *std::move(order));
  // A stream begins with its first line; before it a failure still has its own status.
  while (watch.ending() == nullptr) {
    const net::WaitResult news = co_await watch.news().wait(kNever, &link.cancel);
    if (news == net::WaitResult::kCancelled)
      co_return co_await end_cancelled(client, link, exchange);
    watch.news().clear();
    const bool begins = streaming && (watch.ending() == nullptr || watch.ending()->streamed);
    if (begins) co_return co_await show_progress(client, link, exchange, watch);
  }
  co_await show_ending(client, link, exchange, *watch.ending());
}

// A blob: its body is never kept here.
net::Task<void> Gateway::answer_blob(Client& client, Link& link, Exchange& exchange) {
  const bool look = exchange.method == wire::Method::kHead;
  Passage upload(client, exchange, means_.pool, settings_, link.cancel);
  Result<void> carried = Done{};
  if (waits_to_continue(client, exchange)) {
    carried = co_await let_it_continue(client, exchange, settings_, &link.cancel);
  }
  co_await upload.open(port_.engine().view());
  if (carried && !look) carried = co_await upload.carry_body();
  if (!carried) co_return co_await refuse_early(client, link, exchange, std::move(carried).error());
  client.stream().watch_hangup(&link.cancel);
  co_await upload.read_answers();
  client.stream().watch_hangup(nullptr);
  if (link.cancel.triggered()) co_return co_await end_cancelled(client, link, exchange);
  if (exchange.body_unread) client.close_after_answer();
  jobs::Order order;
  order.verb = jobs::Verb::kUpload;
  order.shown = exchange.kept->target.substr(exchange.kept->target.rfind('/') + 1);
  const jobs::Ending ending =
      look ? ending_of_look(upload.fared()) : jobs::conclude(order, upload.fared());
  exchange.kept.reset();
  co_await show_ending(client, link, exchange, ending);
}

// Lines as they come; the ending is the last one.
net::Task<void> Gateway::show_progress(Client& client, Link& link, Exchange& exchange,
                                       jobs::Watch& watch) {
  exchange.record.first_byte = loop_.now() - exchange.arrived;
  exchange.record.status = 200;
  std::string head =
      client.stream_head({200, "application/x-ndjson", exchange.answer_fields, exchange.id_text});
  for (;;) {
    std::string lines = watch.take();
    const jobs::Ending* const ending = watch.ending();
    bool over = ending != nullptr;
    if (over) {
      lines += ending->body + '\n';
      if (ending->status >= 400) {
        exchange.record.outcome = engine::Outcome::kBroken;
        exchange.record.reason = to_string(ErrorKind::kUpstream);
      }
    } else if (link.cancel.triggered()) {
      over = true;
      lines += kShuttingDown;
      client.close_after_answer();
    }
    const bool gone = link.cancel.reason() == net::CancelReason::kClientGone;
    const std::array<std::string_view, 1> pieces = {lines};
    Result<std::string> rest =
        client.send_now(std::exchange(head, {}), pieces, over ? client.stream_end() : "");
    if (rest && !rest->empty() && !gone) {
      Result<void> sent = co_await client.send_rest(
          std::move(*rest), settings_.deadlines.write_stall, over ? nullptr : &link.cancel);
      if (!sent) rest = std::move(sent).error();
    }
    if (!rest || gone) {
      exchange.record.outcome = engine::Outcome::kClientGone;
      client.cut_short();
      co_return;
    }
    if (over) co_return;
    (void)co_await watch.news().wait(kNever, &link.cancel);
  }
}

net::Task<void> Gateway::show_ending(Client& client, Link& link, Exchange& exchange,
                                     const jobs::Ending& ending) {
  note_ending(exchange, ending.status);
  std::string fields = exchange.answer_fields;
  if (ending.retry_after) {
    const auto wait = std::chrono::ceil<std::chrono::seconds>(*ending.retry_after);
    fields += fmt::format("Retry-After: {}\r\n", wait.count());
  }
  const Answer answer{ending.status, ending.content_type, fields, exchange.id_text};
  Result<void> sent = co_await client.send_whole(answer, ending.body,
                                                 settings_.deadlines.write_stall, &link.cancel);
  if (sent) co_return;
  client.close_after_answer();
  exchange.record.outcome = engine::Outcome::kClientGone;
}

}  // namespace drover::gateway
