#include "core/estimates.h"

#include <algorithm>

#include "base/check.h"

namespace drover::core {
namespace {

// A sample counts half after 70 further ones: a GPU that throttles is noticed within minutes, and
// one odd answer moves little.
constexpr double kFading = 0.99;
// Against the present belief no sample counts as more than this much off: a client that stopped
// reading or a laptop that slept is no news about the GPU. Less would make a bad prior last.
constexpr double kMostOff = 5;

// Priors, for each gigabyte of a model's file (four-bit weights). Twice as wrong costs the first
// few requests of a fleet a bad choice, no more.
constexpr double kStepPerGb = 1.5e-3;      // an RTX 3090 reads its memory in that time
constexpr double kPrefillPerGb = 6e-2;     // for 1000 tokens: 3500 a second of an 8B model there
constexpr double kPrefillBase = 0.02;      // seconds of each request
constexpr double kNeighbour = 0.15;        // of a step for each further request in the batch
constexpr Line::Shape kLoad = {2.0, 0.4};  // seconds, and for each gigabyte: 2.5 GB/s

// A wait in an instance that cannot be the answer's own work: shorter ones are templates,
// tokenising, scheduling.
constexpr double kHiddenWait = 0.3;
constexpr std::uint32_t kMostStreak = 5000;
// Where fewer are left for good, one answer in so many waits.
constexpr std::uint32_t kMostToReturn = 160;

double clipped(double value, double around) {
  return std::clamp(value, around / kMostOff, around * kMostOff);
}

}  // namespace

// --- Line ---

Line::Line(const LearnedLine& sums) {
  // Cauchy and Schwarz, with some room for rounding; else a slope may be anything.
  if (sums.n > 0 && sums.n * sums.xx >= sums.x * sums.x * (1 - 1e-9)) sums_ = sums;
}

void Line::learn(double x, double y) {
  sums_.n = sums_.n * kFading + 1;
  sums_.x = sums_.x * kFading + x;
  sums_.xx = sums_.xx * kFading + x * x;
  sums_.y = sums_.y * kFading + y;
  sums_.xy = sums_.xy * kFading + x * y;
}

Line::Shape Line::shape(const Shape& prior, double strength) const {
  if (sums_.n == 0) return prior;
  const double a = sums_.n + strength;
  const double d = sums_.xx + 4 * strength;
  const double u = sums_.y + strength * prior.base;
  const double v = sums_.xy + 4 * strength * prior.slope;
  // Positive: n * xx >= x * x, and the prior on top.
  const double determinant = a * d - sums_.x * sums_.x;
  Shape shape{(u * d - v * sums_.x) / determinant, (a * v - sums_.x * u) / determinant};
  // Noise can tilt a line so far that one end is negative; nothing takes less than no time.
  shape.slope = std::max(shape.slope, 0.0);
  shape.base = std::max((u - shape.slope * sums_.x) / a, 0.05 * prior.base);
  return shape;
}

// --- Lengths ---

namespace {

constexpr double kLittle = 1e-3;  // samples: as good as none

// What the bins stand for: 3, 4.5, 7, … 6,600 tokens.
template <std::size_t count>
constexpr std::array<double, count> steps() {
  std::array<double, count> all{};
  double each = 3;
  for (double& length : all) {
    length = each;
    each *= 1.5;
  }
  return all;
}

}  // namespace

Lengths::Lengths(const LearnedLengths& counts) : known_(counts) {
  constexpr auto kLengths = steps<kBins>();
  for (std::size_t bin = 0; bin < kBins; ++bin) {
    weight_ += known_.counts[bin];
    tokens_ += known_.counts[bin] * kLengths[bin];
  }
}

void Lengths::learn(double tokens) {
  constexpr auto kLengths = steps<kBins>();
  std::size_t bin = 0;
  while (bin + 1 < kBins && kLengths[bin] * kLengths[bin + 1] < tokens * tokens) ++bin;
  for (float& each : known_.counts) each *= static_cast<float>(kFading);
  known_.counts[bin] += 1;
  known_.samples = known_.samples * kFading + 1;
  weight_ = weight_ * kFading + 1;
  tokens_ = tokens_ * kFading + kLengths[bin];
}

Lengths Lengths::usual() {
  Lengths lengths;
  for (const double tokens : {20.0, 70.0, 150.0, 300.0, 600.0}) lengths.learn(tokens);
  return lengths;
}

// What each sample of another one counts where that one is believed at first.
double Lengths::weight_as_prior() const {
  constexpr double kPriorSamples = 3;
  return known_.samples > 0 ? kPriorSamples / known_.samples : 0;
}

double Lengths::mean(const Lengths& prior) const {
  const double scale = prior.weight_as_prior();
  const double weight = weight_ + scale * prior.weight_;
  return weight < kLittle ? 1 : (tokens_ + scale * prior.tokens_) / weight;
}

double Lengths::remaining(const Lengths& prior, double so_far) const {
  constexpr auto kLengths = steps<kBins>();
  const double scale = prior.weight_as_prior();
  double weight = 0;
  double sum = 0;
  for (std::size_t bin = 0; bin < kBins; ++bin) {
    const double length = kLengths[bin];
    if (length <= so_far) continue;
    const double count = known_.counts[bin] + scale * prior.known_.counts[bin];
    weight += count;
    sum += count * (length - so_far);
  }
  // Longer than all before: who knows; half as much again.
  return weight < kLittle ? std::max(1.0, so_far / 2) : sum / weight;
}

// --- Estimates ---

Estimates::Estimates(std::vector<SlotRule> slots)
    : slots_(std::move(slots)), instances_(slots_.size()), loads_(slots_.size()) {}

void Estimates::Factor::learn(double ratio) {
  const double around = value(1);
  const double share = std::max(1 / (samples + 1), 1 - kFading);
  mean += share * (clipped(ratio, around) - mean);
  samples = samples * kFading + 1;
}

void Estimates::sized(ModelIndex model, std::uint64_t bytes) {
  if (model >= models_.size()) models_.resize(model + 1);
  ModelData& data = models_[model];
  if (data.at.empty()) data.at.resize(slots_.size());
  if (bytes > 0) data.gigabytes = static_cast<double>(bytes) / 1e9;
}

void Estimates::forget(ModelIndex model) {
  if (model < models_.size()) models_[model] = {};
}

const Estimates::Known& Estimates::known(const Pair& pair) const {
  DROVER_ASSERT(pair.model < models_.size());
  return models_[pair.model].at[pair.backend.value];
}

double Estimates::factor(const Pair& pair, Factor Speed::* kind) const {
  const double of_fleet = (fleet_.*kind).value(1);
  const double of_instance = (instances_[pair.backend.value].*kind).value(of_fleet);
  return of_instance * (models_[pair.model].speed.*kind).value(1);
}

Line::Shape Estimates::prefill_prior(const Pair& pair) const {
  const double slope = kPrefillPerGb * models_[pair.model].gigabytes;
  return {kPrefillBase, slope * factor(pair, &Speed::prefill)};
}

Line::Shape Estimates::step_prior(const Pair& pair) const {
  const double base = kStepPerGb * models_[pair.model].gigabytes * factor(pair, &Speed::step);
  return {base, kNeighbour * base};
}

namespace {

// Samples that a prior counts as: two answers of a pair weigh as much as all that is like it.
constexpr double kStrength = 2;

}  // namespace

double Estimates::prefill_s(Pair pair, double tokens) const {
  return known(pair).prefill.shape(prefill_prior(pair), kStrength).at(tokens / 1000);
}

Estimates::Steps Estimates::steps(Pair pair) const {
  return {known(pair).step.shape(step_prior(pair), kStrength)};
}

double Estimates::load_s(Pair pair) const {
  const Line::Shape fleet = fleet_loads_.shape(kLoad, kStrength);
  const double gigabytes = models_[pair.model].gigabytes;
  return loads_[pair.backend.value].shape(fleet, kStrength).at(gigabytes);
}

void Estimates::learn_load(Pair pair, double seconds) {
  const double sample = clipped(seconds, load_s(pair));
  loads_[pair.backend.value].learn(models_[pair.model].gigabytes, sample);
  fleet_loads_.learn(models_[pair.model].gigabytes, sample);
}

void Estimates::learn(Pair pair, const Sample& sample) {
  ModelData& data = models_[pair.model];
  Known& known = data.at[pair.backend.value];
  if (sample.output_tokens > 0) {
    data.lengths.learn(sample.output_tokens);
    fleet_lengths_.learn(sample.output_tokens);
    data.mean_output = data.lengths.mean(fleet_lengths_);
  }
  if (sample.prompt_tokens > 0 && sample.prompt_bytes > 0) {
    const double each = sample.prompt_bytes / sample.prompt_tokens;
    data.bytes_per_token += 0.1 * (std::clamp(each, 0.5, 64.0) - data.bytes_per_token);
  }
  learn_slots(known, pair, sample);
  // Somebody else was there, whom nobody told us about: its paces are not the model's.
  if (sample.hidden_wait_s > kHiddenWait) return;
  const double models = std::max(1.0, sample.models);
  Speed& here = instances_[pair.backend.value];
  const auto learn_factor = [&](Factor Speed::* kind, double ratio) {
    const double of_model = (data.speed.*kind).value(1);
    const double of_instance = (here.*kind).value((fleet_.*kind).value(1));
    (fleet_.*kind).learn(ratio / of_model);
    (here.*kind).learn(ratio / of_model);
    (data.speed.*kind).learn(ratio / of_instance);
  };
  if (sample.decode_s > 0 && sample.output_tokens >= 8) {
    const double each = sample.decode_s / (sample.output_tokens - 1) / models;
    const double believed = step_s(pair, sample.neighbours + 1);
    const double base = kStepPerGb * data.gigabytes * (1 + kNeighbour * sample.neighbours);
    learn_factor(&Speed::step, each / base);
    known.step.learn(sample.neighbours, clipped(each, believed));
  }
  const double fresh = sample.prompt_tokens - sample.cached_tokens;
  if (sample.prefill_s > 0 && fresh >= 64) {
    const double took =
        sample.prefill_s * sample.reading_share / std::max(1.0, sample.prefill_models);
    const double believed = prefill_s(pair, fresh);
    const double thousands = fresh / 1000;
    const double constant = kPrefillBase + kPrefillPerGb * data.gigabytes * thousands;
    learn_factor(&Speed::prefill, took / constant);
    known.prefill.learn(thousands, clipped(took, believed));
  }
}

// A wait for a slot although we sent no more than there should be: there are fewer. No wait at all
// for long with all of them busy: perhaps there are more; each try that fails waits longer for the
// next. A slot that has served before was taken by strangers, who leave again: it is tried soon.
void Estimates::learn_slots(Known& known, const Pair& pair, const Sample& sample) {
  const std::uint32_t believed = slots(pair);
  const SlotRule& rule = slots_[pair.backend.value];
  if (rule.first == rule.most) known.proven = rule.most;  // it was told
  if (sample.hidden_wait_s > kHiddenWait) {
    known.full_streak = 0;
    if (sample.rank > believed || sample.rank <= 1) return;
    known.slots = sample.rank - 1;
    if (believed > known.proven) {
      known.streak_to_raise = std::min(kMostStreak, known.streak_to_raise * 2);
    } else {
      known.streak_to_return = std::min(kMostToReturn, known.streak_to_return * 2);
    }
  } else if (sample.rank >= believed) {
    ++known.full_streak;
    const bool is_back = believed == known.proven && known.full_streak == known.streak_to_return;
    if (is_back) known.streak_to_return = Known::kFirstStreak;
    const bool returns = believed < known.proven;
    if (known.full_streak < (returns ? known.streak_to_return : known.streak_to_raise)) return;
    known.full_streak = 0;
    if (believed > known.proven) {
      known.proven = believed;
      known.streak_to_raise = Known::kFirstStreak;
    }
    if (believed < rule.most) known.slots = believed + 1;
  }
}

// --- a notebook ---

void Estimates::write_down(Learned& to, const std::vector<std::string>& instances) const {
  to.speed = fleet_.written();
  to.loads = fleet_loads_.sums();
  to.lengths = fleet_lengths_.counts();
  for (std::size_t i = 0; i < instances.size(); ++i) {
    to.instances.push_back({instances[i], instances_[i].written(), loads_[i].sums()});
  }
}

bool Estimates::write_down(LearnedModel& to, ModelIndex model,
                           const std::vector<std::string>& instances) const {
  const ModelData& data = models_[model];
  to.bytes_per_token = data.bytes_per_token;
  to.speed = data.speed.written();
  to.lengths = data.lengths.counts();
  bool any = to.lengths.samples > 0;
  for (std::size_t i = 0; i < data.at.size(); ++i) {
    const Known& known = data.at[i];
    if (known.prefill.samples() + known.step.samples() == 0 && known.slots == 0) continue;
    to.at.push_back({instances[i], known.prefill.sums(), known.step.sums(), known.slots,
                     known.streak_to_raise});
    any = true;
  }
  return any;
}

void Estimates::remember(const Learned& from, const std::vector<std::string>& instances) {
  fleet_.remember(from.speed);
  fleet_loads_ = Line(from.loads);
  if (from.lengths.samples > 0) fleet_lengths_ = Lengths(from.lengths);
  for (const LearnedInstance& each : from.instances) {
    const auto found = std::ranges::find(instances, each.instance);
    if (found == instances.end()) continue;
    const auto place = static_cast<std::size_t>(found - instances.begin());
    instances_[place].remember(each.speed);
    loads_[place] = Line(each.loads);
  }
}

void Estimates::remember(const LearnedModel& from, ModelIndex model,
                         const std::vector<std::string>& instances) {
  ModelData& data = models_[model];
  if (from.bytes_per_token > 0) data.bytes_per_token = from.bytes_per_token;
  data.speed.remember(from.speed);
  data.lengths = Lengths(from.lengths);
  if (from.lengths.samples > 0) data.mean_output = data.lengths.mean(fleet_lengths_);
  for (const LearnedPair& each : from.at) {
    const auto found = std::ranges::find(instances, each.instance);
    if (found == instances.end()) continue;
    const auto place = static_cast<std::size_t>(found - instances.begin());
    Known& known = data.at[place];
    known.prefill = Line(each.prefill);
    known.step = Line(each.step);
    // What is told now may be another number than when that was learned.
    const bool told = slots_[place].first == slots_[place].most;
    known.slots = known.proven = told ? 0 : std::min(each.slots, slots_[place].most);
    if (each.streak_to_raise > 0) {
      known.streak_to_raise = std::min(each.streak_to_raise, kMostStreak);
    }
  }
}

double Estimates::prompt_tokens(ModelIndex model, std::uint64_t bytes) const {
  return static_cast<double>(bytes) / models_[model].bytes_per_token;
}

double Estimates::output_tokens(ModelIndex model) const {
  const ModelData& data = models_[model];
  return data.mean_output > 0 ? data.mean_output : fleet_lengths_.mean(fleet_lengths_);
}

double Estimates::remaining_tokens(ModelIndex model, double so_far) const {
  return models_[model].lengths.remaining(fleet_lengths_, so_far);
}

std::uint32_t Estimates::slots(Pair pair) const {
  const std::uint32_t learned = known(pair).slots;
  return learned > 0 ? learned : slots_[pair.backend.value].first;
}

}  // namespace drover::core
