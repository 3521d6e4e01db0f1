#include "sim/told.h"

#include <gtest/gtest.h>

#include "core/forecasts.h"
#include "sim/core_router.h"
#include "sim/scenario.h"

namespace drover::sim {
namespace {

struct Seconds {
  double load = 0;
  double first = 0;  // token
  double end = 0;
};

std::vector<std::string> names_of(const std::vector<core::BackendSpec>& specs) {
  std::vector<std::string> names;
  for (const core::BackendSpec& spec : specs) names.push_back(core::learned_name(spec));
  return names;
}

// What core foretells of a lone request there, with the model loaded; nothing was ever served.
Seconds foretold(const Fleet& fleet, const core::Learned& learned, InstanceIndex at,
                 const Job& job) {
  const std::vector<core::BackendSpec> specs = specs_of(fleet);
  core::Forecasts forecasts(specs);
  forecasts.remember(learned, names_of(specs));
  core::Instance instance(specs[at], core::Settings());
  const Model& what = fleet.models[job.model];
  const ModelName name = ModelName::canonical(what.name);
  auto store = std::make_shared<core::Catalogue>(1);
  store->front().name = name;
  store->front().digest = digest_of(name);
  store->front().bytes = static_cast<std::uint64_t>(what.file_gb * 1e9);
  instance.catalogue = store;
  auto shown = std::make_shared<core::Residency>(1);
  shown->front().name = name;
  shown->front().digest = digest_of(name);
  shown->front().bytes = static_cast<std::uint64_t>(what.vram_gb() * 1e9);
  instance.residency = shown;
  const core::ModelIndex model = *forecasts.model_of({&instance, 1}, name);
  (void)forecasts.looked(instance, Instant(std::chrono::hours(1)));
  core::Forecasts::Wanted wanted;
  wanted.prompt_bytes = job.prompt * 4;
  const core::Forecasts::Price price = forecasts.price(instance, model, wanted);
  EXPECT_TRUE(price.now);
  EXPECT_EQ(forecasts.estimates().slots({instance.spec.id, model}), what.slots);
  const double write = (price.cost_s - price.first_s) / core::kWriting;
  return {forecasts.estimates().load_s({instance.spec.id, model}), price.first_s,
          price.first_s + write};
}

// How long it takes there.
Seconds true_of(const Fleet& fleet, InstanceIndex at, const Job& job) {
  Host host(fleet);
  SimBackend ollama(fleet, {&job, 1}, host, at);
  Instant now{};
  const auto until = [&](Notice::Kind kind) {
    const Instant began = now;
    for (int i = 0; i < 1000; ++i) {
      for (const Notice& notice : ollama.take_notices()) {
        if (notice.kind == kind) return to_seconds(now - began);
      }
      now = std::max(now, std::min(ollama.next_due(), host.next_due()));
      for ([[maybe_unused]] const InstanceIndex read : host.finished(now)) {
        ollama.advance(now);
        ollama.read_done(now);
      }
      ollama.advance(now);
    }
    ADD_FAILURE() << "never came";
    return 0.0;
  };
  Seconds seconds;
  ollama.load(job.model, now);
  seconds.load = until(Notice::Kind::kLoaded);
  ollama.submit(0, now);
  seconds.first = until(Notice::Kind::kFirstToken);
  seconds.end = seconds.first + until(Notice::Kind::kDone);
  return seconds;
}

class ToldTest : public ::testing::Test {
 protected:
  ToldTest() : scenario_(*find_scenario("fits-poisson-single-one")) {
    workload_ = make_workload(scenario_.traffic, scenario_.fleet, 1);
    learned_ = told(scenario_.fleet, workload_);
  }
  Scenario scenario_;
  Workload workload_;
  core::Learned learned_;
};

double mean_answer(const Workload& workload) {
  double sum = 0;
  for (const Job& job : workload.jobs) sum += job.output;
  return sum / static_cast<double>(workload.jobs.size());
}

TEST_F(ToldTest, TheFirstForecastIsTrueOnEveryInstance) {
  const Fleet& fleet = scenario_.fleet;
  constexpr double kFew = 0.05;
  // Answers behind a short or a long prompt: each step counts as behind one of the usual length.
  constexpr double kForm = 0.08;
  int pairs = 0;
  for (InstanceIndex at = 0; at < fleet.gpus.size(); ++at) {
    for (ModelIndex model = 0; model < fleet.models.size(); ++model) {
      if (!fleet.fits(at, model)) continue;
      ++pairs;
      for (const std::uint32_t prompt : {200U, 1000U, 3000U}) {
        Job job{.model = model, .prompt = prompt};
        job.output = static_cast<std::uint32_t>(mean_answer(workload_));
        const Seconds said = foretold(fleet, learned_, at, job);
        const Seconds took = true_of(fleet, at, job);
        const std::string where = fleet.gpus[at].name + " " + fleet.models[model].name;
        EXPECT_NEAR(said.load, took.load, kFew * took.load) << where;
        EXPECT_NEAR(said.first, took.first, kFew * took.first) << where << " " << prompt;
        const double end_off = (prompt == 1000 ? kFew : kForm) * took.end;
        EXPECT_NEAR(said.end, took.end, end_off) << where << " " << prompt;
      }
    }
  }
  EXPECT_GT(pairs, 50);
}

TEST_F(ToldTest, WithoutItTheFirstForecastIsNot) {
  const Job job{.model = 0, .prompt = 1000, .output = 200};
  const double said = foretold(scenario_.fleet, {}, 0, job).first;
  EXPECT_GT(said, 1.5 * true_of(scenario_.fleet, 0, job).first);
}

TEST_F(ToldTest, NothingThatIsSeenOverturnsIt) {
  const Fleet& fleet = scenario_.fleet;
  const std::vector<std::string> names = names_of(specs_of(fleet));
  core::Estimates estimates(std::vector<core::Estimates::SlotRule>(names.size()));
  const core::Pair pair{BackendId{0}, 0};
  estimates.sized(0, static_cast<std::uint64_t>(fleet.models[0].file_gb * 1e9));
  estimates.remember(learned_, names);
  estimates.remember(learned_.models[0], 0, names);
  const auto believed = [&] {
    return std::vector{estimates.prefill_s(pair, 1000), estimates.step_s(pair, 1),
                       estimates.step_s(pair, 4),       estimates.load_s(pair),
                       estimates.output_tokens(0),      static_cast<double>(estimates.slots(pair))};
  };
  const std::vector<double> before = believed();
  for (int i = 0; i < 4000; ++i) {
    core::Sample sample;
    sample.prompt_tokens = 500 + i % 7;
    sample.output_tokens = 1000;
    sample.prefill_s = 3 * before[0] / 2;
    sample.decode_s = 3 * before[1] * 999;
    sample.rank = 4;
    estimates.learn(pair, sample);
    estimates.learn_load(pair, 100);
  }
  const std::vector<double> after = believed();
  for (std::size_t i = 0; i < before.size(); ++i)
    EXPECT_NEAR(after[i], before[i], 1e-5 * before[i]) << i;
}

}  // namespace
}  // namespace drover::sim
