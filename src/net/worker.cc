#include "net/worker.h"

#include <linux/close_range.h>
#include <pthread.h>
#include <unistd.h>

#include <condition_variable>
#include <csignal>
#include <mutex>
#include <thread>
#include <utility>

#include "base/check.h"

namespace drover::net {

// Lives as long as the longer of the Worker and its thread.
struct Worker::Shared {
  // --- touched on the loop's thread only ---
  Worker* worker = nullptr;  // null once it is gone
  std::function<void()> done;
  std::thread thread;

  std::mutex mutex;
  std::condition_variable changed;
  // --- guarded by `mutex` ---
  Loop* loop = nullptr;        // null once the Worker is gone
  std::function<void()> work;  // waiting for the thread
  bool working = false;

  void finish() {
    if (worker == nullptr) return;
    worker->busy_ = false;
    const std::function<void()> then = std::exchange(done, nullptr);
    then();  // may destroy the Worker
  }

  static void serve(const std::shared_ptr<Shared>& self) {
    std::unique_lock lock(self->mutex);
    for (;;) {
      self->changed.wait(lock, [&] { return self->work != nullptr || self->loop == nullptr; });
      if (self->loop == nullptr) return;
      std::function<void()> work = std::exchange(self->work, nullptr);
      self->working = true;
      lock.unlock();
      work();
      work = nullptr;  // what it owns may end here, and not under the lock
      lock.lock();
      self->working = false;
      if (self->loop == nullptr) return;
      self->loop->post([self] { self->finish(); });
    }
  }
};

Worker::Worker(Loop& loop, const std::string& name, Descriptors descriptors)
    : shared_(std::make_shared<Shared>()) {
  shared_->loop = &loop;
  shared_->worker = this;
  shared_->thread = std::thread([shared = shared_, name, descriptors] {
    if (descriptors == Descriptors::kOwn) {
      ::close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_UNSHARE);
    }
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, nullptr);
    pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
    Shared::serve(shared);
  });
}

Worker::~Worker() {
  shared_->worker = nullptr;
  bool working = false;
  {
    const std::lock_guard lock(shared_->mutex);
    shared_->loop = nullptr;
    shared_->work = nullptr;
    working = shared_->working;
    shared_->changed.notify_all();
  }
  if (working) {
    shared_->thread.detach();
  } else {
    shared_->thread.join();
  }
}

void Worker::run(std::function<void()> work, std::function<void()> done) {
  DROVER_ASSERT(!busy_);
  busy_ = true;
  shared_->done = std::move(done);
  const std::lock_guard lock(shared_->mutex);
  shared_->work = std::move(work);
  shared_->changed.notify_all();
}

}  // namespace drover::net
