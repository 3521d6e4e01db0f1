#pragma once
// CoreRouter: the production scheduler in a simulated world. It plays the gateway, the engine and
// the probe for it: the same events in the same order, from a clock that somebody else turns.

#include <map>
#include <string_view>

#include "core/scheduler.h"
#include "sim/router.h"

namespace drover::sim {

// How the scheduler knows the instances, and the weights of a model.
std::vector<core::BackendSpec> specs_of(const Fleet& fleet);
std::string digest_of(const ModelName& model);

class CoreRouter : public Router {
 public:
  CoreRouter(core::PolicyName policy, std::uint64_t seed, const Fleet& fleet,
             const Workload& workload, Duration queue_wait = core::Settings().queue_wait);

  // What the scheduler learned in another life. Before begin().
  void remember(const core::Learned& learned) { scheduler_.remember(learned); }
  // A world has ended at `now`; the scheduler keeps what it learned, and another begins.
  void again(Instant now);

  void begin(Instant now, Orders& orders) override;
  void arrived(JobIndex job, Instant now, Orders& orders) override;
  void first_token(JobIndex job, Instant now, Orders& orders) override;
  void progressed(JobIndex job, std::uint64_t tokens, Instant now, Orders& orders) override;
  void ended(JobIndex job, Ending ending, const Served& served, Instant now,
             Orders& orders) override;
  void polled(InstanceIndex instance, std::span<const ModelIndex> loaded, Instant now,
              Orders& orders) override;
  void loaded(InstanceIndex instance, ModelIndex model, bool done, Instant now,
              Orders& orders) override;
  void silent(InstanceIndex instance, Instant now, Orders& orders) override;
  void unanswered(InstanceIndex instance, Instant now, Orders& orders) override;
  void woken(Instant now, Orders& orders) override;
  bool follows_progress() const override { return true; }
  Foretold foretold(JobIndex job) const override { return foretold_[job]; }
  void time_with(Stopwatch& watch) override { watch_ = &watch; }

 private:
  struct Asking {
    std::uint32_t attempt = 0;
    std::vector<BackendId> tried;
    LeaseId lease;
    BackendId backend;
    bool granted = false;
  };
  void tell(const core::Event& event, Instant now, Orders& orders);
  void ask(JobIndex job, core::RetryCause cause, Instant now, Orders& orders);
  void show_catalogue(InstanceIndex instance, Instant now, Orders& orders);

  // One per kind of effect; those that only inform people are not heard.
  void obey(const core::Grant& grant, Instant now, Orders& orders);
  void obey(const core::Refuse& refuse, Instant now, Orders& orders);
  void obey(const core::RevokeLease& revoke, Instant now, Orders& orders);
  void obey(const core::RefreshCatalogues&, Instant now, Orders& orders);
  void obey(const core::Canary& canary, Instant now, Orders& orders);
  void obey(const core::Load& load, Instant now, Orders& orders);
  void obey(const core::Unload& unload, Instant now, Orders& orders);
  void obey(const core::WakeAt& wake, Instant now, Orders& orders);
  void obey(const core::HealthChanged&, Instant, Orders&) {}
  void obey(const core::RestartInstance&, Instant, Orders&) {}
  void obey(const core::Incident&, Instant, Orders&) {}

  const Fleet& fleet_;
  const Workload& workload_;
  std::vector<ModelName> names_;  // of models, by index
  std::map<ModelName, ModelIndex> indexes_;
  std::vector<std::shared_ptr<const core::Catalogue>> catalogues_;  // by instance
  std::vector<std::vector<ModelIndex>> shown_;                      // what the last polls said
  std::vector<std::shared_ptr<const core::Residency>> residencies_;
  std::vector<bool> is_silent_;
  core::Scheduler scheduler_;
  Duration before_;  // an instant of the world is so much later for the scheduler
  std::map<JobIndex, Asking> asking_;
  std::map<LeaseId, JobIndex> leases_;
  std::vector<Foretold> foretold_;  // by job
  Stopwatch* watch_ = nullptr;
};

}  // namespace drover::sim
