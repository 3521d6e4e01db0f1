#pragma once
// Ollama's scheduler, as a balancer meets it. Two queues, and only one is bounded:
//
//   model loaded, same load options -> FIFO for one of its `parallel` slots; no bound
//   otherwise                       -> pending queue of `max_queue`; full -> refused
//
// One request of the pending queue is handled at a time: it evicts, waits for memory and loads
// while all others of the queue stand behind it. Its client leaving throws the load away. Loaded
// models keep serving meanwhile.
//
// An idle model leaves when its keep_alive is over (looked at lazily, so there are no timers) or
// when its memory is needed, the shortest keep_alive first. A model is known by its digest: two
// names of the same weights share one runner.

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "fake_ollama/fake_ollama.h"
#include "fake_ollama/runner_process.h"
#include "net/task.h"
#include "net/wait.h"

namespace drover::fake {

// What a request needs loaded.
struct Demand {
  FakeModel model;           // with its digest filled in
  std::string load_options;  // the load-time options; another text forces a reload
  std::uint64_t context_length = 4096;
  std::optional<Duration> keep_alive;  // negative: for ever; absent: leave the runner's value
};

class Scheduler : public std::enable_shared_from_this<Scheduler> {
 public:
  struct Limits {
    std::uint64_t vram_bytes = 0;
    int parallel = 1;
    int max_queue = 512;
    int max_loaded = 3;
    Duration keep_alive{};
    std::function<Duration()> load_time;  // asked once for each load
    bool runner_processes = false;
  };

 private:
  struct SlotWait;

 public:
  // One loaded model.
  struct Runner {
    FakeModel model;
    std::string load_options;
    std::uint64_t context_length = 0;
    std::uint64_t vram = 0;  // less than model.bytes when it did not fit
    Duration keep_alive{};
    Instant expires_at = kNever;  // while idle
    int slots = 1;
    int in_use = 0;
    int users = 0;        // requests that hold it, with a slot or waiting for one
    bool doomed = false;  // leaves as soon as it is idle
    std::shared_ptr<RunnerProcess> process;  // null: it has none
    bool alive() const { return process == nullptr || process->alive(); }
    std::deque<SlotWait*> queue;
  };

  // A request's hold on a runner, and on a slot of it. Gives back both when it goes.
  class Grant {
   public:
    Grant() = default;
    Grant(Scheduler& scheduler, Runner& runner) : scheduler_(&scheduler), runner_(&runner) {}
    Grant(Grant&& other) noexcept
        : scheduler_(other.scheduler_),
          runner_(std::exchange(other.runner_, nullptr)),
          slot_(std::exchange(other.slot_, false)) {}
    Grant& operator=(Grant&& other) noexcept;
    ~Grant() { give_back(); }
    bool held() const { return runner_ != nullptr; }
    Runner& runner() { return *runner_; }
    void give_back();

   private:
    friend class Scheduler;
    Scheduler* scheduler_ = nullptr;
    Runner* runner_ = nullptr;
    bool slot_ = false;
  };

  enum class Answer : std::uint8_t { kGranted, kBusy, kGone };
  struct Outcome {
    Answer answer = Answer::kGone;
    Grant grant;
    bool was_loading = false;  // with kGone: its own load was thrown away
  };

  Scheduler(net::Loop& loop, Limits limits) : loop_(loop), limits_(std::move(limits)) {}

  // The runner, loaded. `gone` is the client leaving.
  net::Task<Outcome> acquire(Demand demand, net::Cancel& gone);
  // A slot of a granted runner. False: the client left.
  net::Task<bool> take_slot(Grant& grant, net::Cancel& gone);

  // As keep_alive 0: leaves now, or when its last request ends.
  void unload(const std::string& digest);
  void unload_all();

  // Loaded now, longest expiry first.
  std::vector<const Runner*> loaded();
  Instant expiry_of(const Runner& runner) const;

  std::uint32_t running() const;
  std::uint32_t waiting() const;
  std::uint32_t most_running() const { return most_running_; }
  std::uint64_t loads() const { return loads_; }
  std::uint64_t loads_thrown_away() const { return thrown_away_; }
  std::uint64_t evictions() const { return evictions_; }
  std::string loading() const { return loading_; }

 private:
  struct Pending;

  static net::Task<void> handle_pending(std::shared_ptr<Scheduler> self);
  net::Task<bool> make_loaded(Demand demand);
  bool make_room(const Demand& demand);
  void add_runner(const Demand& demand);
  Runner* find(const std::string& digest);
  void hold(Runner& runner, const Demand& demand);
  void leave(Runner& runner);
  void free_slot(Runner& runner);
  void drop(Runner& runner);
  void drop_expired();
  std::uint64_t free_vram() const;

  net::Loop& loop_;
  Limits limits_;
  std::vector<std::unique_ptr<Runner>> runners_;
  std::deque<Pending*> pending_;
  Pending* current_ = nullptr;  // whom the loading coroutine works for
  bool handling_ = false;
  std::string loading_;            // name of the model that loads
  net::Cancel load_cancel_;        // the current one left
  net::Event* changed_ = nullptr;  // set when a runner became idle or left
  std::uint64_t loads_ = 0;
  std::uint64_t thrown_away_ = 0;
  std::uint64_t evictions_ = 0;
  std::uint32_t most_running_ = 0;
};

}  // namespace drover::fake
