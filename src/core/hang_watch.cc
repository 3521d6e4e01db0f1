#include "core/hang_watch.h"

#include <algorithm>
#include <limits>
#include <utility>

#include <fmt/format.h>

namespace drover::core {
namespace {

// A prompt has at most one token for three bytes of request in nearly every script and in code; a
// picture in base64 has far fewer. Too many only makes the deadline longer.
constexpr std::uint64_t kBytesPerToken = 3;

// Until five prompts were measured: what a GPU from 2016 reads of an 8B model. Two minutes of
// healthy prefill at that speed are 6,000 tokens, and their deadline is 6 minutes. Twice as much
// would still be safe, half as much would only wait longer.
constexpr double kPriorRate = 50;
constexpr std::size_t kEnough = 5;
// Never trust more than this. A prompt whose beginning was cached looks many times faster than the
// GPU is. With the margin of 3, two minutes of real prefill are safe from 134 tokens a second on,
// even when every prompt that was ever measured was a cached one.
constexpr double kFastestTrusted = 400;
// Shorter prompts and times measure the overhead.
constexpr std::uint64_t kMinPromptTokens = 64;
constexpr Duration kMinPrefill = std::chrono::milliseconds(100);

// The checks themselves cost an instance about 0.1 % of a core; a load that lives takes far more.
constexpr double kCpuOfALoad = 0.02;
constexpr Duration kCpuWindow = std::chrono::seconds(5);
// Less than any layer of a model; other processes on the GPU breathe in smaller steps.
constexpr std::uint64_t kMemoryStep = 16ULL << 20;

// Between two looks. Finer only finds a hang sooner by less than that.
constexpr Duration kLookInterval = std::chrono::seconds(1);

std::int64_t seconds(Duration time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time).count();
}

std::uint64_t distance(std::uint64_t a, std::uint64_t b) { return a > b ? a - b : b - a; }

}  // namespace

// --- PrefillRate ---

void PrefillRate::learn(const Usage& usage) {
  if (usage.prompt_tokens < kMinPromptTokens || usage.prompt_eval < kMinPrefill) return;
  samples_[learned_++ % kWindow] =
      static_cast<double>(usage.prompt_tokens) / to_seconds(usage.prompt_eval);
  const std::size_t count = std::min<std::uint64_t>(learned_, kWindow);
  if (count < kEnough) return;
  // The tenth percentile: most samples are too fast because of caches, one may be slow by accident.
  std::array<double, kWindow> sorted = samples_;
  const auto slow = sorted.begin() + static_cast<std::ptrdiff_t>(count / 10);
  std::nth_element(sorted.begin(), slow, sorted.begin() + static_cast<std::ptrdiff_t>(count));
  slow_ = *slow;
}

double PrefillRate::tokens_per_second() const {
  return learned_ < kEnough ? kPriorRate : std::min(slow_, kFastestTrusted);
}

Duration PrefillRate::deadline(std::uint64_t body_bytes, const HangRules& rules,
                               bool foreign) const {
  const double tokens = static_cast<double>(body_bytes / kBytesPerToken);
  const double time = tokens / tokens_per_second() * rules.prefill_margin;
  const Duration least = foreign ? rules.foreign_min : rules.prefill_min;
  if (time >= to_seconds(rules.prefill_max)) return rules.prefill_max;
  const auto computed = std::chrono::duration_cast<Duration>(std::chrono::duration<double>(time));
  return std::min(std::max(computed + rules.prefill_extra, least), rules.prefill_max);
}

// --- requests ---

HangWatch::HangWatch(const HangRules& rules, const BackendSpec& spec)
    : rules_(rules), gpus_(spec.gpus), foreign_(!spec.supervised) {}

void HangWatch::granted(LeaseId lease, const Ask& ask, Instant now) {
  if (leases_.empty()) {
    quiet_since_ = now;
    looked_at_ = now;
    if (moved_at_) moved_at_ = now;
  }
  const Duration limit =
      ask.streaming ? prefill_.deadline(ask.body_bytes, rules_, foreign_) : rules_.document;
  // What no runner can have does not match what one has, however it is cut.
  constexpr std::uint64_t kMost = std::numeric_limits<std::uint32_t>::max();
  const auto num_ctx = static_cast<std::uint32_t>(std::min(ask.num_ctx.value_or(0), kMost));
  leases_.put(lease, Lease{limit, names_.take(ask.model), num_ctx, ask.streaming, false});
}

void HangWatch::first_byte(LeaseId lease, Instant now) {
  quiet_since_ = now;
  Lease* const found = leases_.find(lease);
  if (found != nullptr && found->streaming) found->limit = rules_.token_gap;
}

void HangWatch::progressed(Instant now) { quiet_since_ = now; }

void HangWatch::held_up(LeaseId lease, bool by_client, Instant now) {
  Lease* const found = leases_.find(lease);
  if (found == nullptr) return;
  found->held_up = by_client;
  quiet_since_ = now;
}

void HangWatch::ended(LeaseId lease, bool answered, const Usage& usage, Instant now) {
  if (const Lease* const found = leases_.find(lease)) {
    names_.release(found->model);
    leases_.erase(lease);
  }
  if (!answered) return;
  quiet_since_ = now;
  prefill_.learn(usage);
}

// --- what is seen ---

void HangWatch::devices(const GpuReport& report, Instant now) {
  if (gpus_.empty()) return;
  std::size_t known = 0;
  std::size_t idle = 0;
  std::uint64_t memory = 0;
  bool memory_known = true;
  for (const Gpu& gpu : report.gpus) {
    if (std::ranges::find(gpus_, gpu.uuid) == gpus_.end()) continue;
    memory_known &= gpu.memory_used_bytes.has_value();
    memory += gpu.memory_used_bytes.value_or(0);
    // Readings of a driver that does not answer are old ones.
    if (!gpu.utilization || gpu.condition != GpuCondition::kWell) continue;
    ++known;
    if (*gpu.utilization < rules_.idle_below) ++idle;
  }
  const bool all_idle = known == gpus_.size() && idle == known;
  // A gap in the reports is no proof of idleness within it.
  const bool follows = now - reported_at_ <= rules_.report_fresh;
  reported_at_ = now;
  if (!all_idle) idle_since_.reset();
  if (all_idle && !(idle_since_ && follows)) idle_since_ = now;

  if (!memory_known) return;
  if (!gpu_memory_ || distance(*gpu_memory_, memory) >= kMemoryStep) {
    gpu_memory_ = memory;
    moved_at_ = now;
  }
}

void HangWatch::process(const InstanceProcess& process, Instant now) {
  if (cpu_mark_ && process.cpu >= *cpu_mark_) {
    const Duration window = now - cpu_marked_at_;
    if (window < kCpuWindow) return;
    const bool works = to_seconds(process.cpu - *cpu_mark_) >= kCpuOfALoad * to_seconds(window);
    if (works) moved_at_ = now;
  } else {
    moved_at_ = now;
  }
  cpu_mark_ = process.cpu;
  cpu_marked_at_ = now;
}

void HangWatch::calm(Instant now) {
  quiet_since_ = now;
  if (moved_at_) moved_at_ = now;
  suspicion_.reset();
}

// --- looking ---

HangWatch::Loaded HangWatch::loaded(const Listed& listed) const {
  Loaded loaded;
  LeaseId newest;
  leases_.for_each([&](LeaseId id, const Lease& lease) {
    const LoadedModel* found = listed(names_.name(lease.model));
    loaded.all &= found != nullptr;
    loaded.on_gpu &= found != nullptr && found->vram_bytes > 0 && found->vram_bytes >= found->bytes;
    if (found == nullptr || id < newest) return;
    newest = id;
    loaded.canary = names_.name(lease.model);
    // Named by the client, and what the runner was loaded with: then it was this client's wish.
    loaded.num_ctx.reset();
    if (lease.num_ctx > 0 && lease.num_ctx == found->context_length) loaded.num_ctx = lease.num_ctx;
  });
  if (newest != LeaseId{}) return loaded;
  leases_.for_each([&](LeaseId id, const Lease& lease) {
    if (newest != LeaseId{} && newest < id) return;
    newest = id;
    loaded.canary = names_.name(lease.model);
  });
  return loaded;
}

bool HangWatch::idle(Instant now) const {
  if (!idle_since_ || now - reported_at_ > rules_.report_fresh) return false;
  return now - std::max(*idle_since_, quiet_since_) >= rules_.idle_for;
}

std::optional<std::string> HangWatch::stalled(Instant now) const {
  if (!moved_at_) return std::nullopt;
  const Duration still = now - std::max(*moved_at_, quiet_since_);
  if (still < rules_.load_stall) return std::nullopt;
  return fmt::format("a model has been loading, and for {} s neither GPU memory nor CPU time moved",
                     seconds(still));
}

std::optional<std::string> HangWatch::suspicious(const Loaded& loaded, Instant now) const {
  if (!loaded.all) return stalled(now);
  const Duration quiet = now - quiet_since_;
  const std::string what =
      fmt::format("no token of {} requests under way for {} s", leases_.size(), seconds(quiet));
  if (loaded.on_gpu && idle(now)) return what + ", and its GPU was idle";
  Duration limit{};
  leases_.for_each([&limit](LeaseId, const Lease& lease) { limit = std::max(limit, lease.limit); });
  if (quiet < limit) return std::nullopt;
  return fmt::format("{}, and {} s are allowed for the longest prompt", what, seconds(limit));
}

std::optional<Suspicion> HangWatch::look(const Listed& listed, Instant now) {
  looked_at_ = now;
  if (suspicion_ || leases_.empty() || now < next_canary_) return std::nullopt;
  bool held_up = false;
  leases_.for_each([&held_up](LeaseId, const Lease& lease) { held_up |= lease.held_up; });
  if (held_up) return std::nullopt;
  const Loaded models = loaded(listed);
  std::optional<std::string> reason = suspicious(models, now);
  if (!reason) return std::nullopt;
  suspicion_ = Suspicion{*std::move(reason), models.canary, models.num_ctx};
  last_ = suspicion_;
  next_canary_ = now + rules_.canary_interval;
  return suspicion_;
}

std::optional<Suspicion> HangWatch::look_again(Instant now) {
  looked_at_ = now;
  if (suspicion_ || now < next_canary_ || !last_) return std::nullopt;
  next_canary_ = now + rules_.canary_interval;
  suspicion_ = last_;
  return suspicion_;
}

Instant HangWatch::next_look(Outlook outlook) const {
  if (suspicion_) return kNever;
  if (outlook == Outlook::kHung) return last_ ? next_canary_ : kNever;
  return leases_.empty() ? kNever : std::max(looked_at_ + kLookInterval, next_canary_);
}

std::optional<std::string> HangWatch::canary_done(bool answered, const std::string& detail,
                                                  Instant now) {
  const std::optional<Suspicion> suspicion = std::exchange(suspicion_, std::nullopt);
  if (!suspicion) return std::nullopt;
  looked_at_ = now;
  if (answered) {
    quiet_since_ = now;
    return std::nullopt;
  }
  // Something moved while the canary was under way: that is an answer as well.
  if (quiet_since_ > next_canary_ - rules_.canary_interval) return std::nullopt;
  return fmt::format("hung: {}, and a test of one token failed: {}", suspicion->reason, detail);
}

}  // namespace drover::core
