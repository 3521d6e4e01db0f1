#pragma once
// Private to jobs/: an order under way, who watches it, and what all of them share.

#include <deque>
#include <list>
#include <map>
#include <optional>

#include "jobs/jobs.h"
#include "net/http_call.h"
#include "wire/manifest.h"
#include "wire/progress.h"

namespace drover::jobs {

using Told = wire::ProgressMerge::Told;

// Between an order and one who watches it. Touched on the watcher's loop only: what the order has
// to say is posted there.
struct Jobs::Mailbox {
  explicit Mailbox(net::Loop& loop) : here(loop) {}
  net::Loop& here;
  net::Event* news = nullptr;  // null: the watcher has left
  std::deque<Told> lines;
  std::optional<Ending> ending;

  void put(Told told);
};

class BlobReader;

// What one store or instance has to do.
struct Leg {
  std::size_t index = 0;              // among the legs of its job
  const Store* store = nullptr;       // null: the instance itself
  std::optional<BackendId> instance;  // the one that is asked, or was last
  net::Cancel cancel;
  Fared fared;
};

// Who wants an order: those that watch it, or drover itself, because it is configured so or was
// left over. Of such a one clients may watch the work, and their leaving does not end it.
enum class Whose : std::uint8_t { kTheWatchers, kOurs };

// An order under way. Owned by the frames that carry it out; lives on the home loop.
struct Jobs::Job {
  Job(net::Loop& home, Order wanted) : order(std::move(wanted)), turn(home), legs_done(home) {}

  Order order;
  Whose whose = Whose::kTheWatchers;
  Instant began{};
  std::vector<std::shared_ptr<Mailbox>> watchers;
  wire::ProgressMerge merge{1};
  std::list<Leg> legs;
  const Leg* source = nullptr;  // goes first, and the others copy from its store; null: all at once
  std::size_t legs_open = 0;
  net::Event turn;       // its model is nobody else's
  net::Event legs_done;  // legs_open is 0
  net::Cancel cancel;    // nobody wants it any more
  bool over = false;
  bool streamed = false;

  void call_off();
};

struct Jobs::State : std::enable_shared_from_this<Jobs::State> {
  State(engine::Engine& of, net::Resolver& names, Settings with,
        std::function<net::Task<void>()> look, Log& to)
      : engine(of),
        resolver(names),
        settings(std::move(with)),
        look_again(std::move(look)),
        log(to) {}

  // --- jobs.cc: from and to watchers ---
  void take(Order order, std::shared_ptr<Mailbox> box);
  void begin(Order order, std::shared_ptr<Mailbox> box, Whose whose);  // null: nobody watches
  net::Task<void> keep_wanted();
  void order_lack(const Lack& lack);
  void load(const core::Load& wanted);
  bool begins_again(const std::pair<ModelName, std::uint32_t>& what);
  net::Task<void> go_on_with_left();
  bool all_stores_answer() const;
  void keep() const;  // writes the journal
  void leave(const std::shared_ptr<Mailbox>& box);
  void tell(Job& job, const std::vector<Told>& lines);
  void end(Job& job, Ending ending, std::string_view result);
  net::Task<void> run(std::shared_ptr<Job> job);
  void stand_in_line(Job& job);
  void leave_line(const Job& job);

  // --- work.cc: the work itself ---
  net::Task<void> carry_out(std::shared_ptr<Job> job);
  net::Task<void> unload_everywhere(std::shared_ptr<Job> job);
  net::Task<void> all_legs(std::shared_ptr<Job> job);
  net::Task<void> run_leg(std::shared_ptr<Job> job, Leg& leg);
  net::Task<void> transfer(Job& job, Leg& leg);
  net::Task<void> ask(Job& job, Leg& leg);
  net::Task<Result<void>> open(const Job& job, Leg& leg, net::HttpCall& call);
  net::Task<Result<void>> read_progress(Job& job, Leg& leg, net::HttpCall& call);
  Result<void> take_line(Job& job, Leg& leg, std::string_view line);
  void choose_stores(Job& job);
  void choose_instances(Job& job);
  // --- copying.cc: from the directory of one store to the others ---
  void choose_source(Job& job);
  net::Task<void> bring_blobs(std::shared_ptr<Job> job, Leg& leg);
  net::Task<Result<void>> copy_blobs(Job& job, Leg& leg);
  net::Task<Result<void>> copy_blob(Job& job, Leg& leg, BlobReader& reader,
                                    const wire::ManifestBlob& blob);
  net::Task<Result<bool>> has_blob(Leg& leg, const std::string& digest);

  const Member* member_of(BackendId instance) const;
  std::string why_nobody(const Store& store) const;
  net::Loop& home() { return engine.home(); }

  engine::Engine& engine;
  net::Resolver& resolver;
  Settings settings;
  std::function<net::Task<void>()> look_again;
  Log& log;
  std::list<std::shared_ptr<Job>> jobs;
  bool draining = false;
  // Of what was ordered because it was missing: when it may be ordered again, and how long after
  // that the next time.
  struct Pause {
    Instant until{};
    Duration next = std::chrono::minutes(1);
  };
  std::map<std::pair<ModelName, std::uint32_t>, Pause> pauses;  // instance; UINT32_MAX: a pull
  std::map<ModelName, std::deque<Job*>> lines;  // of a model's pulls and creates: the first works
};

}  // namespace drover::jobs
