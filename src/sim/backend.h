#pragma once
// SimBackend: one Ollama on one GPU, with the habits of the real one.
//
// Requests for a loaded model go straight to it and wait there for one of its slots, without bound.
// All others stand in one line, and one clerk serves it: whoever is first waits until there is
// memory, and everybody behind waits with them, whatever they want. The clerk makes room by sending
// models away: an idle one first, else the one with the shortest keep_alive, else the first by
// name. A busy one goes when its last request ends, and it takes new ones until then, so it may
// never go. A load that runs out of memory all the same sends everybody else away and is tried once
// more; then whoever wanted it is told so.
//
// The GPU is shared evenly by the models that work. Where a model reads prompts and writes answers
// at once, reading gets 70 % of its share. Prompts are read one after the other.
//
// Time passes in advance(): everything between two events is a straight line, so only events count.

#include <deque>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "sim/host.h"
#include "sim/prefix_store.h"

namespace drover::sim {

// What Ollama reports of a request, with its blind spots: loading lasts until there is a runner and
// so includes waiting for other loads, and a wait for a slot is in none of them but the total.
struct Durations {
  double total_s = 0;
  double load_s = 0;
  double prefill_s = 0;
  double decode_s = 0;
};

// What the one who asked sees. kFailed is the 500 of a load that ran out of memory, and comes
// before any token. kLoaded is the answer to load(): the model is loaded, or the load failed or its
// instance died (kLoadFailed).
struct Notice {
  enum class Kind : std::uint8_t {
    kFirstToken,
    kDone,
    kBusy,
    kDied,
    kFailed,
    kLoaded,
    kLoadFailed
  };
  Kind kind = Kind::kDone;
  InstanceIndex instance = 0;
  JobIndex job = kNoJob;
  std::uint32_t cached = 0;  // tokens of the prompt that were not computed
  Durations durations;       // with kDone
  ModelIndex model = 0;      // kLoaded
};

// What the router's clients have of it. What strangers take is counted beside that, in the lines
// that say so; strangers are those whom no router knows.
struct BackendTotals {
  double busy_s = 0;       // a model computed
  double loading_s = 0;    // a model was loaded or unloaded
  double idle_load_s = 0;  // of these, while nothing else computed: lost
  double slot_s = 0;       // requests in slots, added up
  double loaded_gb = 0;
  std::uint64_t loads = 0;         // that were begun with enough memory
  std::uint64_t failed_loads = 0;  // the others, anybody's; two where the first sent others away
  std::uint64_t unloads = 0;       // anybody's
  double stranger_slot_s = 0;
  std::uint64_t stranger_loads = 0;
};

class SimBackend {
 public:
  // Jobs from `strangers` on are those of strangers.
  SimBackend(const Fleet& fleet, std::span<const Job> jobs, Host& host, InstanceIndex index,
             JobIndex strangers = kNoJob);

  // --- what clients do; time has to be advanced first ---
  void submit(JobIndex job, Instant now);
  void cancel(JobIndex job, Instant now);
  void load(ModelIndex model, Instant now);    // an empty request
  void unload(ModelIndex model, Instant now);  // an empty request with keep_alive 0

  // --- what happens to it ---
  void advance(Instant now);
  void read_done(Instant now);
  void crash(Instant now);
  void set_speed(double factor, Instant now);
  // Loads that begin before that run out of memory, however much seems to be free.
  void fail_loads_until(Instant until) { loads_fail_until_ = until; }

  Instant next_due() const;
  std::vector<Notice> take_notices() { return std::exchange(notices_, {}); }
  const BackendTotals& totals() const { return totals_; }

  // --- what can be seen: by /api/ps, and by those who know everything ---
  struct Running {
    JobIndex job = kNoJob;
    bool decoding = false;
    std::uint32_t cached = 0;
    Instant submitted{};
    Instant assigned{};        // to the runner
    Instant reading = kNever;  // its prompt's turn came
    Instant first{};           // token
    double prefill_left = 0;   // seconds of a GPU of its own
    double end = 0;            // where Runner::written is when it ends
    double context = 0;
  };
  struct Waiting {
    JobIndex job = kNoJob;
    Instant submitted{};
    Instant assigned{};
  };
  struct Runner {
    enum class State : std::uint8_t { kReading, kStarting, kReady, kUnloading };
    ModelIndex model = 0;
    std::uint32_t num_ctx = 0;
    State state = State::kReading;
    bool leaving = false;  // unloads with its last request
    bool fails = false;    // its load will
    bool for_stranger = false;
    Instant changes = kNever;
    double gb = 0;
    Pace pace;
    std::uint32_t slots = 1;
    std::vector<Running> running;  // oldest first
    std::deque<Waiting> waiting;
    PrefixStore prefixes{0};
    double written = 0;       // tokens of each answer since it was loaded
    double token_rate = 0;    // of each answer, by the second
    double prefill_rate = 0;  // seconds of a GPU of its own, by the second

    bool ready() const { return state == State::kReady; }
    std::size_t users() const { return running.size() + waiting.size(); }
  };
  const std::vector<std::unique_ptr<Runner>>& runners() const { return runners_; }
  const Runner* ready_runner(ModelIndex model) const;
  double free_gb() const;
  std::size_t pending() const { return pending_.size(); }

 private:
  struct Pending {
    JobIndex job = kNoJob;  // kNoJob: only loads
    ModelIndex model = 0;
    std::uint32_t num_ctx = 0;
    Instant submitted{};
    bool gone = false;
    bool alone = false;  // its load ran out of memory beside others
  };
  Runner* runner_of(ModelIndex model);
  void enter(Pending pending, Instant now);
  void said_loaded(ModelIndex model);
  void work_off(Instant now);  // the clerk
  void make_room(Runner& victim, Instant now);
  Runner* victim();
  void start_load(const Pending& pending, Instant now);
  void loaded(Runner& runner, Instant now);
  void load_failed(Runner& runner, Instant now);
  void leave(Runner& runner, Instant now);
  void start_unload(Runner& runner, Instant now);
  void attach(Runner& runner, const Pending& pending, Instant now);
  void fill_slots(Runner& runner);
  void freed(Runner& runner, Instant now);
  void flow(Instant now);
  void fire(Instant now);
  bool fire_one(Runner& runner, Instant now);
  bool end_of_prompt(Runner& runner, Instant now);
  bool end_of_answer(Runner& runner, Instant now);
  void finish(Runner& runner, std::size_t slot, Instant now);
  void retime();
  bool is_stranger(JobIndex job) const { return job != kNoJob && job >= strangers_; }
  static Instant due(const Runner& runner, Instant from);

  const Fleet& fleet_;
  std::span<const Job> jobs_;
  Host& host_;
  InstanceIndex index_;
  JobIndex strangers_;
  Instant loads_fail_until_ = Instant::min();
  double speed_ = 1;
  std::vector<std::unique_ptr<Runner>> runners_;  // in the order of their loads
  std::deque<Pending> pending_;
  bool loading_ = false;      // the clerk waits for a load
  bool making_room_ = false;  // the clerk waits for an unload
  Instant flowed_{};
  std::vector<Notice> notices_;
  BackendTotals totals_;
};

}  // namespace drover::sim
