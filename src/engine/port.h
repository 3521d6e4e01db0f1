#pragma once
// Private to engine/: what a Port and the Engine know of each other.

#include <atomic>
#include <cstdint>
#include <deque>
#include <unordered_map>
#include <variant>

#include "base/flat_map.h"
#include "engine/engine.h"
#include "engine/published.h"

namespace drover::engine {

using Answer = std::variant<core::Grant, core::Refuse>;

// One acquire's place at the hatch. Not the RequestId: a request that is tried again is another
// wait, and a late answer to the first must not reach the second.
using Ticket = Id<struct TicketTag, std::uint64_t>;

// The side of a port that lives on the port's loop. Every function runs there.
struct Port::State : std::enable_shared_from_this<Port::State> {
  // A suspended acquire, in its coroutine's frame. Its end, however it comes, leaves nothing
  // behind: a wait is withdrawn, an answer that nobody took is given back.
  struct Waiting {
    explicit Waiting(State& port);
    Waiting(const Waiting&) = delete;
    Waiting& operator=(const Waiting&) = delete;
    ~Waiting();

    // Asks. With the engine on this loop the answer is often there when the call returns.
    void ask(core::RequestArrived&& asked);

    State& state;
    RequestId request;
    Ticket ticket;  // zero: nobody is asked any more, or not yet
    net::Event answered;
    std::optional<Answer> answer;
  };
  struct Held {
    net::Cancel* cancel = nullptr;
    bool content_sent = false;
  };

  State(std::shared_ptr<Engine::State> to, net::Loop& on) : engine(std::move(to)), here(on) {}

  // --- from the engine ---
  void receive(Ticket ticket, Answer answer);
  void revoke(LeaseId lease);

  // --- to the engine ---
  void withdraw(Ticket ticket, RequestId request);
  void first_byte(LeaseId lease, Lease::Tell when);
  void progress(LeaseId lease, std::uint64_t tokens);
  void held_up(LeaseId lease, bool by_client);
  void settle(core::LeaseSettled settled);
  void close();
  template <class Message>
  void tell(Message message);  // runs it on the home loop: now, when that is this one

  std::shared_ptr<Engine::State> engine;
  net::Loop& here;
  FlatMap<Ticket, Waiting*> waiting;
  FlatMap<LeaseId, Held> leases;
  std::uint64_t last_ticket = 0;
  bool open = true;
};

// The side of the engine that lives on the home loop. Every function without a note runs there.
struct Engine::State {
  // Who is to be told.
  struct Asker {
    std::shared_ptr<Port::State> port;
    Ticket ticket;
  };

  State(net::Loop& on, core::Settings settings, std::vector<core::BackendSpec> backends, Log& to);

  // --- from ports ---
  // The answer, when there is one at once; else the port receives it later.
  std::optional<Answer> ask(std::shared_ptr<Port::State> port, Ticket ticket,
                            core::RequestArrived&& request);
  // For a port of another loop, which receives the answer in any case.
  void ask_from_afar(std::shared_ptr<Port::State> port, Ticket ticket,
                     core::RequestArrived request);
  void withdraw(Ticket ticket, RequestId request);
  void first_byte(LeaseId lease);
  void progress(core::LeaseProgress progress);
  void held_up(core::LeaseHeldUp held);
  void settle(core::LeaseSettled settled);
  void record(const RequestRecord& record);
  void close(const Port::State& port);

  // Feeds one event, and those that its effects cause, to the scheduler; performs the effects.
  void dispatch(core::Event event);
  void handle(const core::Event& event);
  void perform(core::Grant& grant);
  void perform(core::Refuse& refuse);
  void perform(core::RevokeLease& revoke);
  void perform(core::RefreshCatalogues&);
  void perform(core::HealthChanged& changed);
  void perform(core::RestartInstance& order);
  void perform(core::Canary& wanted);
  void perform(core::Load& wanted);
  void perform(core::Unload& wanted);
  void perform(core::Incident& incident);
  void perform(core::WakeAt& wake);
  std::string name_of(BackendId backend) const;
  void deliver(RequestId request, Answer answer);
  template <class Message>
  void send(std::shared_ptr<Port::State> port, Message message);  // runs it on the port's loop

  net::Task<void> housekeeping();
  void publish();
  void shut();

  net::Loop& home;
  Log& log;
  core::Scheduler scheduler;
  Metrics metrics;
  FinishedRequests finished;
  std::function<void()> refresh;
  std::function<void(const core::HealthChanged&)> health_changed;
  std::function<void(const core::RestartInstance&)> restart;
  std::function<void(const core::Canary&)> canary;
  std::function<void(const core::Load&)> load;
  std::function<void(const core::Unload&)> unload;

  std::unordered_map<RequestId, Asker> waiting;
  FlatMap<LeaseId, std::shared_ptr<Port::State>> leases;
  // What ask() is asking at this moment; null: nothing.
  struct Question {
    RequestId request;
    Asker asker;
    std::optional<Answer> answer;
  };
  Question* asked = nullptr;
  std::deque<core::Event> events;  // caused while an event is being handled
  core::Effects effects;           // reused
  bool handling = false;
  bool open = true;

  Instant wake_at = kNever;
  Instant publish_at = kNever;  // a snapshot is due
  Instant last_publication{};
  std::uint64_t published = 0;      // generation of the snapshot
  Instant waits_until = kNever;     // of the housekeeper
  std::optional<net::Event> nudge;  // set: something is due sooner than it waits
  net::OwnedTask housekeeper;

  // --- any thread ---
  Published<core::FleetView> view;
  std::atomic<std::uint64_t> last_request{0};
};

template <class Message>
void Port::State::tell(Message message) {
  if (&here == &engine->home) return message(*engine);
  engine->home.post([to = engine, message = std::move(message)]() mutable { message(*to); });
}

template <class Message>
void Engine::State::send(std::shared_ptr<Port::State> port, Message message) {
  net::Loop& there = port->here;
  if (&there == &home) return message(*port);
  there.post([to = std::move(port), message = std::move(message)]() mutable { message(*to); });
}

}  // namespace drover::engine
