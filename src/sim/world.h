#pragma once
// World: a clock, the machines, the traffic, and one router in the middle. It plays the clients and
// the gateway: it brings requests to the router, carries its orders out, and keeps a record of what
// became of each request. The same fleet, workload, router and faults always give the same records.
//
// Beside the traffic there may be faults. Requests of strangers are a fault: they go to an instance
// directly, nobody tells the router, and there are no records of them, only counts.

#include <deque>
#include <functional>
#include <queue>
#include <tuple>
#include <vector>

#include "sim/router.h"

namespace drover::sim {

struct Fault {
  enum class Kind : std::uint8_t {
    kCrash,
    kSlow,
    kLostPolls,    // /api/ps has no answer; everything else has
    kOutOfMemory,  // of loads that begin there meanwhile
    kStrangers,
  };
  Kind kind = Kind::kCrash;
  InstanceIndex instance = 0;
  Instant from{};
  Instant until{};
  double speed = 1.0 / 3;          // kSlow
  double lost = 1;                 // kLostPolls: the part of the polls
  std::uint64_t seed = 0;          // kLostPolls: of which ones
  std::vector<Job> requests = {};  // kStrangers: when they are planned
};

enum class Outcome : std::uint8_t { kOpen, kServed, kRefused, kFailed };

struct Record {
  Instant arrived = kNever;  // kNever: its conversation never came so far
  Instant sent = kNever;     // the latest attempt
  Instant first = kNever;    // token
  Instant ended = kNever;
  std::uint32_t cached = 0;
  std::uint32_t attempts = 0;
  InstanceIndex instance = 0;
  Outcome outcome = Outcome::kOpen;
  bool is_there = false;  // at the instance: sent, and not ended
  bool broken = false;    // an attempt failed at an instance

  bool operator==(const Record&) const = default;
};

struct StrangerCounts {
  std::uint64_t sent = 0;
  std::uint64_t served = 0;
  std::uint64_t turned_away = 0;
};

class World {
 public:
  World(const Fleet& fleet, const Workload& workload, std::vector<Fault> faults = {});

  // To the end of all requests. Once.
  void run(Router& router);

  const std::vector<Record>& records() const { return records_; }
  // As it is at this moment.
  const SimBackend& look(InstanceIndex index) { return at(index); }
  const SimBackend& backend(InstanceIndex index) const { return backends_[index]; }
  const Fleet& fleet() const { return fleet_; }
  const Workload& workload() const { return workload_; }
  // The workload's, and behind them those of strangers.
  std::span<const Job> jobs() const { return jobs_; }
  const StrangerCounts& strangers() const { return strangers_; }
  Instant now() const { return now_; }
  std::uint64_t events() const { return planned_; }  // that went through the heap, so far
  bool is_down(InstanceIndex index) const { return now_ < down_until_[index]; }
  bool loads_fail(InstanceIndex index) const {
    return suffers(index, Fault::Kind::kOutOfMemory) != nullptr;
  }

 private:
  enum class What : std::uint8_t {
    kArrival,
    kBackend,
    kHost,
    kPoll,
    kPollMissed,
    kStranger,
    kWake,
    kProgress,
    kFaultBegins,
    kFaultEnds
  };
  struct Event {
    Instant when{};
    std::uint64_t number = 0;  // of equal instants the older event comes first
    What what = What::kArrival;
    std::uint32_t index = 0;
    std::uint64_t version = 0;  // kBackend, kHost, kWake: outdated when another was planned since
    bool operator>(const Event& other) const {
      return std::tie(when, number) > std::tie(other.when, other.number);
    }
  };

  void plan(Instant when, What what, std::uint32_t index, std::uint64_t version = 0);
  void happen(const Event& event);
  void arrive(JobIndex job);
  void obey();
  void obey(const Order& order);
  void send(JobIndex job, InstanceIndex instance);
  void take_back(JobIndex job, InstanceIndex instance);
  void heed(InstanceIndex instance);  // whatever was done to it: notices, and when it is due next
  void hear(const Notice& notice);
  void close(JobIndex job, Outcome outcome);
  void poll(InstanceIndex instance);
  void show(InstanceIndex instance);  // to the router: what is loaded there
  bool loses_poll(InstanceIndex instance) const;
  const Fault* suffers(InstanceIndex instance, Fault::Kind kind) const;
  void come_directly(JobIndex stranger);
  void hear_of_stranger(const Notice& notice);
  bool is_stranger(JobIndex job) const { return job != kNoJob && job >= workload_.jobs.size(); }
  void progress();
  void begin_fault(const Fault& fault);
  SimBackend& at(InstanceIndex instance);

  const Fleet& fleet_;
  const Workload& workload_;
  std::vector<Fault> faults_;
  std::vector<Job> more_jobs_;     // all of them, where there are strangers
  std::span<const Job> jobs_;      // see jobs()
  std::vector<InstanceIndex> to_;  // of strangers' jobs: where they go
  StrangerCounts strangers_;
  std::deque<Host> hosts_;  // these two never move: backends refer to hosts
  std::deque<SimBackend> backends_;
  std::vector<Instant> down_until_;
  Router* router_ = nullptr;
  Orders orders_;
  std::vector<Record> records_;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  std::uint64_t planned_ = 0;
  std::vector<std::uint64_t> backend_version_;
  std::vector<std::uint64_t> host_version_;
  std::uint64_t wake_version_ = 0;
  std::size_t next_arrival_ = 0;  // of the first turns
  // Requests without an outcome, turns still to come, and strangers' requests that have not ended.
  std::uint64_t under_way_ = 0;
  Instant now_{};
};

}  // namespace drover::sim
