#include "fake_ollama/fake_ollama.h"

#include "fake_ollama/control.h"
#include "fake_ollama/routes.h"
#include "fake_ollama/state.h"

namespace drover::fake {

FakeOllama::FakeOllama(net::Loop& loop, FakeOptions options)
    : state_(std::make_shared<State>(loop, std::move(options))) {}

FakeOllama::~FakeOllama() { stop(); }

void FakeOllama::serve(std::unique_ptr<net::Listener> listener) {
  const net::Endpoint at = listener->local();
  state_->on_loopback = at.is_loopback();
  state_->loop.spawn(accept_connections(state_, std::move(listener)));
}

void FakeOllama::stop() {
  if (state_->stopping.triggered()) return;
  state_->stopping.trigger(net::CancelReason::kShutdown);
  if (!state_->closed_port.triggered()) {
    state_->closed_port.trigger(net::CancelReason::kShutdown);
  }
  state_->cut_connections(nullptr);
}

bool FakeOllama::inject(const std::string& fault_json) {
  return fake::inject(*state_, fault_json, nullptr).empty();
}

void FakeOllama::clear_faults() { state_->faults.clear(); }

std::string FakeOllama::state_json() const { return fake::state_json(*state_); }

void FakeOllama::on_exit(std::function<void()> exit) { state_->exit = std::move(exit); }

FakeOllama::Counts FakeOllama::counts() const {
  const State& state = *state_;
  const Scheduler& scheduler = *state.scheduler;
  Counts counts;
  counts.requests = state.requests;
  counts.completed = state.completed;
  counts.cancelled = state.cancelled;
  counts.loads = scheduler.loads();
  counts.loads_thrown_away = scheduler.loads_thrown_away();
  counts.evictions = scheduler.evictions();
  counts.tokens = state.tokens;
  counts.running = scheduler.running();
  counts.most_running = scheduler.most_running();
  counts.waiting = scheduler.waiting();
  return counts;
}

}  // namespace drover::fake
