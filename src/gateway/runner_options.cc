#include "gateway/runner_options.h"

#include <fmt/format.h>

#include <algorithm>

namespace drover::gateway {
namespace {

using Options = wire::OptionPlaces::Options;

// Where there is no num_ctx to be replaced. Only valid bodies come here, so there is a key behind
// the first brace, and a comma is due.
wire::Edit inserted(const wire::OptionPlaces& places, std::uint64_t tokens) {
  switch (places.options) {
    case Options::kNull:
      return {places.at.offset, places.at.length, fmt::format("{{\"num_ctx\":{}}}", tokens)};
    case Options::kEmpty:
      return {places.at.offset + 1, 0, fmt::format("\"num_ctx\":{}", tokens)};
    case Options::kFilled:
      return {places.at.offset + 1, 0, fmt::format("\"num_ctx\":{},", tokens)};
    case Options::kMissing:
    case Options::kOther:
      break;
  }
  return {places.document + 1, 0, fmt::format("\"options\":{{\"num_ctx\":{}}},", tokens)};
}

}  // namespace

void set_runner_options(KeptRequest& kept, const core::VariantOrder& order) {
  using NumCtx = core::VariantOrder::NumCtx;
  const wire::OptionPlaces& places = kept.options;
  std::vector<wire::Edit> edits;
  // To Ollama an option of null is one that is not named.
  const auto leave_out = [&edits](const wire::OptionPlaces::Place& place) {
    edits.push_back({place.offset, place.length, "null"});
  };
  const bool named = places.num_ctx.length != 0;
  if (order.num_ctx == NumCtx::kLeftOut && named) leave_out(places.num_ctx);
  if (order.num_ctx == NumCtx::kSet && named) {
    edits.push_back({places.num_ctx.offset, places.num_ctx.length, std::to_string(order.tokens)});
  }
  // Options that are no object, or a context that is no number, are an error, which the instance
  // shall say.
  const bool wrong = places.num_ctx_is_wrong || places.options == Options::kOther;
  const bool insert = order.num_ctx == NumCtx::kSet && !named && !wrong;
  if (insert) edits.push_back(inserted(places, order.tokens));
  if (order.others_left_out) std::ranges::for_each(places.others, leave_out);
  std::ranges::sort(edits, {}, &wire::Edit::offset);
  kept.body.overlay(std::move(edits));
}

}  // namespace drover::gateway
