#include "sim/core_router.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/check.h"
#include "base/rng.h"

namespace drover::sim {
namespace {

using core::AttemptResult;
using core::Observed;
using core::RetryCause;

// The machine was up before the traffic came: instants of core begin here.
constexpr Duration kBefore = std::chrono::seconds(1000);
constexpr const char* kOutOfMemory =
    "llama-server process has terminated: exit status 1: cudaMalloc failed: out of memory";

core::Settings settings_for(core::PolicyName policy, std::uint64_t seed, Duration queue_wait) {
  core::Settings settings;
  settings.policy = policy;
  settings.seed = seed;
  settings.queue_wait = queue_wait;
  return settings;
}

std::uint64_t text_bytes(const Fleet& fleet, std::uint64_t tokens) {
  return static_cast<std::uint64_t>(static_cast<double>(tokens) * fleet.bytes_per_token);
}

// As a gateway hashes messages: the ends of the instructions, of every turn's prompt and answer.
Beginnings beginnings_of(const Fleet& fleet, const Workload& workload, JobIndex job) {
  const Job& what = workload.jobs[job];
  Beginnings all;
  const auto add = [&](std::uint64_t speaker, std::uint64_t tokens) {
    all.add({Rng(speaker * 1'000'003 + tokens).next(), text_bytes(fleet, tokens)});
  };
  // Salted by tenant, as what many share is by the gateway.
  if (what.shared > 0) add(~(std::uint64_t{what.model} << 32U | what.tenant), what.shared);
  JobIndex turn = job;
  while (!workload.jobs[turn].first) --turn;
  for (; turn < job; ++turn) {
    const Job& before = workload.jobs[turn];
    add(what.session, before.prompt);
    add(what.session, std::uint64_t{before.prompt} + before.output);
  }
  add(what.session, what.prompt);
  return all;
}

std::uint64_t bytes_of(double gigabytes) { return static_cast<std::uint64_t>(gigabytes * 1e9); }

std::shared_ptr<const GpuReport> report_of(const Fleet& fleet) {
  auto report = std::make_shared<GpuReport>();
  report->source = "simulated";
  for (std::uint32_t i = 0; i < fleet.gpus.size(); ++i) {
    Gpu gpu;
    gpu.index = i;
    gpu.uuid = fmt::format("GPU-{}", i);
    gpu.name = fleet.gpus[i].name;
    gpu.memory_total_bytes = bytes_of(fleet.gpus[i].memory_gb);
    report->gpus.push_back(std::move(gpu));
  }
  return report;
}

struct Words {
  AttemptResult result;
  RetryCause cause;
};
Words words_for(Ending ending) {
  switch (ending) {
    case Ending::kServed:
      return {AttemptResult::kServed, RetryCause::kFirstTry};
    case Ending::kBusy:
      return {AttemptResult::kBusy, RetryCause::kBusy};
    case Ending::kFailed:
      return {AttemptResult::kFailed, RetryCause::kInstanceFailed};
    case Ending::kTakenBack:
      return {AttemptResult::kRevoked, RetryCause::kInstanceDied};
    case Ending::kDied:
    case Ending::kLost:
      return {AttemptResult::kDied, RetryCause::kInstanceDied};
  }
  return {AttemptResult::kDied, RetryCause::kInstanceDied};
}

}  // namespace

std::vector<core::BackendSpec> specs_of(const Fleet& fleet) {
  std::vector<core::BackendSpec> specs;
  for (std::uint32_t i = 0; i < fleet.gpus.size(); ++i) {
    core::BackendSpec spec;
    spec.id = BackendId{i};
    spec.name = fmt::format("gpu{}", i);
    spec.url = fmt::format("http://gpu{}:11434", i);
    if (fleet.supervised) {
      spec.placement = core::Placement::kPinned;
      spec.gpus = {fmt::format("GPU-{}", i)};
    }
    specs.push_back(std::move(spec));
  }
  return specs;
}

std::string digest_of(const ModelName& model) { return "sha256:" + model.text(); }

CoreRouter::CoreRouter(core::PolicyName policy, std::uint64_t seed, const Fleet& fleet,
                       const Workload& workload, Duration queue_wait)
    : fleet_(fleet),
      workload_(workload),
      shown_(fleet.gpus.size()),
      residencies_(fleet.gpus.size()),
      is_silent_(fleet.gpus.size()),
      scheduler_(settings_for(policy, seed, queue_wait), specs_of(fleet)),
      before_(kBefore),
      foretold_(workload.jobs.size()) {
  for (const Model& model : fleet.models) {
    const auto index = static_cast<ModelIndex>(names_.size());
    names_.push_back(ModelName::canonical(model.name));
    indexes_.emplace(names_.back(), index);
  }
  for (InstanceIndex i = 0; i < fleet.gpus.size(); ++i) {
    auto catalogue = std::make_shared<core::Catalogue>();
    for (const auto& [name, index] : indexes_) {
      if (!fleet.fits(i, index)) continue;
      InstalledModel entry;
      entry.name = name;
      entry.digest = digest_of(name);
      entry.bytes = bytes_of(fleet.models[index].file_gb);
      catalogue->push_back(std::move(entry));
    }
    catalogues_.push_back(std::move(catalogue));
  }
}

void CoreRouter::again(Instant now) {
  DROVER_ASSERT(asking_.empty());
  before_ += now.time_since_epoch() + kBefore;
}

void CoreRouter::begin(Instant now, Orders& orders) {
  if (fleet_.supervised) tell(core::GpusObserved{report_of(fleet_)}, now, orders);
  for (InstanceIndex i = 0; i < fleet_.gpus.size(); ++i) show_catalogue(i, now, orders);
}

void CoreRouter::show_catalogue(InstanceIndex instance, Instant now, Orders& orders) {
  Observed seen{BackendId{instance}, Observed::Kind::kCatalogue, catalogues_[instance], {}, {}, {}};
  if (is_silent_[instance]) {
    seen = {BackendId{instance}, Observed::Kind::kRefused, {}, {}, {}, "connection refused"};
  }
  tell(seen, now, orders);
}

// --- requests ---

void CoreRouter::arrived(JobIndex job, Instant now, Orders& orders) {
  asking_.emplace(job, Asking{});
  ask(job, RetryCause::kFirstTry, now, orders);
}

void CoreRouter::ask(JobIndex job, RetryCause cause, Instant now, Orders& orders) {
  const Job& what = workload_.jobs[job];
  const Asking& asking = asking_.at(job);
  core::RequestArrived arrived;
  arrived.request = RequestId{job};
  arrived.ask.model = names_[what.model];
  arrived.ask.model_as_sent = names_[what.model].text();
  arrived.ask.streaming = true;
  if (what.num_ctx != 0) arrived.ask.num_ctx = what.num_ctx;
  arrived.ask.body_bytes = text_bytes(fleet_, what.prompt);
  const std::uint64_t tenant = workload_.one_address ? 0 : what.tenant;
  arrived.ask.tenant = TenantId{tenant + 1};
  arrived.ask.beginnings = beginnings_of(fleet_, workload_, job);
  if (what.batch) arrived.ask.priority = Priority::kBatch;
  arrived.cause = cause;
  arrived.attempt = asking.attempt;
  arrived.tried = asking.tried;
  tell(arrived, now, orders);
}

void CoreRouter::first_token(JobIndex job, Instant now, Orders& orders) {
  tell(core::LeaseFirstByte{asking_.at(job).lease}, now, orders);
}

void CoreRouter::progressed(JobIndex job, std::uint64_t tokens, Instant now, Orders& orders) {
  tell(core::LeaseProgress{asking_.at(job).lease, tokens}, now, orders);
}

void CoreRouter::ended(JobIndex job, Ending ending, const Served& served, Instant now,
                       Orders& orders) {
  Asking& asking = asking_.at(job);
  const Job& what = workload_.jobs[job];
  const Words words = words_for(ending);
  core::LeaseSettled settled{asking.lease, words.result, {}, {}};
  if (ending == Ending::kFailed) settled.detail = kOutOfMemory;
  if (ending == Ending::kServed) {
    settled.usage.prompt_tokens = what.prompt;
    settled.usage.output_tokens = what.output;
    settled.usage.total = seconds_of(served.durations.total_s);
    settled.usage.load = seconds_of(served.durations.load_s);
    settled.usage.prompt_eval = seconds_of(served.durations.prefill_s);
    settled.usage.eval = seconds_of(served.durations.decode_s);
  }
  asking.granted = false;
  leases_.erase(asking.lease);
  tell(settled, now, orders);
  if (ending == Ending::kServed || ending == Ending::kLost) {
    asking_.erase(job);
    return;
  }
  ++asking.attempt;
  asking.tried.push_back(asking.backend);
  ask(job, words.cause, now, orders);
}

// --- what the probe sees ---

void CoreRouter::polled(InstanceIndex instance, std::span<const ModelIndex> loaded, Instant now,
                        Orders& orders) {
  if (is_silent_[instance]) {
    is_silent_[instance] = false;
    show_catalogue(instance, now, orders);
  }
  std::vector<ModelIndex>& shown = shown_[instance];
  if (!residencies_[instance] || !std::ranges::equal(shown, loaded)) {
    shown.assign(loaded.begin(), loaded.end());
    auto residency = std::make_shared<core::Residency>();
    for (const ModelIndex model : loaded) {
      LoadedModel entry;
      entry.name = names_[model];
      entry.digest = digest_of(names_[model]);
      entry.bytes = entry.vram_bytes = bytes_of(fleet_.models[model].vram_gb());
      entry.context_length = fleet_.models[model].num_ctx;
      residency->push_back(std::move(entry));
    }
    residencies_[instance] = std::move(residency);
  }
  Observed seen{
      BackendId{instance}, Observed::Kind::kResidency, {}, residencies_[instance], {}, {}};
  tell(seen, now, orders);
}

void CoreRouter::loaded(InstanceIndex instance, ModelIndex model, bool done, Instant now,
                        Orders& orders) {
  const std::string why = done ? "" : is_silent_[instance] ? "connection closed" : "status 500";
  tell(core::LoadDone{BackendId{instance}, names_[model], done, why}, now, orders);
}

void CoreRouter::silent(InstanceIndex instance, Instant now, Orders& orders) {
  is_silent_[instance] = true;
  residencies_[instance] = nullptr;
  show_catalogue(instance, now, orders);
}

// The daemon's probe asks for /api/ps and for the catalogue beside each other: only one of them is
// missed. Nothing is told of a process that would be another one.
void CoreRouter::unanswered(InstanceIndex instance, Instant now, Orders& orders) {
  show_catalogue(instance, now, orders);
  const BackendId backend{instance};
  tell(Observed{backend, Observed::Kind::kResidencyMissed, {}, {}, {}, "timeout"}, now, orders);
}

void CoreRouter::woken(Instant now, Orders& orders) { tell(core::Tick{}, now, orders); }

// --- the scheduler ---

void CoreRouter::tell(const core::Event& event, Instant now, Orders& orders) {
  core::Effects effects;
  const Duration began = watch_ == nullptr ? Duration{} : watch_->now();
  scheduler_.handle(event, now + before_, effects);
  if (watch_ != nullptr) watch_->took(watch_->now() - began);
  for (const core::Effect& effect : effects) {
    std::visit([&](const auto& each) { obey(each, now, orders); }, effect);
  }
}

void CoreRouter::obey(const core::Grant& grant, Instant, Orders& orders) {
  const auto job = static_cast<JobIndex>(grant.request.value);
  Asking& asking = asking_.at(job);
  DROVER_ASSERT(!asking.granted);
  asking.granted = true;
  asking.lease = grant.lease;
  asking.backend = grant.backend;
  leases_.emplace(grant.lease, job);
  foretold_[job] = {grant.prediction.first_s, grant.prediction.late_s};
  orders.push_back({Order::Kind::kSend, job, grant.backend.value});
}

void CoreRouter::obey(const core::Refuse& refuse, Instant, Orders& orders) {
  const auto job = static_cast<JobIndex>(refuse.request.value);
  asking_.erase(job);
  orders.push_back({Order::Kind::kRefuse, job});
}

void CoreRouter::obey(const core::RevokeLease& revoke, Instant, Orders& orders) {
  const auto found = leases_.find(revoke.lease);
  if (found == leases_.end()) return;
  orders.push_back(
      {Order::Kind::kTakeBack, found->second, asking_.at(found->second).backend.value});
}

void CoreRouter::obey(const core::RefreshCatalogues&, Instant now, Orders& orders) {
  for (InstanceIndex i = 0; i < fleet_.gpus.size(); ++i) show_catalogue(i, now, orders);
  tell(core::RefreshDone{}, now, orders);
}

// Nothing hangs in this world: who is there answers.
void CoreRouter::obey(const core::Canary& canary, Instant now, Orders& orders) {
  const bool there = !is_silent_[canary.backend.value];
  tell(core::CanaryDone{canary.backend, there, there ? "" : "connection refused"}, now, orders);
}

void CoreRouter::obey(const core::Unload& unload, Instant, Orders& orders) {
  const auto model = indexes_.find(unload.model);
  if (model == indexes_.end()) return;
  orders.push_back({Order::Kind::kUnload, kNoJob, unload.backend.value, model->second});
  orders.push_back({Order::Kind::kLook, kNoJob, unload.backend.value});  // as the probe does
}

void CoreRouter::obey(const core::Load& load, Instant now, Orders& orders) {
  const auto model = indexes_.find(load.model);
  if (model == indexes_.end()) {
    return tell(core::LoadDone{load.backend, load.model, false, "not found"}, now, orders);
  }
  orders.push_back({Order::Kind::kLoad, kNoJob, load.backend.value, model->second});
}

void CoreRouter::obey(const core::WakeAt& wake, Instant, Orders& orders) {
  orders.push_back({Order::Kind::kWakeAt, kNoJob, 0, 0, wake.when - before_});
}

}  // namespace drover::sim
