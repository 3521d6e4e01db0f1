#pragma once
// Baselines: what drover's own policies are compared with. Each is one answer to "which instance?"
// at the moment of arrival. They know what a balancer knows: its own ledger, and what /api/ps said.

#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/rng.h"
#include "sim/router.h"

namespace drover::sim {

// The ledger and the retries; the choice is for those who derive.
class Baseline : public Router {
 public:
  Baseline(const Fleet& fleet, const Workload& workload, std::uint64_t seed);

  void arrived(JobIndex job, Instant now, Orders& orders) final;
  void first_token(JobIndex job, Instant now, Orders& orders) override;
  void ended(JobIndex job, Ending ending, const Served& served, Instant now,
             Orders& orders) override;
  void polled(InstanceIndex instance, std::span<const ModelIndex> loaded, Instant now,
              Orders& orders) override;
  void silent(InstanceIndex instance, Instant, Orders&) override { alive_[instance] = false; }

 protected:
  using Instances = std::vector<InstanceIndex>;
  // Of the instances that can take it, never empty.
  virtual InstanceIndex choose(JobIndex job, const Instances& able, Instant now) = 0;

  struct Open {
    JobIndex job = kNoJob;
    ModelIndex model = 0;
    Instant sent{};
    bool writing = false;
  };
  struct Ledger {
    std::vector<Open> open;    // sent and not ended, oldest first
    std::vector<bool> loaded;  // by model: the last poll and what was answered since
  };
  std::uint32_t open_at(InstanceIndex instance) const {
    return static_cast<std::uint32_t>(ledgers_[instance].open.size());
  }
  InstanceIndex least_open(const Instances& able);  // ties by chance

  const Fleet& fleet_;
  const Workload& workload_;
  Rng rng_;
  std::vector<Ledger> ledgers_;

 private:
  void place(JobIndex job, Instant now, Orders& orders);

  std::vector<bool> alive_;
  std::vector<std::uint8_t> attempts_;  // by job
  std::vector<InstanceIndex> placed_;   // by job: the latest
};

class RandomChoice : public Baseline {
 public:
  using Baseline::Baseline;

 private:
  InstanceIndex choose(JobIndex job, const Instances& able, Instant now) override;
};

// The least busy of those that can hold the model, whatever is loaded there: leastconn of HAProxy,
// least_conn of nginx.
class LeastConnections : public Baseline {
 public:
  using Baseline::Baseline;

 private:
  InstanceIndex choose(JobIndex, const Instances& able, Instant) override {
    return least_open(able);
  }
};

// Two at random, the one with less under way.
class TwoChoices : public Baseline {
 public:
  using Baseline::Baseline;

 private:
  InstanceIndex choose(JobIndex job, const Instances& able, Instant now) override;
};

// Every model has its order of instances by hash; the first that has at most a quarter more under
// way than the mean.
class ModelHash : public Baseline {
 public:
  using Baseline::Baseline;

 private:
  InstanceIndex choose(JobIndex job, const Instances& able, Instant now) override;
};

// The least loaded of those that have the model; if none has it, the least loaded of all.
class Affinity : public Baseline {
 public:
  using Baseline::Baseline;

 private:
  InstanceIndex choose(JobIndex job, const Instances& able, Instant now) override;
};

// The earliest expected end, in seconds: waits for loads and slots, reading, writing, and what it
// takes from others. It knows the true pace of every model and GPU, and expects answers of the mean
// length. Bound at arrival, and for ever.
class EarlyCompletion : public Baseline {
 public:
  EarlyCompletion(const Fleet& fleet, const Workload& workload, std::uint64_t seed);

  void ended(JobIndex job, Ending ending, const Served& served, Instant now,
             Orders& orders) override;

 private:
  InstanceIndex choose(JobIndex job, const Instances& able, Instant now) override;
  double cost(const Job& job, InstanceIndex instance, Instant now) const;
  double remaining_s(const Open& open, InstanceIndex instance, double together, Instant now) const;
  double load_wait_s(ModelIndex model, InstanceIndex instance, Instant now) const;
  double eviction_s(ModelIndex model, InstanceIndex instance) const;

  std::vector<double> output_;                                // by model: mean tokens of answers
  std::vector<double> demand_;                                // by model: requests a second, fading
  std::unordered_map<std::uint32_t, InstanceIndex> last_at_;  // by conversation
  Instant demand_at_{};
};

}  // namespace drover::sim
