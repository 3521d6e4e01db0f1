#pragma once
// What outlives a request: orders to change the models of the fleet. They are carried out on the
// engine's home loop; clients, on whichever loop, only watch.
//
// Picture a removal firm: a client hands in an order and may watch the van, others who want the
// same thing watch with him, and when the last one goes home before the van is full, it turns
// round, as Ollama's download does. What is short and must not stop half way (copy, delete, unload)
// is carried to its end whoever watches.
//
// What can be done twice survives the end of drover (journal.h): the next one goes on with it, and
// Ollama keeps what it has.

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/log.h"
#include "engine/engine.h"
#include "jobs/order.h"
#include "jobs/stores.h"
#include "jobs/wanted.h"
#include "net/resolver.h"

namespace drover::jobs {

struct Settings {
  std::vector<Store> stores;
  Duration connect = std::chrono::seconds(1);
  // Copy, delete and unload: files of a few hundred GB are unlinked, runners are ended.
  Duration brief = std::chrono::minutes(2);
  Duration load = std::chrono::minutes(15);  // Ollama gives up after five without progress
  // Of a transfer: a large layer is verified, or quantized, without a word.
  Duration silence = std::chrono::hours(1);
  std::size_t orders = 64;     // at once, waiting ones included; more are answered 503
  std::size_t watchers = 256;  // of one order

  // What the drover before left in the middle, and how long instances may take to answer until it
  // is gone on with: the keeper may be starting them.
  std::vector<Order> left;
  Duration resume_patience = std::chrono::minutes(5);
  // What shall be so; looked at so often. Pulls by clients go to as many stores as is said here.
  std::vector<Wanted> wanted;
  Duration wanted_interval = std::chrono::seconds(10);
  // A pull that goes to several stores is made in one whose directory can be read, and copied from
  // there to the others.
  bool copies_between_stores = false;
  // Home loop: the journal, whenever it changed. Null: nobody keeps it.
  std::function<void(std::string)> keep;
};

class Jobs {
 public:
  // Home loop. Everything outlives the jobs. `look_again` asks every instance anew what it has and
  // what it has loaded, and ends when all have answered or were too slow: after it, lists are true.
  Jobs(engine::Engine& engine, net::Resolver& resolver, Settings settings,
       std::function<net::Task<void>()> look_again, Log& log);
  Jobs(const Jobs&) = delete;
  Jobs& operator=(const Jobs&) = delete;
  // The loops do not run any more.
  ~Jobs();

  // Home loop: what is under way there goes on with another member of its store, or fails.
  void instance_down(BackendId instance);

  // Home loop: brings a model into memory, to stay there, and tells the engine how that ended.
  void load(const core::Load& wanted);

  // Home loop: what is wanted and what there is, see wanted_json().
  std::string wanted() const;

  // Home loop, once: drover ends. Clients leave because they are sent away; what they wanted and is
  // in the journal is for the next drover.
  void drain();

 private:
  friend class Watch;
  struct State;
  struct Job;
  struct Mailbox;
  std::shared_ptr<State> state_;
};

// One client that watches an order. Made, used and destroyed on the client's loop; its end is the
// client's leaving.
class Watch {
 public:
  Watch(Jobs& jobs, net::Loop& here, Order order);
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;
  ~Watch();

  // Set when take() or ending() has something new.
  net::Event& news() { return news_; }
  // Progress since the last call, as lines; at most kMaxKept of them, of which the newest matter.
  std::string take();
  // Null while it goes on. Before it, take() what is left.
  const Ending* ending() const;

  static constexpr std::size_t kMaxKept = 1000;

 private:
  std::shared_ptr<Jobs::State> jobs_;
  std::shared_ptr<Jobs::Mailbox> box_;
  net::Event news_;
};

}  // namespace drover::jobs
