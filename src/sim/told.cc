#include "sim/told.h"

#include <algorithm>

#include "core/estimates.h"
#include "sim/core_router.h"

namespace drover::sim {
namespace {

// Samples fade, by a hundredth with each further one. So heavy, what is told outweighs whatever is
// seen until a model has answered 30,000 times on one instance, and products of two sums still fit
// into a double. Of the lengths of answers 7000: they are counted in floats.
constexpr double kWeight = 1e140;
constexpr float kLengthWeight = 1e30F;

// Of which every sample that was ever seen lies on it.
core::LearnedLine line(double base, double slope) {
  return {2 * kWeight, kWeight, kWeight, kWeight * (base + base + slope), kWeight * (base + slope)};
}

// What requests of the traffic are like, in the mean.
struct Usual {
  double fresh = 0;    // tokens of a prompt that have to be read where all before them is computed
  double depth = 0;    // tokens in front of one that is read
  double context = 0;  // tokens in front of one that is written
};

Usual usual_of(const Workload& workload) {
  double fresh = 0;
  double depth = 0;
  double written = 0;
  double context = 0;
  for (const Job& job : workload.jobs) {
    const double history = std::min(job.history, job.prompt - 1);
    const double each = job.prompt - history;
    fresh += each;
    depth += each * (history + each / 2);
    written += job.output;
    context += job.output * (job.prompt + job.output / 2.0);
  }
  const double requests = std::max<double>(1, static_cast<double>(workload.jobs.size()));
  return {fresh / requests, depth / std::max(1.0, fresh), context / std::max(1.0, written)};
}

core::LearnedLengths lengths_of(const Workload& workload) {
  core::LearnedLengths all;
  for (const Job& job : workload.jobs) {
    core::Lengths one;  // knows which of the counts it is
    one.learn(job.output);
    for (std::size_t i = 0; i < all.counts.size(); ++i) {
      all.counts[i] += kLengthWeight * one.counts().counts[i];
    }
    all.samples += kLengthWeight;
  }
  return all;
}

core::LearnedPair pair_of(const Pace& pace, const Usual& usual, std::uint32_t slots) {
  core::LearnedPair pair;
  const double token = pace.prefill_token + pace.prefill_depth * usual.depth;
  pair.prefill = line(pace.prefill_base, 1000 * token);
  const double context = pace.context * usual.context;
  pair.step = line(pace.token + context, pace.token * pace.batch + context);
  pair.slots = slots;
  pair.streak_to_raise = UINT32_MAX;  // cut to the longest there is: more are hardly ever tried
  return pair;
}

}  // namespace

core::Learned told(const Fleet& fleet, const Workload& workload) {
  const Usual usual = usual_of(workload);
  core::Learned learned;
  learned.lengths = lengths_of(workload);
  learned.loads = line(fleet.init_s, 1 / fleet.disk_gb_s);
  const std::vector<core::BackendSpec> specs = specs_of(fleet);
  for (const core::BackendSpec& spec : specs) {
    learned.instances.push_back({core::learned_name(spec), {}, learned.loads});
  }
  for (ModelIndex model = 0; model < fleet.models.size(); ++model) {
    const ModelName name = ModelName::canonical(fleet.models[model].name);
    core::LearnedModel row;
    row.key = digest_of(name);
    row.name = name.text();
    row.prompt_tokens = usual.fresh;
    row.lengths = learned.lengths;
    row.bytes_per_token = fleet.bytes_per_token;
    for (InstanceIndex i = 0; i < fleet.gpus.size(); ++i) {
      if (!fleet.fits(i, model)) continue;
      row.at.push_back(pair_of(fleet.pace(i, model), usual, fleet.models[model].slots));
      row.at.back().instance = learned.instances[i].instance;
      const double bytes = fleet.models[model].vram_gb() * 1e9;
      learned.sizes.push_back(
          {row.at.back().instance, row.name, static_cast<std::uint64_t>(bytes)});
    }
    learned.models.push_back(std::move(row));
  }
  return learned;
}

}  // namespace drover::sim
