#pragma once
// The keeper beside instances that systemd owns: it looks at them and at the GPUs, tells the
// gateways what it sees, and asks systemd to restart an instance when a gateway wants it. Like a
// night watchman in somebody else's house: he has eyes and a telephone, and no keys.

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/log.h"
#include "keeper/gpu_watch.h"
#include "keeper/link_server.h"
#include "net/epoll_loop.h"
#include "net/worker.h"

namespace drover::keeper {

class ServiceKeeper {
 public:
  struct Options {
    Welcome welcome;  // `supervised` names the instances; their units follow from the names
    std::string socket;
    std::unique_ptr<GpuReader> gpus;  // null: nobody looks
    // A round starts one systemctl, some milliseconds of one CPU.
    Duration interval = std::chrono::seconds(2);
  };
  // `looked` is called after each look at the instances. Errors: the socket's.
  static Result<std::unique_ptr<ServiceKeeper>> start(net::EpollLoop& loop, Options options,
                                                      Log& log, std::function<void()> looked = {});

  // One line for people: "3 instances, 2 running; 1 gateway".
  std::string summary() const;

 private:
  ServiceKeeper(net::EpollLoop& loop, Options options, Log& log, std::function<void()> looked);
  void on_message(const Message& message);
  void tell_everything(Link& link) const;

  // What one visit to systemd brought, made on the worker's thread.
  struct Visit;
  net::Task<void> rounds();
  std::shared_ptr<Visit> next_visit();
  void take(const Visit& visit);
  void measure();

  struct Watched {
    std::string name;
    std::string unit;
    InstanceProcess process;
    std::int64_t last_pid = 0;  // of the newest process that was seen
  };

  net::EpollLoop& loop_;
  Options options_;
  Log& log_;
  std::function<void()> looked_;
  std::vector<Watched> instances_;    // in the order of Welcome::supervised
  std::set<std::uint32_t> restarts_;  // wanted, not asked for yet
  std::string complaint_;             // systemd's last one, said once
  std::unique_ptr<LinkServer> server_;
  std::unique_ptr<GpuWatch> gpus_;
  std::shared_ptr<const GpuReport> report_;
  net::Event wanted_;   // a restart is
  net::Event visited_;  // the worker is back
  net::Worker worker_;
  net::OwnedTask task_;
};

}  // namespace drover::keeper
