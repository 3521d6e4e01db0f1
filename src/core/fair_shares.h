#pragma once
// FairShares: what each tenant has had, so that the one who had least goes first.
//
// Picture a shared kitchen with a slate. Whoever takes a pot writes down what it will probably
// cost, corrects that while it cooks, and the one with the least on the slate takes the next pot.
// Who was away for a while does not come back with a claim for all that time: the line on the slate
// is brought up to the least of those who are there.
//
// What counts is tokens of work: each of a prompt one, each of an answer two (kOutputWeight). A
// tenant is active while something of it waits or runs, and half a minute longer, because people
// think between their questions; what is kept free for others is kept free for these.
//
// And who cooks for tomorrow (Priority::kBatch) leaves the last free place to whoever is hungry
// now, as long as any such is there or was within half a minute.
//
// Bounded: the active ones are no more than requests that wait or run, and of the others
// kMaxResting are remembered, those that left last.

#include <cstdint>
#include <list>
#include <set>
#include <unordered_map>
#include <utility>

#include "base/ask.h"
#include "base/ids.h"
#include "base/time.h"

namespace drover::core {

class FairShares {
 public:
  static constexpr std::size_t kMaxResting = 4096;
  static constexpr Duration kLinger = std::chrono::seconds(30);
  static constexpr double kOutputWeight = 2;
  // Of a fleet that is half asleep an equal part is less than one request; whoever has so few takes
  // nobody's place.
  static constexpr std::uint32_t kNoBacklog = 2;

  // --- what happens ---
  void queued(TenantId tenant, Priority priority);
  void left_queue(TenantId tenant, Priority priority, Instant now);
  void began(TenantId tenant, Priority priority, double tokens);
  // More, or less where it is negative, than was counted before.
  void correct(TenantId tenant, double tokens);
  void ended(TenantId tenant, Priority priority, Instant now);
  bool pass(Instant now);       // true: somebody is not active any more, or nobody in a hurry
  Instant next_change() const;  // by pass()

  // --- questions ---
  // Tokens of work; comparable among tenants, not with a clock.
  double had(TenantId tenant) const;
  std::size_t active() const { return by_had_.size(); }
  std::size_t remembered() const { return tenants_.size(); }  // active ones included
  // Has more requests running than an equal part of all that run, and than kNoBacklog, while others
  // are active.
  bool above_share(TenantId tenant) const;

  // Somebody is there whose work is not batch, or was within half a minute.
  bool hurry() const { return in_a_hurry_ > 0 || hurry_until_ != kNoHurry; }
  // Who is above its share, so that a busy GPU has a slot for the others. Not who had less than
  // everybody: long answers take slots for long, and whoever is behind in tokens catches up,
  // however many run. And batch work, in a hurry.
  bool leaves_last_slot(TenantId tenant, Priority priority) const;
  // Another number whenever somebody who left the last slot might not have to any longer, other
  // than by pass(): with each beginning, end and correction.
  std::uint64_t changes() const { return changes_; }

 private:
  struct Tenant {
    double had = 0;
    double key = 0;  // in by_had_; at most `had`
    std::uint32_t waiting = 0;
    std::uint32_t running = 0;
    Instant rests_since{};
    bool active = false;
    std::list<TenantId>::iterator resting;  // with neither waiting nor running
  };
  Tenant& active_one(TenantId tenant);
  void charge(TenantId id, Tenant& tenant, double tokens);
  void sort_in(TenantId id, Tenant& tenant);
  void settle_least();
  void rest(TenantId id, Tenant& tenant, Instant now);
  void hurry_began(Priority priority);
  void hurry_ended(Priority priority, Instant now);

  std::unordered_map<TenantId, Tenant> tenants_;
  // Active ones, by their keys. Of two or more the two that had least stand where they belong;
  // whoever else has had more since is moved on only when it would be one of them.
  std::set<std::pair<double, TenantId>> by_had_;
  std::list<TenantId> lingering_;  // at rest and still active, oldest first
  std::list<TenantId> resting_;    // not active any more, oldest first
  std::uint32_t running_ = 0;
  std::uint64_t changes_ = 0;
  std::uint32_t in_a_hurry_ = 0;    // requests that are not batch work, waiting or running
  Instant hurry_until_ = kNoHurry;  // when there are none: the end of the half minute
  static constexpr Instant kNoHurry = Instant::min();
};

}  // namespace drover::core
