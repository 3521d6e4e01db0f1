// What a decision costs. `Small` is a machine with two GPUs and free slots, under each policy; the
// difference between policies is what a prediction costs. `Large` is 64 instances with 200 models
// and 10,000 requests in line: each iteration ends one request and brings another, which is three
// events, each timed by itself.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <deque>

#include "base/rng.h"
#include "core/scheduler.h"

namespace drover::core {
namespace {

std::string model_name(std::size_t number) { return "model-" + std::to_string(number); }

// Of the thread, so that others on the machine do not count.
double cpu_us() {
  timespec spent{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &spent);  // tidy: allow(clock) a benchmark measures
  return static_cast<double>(spent.tv_sec) * 1e6 + static_cast<double>(spent.tv_nsec) / 1e3;
}

class Fleet {
 public:
  Fleet(PolicyName policy, std::uint32_t instances, std::uint32_t models, std::uint32_t loaded)
      : scheduler_(settings(policy), specs(instances)), models_(models) {
    auto report = std::make_shared<GpuReport>();
    auto catalogue = std::make_shared<Catalogue>();
    for (std::uint32_t m = 0; m < models; ++m) {
      InstalledModel entry;
      entry.name = ModelName::canonical(model_name(m));
      entry.digest = "sha256:" + model_name(m);
      entry.bytes = 5'000'000'000;
      catalogue->push_back(std::move(entry));
    }
    std::ranges::sort(*catalogue, {}, &InstalledModel::name);
    for (std::uint32_t i = 0; i < instances; ++i) {
      Gpu gpu;
      gpu.uuid = "GPU-" + std::to_string(i);
      gpu.memory_total_bytes = 24'000'000'000;
      report->gpus.push_back(gpu);
    }
    handle(GpusObserved{report});
    for (std::uint32_t i = 0; i < instances; ++i) {
      auto residency = std::make_shared<Residency>();
      for (std::uint32_t k = 0; k < loaded; ++k) {
        LoadedModel entry;
        const std::string name = model_name((i * loaded + k) % models);
        entry.name = ModelName::canonical(name);
        entry.digest = "sha256:" + name;
        entry.bytes = entry.vram_bytes = 6'000'000'000;
        residency->push_back(std::move(entry));
      }
      handle(Observed{BackendId{i}, Observed::Kind::kCatalogue, catalogue, nullptr, {}, {}});
      handle(Observed{BackendId{i}, Observed::Kind::kResidency, nullptr, residency, {}, {}});
    }
  }

  void ask(std::size_t model, TenantId tenant = {}) {
    RequestArrived arrived;
    arrived.request = RequestId{++requests_};
    arrived.ask.tenant = tenant;
    arrived.ask.model = ModelName::canonical(model_name(model % models_));
    arrived.ask.model_as_sent = model_name(model % models_);
    arrived.ask.streaming = true;
    arrived.ask.body_bytes = 2000;
    handle(arrived);
  }
  void settle() {
    if (leases_.empty()) return;
    const LeaseId lease = leases_.front();
    leases_.pop_front();
    handle(LeaseFirstByte{lease});
    Usage usage;
    usage.prompt_tokens = 500;
    usage.output_tokens = 100;
    usage.prompt_eval = std::chrono::milliseconds(200);
    usage.eval = std::chrono::milliseconds(1000);
    usage.total = usage.prompt_eval + usage.eval;
    handle(LeaseSettled{lease, AttemptResult::kServed, {}, usage});
  }

  // From here on the time of each event.
  void times_into(std::vector<double>* times) { times_ = times; }

 private:
  static Settings settings(PolicyName policy) {
    Settings settings;
    settings.policy = policy;
    settings.max_queued = 20'000;
    return settings;
  }
  static std::vector<BackendSpec> specs(std::uint32_t instances) {
    std::vector<BackendSpec> all;
    for (std::uint32_t i = 0; i < instances; ++i) {
      BackendSpec spec{BackendId{i}, "gpu" + std::to_string(i), "http://gpu"};
      spec.placement = Placement::kPinned;
      spec.gpus = {"GPU-" + std::to_string(i)};
      all.push_back(std::move(spec));
    }
    return all;
  }
  void handle(const Event& event) {
    now_ += std::chrono::milliseconds(1);
    effects_.clear();
    const double from = times_ == nullptr ? 0 : cpu_us();
    scheduler_.handle(event, now_, effects_);
    if (times_ != nullptr) times_->push_back(cpu_us() - from);
    for (const Effect& effect : effects_) {
      if (const auto* grant = std::get_if<Grant>(&effect)) leases_.push_back(grant->lease);
    }
  }

  std::vector<double>* times_ = nullptr;
  Scheduler scheduler_;
  std::uint32_t models_;
  Instant now_ = Instant(std::chrono::seconds(1000));
  Effects effects_;
  std::deque<LeaseId> leases_;
  std::uint64_t requests_ = 0;
};

void Small(benchmark::State& state, PolicyName policy) {
  Fleet fleet(policy, 2, 4, 4);
  std::size_t next = 0;
  for (auto _ : state) {
    fleet.ask(next++);
    fleet.settle();
  }
}
BENCHMARK_CAPTURE(Small, least_loaded, PolicyName::kLeastLoaded);
BENCHMARK_CAPTURE(Small, expected_completion, PolicyName::kExpectedCompletion);

void Large(benchmark::State& state) {
  Fleet fleet(PolicyName::kExpectedCompletion, 64, 200, 3);
  Rng rng(1);
  // Of one tenant, or of as many as the argument says, a few of whom ask for most.
  const auto tenants = static_cast<std::uint64_t>(state.range(0));
  const auto somebody = [&] { return TenantId{rng.below(1 + rng.below(tenants))}; };
  for (int i = 0; i < 11'000; ++i) fleet.ask(rng.below(200), somebody());
  std::vector<double> times;
  fleet.times_into(&times);
  for (auto _ : state) {
    fleet.settle();
    fleet.ask(rng.below(200), somebody());
  }
  std::ranges::sort(times);
  state.counters["p50_us"] = times[times.size() / 2];
  state.counters["p99_us"] = times[times.size() * 99 / 100];
  state.counters["p999_us"] = times[times.size() * 999 / 1000];
  state.counters["most_us"] = times.back();
}
BENCHMARK(Large)->Arg(1)->Arg(20)->Iterations(20'000);

}  // namespace
}  // namespace drover::core
