#pragma once
// The gateway of one loop: accepts clients and tells the story of each request (serve.cc).

#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "base/log.h"
#include "engine/engine.h"
#include "gateway/client.h"
#include "gateway/exchange.h"
#include "gateway/loaded_now.h"
#include "gateway/relay.h"
#include "gateway/settings.h"
#include "jobs/jobs.h"
#include "net/upstream_pool.h"

namespace drover::gateway {

class Gateway {
 public:
  // Everything outlives the gateway; the gateway outlives its loop's coroutines.
  Gateway(net::Loop& loop, engine::Port& port, net::UpstreamPool& pool, jobs::Jobs& jobs,
          const Settings& settings, Log& log);
  ~Gateway();

  // Accepts on `listener` until drain().
  void serve(std::unique_ptr<net::Listener> listener);

  // No new connections, idle ones closed, running requests finish and close theirs. A request that
  // the kernel has in hand already, on a connection accepted or not, still counts as running.
  // `done` is called once, when the last connection is closed.
  void drain(std::function<void()> done);
  // Ends what still runs: streams with an error record, the rest with a status.
  void cut();
  std::size_t open_connections() const { return open_; }

 private:
  // One client connection as the gateway keeps track of it.
  struct Link : net::Link {  // in the ring of the idle or of the busy ones
    explicit Link(net::Stream& on) : stream(on) {}
    net::Stream& stream;
    net::Cancel cancel;  // triggered by hang-up, revocation, eviction, drain, cut
  };

  // How often a request was tried, and where.
  struct Attempts {
    core::RetryCause cause = core::RetryCause::kFirstTry;
    std::uint32_t made = 0;
    std::vector<BackendId> tried;
    void again(BackendId failed, core::RetryCause why) {
      tried.push_back(failed);
      cause = why;
      ++made;
    }
  };

  net::Task<void> accept_clients(std::unique_ptr<net::Listener> listener);
  net::Task<void> serve_connection(std::unique_ptr<net::Stream> stream, bool local);
  net::Task<void> serve_request(Client& client, Link& link);
  net::Task<void> prepare(Client& client, Link& link, Exchange& exchange, bool& ready);
  net::Task<void> answer_own(Client& client, Link& link, Exchange& exchange);
  net::Task<void> answer_order(Client& client, Link& link, Exchange& exchange);
  net::Task<void> answer_account(Client& client, Link& link, Exchange& exchange);
  net::Task<void> answer_blob(Client& client, Link& link, Exchange& exchange);
  net::Task<void> show_progress(Client& client, Link& link, Exchange& exchange, jobs::Watch& watch);
  net::Task<void> show_ending(Client& client, Link& link, Exchange& exchange,
                              const jobs::Ending& ending);
  net::Task<void> attempt_until_answered(Client& client, Link& link, Exchange& exchange);
  net::Task<engine::Lease> find_instance(Client& client, Link& link, Exchange& exchange,
                                         const Attempts& attempts, Relayed& last);
  net::Task<engine::Grant> ask_fleet(Link& link, const Exchange& exchange,
                                     const Attempts& attempts);
  void note_reload(const Client& client, const Exchange& exchange, const core::Reload& reload);
  bool is_over(const Link& link) const;
  static void note_attempt(Exchange& exchange, engine::Lease& lease, const Relayed& last);
  net::Task<void> refuse_early(Client& client, Link& link, Exchange& exchange, Error error);
  net::Task<void> end_refused(Client& client, Link& link, Exchange& exchange,
                              engine::Refusal& refusal, const Relayed* last);
  net::Task<void> end_cancelled(Client& client, Link& link, Exchange& exchange);
  static void end_answered(Client& client, Exchange& exchange, const Relayed& last);
  net::Task<void> end_unanswered(Client& client, Link& link, Exchange& exchange, Relayed& last);
  enum class Next : std::uint8_t { kRequest, kNone, kRefused };
  net::Task<Next> next_request(Client& client, Link& link);
  net::Task<void> refuse_head(Client& client, Error error);
  void finish(const Client& client, Exchange& exchange);
  bool make_room();
  net::Task<void> turn_away(std::unique_ptr<net::Stream> stream);
  net::Task<void> close_idle_after(Duration time);
  void tell_when_drained();
  static void move_to(net::Link& ring, Link& link);
  static void call_off_all(const net::Link& ring);

  net::Loop& loop_;
  engine::Port& port_;
  wire::ResponseHead answer_head_;
  Relay::Means means_;
  LoadedNow loaded_now_;
  jobs::Jobs& jobs_;
  const Settings& settings_;
  Log& log_;
  // Of the request that is being admitted. Shared like the loop's scratch: valid until the next
  // co_await, so that no waiting connection holds a head.
  wire::RequestHead head_;
  BodyRoom room_;
  std::size_t open_ = 0;         // accepted and not closed
  std::size_t listeners_ = 0;    // that still accept
  std::size_t turned_away_ = 0;  // that still hear why
  net::Link idle_;               // ring of Link, longest idle first
  net::Link busy_;
  net::Cancel stop_accepting_;
  bool draining_ = false;
  bool cut_ = false;
  std::function<void()> drained_;
};

}  // namespace drover::gateway
