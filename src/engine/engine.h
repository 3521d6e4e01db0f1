#pragma once
// The one writer. The engine lives on its home loop: it feeds events to the core scheduler,
// performs the effects, and publishes snapshots. Other loops reach it through their Port, which
// posts values; on the home loop a Port calls straight in, so with one loop a decision costs a
// function call.
//
// Picture a cloakroom: the engine is the attendant with the only list, a Port is a hatch of it, an
// acquire is somebody waiting at a hatch, and a Lease is the numbered tag. Whoever leaves without
// waiting for the tag has it handed back by the hatch; whoever loses the tag (an exception to the
// rule, a frame destroyed) hands it back by losing it.
//
// Lifetimes: loops outlive the engine, the engine outlives ports, a port outlives every lease and
// acquire of its loop. What was posted to somebody who is gone is dropped there, and what a dropped
// message would have held is settled by the engine when the port closes.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/result.h"
#include "core/scheduler.h"
#include "engine/finished.h"
#include "engine/metrics.h"
#include "net/loop.h"
#include "net/task.h"
#include "net/wait.h"

namespace drover::engine {

class Engine;
class Port;

// A refusal with the time to come back, for the Retry-After field.
struct Refusal {
  Error error;
  std::optional<Duration> retry_after;
  std::string why;  // the explanation as one line
};

// The right to send one request to one instance. Move-only; whatever happens to its owner, the slot
// is given back: a lease that was never settled counts as kClientGone. Touched on its port's loop.
class Lease {
 public:
  Lease() = default;
  Lease(Lease&& other) noexcept;
  Lease& operator=(Lease&& other) noexcept;
  ~Lease();

  explicit operator bool() const { return port_ != nullptr; }
  BackendId backend() const { return backend_; }
  LeaseId id() const { return id_; }
  bool model_loaded() const { return model_loaded_; }

  // Content reaches the client; idempotent. From here on the lease is not revoked. Of an answer
  // that is over in a moment the engine need only hear at its end.
  enum class Tell : std::uint8_t { kNow, kAtTheEnd };
  void first_byte(Tell tell);
  // The stream goes on; `tokens` so far. Its holder calls it at most once a second.
  void progress(std::uint64_t tokens);
  // While the client takes nothing, the instance is not to blame for the silence.
  void held_up_by_client(bool held_up);
  // Gives the slot back; the lease is empty afterwards. Precondition: not empty.
  void settle(core::AttemptResult result, std::string detail, const Usage& usage);

 private:
  friend class Port;
  Lease(Port& port, const core::Grant& grant);

  Port* port_ = nullptr;
  LeaseId id_;
  BackendId backend_;
  bool model_loaded_ = false;
  bool first_byte_sent_ = false;
};

struct Grant {
  Lease lease;
  std::string why;              // of a lease: the decision in one line
  std::uint32_t waited_as = 0;  // its place in the line when it came; 0: it did not wait
  core::VariantOrder variant;   // what its load-time options shall say
  std::optional<core::Reload> reload;
  std::unique_ptr<Refusal> refused;  // set: no lease
};

// One per loop, created and destroyed on it (or while that loop does not run).
class Port {
 public:
  Port(Engine& engine, net::Loop& here);
  Port(const Port&) = delete;
  Port& operator=(const Port&) = delete;
  ~Port();

  // Waits for the decision; how long is bounded by Settings::refresh_wait. `cancel` ends the wait
  // (refused with kCancelled) and, once granted, is what the engine triggers with kRevoked when the
  // instance goes down before the first byte: it must live until the lease is settled.
  net::Task<Grant> acquire(core::RequestArrived request, net::Cancel& cancel);

  // Counts a finished request and keeps it for a while.
  void record(RequestRecord&& record);
  // Counts bytes that did not become a request; `reason` is a literal.
  void count_malformed(std::string_view reason);
  // Counts a model that a client's options make an instance load anew; `cause` is a literal.
  void count_reload(std::string model, std::string_view cause, std::string client);

  net::Loop& loop() { return here_; }
  Engine& engine() { return engine_; }

 private:
  friend class Engine;
  friend class Lease;
  struct State;

  Engine& engine_;
  net::Loop& here_;
  std::shared_ptr<State> state_;  // shared with messages under way to this loop
};

class Engine {
 public:
  Engine(net::Loop& home, core::Settings settings, std::vector<core::BackendSpec> backends,
         Log& log);
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;
  // On the home loop's thread, or while no loop runs.
  ~Engine();

  // --- any thread ---
  // The newest snapshot. Counts in it may be 50 ms old; all else, health and what is installed and
  // loaded among it, is as it was in the home loop's last turn.
  std::shared_ptr<const core::FleetView> view() const;
  RequestId next_request_id();
  // These nine are carried out in the order of the calls, in the home loop's next turn.
  void observe(core::Observed observed);
  void refresh_done();
  void observe_gpus(std::shared_ptr<const GpuReport> report);
  void observe_process(BackendId backend, InstanceProcess process);
  void set_draining(BackendId backend, bool draining);
  // Of a supervised instance. `grace` is for what is under way; absent: Settings::drain_grace.
  void request_restart(BackendId backend, core::RestartCause cause, std::string reason,
                       std::optional<Duration> grace);
  void canary_done(core::CanaryDone done);
  void want_load(core::LoadWanted wanted);
  void load_done(core::LoadDone done);

  // --- home loop only, or before it runs ---
  // What was learned so far (none: the policy learns nothing), and what was learned before this
  // process began; that before anything is observed.
  std::optional<core::Learned> learned() const;
  void remember(const core::Learned& learned);
  // A snapshot of this moment.
  std::shared_ptr<const core::FleetView> view_now();
  // `refresh` is called when every catalogue shall be asked for at once; whoever sets it answers
  // each call with refresh_done(). Unset: nobody can be asked, and every refresh is done at once.
  void on_refresh(std::function<void()> refresh);
  // Called after HealthChanged: pools forget connections of an instance that went down.
  void on_health(std::function<void(const core::HealthChanged&)> changed);
  // The process of this instance shall be ended and started anew, now. Unset: nobody can, and the
  // order is given up after Settings::restart_patience.
  void on_restart(std::function<void(const core::RestartInstance&)> restart);
  // Each call is answered with canary_done(). Unset: every canary sings.
  void on_canary(std::function<void(const core::Canary&)> canary);
  // The model shall be brought into the memory of the instance; each call is answered with
  // load_done(). Unset: every load succeeds.
  void on_load(std::function<void(const core::Load&)> load);
  // The model shall leave the memory of the instance, and /api/ps be read after that.
  void on_unload(std::function<void(const core::Unload&)> unload);
  // Ends when view() answers everything that was observed before this call.
  net::Task<void> show();
  // The cells that it marks "any loop" may be touched from there.
  Metrics& metrics();
  const FinishedRequests& finished() const;
  net::Loop& home();

 private:
  friend class Port;
  struct State;
  std::shared_ptr<State> state_;  // shared with messages under way to the home loop
};

}  // namespace drover::engine
