#pragma once
// What the tests of net share: a loop whose clock the test moves, and coroutines that note what
// became of a wait.

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "net/loop.h"
#include "net/stream.h"

namespace drover::net::testing {

using namespace std::chrono_literals;

// No IO: a poll jumps to the instant it was asked to wait for, if there is one.
class ManualLoop final : public Loop {
 public:
  ManualLoop() { set_now(Instant(1000s)); }
  ~ManualLoop() override { abandon(); }
  WallTime wall_now() const override { return {}; }
  Result<std::unique_ptr<Listener>> listen(const Endpoint&, ListenOptions) override {
    return Error{};
  }
  Task<Result<std::unique_ptr<Stream>>> connect(Endpoint, Instant, Cancel*) override {
    co_return Error{};
  }
  // Turns until nothing is ready, without moving the clock.
  void settle() {
    do {
      turn(now());
    } while (has_ready());
    turn(now());
  }
  // Jumps, without stopping at timers on the way, and lets everything happen that is due then.
  void advance(Duration d) {
    set_now(now() + d);
    settle();
  }
  Instant exact_next_timer() {
    settle_timers();
    return next_timer();
  }
  int wakes() const { return wakes_; }

 private:
  void poll(Instant until) override {
    if (until == kNever) return set_quiescent();
    if (until > now()) set_now(until);
  }
  void wake() override { ++wakes_; }
  int wakes_ = 0;
};

// A stream without a peer: the test says what happens to it.
class ManualStream final : public Stream {
 public:
  explicit ManualStream(Loop& loop) : Stream(loop) {}
  using Stream::clear_readable;
  using Stream::clear_writable;
  using Stream::mark_hung_up;
  using Stream::mark_readable;
  using Stream::mark_writable;

  // What of `arriving` fits.
  Io read(std::span<char> into) override {
    if (arriving.empty()) return {};
    const std::size_t moved = arriving.copy(into.data(), into.size());
    arriving.erase(0, moved);
    return {Io::State::kMoved, moved};
  }
  // Takes `room` bytes, then is full; a negative room fails.
  Io write(std::span<const std::string_view> parts) override {
    if (room < 0) return {Io::State::kFailed, 0};
    std::size_t moved = 0;
    for (std::string_view part : parts) {
      part = part.substr(0, static_cast<std::size_t>(room));
      room -= static_cast<long>(part.size());
      moved += part.size();
      written += part;
    }
    if (room == 0) clear_writable();
    return {moved > 0 ? Io::State::kMoved : Io::State::kWouldBlock, moved};
  }
  void finish_writing() override {}
  void reset_on_close() override {}
  Endpoint peer() const override { return {}; }

  std::string arriving;
  long room = 1 << 20;
  std::string written;
};

inline Task<void> note_event(Event& event, Instant deadline, Cancel* cancel,
                             std::optional<WaitResult>& out) {
  const WaitResult waited = co_await event.wait(deadline, cancel);
  out = waited;
}

inline Task<void> note_sleep(Loop& loop, Instant until, Cancel* cancel,
                             std::optional<WaitResult>& out) {
  const WaitResult waited = co_await loop.sleep_until(until, cancel);
  out = waited;
}

inline Task<void> note_readable(Stream& stream, Instant deadline, Cancel* cancel,
                                std::optional<WaitResult>& out) {
  const WaitResult waited = co_await stream.readable(deadline, cancel);
  out = waited;
}

inline Task<void> note_writable(Stream& stream, Instant deadline, Cancel* cancel,
                                std::optional<WaitResult>& out) {
  const WaitResult waited = co_await stream.writable(deadline, cancel);
  out = waited;
}

// Ends the loop's run() once `task` has ended.
inline Task<void> run_then_stop(Loop& loop, Task<void> task) {
  co_await task;
  loop.stop();
}

inline void run_to_end(Loop& loop, Task<void> task) {
  loop.spawn(run_then_stop(loop, std::move(task)));
  loop.run();
}

}  // namespace drover::net::testing
