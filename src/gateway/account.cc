#include "gateway/account.h"

#include <fmt/format.h>

#include "gateway/gateway.h"
#include "gateway/passage.h"
#include "gateway/read_request.h"
#include "gateway/refusal.h"

namespace drover::gateway {
namespace {

constexpr std::string_view kNoCloud = R"({"cloud":{"disabled":true,"source":"config"}})";

}  // namespace

bool is_cloud(const ModelName& model) {
  const std::string& text = model.text();
  return text.ends_with(":cloud") || text.ends_with("-cloud");
}

Error no_account(std::string_view what) {
  return {ErrorKind::kForbidden, Origin::kSelf, Retry::kNever,
          fmt::format("{} need the account of one instance; to name it, write into drover's "
                      "configuration: identity: NAME (drover status shows the names)",
                      what)};
}

Result<void> keep_to_account(Ask& ask, const Settings& settings) {
  if (!is_cloud(ask.model)) return {};
  if (!settings.identity) return no_account("models in the cloud");
  ask.only = settings.identity;
  return {};
}

net::Task<void> Gateway::answer_account(Client& client, Link& link, Exchange& exchange) {
  const bool status = exchange.route->path == "/api/status";
  if (!settings_.identity && status) {
    const jobs::Ending own{200, "application/json; charset=utf-8", std::string(kNoCloud), {}};
    co_return co_await show_ending(client, link, exchange, own);
  }
  if (!settings_.identity) {
    if (exchange.body_unread) client.close_after_answer();
    Error error = no_account("this route and models in the cloud");
    co_return co_await refuse_early(client, link, exchange, std::move(error));
  }
  Passage passage(client, exchange, means_.pool, settings_, link.cancel);
  Result<void> carried = Done{};
  if (waits_to_continue(client, exchange)) {
    carried = co_await let_it_continue(client, exchange, settings_, &link.cancel);
  }
  co_await passage.open_to(settings_.instances[settings_.identity->value]);
  if (carried) carried = co_await passage.carry_body();
  if (!carried) co_return co_await refuse_early(client, link, exchange, std::move(carried).error());
  client.stream().watch_hangup(&link.cancel);
  co_await passage.read_answers();
  client.stream().watch_hangup(nullptr);
  if (link.cancel.triggered()) co_return co_await end_cancelled(client, link, exchange);
  if (exchange.body_unread) client.close_after_answer();
  const jobs::Fared& fared = passage.fared().front();
  if (fared.status == 0) {
    Error error{ErrorKind::kUnavailable, Origin::kInstance, Retry::kSafe,
                fmt::format("instance {}, which has the account, gave no answer: {}", fared.name,
                            fared.error)};
    co_return co_await refuse_early(client, link, exchange, std::move(error));
  }
  jobs::Ending ending{fared.status, fared.type, fared.body, {}};
  co_await show_ending(client, link, exchange, ending);
}

}  // namespace drover::gateway
