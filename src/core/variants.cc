#include "core/variants.h"

#include <algorithm>

#include <fmt/format.h>

namespace drover::core {
namespace {

// A look that was under way when a model was loaded may still tell of before, and lasts 5 s at
// most.
constexpr Duration kLookLasts = std::chrono::seconds(10);

bool names_options(const Ask& ask) { return ask.num_ctx || ask.other_runner_options != 0; }

}  // namespace

std::string_view to_string(Reload::Cause cause) {
  switch (cause) {
    case Reload::Cause::kNumCtx:
      return "num_ctx";
    case Reload::Cause::kDefault:
      return "default";
    case Reload::Cause::kOther:
      return "other";
  }
  return "unknown";
}

OptionsRule Variants::rule_of(const ModelName& model) const {
  const auto found = rules_.models.find(model);
  return found == rules_.models.end() ? rules_.rule : found->second;
}

Result<void> Variants::check(const Ask& ask) const {
  if (!names_options(ask) || rule_of(ask.model) != OptionsRule::kRefuse) return {};
  return Error{
      ErrorKind::kMalformed, Origin::kClient, Retry::kNever,
      fmt::format("model '{}' is served as it is loaded: leave out {} (num_ctx: refuse in "
                  "drover's configuration)",
                  ask.model_as_sent,
                  ask.num_ctx ? "options.num_ctx" : "options such as num_gpu and num_batch")};
}

// Precondition: some step is as large.
std::uint64_t Variants::step_for(std::uint64_t tokens) const {
  return *std::ranges::lower_bound(rules_.steps, tokens);
}

// What normalisation takes a request to want. Nobody gets more than the last step, or than an
// instance chooses itself: everybody else would have to run with it, on the CPU if need be.
std::uint64_t Variants::wanted_context(const Ask& ask, std::uint64_t own) const {
  if (!ask.num_ctx) return own;
  const std::uint64_t last = rules_.steps.empty() ? 0 : rules_.steps.back();
  return std::min(*ask.num_ctx, std::max(last, own));
}

const Variants::Special* Variants::special(const Key& key) const {
  const auto found = special_.find(key);
  return found == special_.end() ? nullptr : &found->second;
}

// The context that the instance chooses when none is named; 0: not seen yet.
std::uint64_t Variants::own_context(const Key& key, const Special* special,
                                    const Seat& seat) const {
  if (special == nullptr && seat.context != 0) return seat.context;
  const auto found = own_.find(key);
  return found == own_.end() ? 0 : found->second;
}

VariantOrder Variants::follow(const Special* special, std::uint64_t own, const Ask& ask) const {
  VariantOrder order;
  order.others_left_out = ask.other_runner_options != 0;
  const std::uint64_t loaded = special != nullptr ? special->num_ctx.value_or(0) : 0;
  const std::uint64_t wanted = wanted_context(ask, own);
  if (loaded != 0 && wanted != 0 && loaded >= wanted) {
    order.num_ctx = VariantOrder::NumCtx::kSet;
    order.tokens = loaded;
  } else if (!ask.num_ctx) {
    order.num_ctx = VariantOrder::NumCtx::kAsSent;
  } else if (own >= wanted) {
    order.num_ctx = VariantOrder::NumCtx::kLeftOut;
  } else {
    order.num_ctx = VariantOrder::NumCtx::kSet;
    order.tokens = step_for(wanted);
  }
  // What says the same already is left alone.
  const bool same = order.num_ctx == VariantOrder::NumCtx::kSet && ask.num_ctx == order.tokens;
  if (same) order.num_ctx = VariantOrder::NumCtx::kAsSent;
  return order;
}

bool Variants::concern(const Ask& ask) const { return !special_.empty() || names_options(ask); }

bool Variants::fits(const Seat& seat, const Ask& ask) const {
  if (!concern(ask)) return true;
  const Key key{seat.backend.value, seat.model};
  const Special* found = special(key);
  // A route that can name none asks for what the instance chooses itself.
  if (!ask.takes_runner_options) return found == nullptr;
  if (rule_of(ask.model) != OptionsRule::kNormalise) {
    const std::optional<std::uint64_t> loaded = found ? found->num_ctx : std::nullopt;
    return loaded == ask.num_ctx && (found ? found->others : 0) == ask.other_runner_options;
  }
  const std::uint64_t own = own_context(key, found, seat);
  const std::uint64_t loaded = found && found->num_ctx ? *found->num_ctx : own;
  return loaded >= wanted_context(ask, own);
}

Variants::Choice Variants::granted(const Seat& seat, const Ask& ask, Instant now) {
  if (!concern(ask)) return {};
  const Key key{seat.backend.value, seat.model};
  const Special* before = special(key);
  const std::uint64_t own = own_context(key, before, seat);
  Choice choice;
  choice.num_ctx = ask.num_ctx;
  std::uint32_t others = ask.other_runner_options;
  if (ask.takes_runner_options && rule_of(ask.model) == OptionsRule::kNormalise) {
    choice.order = follow(before, own, ask);
    others = 0;
    if (choice.order.num_ctx == VariantOrder::NumCtx::kLeftOut) choice.num_ctx.reset();
    if (choice.order.num_ctx == VariantOrder::NumCtx::kSet) choice.num_ctx = choice.order.tokens;
  }
  const std::optional<std::uint64_t> loaded = before ? before->num_ctx : std::nullopt;
  const std::uint32_t loaded_others = before ? before->others : 0;
  const bool is_loaded = before != nullptr || seat.in_use || seat.context != 0;
  if (is_loaded && (loaded != choice.num_ctx || loaded_others != others)) {
    Reload reload{Reload::Cause::kOther, loaded.value_or(own), choice.num_ctx.value_or(own)};
    if (loaded != choice.num_ctx) {
      reload.cause = choice.num_ctx ? Reload::Cause::kNumCtx : Reload::Cause::kDefault;
    }
    choice.reload = reload;
  }
  // Before it goes: what the instance chose by itself is not listed any more from now on.
  const bool room = own_.size() < kMaxKnown && special_.size() < kMaxKnown;
  if (own != 0 && room) own_[key] = own;
  if (!choice.num_ctx && others == 0) {
    special_.erase(key);
  } else if (before != nullptr || room) {
    special_[key] = {choice.num_ctx, others, now};
  }
  return choice;
}

void Variants::looked(BackendId backend, const Residency& residency,
                      const std::function<bool(const ModelName&)>& in_use, Instant now) {
  if (special_.empty()) return;
  auto at = special_.lower_bound({backend.value, ModelName{}});
  while (at != special_.end() && at->first.first == backend.value) {
    const ModelName& model = at->first.second;
    if (in_use(model)) at->second.used = now;
    const bool listed = std::ranges::find(residency, model, &LoadedModel::name) != residency.end();
    const bool gone = !listed && now - at->second.used > kLookLasts;
    at = gone ? special_.erase(at) : std::next(at);
  }
}

void Variants::loaded_without_options(BackendId backend, const ModelName& model) {
  if (!special_.empty()) special_.erase({backend.value, model});
}

void Variants::emptied(BackendId backend) {
  std::erase_if(special_, [&](const auto& each) { return each.first.first == backend.value; });
}

}  // namespace drover::core
