#include "app/backends.h"

#include <fmt/format.h>
#include <poll.h>
#include <simdjson.h>

#include <algorithm>
#include <cstdio>
#include <optional>
#include <vector>

#include "app/admin_target.h"
#include "app/escape.h"
#include "app/verbs.h"

namespace drover::app {
namespace {

using simdjson::dom::element;
using Order = cli::BackendsCommand::Order;

constexpr std::string_view kInstances = "/api/v1/instances";
constexpr Duration kPoll = std::chrono::milliseconds(500);
// After the drain: the process ends (its supervisor waits some seconds before it kills), a new one
// looks for its GPUs (half a minute at worst), and a check is answered.
constexpr std::chrono::seconds kStartTime{120};

// One instance as the admin side shows it.
struct Row {
  std::string name;
  std::string url;
  std::string health;
  std::string reason;
  std::uint64_t in_flight = 0;
  std::uint64_t starts = 0;
  bool supervised = false;
  bool restarting = false;
};

cli::Printed failure(std::string message) {
  return {cli::kFailed, "", "drover: " + std::move(message) + "\n"};
}

Error wrong(std::string message) {
  return {ErrorKind::kUpstream, Origin::kInstance, Retry::kNever, std::move(message)};
}

std::string text_of(element object, std::string_view key) {
  std::string_view text;
  if (object[key].get(text) != simdjson::SUCCESS) return {};
  return std::string(text);
}

// Zero, or false, when it is absent: an older drover may not say it.
template <class Value>
Value value_of(simdjson::simdjson_result<element> found) {
  Value value{};
  return found.get(value) == simdjson::SUCCESS ? value : Value{};
}

Row row_of(element object) {
  Row row;
  row.name = text_of(object, "name");
  row.url = text_of(object, "url");
  row.health = text_of(object, "health");
  row.reason = text_of(object, "reason");
  row.in_flight = value_of<std::uint64_t>(object["in_flight"]);
  row.starts = value_of<std::uint64_t>(object["process"]["starts"]);
  row.supervised = value_of<bool>(object["supervised"]);
  row.restarting = value_of<bool>(object["restarting"]);
  return row;
}

Result<std::vector<Row>> read_rows(const Answer& answer) {
  simdjson::dom::parser parser;
  simdjson::dom::array list;
  if (answer.status != 200 ||
      parser.parse(answer.body)["instances"].get(list) != simdjson::SUCCESS) {
    return wrong("the answer is no list of instances");
  }
  std::vector<Row> rows;
  for (const element each : list) rows.push_back(row_of(each));
  return rows;
}

// A refusal's own words, else its status.
std::string detail_of(const Answer& answer) {
  simdjson::dom::parser parser;
  std::string_view detail;
  if (parser.parse(answer.body)["detail"].get(detail) == simdjson::SUCCESS) {
    return text_words(detail);
  }
  return fmt::format("the admin address answered {}; is it drover's?", answer.status);
}

std::string path_of(std::string_view name, std::string_view action) {
  std::string path = fmt::format("{}/", kInstances);
  for (const char c : name) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                       c == '-' || c == '_' || c == '.';
    if (plain) {
      path += c;
    } else {
      path += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return fmt::format("{}/{}", path, action);
}

class Work {
 public:
  Work(const cli::BackendsCommand& command, const AdminSide& admin)
      : command_(command), admin_(admin) {}

  cli::Printed list();
  cli::Printed drain();
  cli::Printed restart();

 private:
  Result<std::vector<Row>> rows();
  std::optional<std::string> post(const std::string& path);  // why not
  Result<std::vector<Row>> chosen();
  std::optional<std::string> order_restart(const Row& before);
  std::optional<std::string> wait_until_well(const Row& before);
  cli::Printed stopped(const std::vector<Row>& all, std::size_t at, const std::string& why);
  bool text() const { return command_.output == cli::Output::kText; }

  const cli::BackendsCommand& command_;
  const AdminSide& admin_;
  std::string done_;  // names restarted, as JSON
};

Result<std::vector<Row>> Work::rows() {
  Result<Answer> answer = admin_.get(kInstances);
  if (!answer) return std::move(answer).error();
  return read_rows(*answer);
}

std::optional<std::string> Work::post(const std::string& path) {
  Result<Answer> answer = admin_.post(path);
  if (!answer) return admin_.silence(answer.error());
  if (answer->status / 100 != 2) return detail_of(*answer);
  return std::nullopt;
}

cli::Printed Work::list() {
  Result<Answer> answer = admin_.get(kInstances);
  if (!answer) return failure(admin_.silence(answer.error()));
  Result<std::vector<Row>> all = read_rows(*answer);
  if (!all) return failure(admin_.silence(all.error()));
  if (!text()) return {cli::kDone, answer->body, ""};
  std::size_t widest = 8;
  for (const Row& row : *all) widest = std::max(widest, text_words(row.name).size());
  std::string out = fmt::format("{:<{}}  {:<9}  {:<9}  {:<10}  {}\n", "INSTANCE", widest, "STATE",
                                "IN FLIGHT", "RUN BY", "URL");
  for (const Row& row : *all) {
    out += fmt::format("{:<{}}  {:<9}  {:<9}  {:<10}  {}{}\n", text_words(row.name), widest,
                       row.health, row.in_flight, row.supervised ? "drover" : "another",
                       text_words(row.url),
                       row.reason.empty() ? "" : "  (" + text_words(row.reason) + ")");
  }
  return {cli::kDone, out, ""};
}

cli::Printed Work::drain() {
  const bool draining = command_.action == cli::BackendsCommand::Action::kDrain;
  const std::string& name = command_.names.front();
  const auto refused = post(path_of(name, draining ? "drain" : "undrain"));
  if (refused) return failure(*refused);
  if (!text()) {
    return {cli::kDone,
            fmt::format("{{\"instance\":{},\"draining\":{}}}\n", json_quoted(name), draining), ""};
  }
  return {cli::kDone,
          draining ? fmt::format("{} gets nothing new; what it has goes on\n", text_words(name))
                   : fmt::format("{} gets requests again\n", text_words(name)),
          ""};
}

// In the order of the names, or of the configuration with --all.
Result<std::vector<Row>> Work::chosen() {
  Result<std::vector<Row>> all = rows();
  if (!all) return wrong(admin_.silence(all.error()));
  std::vector<Row> wanted;
  for (const std::string& name : command_.names) {
    const auto found = std::ranges::find(*all, name, &Row::name);
    if (found == all->end()) {
      return wrong(fmt::format("no instance is named '{}'; drover backends list shows them",
                               text_words(name)));
    }
    wanted.push_back(*found);
  }
  if (!command_.names.empty()) return wanted;
  std::ranges::copy_if(*all, std::back_inserter(wanted), &Row::supervised);
  if (wanted.empty()) {
    return wrong(
        "drover runs none of its instances, so it cannot restart them; restart them where "
        "they run");
  }
  return wanted;
}

std::optional<std::string> Work::order_restart(const Row& before) {
  if (text()) {
    admin_.say(fmt::format("{}: draining {} requests, then restarting\n", text_words(before.name),
                           before.in_flight));
  }
  return post(fmt::format("{}?grace={}", path_of(before.name, "restart"), command_.grace_seconds));
}

// Well: a newer process, and the scheduler takes it for up, which a served check made it.
std::optional<std::string> Work::wait_until_well(const Row& before) {
  const auto limit = std::chrono::seconds(command_.grace_seconds) + kStartTime;
  std::string last = "not seen";
  for (Duration waited{}; waited <= limit; waited += kPoll) {
    admin_.pause(kPoll);
    Result<std::vector<Row>> all = rows();
    if (!all) {
      last = all.error().message;
      continue;
    }
    const auto now = std::ranges::find(*all, before.name, &Row::name);
    if (now == all->end()) return "it is not configured any more";
    const bool newer = now->starts > before.starts && !now->restarting;
    if (newer && now->health == "up") return std::nullopt;
    last = now->reason.empty() ? now->health : fmt::format("{} ({})", now->health, now->reason);
  }
  return fmt::format("it is not well again after {} s: {}", limit.count(), text_words(last));
}

cli::Printed Work::stopped(const std::vector<Row>& all, std::size_t at, const std::string& why) {
  std::string left;
  for (std::size_t i = at + 1; i < all.size(); ++i) {
    left += (left.empty() ? "" : ", ") + text_words(all[i].name);
  }
  const bool rolling = command_.order == Order::kRolling;
  const std::string rest =
      rolling && !left.empty() ? fmt::format("; left alone: {}", left) : std::string();
  cli::Printed printed = failure(fmt::format("{}: {}{}", text_words(all[at].name), why, rest));
  if (!text()) {
    printed.out = fmt::format("{{\"restarted\":[{}],\"failed\":{},\"reason\":{}}}\n", done_,
                              json_quoted(all[at].name), json_quoted(why));
  }
  return printed;
}

cli::Printed Work::restart() {
  Result<std::vector<Row>> wanted = chosen();
  if (!wanted) return failure(wanted.error().message);
  const bool rolling = command_.order == Order::kRolling;
  for (std::size_t i = 0; !rolling && i < wanted->size(); ++i) {
    const auto refused = order_restart((*wanted)[i]);
    if (refused) return stopped(*wanted, i, *refused);
  }
  for (std::size_t i = 0; i < wanted->size(); ++i) {
    const Row& before = (*wanted)[i];
    if (const auto refused = rolling ? order_restart(before) : std::nullopt) {
      return stopped(*wanted, i, *refused);
    }
    if (const auto ill = wait_until_well(before)) return stopped(*wanted, i, *ill);
    if (text()) admin_.say(fmt::format("{}: serves again\n", text_words(before.name)));
    done_ += (done_.empty() ? "" : ",") + json_quoted(before.name);
  }
  if (text()) return {};
  return {cli::kDone, fmt::format("{{\"restarted\":[{}]}}\n", done_), ""};
}

}  // namespace

cli::Printed work_on_backends(const cli::BackendsCommand& command, const AdminSide& admin) {
  Work work(command, admin);
  switch (command.action) {
    case cli::BackendsCommand::Action::kList:
      return work.list();
    case cli::BackendsCommand::Action::kRestart:
      return work.restart();
    default:
      return work.drain();
  }
}

cli::Printed run_backends(const cli::BackendsCommand& command,
                          const config::Environment& environment) {
  const Result<AdminTarget> where = admin_target(command.config, environment);
  if (!where) return failure(where.error().message);
  const config::HostPort address = where->admin;
  AdminSide admin;
  admin.get = [&address](std::string_view path) { return http_get(address, path, kAdminPatience); };
  admin.post = [&address](std::string_view path) {
    return http_post(address, path, kAdminPatience);
  };
  admin.pause = [](Duration time) {
    ::poll(nullptr, 0,
           static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(time).count()));
  };
  admin.say = [](std::string_view line) {
    std::fwrite(line.data(), 1, line.size(), stdout);
    std::fflush(stdout);
  };
  admin.silence = [&address](const Error& error) { return explain_no_answer(address, error); };
  cli::Printed printed = work_on_backends(command, admin);
  printed.err = where->warning + printed.err;
  return printed;
}

}  // namespace drover::app
