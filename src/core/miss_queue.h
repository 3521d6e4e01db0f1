#pragma once
// MissQueue: requests for a model that no known catalogue lists. They wait for the catalogues to be
// read again, because "not found" may only be said of a fleet that was asked after the question:
// somebody may have pulled the model a second ago.
//
// Refreshes are numbered and run one at a time. A miss needs the next one to start: a refresh that
// is already running may have asked an instance before the model got there. So one refresh serves
// all misses that came before it started, and a flood of misses causes one refresh after the other,
// never two at once.

#include <cstdint>
#include <functional>
#include <list>
#include <optional>
#include <vector>

#include "core/events.h"
#include "core/retry_budget.h"

namespace drover::core {

struct Miss {
  RequestArrived request;
  Attempt attempt = Attempt::kFirst;
  Instant until{};          // decided with what is known then
  std::uint64_t needs = 0;  // number of the refresh that answers it
};

class MissQueue {
 public:
  std::size_t size() const { return waiting_.size(); }

  // `until` never goes back from call to call.
  void add(const RequestArrived& request, Attempt attempt, Instant until);
  std::optional<Miss> remove(RequestId request);

  // A refresh is wanted although nobody waits: a catalogue was caught lying.
  void want_refresh() { wanted_ = started_ + 1; }
  // True: the caller starts a refresh now.
  bool start_refresh();
  // Number of the refresh that runs, or ran last.
  std::uint64_t refresh() const { return started_; }

  // Each takes out and returns those that can be decided, oldest first.
  std::vector<Miss> refresh_done();
  std::vector<Miss> expired(Instant now);
  std::vector<Miss> answered(const std::function<bool(const RequestArrived&)>& is_answer);

  Instant next_deadline() const { return waiting_.empty() ? kNever : waiting_.front().until; }

 private:
  std::vector<Miss> take(const std::function<bool(const Miss&)>& wanted);

  std::list<Miss> waiting_;  // oldest first, and so by `until`
  std::uint64_t started_ = 0;
  std::uint64_t done_ = 0;
  std::uint64_t wanted_ = 0;  // the highest number that somebody needs
};

}  // namespace drover::core
