#pragma once
// WaitQueue: requests that an instance could serve and none can at this moment, because every slot
// of their model is taken or nobody has it loaded. They wait here and not in an instance, so that
// whoever is free first takes them, and whoever leaves or dies takes nobody with him.
//
// One line for each model, and in it a band for each priority: nobody of a lower band is next while
// somebody of a higher one waits. In a band the tenant who had least (fair_shares.h) comes next,
// and of one tenant's requests the oldest, or one of the next few whose prompt is computed where
// the slot is; a retry goes to the front of its tenant's, it has waited before. Whoever has waited
// for half of its patience rises to the end of the next band, and again after half of what is left:
// a low priority is a long wait and not none. To the end: in a long backlog everybody rises, and
// would stand in the way of whoever is in a hurry.
//
// Bounded by the caller in number and bytes, and in time by `until`.

#include <array>
#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/events.h"
#include "core/fair_shares.h"
#include "core/model_table.h"
#include "core/retry_budget.h"

namespace drover::core {

class WaitQueue {
 public:
  // All slots of two usual replicas: enough to have a model loaded, and copied once.
  static constexpr std::size_t kCountedOfTenant = 8;

  struct Waiting {
    RequestArrived request;
    Attempt attempt = Attempt::kFirst;
    ModelIndex model = 0;
    Instant since{};
    Instant until{};
    Priority band = Priority::kNormal;  // its own when it came, and a higher one later
    std::uint32_t position = 1;         // in its line when it came, if nobody comes after it
    std::uint32_t let_by = 0;           // others who went first because the slot suited them better
  };
  // A tenant of a line who leaves the last slot to others, with what waits in this band.
  struct HeldBack {
    TenantId tenant;
    Priority band = Priority::kNormal;
    friend bool operator==(const HeldBack&, const HeldBack&) = default;
  };
  class Line {
   public:
    std::size_t size() const { return waiting_.size(); }
    const Waiting& oldest() const { return waiting_.front(); }
    // Of those who come next the one behind `passed_over` others; null: there are no more.
    // kWithinShare: `held` becomes those who were left out for it.
    enum class Who : std::uint8_t { kAll, kWithinShare };
    const Waiting* next(const FairShares& shares, Who who, std::size_t passed_over,
                        std::vector<HeldBack>& held);
    // Those of the same tenant and band, the oldest first, as many as there is room for: what of
    // `into` is filled.
    std::span<Waiting*> alike(const Waiting& waiting, std::span<Waiting*> into);
    // Before a further request of this tenant.
    std::size_t ahead_of(TenantId tenant, Priority band) const;
    // What is counted where models are placed. While several tenants are active, each one's only up
    // to kCountedOfTenant, and nothing of who has more than its share already: a backlog of one
    // must not send away what others use. Nor must batch work, while others are there.
    std::size_t counted(const FairShares& shares) const;

   private:
    friend class WaitQueue;
    using Place = std::list<Waiting>::iterator;
    struct Tenant {
      std::list<Place> requests;
      double had = 0;  // its key in Band::order
    };
    struct Band {
      std::map<TenantId, Tenant> tenants;
      // By what they had when that was looked up last. Who has had more since is put behind when it
      // would be next.
      std::set<std::pair<double, TenantId>> order;
      std::size_t size = 0;

      enum class Where : std::uint8_t { kFront, kBack };
      std::list<Place>::iterator add(Place place, Where where, const FairShares& shares);
      void remove(std::list<Place>::iterator of_tenant);
      const Waiting* next(const FairShares& shares, Who who, std::size_t& left,
                          std::vector<HeldBack>& held);
    };
    Band& band(Priority priority) { return bands_[static_cast<std::size_t>(priority)]; }

    std::list<Waiting> waiting_;  // in the order of arrival
    std::array<Band, kPriorities> bands_;
  };

  void add(Waiting waiting, const FairShares& shares);
  std::optional<Waiting> remove(RequestId request);
  Line* line(ModelIndex model);  // null: nobody waits for it
  Waiting take(const Waiting& waiting);
  std::optional<Waiting> take_expired(Instant now);
  // Whose leaving makes so many places and bytes free: of the lowest band the newest first, nobody
  // of this band or a higher one, and nobody who has been tried before. Empty: more than `most`
  // would have to leave, or there are none.
  std::vector<RequestId> newest_below(Priority band, std::size_t places, std::uint64_t bytes,
                                      std::size_t most) const;
  const Waiting* find(RequestId request) const;
  // Those who have waited for long enough go up a band. Their models.
  std::vector<ModelIndex> rise(Instant now, const FairShares& shares);

  // Models that somebody waits for.
  const std::map<ModelIndex, Line>& lines() const { return lines_; }
  std::size_t size() const { return places_.size(); }
  std::size_t size(ModelIndex model) const;
  std::size_t size(Priority band) const { return by_band_[static_cast<std::size_t>(band)].size(); }
  // As Line::counted().
  std::size_t counted(ModelIndex model, const FairShares& shares) const;
  std::uint64_t bytes() const { return bytes_; }
  // The next instant at which take_expired() or rise() has something to do.
  Instant next_deadline() const;

 private:
  struct Place {
    ModelIndex model;
    Line::Place waiting;
    std::list<Line::Place>::iterator of_tenant;
    Instant rises = kNever;
  };
  using Agenda = std::set<std::pair<Instant, RequestId>>;
  Agenda& of_band(Priority band) { return by_band_[static_cast<std::size_t>(band)]; }
  void plan_rise(RequestId request, Place& place, Instant now);

  std::map<ModelIndex, Line> lines_;  // none is empty
  Agenda ends_;                       // by `until`
  Agenda rises_;
  std::array<Agenda, kPriorities> by_band_;  // by `since`
  std::unordered_map<RequestId, Place> places_;
  std::uint64_t bytes_ = 0;
};

}  // namespace drover::core
