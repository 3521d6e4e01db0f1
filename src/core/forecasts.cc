#include "core/forecasts.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace drover::core {
namespace {

// Where prompts are read and answers written at once, reading gets this part (llama.cpp's batches).
constexpr double kReadingShare = 0.7;
// How long ago a request counts a third: demand by the minute would forget a lunch break's models,
// by the hour it would keep yesterday's.
constexpr double kDemandMemory = 300;
// Each failure in a row, in seconds: an instance that fails fast is always idle.
constexpr double kFailure = 10;
constexpr double kErrorMemory = 0.02;
// Of PredictionError::late: twice as much follows twice as fast, and swings twice as far.
constexpr double kLateStep = 0.05;
constexpr double kMostLate = 100;

std::vector<Estimates::SlotRule> slot_rules(std::span<const BackendSpec> specs) {
  constexpr std::uint32_t kMostTried = 32;
  std::vector<Estimates::SlotRule> rules;
  for (const BackendSpec& spec : specs) {
    const bool told = spec.supervised || spec.slots_are_told;
    rules.push_back({spec.slots, told ? spec.slots : kMostTried});
  }
  return rules;
}

}  // namespace

Forecasts::Forecasts(std::span<const BackendSpec> specs)
    : ledger_(specs.size()), estimates_(slot_rules(specs)), seating_(specs.size()) {}

// --- models ---

ModelIndex Forecasts::number(const std::string& key, const ModelName& name) {
  const ModelTable::Entry entry = models_.of(key, name);
  if (!entry.fresh) return entry.index;
  if (entry.index >= demand_.size()) demand_.resize(entry.index + 1);
  demand_[entry.index] = {};
  estimates_.forget(entry.index);
  seating_.forget(entry.index);
  estimates_.sized(entry.index, 0);
  seating_.sized(entry.index);
  return entry.index;
}

std::optional<ModelIndex> Forecasts::model_of(std::span<const Instance> instances,
                                              const ModelName& name) {
  for (const Instance& instance : instances) {
    const InstalledModel* installed = instance.installed(name);
    if (installed == nullptr) continue;
    const ModelIndex model =
        number(installed->digest.empty() ? name.text() : installed->digest, name);
    estimates_.sized(model, installed->bytes);
    return model;
  }
  return std::nullopt;
}

void Forecasts::write_down(Learned& to, const std::vector<std::string>& instances) const {
  estimates_.write_down(to, instances);
  for (ModelIndex model = 0; model < models(); ++model) {
    LearnedModel row;
    row.key = models_.key(model);
    row.name = models_.name(model).text();
    row.prompt_tokens = demand_[model].fresh_tokens;
    if (estimates_.write_down(row, model, instances)) to.models.push_back(std::move(row));
  }
}

void Forecasts::remember(const Learned& from, const std::vector<std::string>& instances) {
  estimates_.remember(from, instances);
  for (const LearnedModel& row : from.models) {
    if (models() >= ModelTable::kMaxModels) return;
    const ModelIndex model = number(row.key, ModelName::canonical(row.name));
    if (row.prompt_tokens > 0) demand_[model].fresh_tokens = row.prompt_tokens;
    estimates_.remember(row, model, instances);
  }
}

// --- what happens ---

void Forecasts::arrived(ModelIndex model, Instant now) {
  Demand& demand = demand_[model];
  if (demand.requests == 0) demand.since = now;
  const double passed = to_seconds(now - demand.at) / kDemandMemory;
  demand.requests = demand.requests * std::exp(-passed) + 1;
  demand.at = now;
}

// What has been seen for a short time only is divided by that time, but not by less than a third of
// the memory: one request is not a stream of them.
double Forecasts::rate(ModelIndex model, Instant now) const {
  const Demand& demand = demand_[model];
  if (demand.requests == 0) return 0;
  const double passed = to_seconds(now - demand.at) / kDemandMemory;
  const double seen = std::max(1.0 / 3, to_seconds(now - demand.since) / kDemandMemory);
  return demand.requests * std::exp(-passed) / kDemandMemory / (1 - std::exp(-seen));
}

Prediction Forecasts::granted(const Instance& instance, ModelIndex model, LeaseId lease,
                              const Ask& ask, const Predicted& predicted, Instant now) {
  Ledger::Open open;
  open.model = model;
  open.prompt_bytes = static_cast<float>(ask.body_bytes);
  open.cached_tokens = estimates_.prompt_tokens(model, predicted.cached_bytes);
  open.fresh_tokens = estimates_.prompt_tokens(model, ask.body_bytes) - open.cached_tokens;
  open.beginnings = ask.beginnings;
  open.first_in_s = static_cast<float>(predicted.first_s);
  open.ready = seating_.ready(instance.spec.id, model);
  const double expected = open.ready ? predicted.first_s : 0;
  models_.hold(model);
  ledger_.granted(instance.spec.id, lease, std::move(open), now);
  return {static_cast<float>(expected), static_cast<float>(expected * error_.late)};
}

std::optional<ModelIndex> Forecasts::first_byte(BackendId backend, LeaseId lease, Instant now) {
  const Ledger::Open* open = ledger_.first_byte(backend, lease, now);
  if (open == nullptr) return std::nullopt;
  const bool was_ready = std::as_const(seating_).ready(backend, open->model);
  seating_.served(backend, open->model, now);
  record(*open, now);
  return was_ready ? std::nullopt : std::optional(open->model);
}

void Forecasts::progressed(BackendId backend, LeaseId lease, std::uint64_t tokens, Instant now) {
  ledger_.progressed(backend, lease, static_cast<double>(tokens), now);
}

// Predictions where the model was loaded: waits for loads are another matter.
void Forecasts::record(const Ledger::Open& open, Instant now) {
  const double actual = to_seconds(now - open.granted);
  if (!open.ready || actual <= 0 || open.first_in_s <= 0) return;
  const double off = std::min(10.0, std::abs(open.first_in_s - actual) / actual);
  ++error_.samples;
  const double share = std::max(kErrorMemory, 1 / static_cast<double>(error_.samples));
  error_.mean += share * (off - error_.mean);
  // Up for each that came later, down a ninth of that for each that did not: at rest where one of
  // ten does.
  const bool late = actual > error_.late * open.first_in_s;
  error_.late *= std::exp(kLateStep * (late ? 0.9 : -0.1));
  error_.late = std::clamp(error_.late, 1 / kMostLate, kMostLate);
}

std::optional<ModelIndex> Forecasts::ended(BackendId backend, const LeaseSettled& settled,
                                           Instant now) {
  const std::optional<Ledger::Ended> ended = ledger_.ended(backend, settled.lease, now);
  if (!ended) return std::nullopt;
  if (settled.result == AttemptResult::kServed) learn(backend, *ended, settled.usage, now);
  // Of a whole document nobody tells the first byte.
  const bool computed = ended->open.writes() || settled.result == AttemptResult::kServed;
  if (computed) remember({backend, ended->open.model}, ended->open, settled.usage);
  models_.release(ended->open.model);
  return ended->open.model;
}

void Forecasts::learn(BackendId backend, const Ledger::Ended& ended, const Usage& usage,
                      Instant now) {
  const Ledger::Open& open = ended.open;
  Sample sample;
  sample.prompt_tokens = static_cast<double>(usage.prompt_tokens);
  sample.cached_tokens = std::min(open.cached_tokens, sample.prompt_tokens);
  if (usage.prompt_tokens > 0) {
    double& usual = demand_[open.model].fresh_tokens;
    usual += 0.05 * (sample.prompt_tokens - sample.cached_tokens - usual);
  }
  sample.prompt_bytes = static_cast<double>(open.prompt_bytes);
  sample.output_tokens = static_cast<double>(usage.output_tokens);
  sample.rank = open.rank;
  const Instant first = open.writes() ? open.first : now;
  const double wrote = to_seconds(now - first);
  const double waited = to_seconds(first - open.granted);
  if (wrote > 0) {
    sample.neighbours = std::max(0.0, (ended.at_end.writing - open.at_first.writing) / wrote - 1);
    sample.models = (ended.at_end.models - open.at_first.models) / wrote;
  }
  if (waited > 0 && open.writes()) sample.prefill_models = open.reading_models / waited;
  // Others wrote meanwhile, those too whose prompts were read before it.
  if (open.rank > 1) sample.reading_share = kReadingShare;
  // By the instance's own account where it gives one; else by drover's clock, unless the client
  // held the stream up, or the model had to be loaded first.
  if (usage.eval > Duration::zero()) {
    sample.decode_s = to_seconds(usage.eval);
    sample.prefill_s = to_seconds(usage.prompt_eval);
    const Duration said = usage.load + usage.prompt_eval + usage.eval;
    // Prompts are read one after the other, so a wait behind others' prompts is no secret.
    if (usage.total > said && open.behind == 0)
      sample.hidden_wait_s = to_seconds(usage.total - said);
  } else if (!open.held_up && open.writes()) {
    sample.decode_s = wrote;
    sample.prefill_s = open.ready && open.rank == 1 ? waited : 0;
  }
  estimates_.learn({backend, open.model}, sample);
}

// What it holds beside its weights is the cache of its slots; llama.cpp keeps as much again as fits
// into 8 GiB of host memory.
double Forecasts::cache_tokens(const Pair& pair) const {
  constexpr double kHostBytes = 8.0 * (1ULL << 30U);
  constexpr double kUsualContext = 4096;
  constexpr double kUsualBytes = 131'072;  // of a token of an 8B model
  const Seating::Seat& seat = seating_.seat(pair.backend, pair.model);
  const double context = seat.context > 0 ? static_cast<double>(seat.context) : kUsualContext;
  const double slots = estimates_.slots(pair) * context;
  const double beside = static_cast<double>(seat.bytes) - estimates_.file_bytes(pair.model);
  const double each = beside > 0 ? beside / slots : kUsualBytes;
  return slots + kHostBytes / std::clamp(each, kUsualBytes / 16, kUsualBytes * 16);
}

void Forecasts::remember(const Pair& pair, const Ledger::Open& open, const Usage& usage) {
  const std::uint32_t epoch = std::as_const(seating_).seat(pair.backend, pair.model).epoch;
  prefixes_.remember({pair.backend, pair.model, epoch}, open.beginnings,
                     estimates_.tokens_per_byte(pair.model),
                     static_cast<double>(usage.output_tokens), cache_tokens(pair));
}

std::vector<ModelIndex> Forecasts::looked(const Instance& instance, Instant now) {
  std::vector<Seating::Listed> listed;
  for (const LoadedModel& loaded : *instance.residency) {
    const InstalledModel* installed =
        loaded.digest.empty() ? instance.installed(loaded.name) : nullptr;
    const std::string& digest = installed == nullptr ? loaded.digest : installed->digest;
    const ModelIndex model = number(digest.empty() ? loaded.name.text() : digest, loaded.name);
    listed.push_back({model, loaded.bytes, loaded.context_length});
  }
  return seating_.looked(instance.spec.id, listed, now);
}

void Forecasts::load_done(BackendId backend, ModelIndex model, bool loaded, Instant now) {
  const std::optional<Seating::Plan>& plan = seating_.site(backend).plan;
  const bool planned = plan && plan->ordered && plan->model == model;
  const double took = planned ? to_seconds(now - plan->ordered_at) : 0;
  seating_.load_done(backend, model, loaded, now);
  if (planned && loaded) estimates_.learn_load({backend, model}, took);
}

// --- questions ---

Forecasts::Price Forecasts::price(const Instance& instance, ModelIndex model,
                                  const Wanted& wanted) const {
  const Pair pair{instance.spec.id, model};
  const Ledger::Site& site = ledger_.site(pair.backend);
  const Ledger::Active* active = ledger_.active(pair.backend, model);
  const double running = active == nullptr ? 0 : active->running;
  const double reading = active == nullptr ? 0 : active->reading;
  const double models = static_cast<double>(site.active.size()) + (active == nullptr ? 1 : 0);
  const double writing = running - reading;

  const Seating::Seat& seat = seating_.seat(pair.backend, model);
  Price price;
  if (wanted.found != nullptr) {
    price.cached_bytes =
        std::min(wanted.found->bytes_at(pair.backend, seat.epoch), wanted.prompt_bytes);
  }
  const std::uint64_t fresh_bytes = wanted.prompt_bytes - price.cached_bytes;
  const double prefill = estimates_.prefill_s(pair, estimates_.prompt_tokens(model, fresh_bytes));
  const double output = estimates_.output_tokens(model);
  const Estimates::Steps steps = estimates_.steps(pair);
  const double step = steps.seconds(running + 1);
  const double slower = running == 0 ? 0 : step - steps.seconds(running);
  price.first_s = prefill * (1 + reading) * models / (writing > 0 ? kReadingShare : 1);
  const double write_s = output * step * models;
  // Those of the same model stop for most of the prompt and then write more slowly; those of other
  // models share the GPU with one more, if this is the first of its model.
  double others = running * (prefill * models + slower * output * models);
  if (active == nullptr && models > 1) {
    const double alone = (prefill + output * step);
    others += (static_cast<double>(site.open.size()) - running) * alone;
  }
  price.cost_s = price.first_s + kWriting * (write_s + others);
  price.cost_s += kFailure * instance.health.failures();
  // Of an instance that says nothing nothing is known: it has to find its way by itself.
  const bool unknown = !seating_.site(pair.backend).known;
  bool sits = seat.state == Seating::State::kReady;
  if (seat.state == Seating::State::kLeaving && running > 0) {
    const std::optional<double> joining = joining_s(pair, price.first_s + write_s, wanted);
    sits = joining.has_value();
    price.cost_s += joining.value_or(0);
  }
  // All models of a GPU share its time: of what is kept free there, whoever else runs there takes.
  const bool keeps = wanted.kept > 0 && !site.open.empty();
  const double taken = keeps ? static_cast<double>(site.open.size()) + wanted.kept : running;
  price.now = (sits || unknown || seat.failures > 0) && taken < estimates_.slots(pair);
  if (!sits) price.first_s += estimates_.load_s(pair);
  if (!sits) price.cost_s += estimates_.load_s(pair);
  return price;
}

bool Forecasts::has_free_slot(BackendId backend, ModelIndex model) const {
  const Seating::Seat& seat = seating_.seat(backend, model);
  const bool possible =
      seat.state != Seating::State::kAbsent || seat.failures > 0 || !seating_.site(backend).known;
  return possible && ledger_.running(backend, model) < estimates_.slots({backend, model});
}

double Forecasts::away_s(BackendId backend, ModelIndex model, const Beginnings& prompt) const {
  std::uint64_t here = 0;
  std::uint64_t most = 0;
  const Prefixes::Found everywhere = found(model, prompt);
  for (const Prefixes::Found::Part& part : everywhere.parts()) {
    const Seating::Seat& seat = seating_.seat(part.backend, model);
    if (seat.state != Seating::State::kReady || seat.epoch != part.epoch) continue;
    most = std::max(most, part.bytes);
    if (part.backend == backend) here = part.bytes;
  }
  if (most == here) return 0;
  const Pair pair{backend, model};
  return estimates_.prefill_s(pair, estimates_.prompt_tokens(model, most)) -
         estimates_.prefill_s(pair, estimates_.prompt_tokens(model, here));
}

// What those lose who wait for the memory of a model that leaves, when one more request of it
// begins before it is gone; as long as its last answer runs that is nothing. None: it may not. That
// goes on for a while only: the last answer is always expected to run on, and each that begins may
// become the last.
// Whoever may not waits until their model is loaded and then this one again, so they are held up
// for less than that, and all together no longer.
std::optional<double> Forecasts::joining_s(const Pair& pair, double answer_s,
                                           const Wanted& wanted) const {
  const std::optional<Seating::Plan>& plan = seating_.site(pair.backend).plan;
  if (!plan || plan->ordered || wanted.queue == nullptr) return std::nullopt;
  const double drain = drain_s(pair.backend, pair.model, wanted.now);
  const double longer = std::max(0.0, answer_s - drain);
  const double there_and_back = plan->load_s + estimates_.load_s(pair);
  const double held = to_seconds(wanted.now - plan->begun) + longer;
  if (held > there_and_back) return std::nullopt;
  const double waiting = static_cast<double>(wanted.queue->size(plan->model));
  const double cost = longer * std::max(1.0, waiting);
  if (cost >= drain + there_and_back) return std::nullopt;
  return cost;
}

double Forecasts::remaining_s(BackendId backend, const Ledger::Open& open, Instant now) const {
  const Pair pair{backend, open.model};
  const Ledger::Site& site = ledger_.site(backend);
  const double models = static_cast<double>(std::max<std::size_t>(1, site.active.size()));
  const double step = estimates_.step_s(pair, ledger_.running(backend, open.model)) * models;
  if (!open.writes()) {
    const double left = estimates_.prefill_s(pair, open.fresh_tokens) * models;
    return left + estimates_.output_tokens(open.model) * step;
  }
  const double written = open.told + to_seconds(now - open.told_at) / step;
  return estimates_.remaining_tokens(open.model, written) * step;
}

double Forecasts::drain_s(BackendId backend, ModelIndex model, Instant now) const {
  double longest = 0;
  for (const Ledger::Open& open : ledger_.site(backend).open) {
    if (open.model == model) longest = std::max(longest, remaining_s(backend, open, now));
  }
  return longest;
}

double Forecasts::service_s(BackendId backend, ModelIndex model) const {
  const Pair pair{backend, model};
  const Ledger::Site& site = ledger_.site(backend);
  const double others = ledger_.active(backend, model) == nullptr ? 1 : 0;
  const double models = static_cast<double>(site.active.size()) + others;
  const double slots = estimates_.slots(pair);
  const double prefill = estimates_.prefill_s(pair, demand_[model].fresh_tokens);
  // A prompt being read stops the others of its model, so each answer has the prompts of all slots
  // in its way.
  const double alone =
      prefill * slots + estimates_.output_tokens(model) * estimates_.step_s(pair, slots);
  return alone * models / slots;
}

double Forecasts::work_s(BackendId backend, ModelIndex model) const {
  const Pair pair{backend, model};
  return estimates_.prefill_s(pair, demand_[model].fresh_tokens) +
         estimates_.output_tokens(model) * estimates_.step_s(pair, 2) / 2;
}

double Forecasts::wait_s(ModelIndex model, std::size_t ahead, Instant now) const {
  double pace = 0;
  double soonest = 1e9;
  for (std::uint32_t i = 0; i < ledger_.instances(); ++i) {
    const BackendId backend{i};
    const std::optional<Seating::Plan>& plan = seating_.site(backend).plan;
    if (plan && plan->model == model) {
      const double since = to_seconds(now - (plan->ordered ? plan->ordered_at : now));
      soonest = std::min(soonest, std::max(0.1, estimates_.load_s({backend, model}) - since));
    } else if (seating_.ready(backend, model)) {
      soonest = 0;
    } else {
      continue;
    }
    pace += 1 / service_s(backend, model);
  }
  if (pace == 0) {
    soonest = estimates_.load_s({BackendId{0}, model});
    pace = 1 / service_s(BackendId{0}, model);
  }
  return soonest + static_cast<double>(ahead + 1) / pace;
}

}  // namespace drover::core
