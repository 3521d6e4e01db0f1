#include "engine/port.h"

#include "base/check.h"

namespace drover::engine {
namespace {

constexpr Origin origin_of(net::CancelReason reason) {
  return reason == net::CancelReason::kClientGone ? Origin::kClient : Origin::kSelf;
}

Grant cancelled(net::CancelReason reason) {
  Error error{ErrorKind::kCancelled, origin_of(reason), Retry::kNever,
              "the request was called off while it waited for an instance"};
  Refusal refusal{std::move(error), std::nullopt, {}};
  return {.lease = {},
          .why = {},
          .waited_as = 0,
          .variant = {},
          .reload = {},
          .refused = std::make_unique<Refusal>(std::move(refusal))};
}

}  // namespace

// --- Lease ---

Lease::Lease(Port& port, const core::Grant& grant)
    : port_(&port), id_(grant.lease), backend_(grant.backend), model_loaded_(grant.model_loaded) {}

Lease::Lease(Lease&& other) noexcept
    : port_(std::exchange(other.port_, nullptr)),
      id_(other.id_),
      backend_(other.backend_),
      model_loaded_(other.model_loaded_),
      first_byte_sent_(other.first_byte_sent_) {}

Lease& Lease::operator=(Lease&& other) noexcept {
  if (this == &other) return *this;
  if (port_ != nullptr) settle(core::AttemptResult::kClientGone, {}, {});
  port_ = std::exchange(other.port_, nullptr);
  id_ = other.id_;
  backend_ = other.backend_;
  model_loaded_ = other.model_loaded_;
  first_byte_sent_ = other.first_byte_sent_;
  return *this;
}

Lease::~Lease() {
  if (port_ != nullptr) settle(core::AttemptResult::kClientGone, {}, {});
}

void Lease::first_byte(Tell tell) {
  if (port_ == nullptr || first_byte_sent_) return;
  first_byte_sent_ = true;
  port_->state_->first_byte(id_, tell);
}

void Lease::progress(std::uint64_t tokens) {
  if (port_ != nullptr) port_->state_->progress(id_, tokens);
}

void Lease::held_up_by_client(bool held_up) {
  if (port_ != nullptr) port_->state_->held_up(id_, held_up);
}

void Lease::settle(core::AttemptResult result, std::string detail, const Usage& usage) {
  DROVER_ASSERT(port_ != nullptr);
  Port* port = std::exchange(port_, nullptr);
  port->state_->settle({id_, result, std::move(detail), usage});
}

// --- Port ---

Port::Port(Engine& engine, net::Loop& here)
    : engine_(engine), here_(here), state_(std::make_shared<State>(engine.state_, here)) {}

Port::~Port() {
  DROVER_ASSERT(state_->waiting.empty() && state_->leases.empty());
  state_->close();
}

net::Task<Grant> Port::acquire(core::RequestArrived request, net::Cancel& cancel) {
  if (cancel.triggered()) co_return cancelled(cancel.reason());
  State::Waiting waiting(*state_);
  waiting.ask(std::move(request));
  if (!waiting.answer) {
    const net::WaitResult result = co_await waiting.answered.wait(kNever, &cancel);
    if (result == net::WaitResult::kCancelled) co_return cancelled(cancel.reason());
  }

  Answer answer = *std::move(waiting.answer);
  waiting.answer.reset();  // taken: nothing is to be given back
  Grant out;
  if (auto* refuse = std::get_if<core::Refuse>(&answer)) {
    Refusal refusal{std::move(refuse->error), refuse->retry_after,
                    refuse->why.to_string(*engine_.view())};
    out.waited_as = refuse->why.waited_as;
    out.refused = std::make_unique<Refusal>(std::move(refusal));
    co_return out;
  }
  const auto& grant = std::get<core::Grant>(answer);
  state_->leases.put(grant.lease, State::Held{&cancel});
  out.lease = Lease(*this, grant);
  out.why = grant.why.to_string(*engine_.view());
  out.waited_as = grant.why.waited_as;
  out.variant = grant.variant;
  out.reload = grant.why.reload;
  co_return out;
}

void Port::record(RequestRecord&& record) {
  // Not tell(): on the home loop a record of this size is not put into a message and out again.
  Engine::State& engine = *state_->engine;
  if (&here_ == &engine.home) return engine.record(record);
  engine.home.post([to = state_->engine, record = std::move(record)] { to->record(record); });
}

void Port::count_malformed(std::string_view reason) {
  state_->tell([reason](Engine::State& engine) { engine.metrics.count_malformed(reason); });
}

void Port::count_reload(std::string model, std::string_view cause, std::string client) {
  state_->tell([model = std::move(model), cause, client = std::move(client)](
                   Engine::State& engine) { engine.metrics.count_reload(model, cause, client); });
}

// --- Port::State ---

Port::State::Waiting::Waiting(State& port) : state(port), answered(port.here) {}

void Port::State::Waiting::ask(core::RequestArrived&& asked) {
  request = asked.request;
  const Ticket number{++state.last_ticket};
  Engine::State& engine = *state.engine;
  if (&state.here == &engine.home) {
    answer = engine.ask(state.shared_from_this(), number, std::move(asked));
    if (answer) return;
  } else {
    state.tell([port = state.shared_from_this(), number,
                asked = std::move(asked)](Engine::State& to) mutable {
      to.ask_from_afar(std::move(port), number, std::move(asked));
    });
  }
  ticket = number;
  state.waiting.put(ticket, this);
}

Port::State::Waiting::~Waiting() {
  // An answer takes the entry away; while it is there, none has come.
  if (ticket.value != 0 && state.waiting.erase(ticket)) {
    state.withdraw(ticket, request);
  } else if (answer && std::holds_alternative<core::Grant>(*answer)) {
    state.settle({std::get<core::Grant>(*answer).lease, core::AttemptResult::kClientGone, {}, {}});
  }
}

void Port::State::receive(Ticket ticket, Answer answer) {
  if (!open) return;  // the engine has settled whatever this port held
  Waiting** const found = waiting.find(ticket);
  if (found != nullptr) {
    Waiting& at_hatch = **found;
    waiting.erase(ticket);
    at_hatch.answer = std::move(answer);
    at_hatch.answered.set();
    return;
  }
  // Who asked has left while the answer was under way.
  if (auto* grant = std::get_if<core::Grant>(&answer)) {
    settle({grant->lease, core::AttemptResult::kClientGone, {}, {}});
  }
}

void Port::State::revoke(LeaseId lease) {
  Held* const held = leases.find(lease);
  // Settled, or past its first byte, while the message was under way: nothing is left to save.
  if (held == nullptr || held->content_sent) return;
  held->cancel->trigger(net::CancelReason::kRevoked);
}

void Port::State::withdraw(Ticket ticket, RequestId request) {
  tell([ticket, request](Engine::State& to) { to.withdraw(ticket, request); });
}

void Port::State::first_byte(LeaseId lease, Lease::Tell when) {
  Held* const held = leases.find(lease);
  DROVER_ASSERT(held != nullptr);
  held->content_sent = true;
  if (when == Lease::Tell::kNow) tell([lease](Engine::State& to) { to.first_byte(lease); });
}

void Port::State::progress(LeaseId lease, std::uint64_t tokens) {
  tell([lease, tokens](Engine::State& to) { to.progress({lease, tokens}); });
}

void Port::State::held_up(LeaseId lease, bool by_client) {
  tell([lease, by_client](Engine::State& to) { to.held_up({lease, by_client}); });
}

void Port::State::settle(core::LeaseSettled settled) {
  leases.erase(settled.lease);
  tell(
      [settled = std::move(settled)](Engine::State& to) mutable { to.settle(std::move(settled)); });
}

void Port::State::close() {
  open = false;
  tell([port = shared_from_this()](Engine::State& to) { to.close(*port); });
}

}  // namespace drover::engine
