#include "core/miss_queue.h"

#include "base/check.h"

namespace drover::core {

void MissQueue::add(const RequestArrived& request, Attempt attempt, Instant until) {
  DROVER_ASSERT(waiting_.empty() || waiting_.back().until <= until);
  want_refresh();
  waiting_.push_back({request, attempt, until, wanted_});
}

std::optional<Miss> MissQueue::remove(RequestId request) {
  std::vector<Miss> found = take([&](const Miss& miss) { return miss.request.request == request; });
  if (found.empty()) return std::nullopt;
  return std::move(found.front());
}

bool MissQueue::start_refresh() {
  const bool running = done_ < started_;
  if (running || wanted_ <= started_) return false;
  ++started_;
  return true;
}

std::vector<Miss> MissQueue::refresh_done() {
  done_ = started_;
  return take([this](const Miss& miss) { return miss.needs <= done_; });
}

std::vector<Miss> MissQueue::expired(Instant now) {
  return take([now](const Miss& miss) { return miss.until <= now; });
}

std::vector<Miss> MissQueue::answered(const std::function<bool(const RequestArrived&)>& is_answer) {
  return take([&](const Miss& miss) { return is_answer(miss.request); });
}

std::vector<Miss> MissQueue::take(const std::function<bool(const Miss&)>& wanted) {
  std::vector<Miss> taken;
  for (auto each = waiting_.begin(); each != waiting_.end();) {
    if (!wanted(*each)) {
      ++each;
      continue;
    }
    taken.push_back(std::move(*each));
    each = waiting_.erase(each);
  }
  return taken;
}

}  // namespace drover::core
