#include "keeper/gateway_process.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <utility>

namespace drover::keeper {
namespace {

// Error records of what is cut at the end of a drain, and the exit.
constexpr Duration kForcedTime = std::chrono::seconds(5);
constexpr Duration kFirstWait = std::chrono::milliseconds(100);
constexpr Duration kLongestWait = std::chrono::seconds(5);
// One that ran this long before it crashed was no victim of its start.
constexpr Duration kLongLife = std::chrono::minutes(1);

}  // namespace

GatewayProcess::GatewayProcess(net::EpollLoop& loop, Options options, Log& log, Heard heard)
    : loop_(loop),
      options_(std::move(options)),
      log_(log),
      heard_(std::move(heard)),
      ending_timer_(loop),
      life_(loop) {}

GatewayProcess::~GatewayProcess() {
  for (const int fd : options_.listeners) ::close(fd);
}

void GatewayProcess::send(const Message& message) {
  if (link_) link_->send(message);
}

void GatewayProcess::end(int signal) {
  const bool again = std::exchange(ending_, true);
  for (const int fd : options_.listeners) ::close(fd);
  options_.listeners.clear();
  if (child_) child_->signal(signal);
  // One that does not even hear that it shall end must not keep the instances.
  ending_timer_.stop();
  ending_timer_.start(end_by_force(again ? kForcedTime : options_.drain + kForcedTime));
}

net::Task<void> GatewayProcess::end_by_force(Duration after) {
  co_await loop_.sleep_for(after);
  log_.error("gateway does not end, killing it", {});
  if (child_) child_->signal(SIGKILL);
}

void GatewayProcess::misunderstood(pid_t pid, const std::string& why) {
  if (why == Link::kPeerGone || this->pid() != pid) return;
  log_.error("gateway is not understood, killing it", {{"reason", std::string_view(why)}});
  child_->signal(SIGKILL);
}

net::Task<void> GatewayProcess::run() {
  Duration wait = kFirstWait;
  for (;;) {
    const Instant began = loop_.now();
    Result<void> started = spawn();
    if (!started) {
      log_.error("gateway cannot be started",
                 {{"reason", std::string_view(started.error().message)}});
      co_return heard_.end(1);
    }
    co_await child_->wait(kNever);
    link_.reset();
    ready_ = false;
    // Before one of them ever served, its own words say why; another try would say them again.
    if (ending_ || !ever_ready_) co_return heard_.end(exit_code());
    if (loop_.now() - began > kLongLife) wait = kFirstWait;
    const std::string how = child_->status().to_string();
    log_.error("gateway ended, starting it again",
               {{"how", std::string_view(how)}, {"after_seconds", to_seconds(wait)}});
    // Connections that come in the meantime wait in the kernel.
    co_await loop_.sleep_for(wait);
    if (ending_) co_return heard_.end(exit_code());
    wait = std::min(wait * 2, kLongestWait);
  }
}

Result<void> GatewayProcess::spawn() {
  Result<std::pair<int, int>> pair = link_pair();
  if (!pair) return std::move(pair).error();
  const auto [ours, theirs] = *pair;
  net::SpawnOptions options;
  options.program = net::kThisProgram;
  options.argv = {options_.drover, kGatewayVerb, "--listeners",
                  std::to_string(options_.listeners.size())};
  options.environment = options_.environment;
  options.descriptors = {{theirs, kLinkDescriptor}};
  int target = kFirstListener;
  for (const int fd : options_.listeners) options.descriptors.emplace_back(fd, target++);
  options.signal_on_our_death = SIGKILL;
  Result<std::unique_ptr<net::ChildProcess>> child = net::ChildProcess::start(loop_, options);
  ::close(theirs);
  std::unique_ptr<net::Stream> stream = link_stream(loop_, ours);
  if (!child) return std::move(child).error();
  if (!stream) {
    return Error{ErrorKind::kSystem, Origin::kSelf, Retry::kNever, "no descriptor is left"};
  }
  child_ = std::move(*child);
  // Its end is heard of by the process's end, unless the two do not understand each other: then the
  // gateway would decide by what it heard last, for ever.
  const pid_t pid = child_->pid();
  link_ = std::make_unique<Link>(
      loop_, std::move(stream), MessageReader(),
      Link::Heard{[this](Message message) { heard(std::move(message)); },
                  [this, pid](const std::string& why) { misunderstood(pid, why); }});
  link_->start();
  link_->send(options_.welcome);
  options_.welcome.greeting.clear();  // said once
  heard_.started();
  return {};
}

void GatewayProcess::heard(Message message) {
  if (std::holds_alternative<Ready>(message)) {
    ready_ = ever_ready_ = true;
    return;
  }
  heard_.message(std::move(message));
}

int GatewayProcess::exit_code() const {
  const net::ExitStatus& status = child_->status();
  return status.signal == 0 ? status.code : 1;
}

}  // namespace drover::keeper
