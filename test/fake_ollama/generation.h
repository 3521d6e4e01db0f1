#pragma once
// Token by token: what a slot does for one request, with the faults that strike while it does.

#include <cstdint>
#include <memory>
#include <optional>

#include "fake_ollama/state.h"
#include "fake_ollama/text.h"
#include "fake_ollama/writer.h"
#include "net/task.h"

namespace drover::fake {

class Generation {
 public:
  Generation(State& state, const Wanted& wanted, const Request& request);

  Duration prefill() const { return finish.prompt_eval; }

  State& state;
  const Wanted& wanted;
  Words words;
  std::optional<Fault> fault;  // that strikes during this one
  std::uint64_t length = 0;    // tokens to come in all
  Duration token_time{};
  Instant began;  // of the request
  Finish finish;
  std::uint64_t sent = 0;
  std::unique_ptr<Writer> writer;
  const Scheduler::Runner* runner = nullptr;  // that computes it; its process may be killed

  bool strikes(FaultKind kind) const { return fault && fault->kind == kind; }
  // How many tokens come before a fault of the middle strikes; `length` when none does.
  std::uint64_t before_fault() const;
  // Turns the death of the runner's process into the fault that Ollama makes of it. True: it died.
  bool runner_died();
};

// Streams or collects the answer. False: it did not get to its end as planned by the dialect.
net::Task<bool> generate(Generation& generation, Connection& connection);

}  // namespace drover::fake
