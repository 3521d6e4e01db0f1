#pragma once
// Asks every instance how it is and what it has, and tells the engine what it saw; says to one what
// the core wants said (one token, please; unload this). Decides nothing. Lives on the engine's home
// loop.
//
// Two rounds per instance run beside each other: /api/tags, which is also the health check, and
// /api/ps, which a wedged instance stops answering while everything else still looks well.

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/rng.h"
#include "base/time.h"
#include "engine/engine.h"
#include "net/loop.h"
#include "net/resolver.h"

namespace drover::probe {

struct ProbeSettings {
  Duration interval = std::chrono::seconds(2);
  Duration check_timeout = std::chrono::seconds(2);
  Duration residency_timeout = std::chrono::seconds(5);
  // One token of a loaded model takes milliseconds. Longer, and a hang would be found later than
  // the 30 s that are promised; see core::HangRules.
  Duration canary_timeout = std::chrono::seconds(4);
  // Ollama waits up to 5 s for memory to come back before it answers anything else.
  Duration unload_timeout = std::chrono::seconds(10);
  // Longer than any load that moves: a model of 200 GB from a slow disk. The core gives up sooner.
  Duration load_timeout = std::chrono::minutes(15);
  double jitter = 0.1;  // of the interval, either way: instances are not asked in step
  std::uint64_t seed = 1;
};

struct ProbeTarget {
  BackendId id;
  net::HostPort address;
};

class Probe {
 public:
  Probe(net::Loop& loop, net::Resolver& resolver, engine::Engine& engine, ProbeSettings settings,
        std::vector<ProbeTarget> targets);

  // Spawns the rounds; the first ones start at once. They run until stop().
  void start();
  void stop();

  // Asks everybody for the catalogue now; engine.refresh_done() follows when all have answered or
  // timed out.
  void refresh();

  // Asks every instance that is not down what it has and what it has loaded, and ends when all have
  // answered or timed out.
  net::Task<void> look_again();

  // Asks for one token; engine.canary_done() follows.
  void canary(const core::Canary& wanted);
  // Brings a model into an instance's memory; engine.load_done() follows. Nobody's leaving stops
  // it.
  void load(const core::Load& wanted);
  // Takes a model out of an instance's memory, then looks at what is loaded there.
  void unload(const core::Unload& wanted);

 private:
  net::Task<void> check_rounds(ProbeTarget target);
  net::Task<void> residency_rounds(ProbeTarget target);
  net::Task<void> sing(ProbeTarget target, core::Canary wanted);
  net::Task<void> bring_in(ProbeTarget target, core::Load wanted);
  net::Task<void> take_out(ProbeTarget target, core::Unload wanted);
  net::Task<void> refresh_one(ProbeTarget target, std::shared_ptr<std::size_t> outstanding);
  struct Looks;
  net::Task<void> look_once(ProbeTarget target, std::shared_ptr<Looks> looks);
  // Whoever asks beside the rounds keeps its misses: all who miss in the same pause are one miss,
  // and behind an unload /api/ps pauses for seconds.
  enum class Miss : std::uint8_t { kTold, kKept };
  net::Task<void> look_at_residency(ProbeTarget target, Miss miss);
  net::Task<void> check(ProbeTarget target, Miss miss);
  net::Task<void> learn_version(ProbeTarget target);
  Instant next_round();

  net::Loop& loop_;
  net::Resolver& resolver_;
  engine::Engine& engine_;
  ProbeSettings settings_;
  std::vector<ProbeTarget> targets_;
  std::vector<bool> version_known_;  // asked again after every miss: it may be a newer one
  std::uint64_t refreshes_ = 0;      // begun so far
  // Several rounds ask the same instance beside each other: what was asked earlier and arrives
  // later is old. By target: the number of the question whose answer counts.
  std::uint64_t questions_ = 0;
  std::vector<std::uint64_t> catalogue_of_;
  std::vector<std::uint64_t> residency_of_;
  Rng rng_;
  net::Cancel stop_;
};

}  // namespace drover::probe
