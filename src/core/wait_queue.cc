#include "core/wait_queue.h"

#include "base/check.h"

namespace drover::core {

void WaitQueue::add(Waiting waiting) {
  const RequestId request = waiting.request.request;
  const ModelIndex model = waiting.model;
  Line& line = lines_[model];
  const bool again = waiting.request.attempt > 0;
  waiting.position = again ? 1 : static_cast<std::uint32_t>(line.size()) + 1;
  bytes_ += waiting.request.ask.body_bytes;
  const auto place = line.insert(again ? line.begin() : line.end(), std::move(waiting));
  const auto in_order = order_.insert(order_.end(), request);
  const bool is_new = places_.emplace(request, Place{model, place, in_order}).second;
  DROVER_ASSERT(is_new);
}

std::optional<WaitQueue::Waiting> WaitQueue::remove(RequestId request) {
  const auto found = places_.find(request);
  if (found == places_.end()) return std::nullopt;
  const Place place = found->second;
  places_.erase(found);
  order_.erase(place.in_order);
  std::optional<Waiting> removed = std::move(*place.waiting);
  bytes_ -= removed->request.ask.body_bytes;
  const auto line = lines_.find(place.model);
  line->second.erase(place.waiting);
  if (line->second.empty()) lines_.erase(line);
  return removed;
}

WaitQueue::Waiting WaitQueue::take(const Waiting& waiting) {
  std::optional<Waiting> taken = remove(RequestId(waiting.request.request));
  DROVER_ASSERT(taken);
  return *std::move(taken);
}

std::optional<WaitQueue::Waiting> WaitQueue::take_expired(Instant now) {
  return next_deadline() > now ? std::nullopt : remove(RequestId(order_.front()));
}

const WaitQueue::Line* WaitQueue::line(ModelIndex model) const {
  const auto found = lines_.find(model);
  return found == lines_.end() ? nullptr : &found->second;
}

std::size_t WaitQueue::size(ModelIndex model) const {
  const Line* found = line(model);
  return found == nullptr ? 0 : found->size();
}

Instant WaitQueue::next_deadline() const {
  return order_.empty() ? kNever : places_.at(order_.front()).waiting->until;
}

}  // namespace drover::core
