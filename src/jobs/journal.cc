#include "jobs/journal.h"

#include <fmt/format.h>

#include <array>
#include <cstdint>
#include <optional>

#include "wire/dialect.h"
#include "wire/json_scanner.h"

namespace drover::jobs {
namespace {

constexpr std::string_view kFirstLine = "drover orders 1";

struct Kept {
  Verb verb;
  std::string_view path;
};
constexpr std::array kKept = {Kept{Verb::kPull, "/api/pull"}, Kept{Verb::kCopy, "/api/copy"},
                              Kept{Verb::kDelete, "/api/delete"}};

const Kept* kept(Verb verb) {
  for (const Kept& each : kKept) {
    if (each.verb == verb) return &each;
  }
  return nullptr;
}

// FNV-1a: against accidents, not against people, who own the file.
std::uint64_t hash_of(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return hash;
}

std::string last_line(std::size_t orders, std::string_view before) {
  return fmt::format("end {} {:016x}\n", orders, hash_of(before));
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
  wire::JsonScanner scanner({.report_depth = 1, .max_text = 4096});
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

bool is_kept(Verb verb) { return kept(verb) != nullptr; }

std::string journal_text(const std::vector<const Order*>& orders) {
  std::string text = fmt::format("{}\n", kFirstLine);
  for (const Order* order : orders) {
    text += fmt::format(
        "{{\"verb\":{},\"model\":{},\"shown\":{},\"from\":{},\"insecure\":{},\"body\":{}}}\n",
        wire::json_quote(to_string(order->verb)), wire::json_quote(order->model.text()),
        wire::json_quote(order->shown), wire::json_quote(order->from.text()), order->insecure,
        wire::json_quote(order->body));
  }
  return text + last_line(orders.size(), text);
}

Result<std::vector<Order>> read_journal(std::string_view text) {
  if (text.size() > kMaxJournal) return damaged("it is larger than 1 MiB");
  if (!text.starts_with(kFirstLine)) return damaged("its first line is not 'drover orders 1'");
  const std::size_t end = text.rfind("\nend ");
  if (end == std::string_view::npos) return damaged("its last line is missing");
  const std::string_view before = text.substr(0, end + 1);
  std::vector<Order> orders;
  std::string_view rest = before.substr(before.find('\n') + 1);
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(line.size() + 1);
    std::optional<Order> order = read_order(line);
    if (!order) return damaged(fmt::format("order {} can not be read", orders.size() + 1));
    orders.push_back(*std::move(order));
  }
  if (text.substr(end + 1) != last_line(orders.size(), before)) {
    return damaged("its last line does not fit what is before it");
  }
  return orders;
}

}  // namespace drover::jobs
