#pragma once
// The keeper: the small process that owns what must outlive everything else. It holds the listening
// sockets, runs the gateway and the Ollama instances as its children, reads the GPUs, and parses
// nothing that comes from the network.
//
// Picture a stage manager: never seen by the audience, but whoever falls off the stage is put back
// on it, and nobody is left in the building when the lights go out.

#include <functional>
#include <memory>
#include <vector>

#include "base/log.h"
#include "keeper/gateway_process.h"
#include "keeper/gpu_watch.h"
#include "keeper/instance.h"
#include "net/epoll_loop.h"

namespace drover::keeper {

// Kills processes of an earlier keeper that was killed itself, and waits (a few seconds at most)
// until they are gone and have given back their memory. Returns how many there were.
std::size_t end_leftovers();

class Keeper {
 public:
  struct Options {
    GatewayProcess::Options gateway;
    std::vector<InstanceOptions> instances;  // in the order of Welcome::supervised
    std::function<std::unique_ptr<RestartRule>()> make_rule;
    std::unique_ptr<GpuReader> gpus;  // null: nobody looks
    // What was seen when the instances were planned: the gateway must not decide about memory
    // before it knows how much there is. May be null.
    std::shared_ptr<const GpuReport> first_report;
  };
  Keeper(net::EpollLoop& loop, Options options, Log& log);
  ~Keeper();

  // Until the gateway has ended and every instance after it. Returns the exit code. To be called
  // once; the process becomes the reaper of its grandchildren.
  int run();

 private:
  void on_signal(int number);
  void take(GpuReport report);
  void on_message(const Message& message);
  void on_gateway_end(int exit_code);
  net::Task<void> stop_instances();
  net::Task<void> measure_rounds();
  void measure();
  void tell_everything();
  void tell(std::uint32_t instance);
  void sweep_strangers();

  net::EpollLoop& loop_;
  Options options_;
  Log& log_;
  std::vector<std::unique_ptr<Instance>> instances_;
  GatewayProcess gateway_;
  std::unique_ptr<GpuWatch> gpus_;
  std::shared_ptr<const GpuReport> report_;
  Instant began_{};
  int exit_code_ = 0;
};

}  // namespace drover::keeper
