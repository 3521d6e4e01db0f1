#pragma once
// One supervised instance: `ollama serve` under its minder, from its first start to the end of
// drover. The coroutine run() is its biography; everything else lets others read it or turn its
// pages.
//
//              ┌────────── wait over ───────────┐
//              ▼                                │
//   ──▶ Starting ──answers HTTP──▶ Running ──ended──▶ Waiting ──too often──▶ Quarantined
//              └──────ended, or no answer───────▲          (an operator's restart leads back)
//
// Belongs to the keeper's loop.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/process.h"
#include "keeper/messages.h"
#include "keeper/output_log.h"
#include "keeper/plan.h"
#include "net/child_process.h"
#include "net/epoll_loop.h"

namespace drover::keeper {

// Whether and when it is started again. Two implementations: core's policy, handed in by app, and a
// scripted one of tests.
class RestartRule {
 public:
  struct Verdict {
    bool quarantine = false;
    Duration wait{};     // before the next start
    std::string reason;  // of the quarantine
  };
  virtual ~RestartRule() = default;
  virtual Verdict failed(Instant now, std::string_view why) = 0;
  virtual void served() = 0;   // a client's request was answered well
  virtual void forgive() = 0;  // an operator wants it tried anew
};

struct InstanceOptions {
  InstancePlan plan;
  std::string drover;                         // our own program: it is the minder, too
  std::string ollama;                         // absolute path
  std::string user;                           // whom ollama runs as; empty: as we do
  std::vector<std::string> base_environment;  // what the plan's comes on top of
  Duration start_timeout{};
  Duration stop_timeout{};
  OutputLog::Options log;
};

class Instance {
 public:
  Instance(net::EpollLoop& loop, InstanceOptions options, std::unique_ptr<RestartRule> rule,
           Log& log, std::function<void()> changed);

  // Begins to live.
  void start() { life_.start(run()); }
  // Ends the process and starts it anew. kOperator also leads out of quarantine and waiting.
  void restart(RestartKind kind, std::string reason);
  void served() { rule_->served(); }
  // Ends it for good; kReady once it is gone. At most the stop timeout and a little.
  net::Event::Awaiter stop();

  const std::string& name() const { return options_.plan.name; }
  const InstancePlan& plan() const { return options_.plan; }
  const InstanceProcess& process() const { return process_; }
  // The minder's process number; 0: none.
  pid_t minder() const { return child_ && !child_->ended() ? child_->pid() : 0; }
  // Reads what the tree uses, and which process is the server. Returns its processes.
  std::vector<pid_t> measure();
  void set_pinning(std::optional<bool> well, std::string detail);

 private:
  enum class Wish : std::uint8_t { kNone, kRestart, kStop };

  net::Task<void> run();
  net::Task<std::string> live();
  net::Task<bool> becomes_ready();
  net::Task<bool> answers();
  net::Task<void> end_process();
  Result<void> spawn();
  std::string why_it_ended() const;
  void enter(ProcessState state, std::string reason = {});

  net::EpollLoop& loop_;
  InstanceOptions options_;
  std::unique_ptr<RestartRule> rule_;
  Log& log_;
  std::function<void()> changed_;
  OutputLog output_;
  InstanceProcess process_;

  std::unique_ptr<net::ChildProcess> child_;
  int lifeline_ = -1;  // the minder kills everything when it is closed
  Wish wish_ = Wish::kNone;
  RestartKind restart_kind_ = RestartKind::kOperator;
  std::string restart_reason_;
  net::Cancel interrupted_;  // a wish came
  net::Event ended_;
  net::OwnedTask life_;
};

}  // namespace drover::keeper
