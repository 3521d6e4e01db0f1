#pragma once
// One request that is passed on unread: a blob to every store, or what concerns an account to the
// one instance that has it. What arrives from the client goes to all of them before more is read,
// so the slowest sets the pace and memory stays flat however large a blob is.
//
// A store that fails does not end it for the others; one that has the blob already says so early
// and is sent no more.

#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/fleet.h"
#include "gateway/client.h"
#include "gateway/exchange.h"
#include "gateway/settings.h"
#include "jobs/order.h"
#include "net/http_call.h"
#include "net/upstream_pool.h"

namespace drover::gateway {

class Passage {
 public:
  // Everything outlives it.
  Passage(Client& client, Exchange& exchange, net::UpstreamPool& pool, const Settings& settings,
          net::Cancel& cancel);

  // Connects to one instance of every store and sends the head of the request.
  net::Task<void> open(std::shared_ptr<const core::FleetView> fleet);
  // The same to one instance. kUnavailable where it can not be reached.
  net::Task<void> open_to(const Instance& instance);
  // The client's body. Errors: the client's (kSlow, kMalformed, kClosed), after which nobody is
  // answered and the instances see a cut upload.
  net::Task<Result<void>> carry_body();
  // Waits for everybody's answer.
  net::Task<void> read_answers();

  const std::vector<jobs::Fared>& fared() const { return fared_; }

 private:
  struct Leg {
    Leg(net::Loop& loop, net::Cancel* cancel) : call(loop, cancel) {}
    net::HttpCall call;
    std::size_t index = 0;
    bool takes = true;  // it wants more of the body
  };

  net::Task<void> open_leg(Leg& leg, net::HostPort address);
  net::Task<void> pass_on(std::string_view data);
  net::Task<void> send(Leg& leg, std::string_view bytes);
  net::Task<void> read_answer(Leg& leg);
  net::Task<Result<std::string_view>> next_input(Instant& window_end, std::uint64_t& window_start);
  void failed(Leg& leg, const Error& error);
  bool anybody_takes() const;
  net::Loop& loop() const { return client_.loop(); }

  Client& client_;
  Exchange& exchange_;
  net::UpstreamPool& pool_;
  const Settings& settings_;
  net::Cancel& cancel_;
  std::list<Leg> legs_;
  std::vector<jobs::Fared> fared_;  // by store
  std::uint64_t received_ = 0;
  std::string input_;  // of the client, being passed on
};

}  // namespace drover::gateway
