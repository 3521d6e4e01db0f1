#pragma once
// WaitQueue: requests that an instance could serve and none can at this moment, because every slot
// of their model is taken or nobody has it loaded. They wait here and not in an instance, so that
// whoever is free first takes them, and whoever leaves or dies takes nobody with him.
//
// One line for each model, first come, first served; a retry goes to the front, it has waited
// before. Bounded by the caller in number and bytes, and in time by `until`.

#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <unordered_map>

#include "core/events.h"
#include "core/model_table.h"
#include "core/retry_budget.h"

namespace drover::core {

class WaitQueue {
 public:
  struct Waiting {
    RequestArrived request;
    Attempt attempt = Attempt::kFirst;
    ModelIndex model = 0;
    Instant since{};
    Instant until{};
    std::uint32_t position = 1;  // in its line when it came
  };
  using Line = std::list<Waiting>;

  // `until` never goes back from call to call.
  void add(Waiting waiting);
  std::optional<Waiting> remove(RequestId request);
  // Of a line: the one that comes next, and after `place` of it. Null: there is none.
  const Line* line(ModelIndex model) const;
  Waiting take(const Waiting& waiting);
  std::optional<Waiting> take_expired(Instant now);

  // Models that somebody waits for.
  const std::map<ModelIndex, Line>& lines() const { return lines_; }
  std::size_t size() const { return places_.size(); }
  std::size_t size(ModelIndex model) const;
  std::uint64_t bytes() const { return bytes_; }
  Instant next_deadline() const;

 private:
  struct Place {
    ModelIndex model;
    Line::iterator waiting;
    std::list<RequestId>::iterator in_order;
  };
  std::map<ModelIndex, Line> lines_;  // none is empty
  std::list<RequestId> order_;        // by `until`
  std::unordered_map<RequestId, Place> places_;
  std::uint64_t bytes_ = 0;
};

}  // namespace drover::core
