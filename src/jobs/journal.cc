#include "jobs/journal.h"

#include <fmt/format.h>

#include <array>
#include <cstdint>
#include <optional>

#include "wire/dialect.h"
#include "wire/json_scanner.h"

namespace drover::jobs {
namespace {

struct Kept {
  Verb verb;
  std::string_view path;
};
// No deletes: a journal may be older than what was done, and what was deleted may be back by then.
constexpr std::array kKept = {Kept{Verb::kPull, "/api/pull"}, Kept{Verb::kCopy, "/api/copy"}};

const Kept* kept(Verb verb) {
  for (const Kept& each : kKept) {
    if (each.verb == verb) return &each;
  }
  return nullptr;
}

Error damaged(std::string why) {
  return {ErrorKind::kSystem, Origin::kSelf, Retry::kNever, std::move(why)};
}

std::optional<Order> read_order(std::string_view line) {
  using Event = wire::JsonScanner::Event;
  Order order;
  std::string verb;
  std::string from;
  std::string key;
  wire::JsonScanner scanner({.report_depth = 1, .max_text = kMaxKeptBody});
  Event event = Event::kMore;
  while ((event = scanner.next(line)) != Event::kMore && event != Event::kBad) {
    if (event == Event::kKey) key = scanner.text();
    if (event == Event::kTrue && key == "insecure") order.insecure = true;
    if (event != Event::kString) continue;
    if (scanner.text_cut()) return std::nullopt;
    const std::string text(scanner.text());
    if (key == "verb") verb = text;
    if (key == "model") order.model = ModelName::canonical(text);
    if (key == "shown") order.shown = text;
    if (key == "from") order.from = ModelName::canonical(text);
    if (key == "body") order.body = text;
  }
  if (!scanner.complete() || order.model.empty() || order.body.empty()) return std::nullopt;
  for (const Kept& each : kKept) {
    if (to_string(each.verb) != verb) continue;
    order.verb = each.verb;
    order.path = each.path;
    return order;
  }
  return std::nullopt;
}

}  // namespace

bool is_kept(const Order& order) {
  return kept(order.verb) != nullptr && order.body.size() <= kMaxKeptBody;
}

std::string journal_text(const std::vector<const Order*>& orders) {
  std::string text;
  for (const Order* order : orders) {
    text += fmt::format(
        "{{\"verb\":{},\"model\":{},\"shown\":{},\"from\":{},\"insecure\":{},\"body\":{}}}\n",
        wire::json_quote(to_string(order->verb)), wire::json_quote(order->model.text()),
        wire::json_quote(order->shown), wire::json_quote(order->from.text()), order->insecure,
        wire::json_quote(order->body));
  }
  return text;
}

Result<std::vector<Order>> read_journal(std::string_view text) {
  std::vector<Order> orders;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    std::optional<Order> order;
    if (end != std::string_view::npos) order = read_order(text.substr(0, end));
    if (!order) return damaged(fmt::format("order {} can not be read", orders.size() + 1));
    orders.push_back(*std::move(order));
    text.remove_prefix(end + 1);
  }
  return orders;
}

}  // namespace drover::jobs
