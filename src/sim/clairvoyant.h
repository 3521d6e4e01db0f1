#pragma once
// Clairvoyant: the policy that no real one should beat. It knows how long each answer will be, what
// each cache holds, what each GPU does at this moment, and which requests will come. It holds
// requests back until there is a slot, never lets an instance choose what to unload, and spreads
// the models before the first request comes.
//
// It is not the optimum, which nobody can compute; it is what defines the capacity of a fleet, so
// every policy is measured with the same yardstick and none with its own.

#include <deque>
#include <optional>
#include <vector>

#include "sim/world.h"

namespace drover::sim {

class Clairvoyant : public Router {
 public:
  explicit Clairvoyant(World& world);

  void begin(Instant now, Orders& orders) override;
  void arrived(JobIndex job, Instant now, Orders& orders) override;
  void ended(JobIndex job, Ending ending, const Served& served, Instant now,
             Orders& orders) override;
  void polled(InstanceIndex, std::span<const ModelIndex>, Instant now, Orders& orders) override {
    decide(now, orders);
  }
  void woken(Instant now, Orders& orders) override { decide(now, orders); }

 private:
  class Seating;
  struct Site {                        // one instance
    std::optional<ModelIndex> next;    // is to be loaded there; others may have to leave first
    bool ordered = false;              // the load, too
    std::vector<std::uint32_t> users;  // by model: sent and not ended
    std::vector<ModelIndex> plan;      // loads of the beginning
  };
  void decide(Instant now, Orders& orders);
  void dispatch(ModelIndex model, Instant now, Orders& orders);
  std::optional<InstanceIndex> best_slot(JobIndex job);
  std::size_t most_pressing(ModelIndex model, Instant now) const;
  void finish_loads(Orders& orders);
  void place(Instant now, Orders& orders);
  struct Move {
    double cost_s = 0;
    std::vector<ModelIndex> leaving;
  };
  Move move_to(ModelIndex model, InstanceIndex instance, Instant now);
  double strangers_at(const SimBackend::Runner& runner) const;
  double drain_s(const SimBackend::Runner& runner) const;
  double loss_s(ModelIndex model, Instant now) const;
  double backlog_s(ModelIndex model) const;
  bool has_replica(ModelIndex model, InstanceIndex instance) const;
  double coming(ModelIndex model, Instant now, double seconds) const;  // requests
  double work_s(JobIndex job, InstanceIndex instance) const;           // alone there
  double demand_on(InstanceIndex instance, Instant now);

  World& world_;
  const Fleet& fleet_;
  const Workload& workload_;
  std::vector<Site> sites_;
  std::vector<std::deque<JobIndex>> waiting_;  // by model, in order of arrival
  std::vector<std::vector<Instant>> future_;   // by model: planned arrivals, sorted
  std::vector<double> mean_work_;              // by model: tokens of an answer
  std::vector<double> mean_prompt_;
};

}  // namespace drover::sim
