#pragma once
// For tests of core: a hall of GPUs under expected_completion, one instance on each.

#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/testing.h"

namespace drover::core::testing {

inline Settings by_cost() {
  Settings settings;
  settings.policy = PolicyName::kExpectedCompletion;
  return settings;
}

inline std::vector<BackendSpec> gpus(std::uint32_t count) {
  std::vector<BackendSpec> specs = testing::specs(count);
  for (BackendSpec& spec : specs) {
    spec.placement = Placement::kPinned;
    spec.gpus = {"GPU-" + std::to_string(spec.id.value)};
  }
  return specs;
}

inline ModelName named(std::string_view text) { return ModelName::canonical(text); }

inline RequestArrived of_tenant(std::uint64_t id, std::uint64_t tenant, std::string_view model) {
  RequestArrived arrived{RequestId{id}, ask_for(model)};
  arrived.ask.tenant = TenantId{tenant};
  return arrived;
}

// Instances with 24 GB each, models of 10 GB on disk, nothing loaded.
struct Hall : Script {
  explicit Hall(std::uint32_t count, Settings settings = by_cost())
      : Script(gpus(count), std::move(settings)) {
    auto report = std::make_shared<GpuReport>();
    for (std::uint32_t i = 0; i < count; ++i) {
      Gpu gpu;
      gpu.uuid = "GPU-" + std::to_string(i);
      gpu.memory_total_bytes = 24'000'000'000;
      report->gpus.push_back(gpu);
    }
    send(GpusObserved{report});
    for (std::uint32_t i = 0; i < count; ++i) {
      auto all = std::make_shared<Catalogue>(*catalogue({"a", "b", "c"}));
      for (InstalledModel& model : *all) model.bytes = 8'000'000'000;
      send(Observed{BackendId{i}, Kind::kCatalogue, all, nullptr, {}, {}});
      shows(i, {});
    }
    forget();
  }
  void shows(std::uint32_t backend, std::initializer_list<std::string_view> models) {
    auto all = std::make_shared<Residency>(*residency(models));
    for (LoadedModel& model : *all) {
      model.digest = "sha256:" + model.name.text().substr(0, 1);
      model.bytes = model.vram_bytes = 10'000'000'000;
    }
    send(Observed{BackendId{backend}, Kind::kResidency, nullptr, all, {}, {}});
  }
  void loaded(const Load& load, bool done = true) {
    send(LoadDone{load.backend, load.model, done, done ? "" : "status 500"});
  }
};

}  // namespace drover::core::testing
