#pragma once
// LiveFleet: the simulator's instances as Ollamas on real ports. The same SimBackend that `drover
// sim` computes with decides here when a token is due; only time is the wall clock's. So the whole
// daemon can be asked what the simulator foretold.
//
// A prompt says which request of the workload it is ("job 17 …"); an empty one loads, and with
// keep_alive 0 unloads, as in Ollama.

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "fake_ollama/http.h"
#include "net/loop.h"
#include "sim/world.h"

namespace drover::live {

class LiveFleet {
 public:
  // All outlive it.
  LiveFleet(net::Loop& loop, const sim::Fleet& fleet, const sim::Workload& workload);
  LiveFleet(const LiveFleet&) = delete;
  LiveFleet& operator=(const LiveFleet&) = delete;

  // On ports of the kernel's choice, one for each instance. Empty: the kernel refuses.
  std::vector<net::Endpoint> listen();
  // Without anybody's asking, one after the other.
  void load_all(sim::InstanceIndex instance, const std::vector<sim::ModelIndex>& models);
  // What is loaded, as /api/ps says.
  std::vector<sim::ModelIndex> loaded(sim::InstanceIndex instance);
  std::uint64_t loads() const;

 private:
  // One request under way: where its frame hears from the instance.
  struct Asked {
    explicit Asked(net::Loop& loop) : changed(loop) {}
    net::Event changed;
    bool writes = false;
    bool ended = false;
    std::uint32_t cached = 0;
    sim::Durations took;
  };
  Instant now() const { return Instant{} + (loop_.now() - began_); }
  sim::SimBackend& at(sim::InstanceIndex instance);  // as it is at this moment
  void heed();                                       // notices, and the next instant that counts
  net::Task<void> keep_time();
  net::Task<void> accept(sim::InstanceIndex instance, std::unique_ptr<net::Listener> listener);
  net::Task<void> converse(sim::InstanceIndex instance, std::unique_ptr<net::Stream> stream);
  net::Task<void> answer(sim::InstanceIndex instance, fake::Connection& client,
                         const fake::Request& request);
  net::Task<void> generate(sim::InstanceIndex instance, fake::Connection& client,
                           sim::JobIndex job);
  net::Task<void> load(sim::InstanceIndex instance, fake::Connection& client,
                       sim::ModelIndex model);
  std::uint64_t written(sim::InstanceIndex instance, sim::JobIndex job);
  std::string tags(sim::InstanceIndex instance) const;
  std::string ps(sim::InstanceIndex instance);

  net::Loop& loop_;
  const sim::Fleet& fleet_;
  const sim::Workload& workload_;
  Instant began_;
  std::deque<sim::Host> hosts_;  // these two never move: backends refer to hosts
  std::deque<sim::SimBackend> backends_;
  std::map<sim::JobIndex, Asked*> asked_;
  std::map<std::pair<sim::InstanceIndex, sim::ModelIndex>, std::vector<net::Event*>> loading_;
  net::Event nudge_;
};

}  // namespace drover::live
