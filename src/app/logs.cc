#include "app/logs.h"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <map>
#include <utility>

#include "app/effective.h"
#include "app/escape.h"
#include "app/log_tail.h"
#include "app/places.h"
#include "net/epoll_loop.h"
#include "net/signals.h"

namespace drover::app {
namespace {

// What a person takes for "at once". Halving it doubles what an idle follower costs.
constexpr Duration kLookEvery = std::chrono::milliseconds(200);

int refuse(const std::string& message) {
  std::fprintf(stderr, "drover: %s\n", message.c_str());
  return cli::kFailed;
}

std::string listed(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) out += (out.empty() ? "" : ", ") + text_words(name);
  return out;
}

// Line by line, made harmless for a terminal; a long one in several pieces, nothing is cut off.
void print_line(std::string_view name, std::size_t width, std::string_view line) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  do {
    // Not within a character: those of UTF-8 have at most three bytes behind the first.
    std::size_t end = std::min(line.size(), kLongestValue - 4);
    while (end < line.size() && (static_cast<unsigned char>(line[end]) & 0xC0) == 0x80) ++end;
    end = std::min(end, kLongestValue);
    const std::string text =
        fmt::format("{:<{}} | {}\n", text_words(name), width, text_words(line.substr(0, end)));
    std::fwrite(text.data(), 1, text.size(), stdout);
    line.remove_prefix(end);
  } while (!line.empty());
}

bool nobody_reads() {
  pollfd out{STDOUT_FILENO, 0, 0};
  return std::ferror(stdout) != 0 ||
         (::poll(&out, 1, 0) > 0 && (out.revents & (POLLERR | POLLHUP | POLLNVAL)) != 0);
}

class Follower {
 public:
  Follower(std::string directory, const cli::LogsCommand& command)
      : directory_(std::move(directory)), command_(command) {}

  // The last lines of each, one instance after the other.
  Result<void> print_last(const std::vector<std::string>& names) {
    for (const std::string& name : names) width_ = std::max(width_, text_words(name).size());
    for (const std::string& name : names) {
      LogTail& tail = add(name);
      Result<void> read = tail.last(command_.lines, printer(name));
      if (!read) return read;
      if (!command_.follow && command_.lines > 0 && !tail.rest().empty()) {
        print_line(name, width_, tail.rest());
      }
    }
    std::fflush(stdout);
    return {};
  }

  void follow() {
    std::signal(SIGPIPE, SIG_IGN);  // the closed output is looked for
    const net::Signals signals(loop_, {SIGINT, SIGTERM}, [this](int) { loop_.stop(); });
    loop_.spawn(rounds());
    loop_.run();
  }

 private:
  net::Task<void> rounds() {
    while (!nobody_reads()) {
      // Without names, an instance that is new belongs to "all".
      if (command_.names.empty()) find_new();
      for (auto& [name, tail] : tails_) tail.more(printer(name));
      std::fflush(stdout);
      co_await loop_.sleep_for(kLookEvery);
    }
    loop_.stop();
  }

  void find_new() {
    const Result<std::vector<std::string>> names = logged_instances(directory_);
    if (!names) return;
    for (const std::string& name : *names) {
      if (!tails_.contains(name)) add(name);
    }
  }

  LogTail& add(const std::string& name) {
    return tails_.emplace(name, LogTail(fmt::format("{}/{}.log", directory_, name))).first->second;
  }

  LogTail::OnLine printer(const std::string& name) const {
    return [name, width = width_](std::string_view line) { print_line(name, width, line); };
  }

  std::string directory_;
  const cli::LogsCommand& command_;
  std::size_t width_ = 0;
  std::map<std::string, LogTail> tails_;
  net::EpollLoop loop_;
};

std::string no_logs(const std::string& directory) {
  return fmt::format(
      "there are no logs in {}: drover has not run instances yet, or it keeps its state elsewhere "
      "(state_dir in its configuration, STATE_DIRECTORY; /var/lib/drover for root: sudo drover "
      "logs)",
      directory);
}

}  // namespace

int run_logs(const cli::LogsCommand& command, const config::Environment& environment) {
  const Effective effective = effective_config(command.config, environment);
  if (!effective.result.ok()) return refuse(effective.result.errors.front().render());
  const std::string directory = log_dir(state_dir(effective.result.config, environment));
  Result<std::vector<std::string>> known = logged_instances(directory);
  if (!known && !known.error().message.empty()) return refuse(known.error().message);
  if (!known || known->empty()) return refuse(no_logs(directory));
  std::vector<std::string> names;
  for (const std::string& name : command.names) {
    if (std::ranges::find(*known, name) == known->end()) {
      return refuse(fmt::format("no log of an instance {} is in {}; there are: {}",
                                text_value(name), directory, listed(*known)));
    }
    if (std::ranges::find(names, name) == names.end()) names.push_back(name);
  }
  Follower follower(directory, command);
  Result<void> printed = follower.print_last(command.names.empty() ? *known : names);
  if (!printed) return refuse(printed.error().message);
  if (command.follow) follower.follow();
  return cli::kDone;
}

}  // namespace drover::app
