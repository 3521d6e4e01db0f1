#include "jobs/order.h"

#include <fmt/format.h>

#include <algorithm>

#include "wire/dialect.h"

namespace drover::jobs {
namespace {

constexpr std::string_view kJson = "application/json; charset=utf-8";
// Health checks find an instance again within a few seconds.
constexpr Duration kComeBack = std::chrono::seconds(5);

bool is_transfer(Verb verb) {
  return verb == Verb::kPull || verb == Verb::kPush || verb == Verb::kCreate;
}

// Where an instance that lacks the model has nothing to do.
bool absence_is_fine(Verb verb) {
  return verb == Verb::kCopy || verb == Verb::kDelete || verb == Verb::kUnload;
}

std::string names_of(const std::vector<const Fared*>& some) {
  std::string names;
  for (const Fared* each : some) names += (names.empty() ? "" : ", ") + each->name;
  return names;
}

Ending error_ending(int status, std::string_view text) {
  Ending ending{status, std::string(kJson), "{\"error\":" + wire::json_quote(text) + '}', {}};
  if (status == 503) ending.retry_after = kComeBack;
  return ending;
}

struct Sorted {
  std::vector<const Fared*> done, absent, failed;
};

Ending success(const Order& order, const Sorted& by) {
  const Fared& first = *by.done.front();
  if (is_transfer(order.verb)) {
    return {200, "application/json", R"({"status":"success"})", {}};
  }
  if (order.verb != Verb::kUpload) return {200, first.type, first.body, {}};
  // 201 where it was new, 200 where it had been before.
  int status = 200;
  for (const Fared* each : by.done) status = std::max(status, each->status);
  return {status, {}, {}, {}};
}

Sorted sorted(const Order& order, const std::vector<Fared>& all) {
  Sorted out;
  for (const Fared& each : all) {
    if (each.done) {
      out.done.push_back(&each);
    } else if (each.absent() && absence_is_fine(order.verb)) {
      out.absent.push_back(&each);
    } else {
      out.failed.push_back(&each);
    }
  }
  return out;
}

// All say the same: so says drover.
bool agree(const std::vector<const Fared*>& some) {
  return std::all_of(some.begin(), some.end(), [&](const Fared* each) {
    return each->status == some.front()->status && each->error == some.front()->error;
  });
}

Ending disagreement(const Order& order, const Sorted& by) {
  const std::string_view kind =
      order.verb == Verb::kUnload || order.verb == Verb::kLoad ? "instance" : "store";
  std::string text;
  for (const Fared* each : by.failed) {
    text += fmt::format("{}{} {}: {}", text.empty() ? "" : "; ", kind, each->name, each->error);
  }
  if (!by.done.empty()) text += fmt::format("; done in {}", names_of(by.done));
  const bool unreachable = std::all_of(by.failed.begin(), by.failed.end(),
                                       [](const Fared* each) { return each->status == 0; });
  text = fmt::format("{} of {} '{}' is not complete: {}; the same again mends it",
                     to_string(order.verb), order.verb == Verb::kUpload ? "blob" : "model",
                     order.shown, text);
  return error_ending(unreachable && by.done.empty() ? 503 : 500, text);
}

}  // namespace

std::string_view to_string(Verb verb) {
  switch (verb) {
    case Verb::kPull:
      return "pull";
    case Verb::kPush:
      return "push";
    case Verb::kCreate:
      return "create";
    case Verb::kCopy:
      return "copy";
    case Verb::kDelete:
      return "delete";
    case Verb::kUnload:
      return "unload";
    case Verb::kLoad:
      return "load";
    case Verb::kUpload:
      return "upload";
  }
  return "";
}

Ending conclude(const Order& order, const std::vector<Fared>& all) {
  if (all.empty()) return error_ending(503, "no instance answers; see 'drover status'");
  const Sorted by = sorted(order, all);
  if (by.failed.empty()) {
    const bool nobody_had_it = by.done.empty();
    if (!nobody_had_it) return success(order, by);
    const Fared& first = *by.absent.front();
    return {first.status, first.type, first.body, {}};
  }
  const Fared& first = *by.failed.front();
  if (by.failed.size() < all.size() || !agree(by.failed)) return disagreement(order, by);
  if (first.status == 0) return disagreement(order, by);
  // An error after the head was sent is a line of a stream: as a document it is a 500.
  return error_ending(first.status < 400 ? 500 : first.status, first.error);
}

std::string_view result_of(const std::vector<Fared>& all) {
  const auto done =
      std::count_if(all.begin(), all.end(), [](const Fared& each) { return each.done; });
  const auto absent =
      std::count_if(all.begin(), all.end(), [](const Fared& each) { return each.absent(); });
  const auto total = static_cast<std::ptrdiff_t>(all.size());
  if (done + absent == total) return done > 0 ? "done" : "absent";
  return done > 0 ? "partial" : "failed";
}

}  // namespace drover::jobs
