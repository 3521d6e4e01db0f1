#include "keeper/instance.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <csignal>
#include <map>

#include "keeper/minder.h"
#include "keeper/process_tree.h"
#include "net/stream.h"

namespace drover::keeper {
namespace {

constexpr Duration kBetweenLooks = std::chrono::milliseconds(50);  // while it starts
constexpr Duration kAnswerTime = std::chrono::seconds(2);
constexpr Duration kMinderTime = std::chrono::seconds(15);  // to sweep what the kernel holds

// The last of two equal names wins.
std::vector<std::string> merged(const std::vector<std::string>& base,
                                const std::vector<std::string>& more) {
  std::map<std::string, std::string> by_name;
  for (const auto* list : {&base, &more}) {
    for (const std::string& entry : *list) by_name[entry.substr(0, entry.find('='))] = entry;
  }
  std::vector<std::string> all;
  for (auto& [name, entry] : by_name) all.push_back(std::move(entry));
  return all;
}

}  // namespace

Instance::Instance(net::EpollLoop& loop, InstanceOptions options, std::unique_ptr<RestartRule> rule,
                   Log& log, std::function<void()> changed)
    : loop_(loop),
      options_(std::move(options)),
      rule_(std::move(rule)),
      log_(log),
      changed_(std::move(changed)),
      output_(loop, options_.log),
      ended_(loop),
      life_(loop) {}

void Instance::restart(RestartKind kind, std::string reason) {
  const bool ended =
      process_.state == ProcessState::kWaiting || process_.state == ProcessState::kQuarantined;
  if (kind == RestartKind::kFault && ended) return;  // an old story: the rule has judged it
  if (wish_ == Wish::kRestart && kind == RestartKind::kOperator) restart_kind_ = kind;
  if (wish_ != Wish::kNone) return;  // it is on its way already
  wish_ = Wish::kRestart;
  restart_kind_ = kind;
  restart_reason_ = std::move(reason);
  interrupted_.trigger(net::CancelReason::kRevoked);
}

net::Event::Awaiter Instance::stop() {
  if (!life_.running()) ended_.set();
  wish_ = Wish::kStop;
  interrupted_.trigger(net::CancelReason::kShutdown);
  return ended_.wait(loop_.now() + options_.stop_timeout + kMinderTime);
}

// --- the biography ---

net::Task<void> Instance::run() {
  while (wish_ != Wish::kStop) {
    const std::string end = co_await live();
    if (wish_ == Wish::kStop) break;
    const bool asked = std::exchange(wish_, Wish::kNone) == Wish::kRestart;
    if (interrupted_.triggered()) interrupted_.reset();
    if (asked && restart_kind_ == RestartKind::kOperator) {
      rule_->forgive();
      continue;
    }
    const RestartRule::Verdict verdict = rule_->failed(loop_.now(), end);
    if (verdict.quarantine) {
      enter(ProcessState::kQuarantined, verdict.reason);
      co_await loop_.sleep_until(kNever, &interrupted_);
    } else {
      enter(ProcessState::kWaiting,
            fmt::format("{}; starts again in {:.1f} s", end, to_seconds(verdict.wait)));
      co_await loop_.sleep_for(verdict.wait, &interrupted_);
    }
    if (wish_ != Wish::kRestart) continue;
    wish_ = Wish::kNone;
    interrupted_.reset();
    rule_->forgive();  // only an operator ends the wait
  }
  enter(ProcessState::kStopped, "stopped with drover");
  ended_.set();
}

// One life of the process; returns why it ended.
net::Task<std::string> Instance::live() {
  output_.forget_last_line();
  enter(ProcessState::kStarting);
  // Whoever answers there would be taken for ours, pinned and well.
  const bool taken = co_await answers();
  if (taken) {
    co_return fmt::format("port {} is served by another process", options_.plan.port);
  }
  Result<void> started = spawn();
  if (!started) co_return started.error().message;
  const bool ready = co_await becomes_ready();
  if (ready) {
    enter(ProcessState::kRunning);
    co_await child_->wait(kNever, &interrupted_);
  }
  std::string end;
  if (child_->ended()) {
    end = why_it_ended();
  } else if (wish_ != Wish::kNone) {
    end = wish_ == Wish::kRestart ? restart_reason_ : "stopped";
  } else {
    end = fmt::format("gave no HTTP answer within {:.0f} s of its start",
                      to_seconds(options_.start_timeout));
  }
  co_await end_process();
  output_.note(fmt::format("{} ended: {}", name(), end));
  co_return end;
}

Result<void> Instance::spawn() {
  int lifeline[2];
  if (::pipe2(lifeline, O_CLOEXEC) != 0) {
    return Error{ErrorKind::kSystem, Origin::kSelf, Retry::kNever, "no descriptor is left"};
  }
  const int output = output_.open_pipe();
  net::SpawnOptions options;
  options.program = net::kThisProgram;
  options.argv = minder_arguments(
      {options_.drover, options_.stop_timeout, options_.user, {options_.ollama, "serve"}});
  options.environment = merged(options_.base_environment, options_.plan.environment);
  options.descriptors = {{lifeline[0], STDIN_FILENO}};
  if (output >= 0) {
    options.descriptors.emplace_back(output, STDOUT_FILENO);
    options.descriptors.emplace_back(output, STDERR_FILENO);
  }
  output_.note(fmt::format("starting {} as {}", options_.ollama, name()));
  Result<std::unique_ptr<net::ChildProcess>> child = net::ChildProcess::start(loop_, options);
  ::close(lifeline[0]);
  if (output >= 0) ::close(output);
  if (!child) {
    ::close(lifeline[1]);
    return std::move(child).error();
  }
  child_ = std::move(*child);
  lifeline_ = lifeline[1];
  ++process_.starts;
  return {};
}

// True once it has answered HTTP. A connection alone proves nothing: Ollama listens before it has
// looked for GPUs.
net::Task<bool> Instance::becomes_ready() {
  const Instant until = loop_.now() + options_.start_timeout;
  while (loop_.now() < until) {
    const bool answered = co_await answers();
    if (answered) co_return true;
    const net::WaitResult waited =
        co_await child_->wait(loop_.now() + kBetweenLooks, &interrupted_);
    if (waited != net::WaitResult::kTimedOut) co_return false;
  }
  co_return false;
}

net::Task<bool> Instance::answers() {
  const Instant deadline = loop_.now() + kAnswerTime;
  const std::string address = fmt::format("127.0.0.1:{}", options_.plan.port);
  Result<std::unique_ptr<net::Stream>> stream =
      co_await loop_.connect(*net::Endpoint::parse(address), deadline, &interrupted_);
  if (!stream) co_return false;
  const std::string request =
      fmt::format("GET /api/version HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", address);
  const std::string_view parts[] = {request};
  Result<void> sent = co_await net::write_all(**stream, parts, kAnswerTime, &interrupted_);
  if (!sent) co_return false;
  // The keeper reads no more of it than that it is an answer.
  constexpr std::string_view kWell = "HTTP/1.1 200";
  std::string head;
  while (head.size() < kWell.size()) {
    const net::WaitResult waited = co_await (*stream)->readable(deadline, &interrupted_);
    if (waited != net::WaitResult::kReady) co_return false;
    const net::Io io = (*stream)->read(loop_.scratch().first(kWell.size() - head.size()));
    if (io.state == net::Io::State::kWouldBlock) continue;
    if (io.state != net::Io::State::kMoved) co_return false;
    head.append(loop_.scratch().data(), io.bytes);
  }
  co_return head == kWell;
}

// Whatever is left of it. The minder has its grace for the server and then sweeps the tree.
net::Task<void> Instance::end_process() {
  if (!child_->ended()) {
    enter(ProcessState::kStopping, wish_ == Wish::kRestart ? restart_reason_ : "");
    child_->signal(SIGTERM);
    co_await child_->wait(loop_.now() + options_.stop_timeout + kMinderTime / 2);
  }
  if (!child_->ended()) {
    log_.error("instance cannot be ended", {{"instance", std::string_view(name())}});
  }
  ::close(std::exchange(lifeline_, -1));
  child_.reset();
  process_.pid = 0;
  process_.processes = 0;
  process_.cpu = {};
  process_.rss_bytes = 0;
  process_.open_files = 0;
  process_.pinned_well.reset();
  process_.pinning_detail.clear();
}

std::string Instance::why_it_ended() const {
  net::ExitStatus status = child_->status();
  // The minder reports its command's signal as shells do.
  if (status.signal == 0 && status.code > 128) status = {0, status.code - 128};
  std::string why = status.to_string();
  if (!output_.last_line().empty()) why += ": " + output_.last_line();
  return why;
}

void Instance::enter(ProcessState state, std::string reason) {
  process_.state = state;
  process_.reason = std::move(reason);
  const bool bad = state == ProcessState::kWaiting || state == ProcessState::kQuarantined;
  const LogField fields[] = {{"instance", std::string_view(name())},
                             {"state", to_string(state)},
                             {"reason", std::string_view(process_.reason)}};
  log_.write(bad ? LogLevel::kWarn : LogLevel::kInfo, "instance process",
             {fields, process_.reason.empty() ? 2U : 3U});
  changed_();
}

// --- what it uses ---

std::vector<pid_t> Instance::measure() {
  std::vector<pid_t> tree = process_tree(minder());
  if (minder() == 0 || tree.empty()) return {};
  tree.erase(tree.begin());  // the minder itself
  const TreeUse use = keeper::measure(tree);
  process_.pid = tree.empty() ? 0 : tree.front();
  process_.processes = use.processes;
  process_.cpu = use.cpu;
  process_.rss_bytes = use.rss_bytes;
  process_.open_files = use.open_files;
  return tree;
}

void Instance::set_pinning(std::optional<bool> well, std::string detail) {
  const bool worse = well == false && process_.pinned_well != false;
  process_.pinned_well = well;
  process_.pinning_detail = std::move(detail);
  if (!worse) return;
  log_.error("instance is not where it was pinned",
             {{"instance", std::string_view(name())},
              {"detail", std::string_view(process_.pinning_detail)}});
  changed_();
}

}  // namespace drover::keeper
