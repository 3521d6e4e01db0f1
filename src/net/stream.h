#pragma once
// Stream: one connection, seen as readiness plus non-blocking calls, so that a waiting connection
// holds no buffer. Two kinds: EpollStream and the virtual one of test/simnet.
//
// Usage:   WaitResult w = co_await stream.readable(deadline, cancel);
//          if (w == WaitResult::kReady) Arrived got = stream.receive();

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "base/result.h"
#include "net/endpoint.h"
#include "net/loop.h"
#include "net/wait.h"

namespace drover::net {

// Outcome of one non-blocking call.
struct Io {
  enum class State : std::uint8_t {
    kMoved,       // `bytes` went through (at least one)
    kWouldBlock,  // wait for readable() / writable()
    kEnd,         // read only: the peer finished its side
    kFailed,      // reset or worse; the stream is dead
  };
  State state = State::kWouldBlock;
  std::size_t bytes = 0;
};

// The same for a reading whose bytes the loop has: valid until the next co_await.
struct Arrived {
  Io::State state = Io::State::kWouldBlock;
  std::string_view bytes;
};

class Stream {
 public:
  explicit Stream(Loop& loop);
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  virtual ~Stream() = default;  // closes; a coroutine that waits on it would never wake

  // What has arrived, at most Loop::kScratchBytes of it.
  virtual Arrived receive();
  // The same into memory of the caller's. Precondition: `into` is not empty.
  virtual Io read(std::span<char> into) = 0;
  // Gathers the parts into one send; empty ones are allowed. At most kMaxParts. Sends what fits:
  // fewer bytes than given means that the rest has to wait for writable(). Nothing but empty parts
  // is kMoved with 0 bytes.
  virtual Io write(std::span<const std::string_view> parts) = 0;
  static constexpr std::size_t kMaxParts = 32;
  // A body of up to this many bytes is better copied behind its head: one part costs less than two.
  static constexpr std::size_t kJoinBytes = 4096;

  // Sends our FIN; reading goes on.
  virtual void finish_writing() = 0;
  // The close that follows will be a reset: the peer must not take a cut answer for a whole one.
  virtual void reset_on_close() = 0;
  virtual Endpoint peer() const = 0;

  class ReadyAwaiter : public Waiter {
   public:
    enum class Side : std::uint8_t { kRead, kWrite };
    ReadyAwaiter(Stream& stream, Side side, Instant deadline, Cancel* cancel)
        : Waiter(stream.loop_),
          stream_(stream),
          side_(side),
          deadline_(deadline),
          cancel_on_(cancel) {}
    bool await_ready();
    void await_suspend(std::coroutine_handle<> coroutine);
    WaitResult await_resume() const { return result_; }

   private:
    Stream& stream_;
    Side side_;
    Instant deadline_;
    Cancel* cancel_on_;
  };
  // One waiter a side. A triggered cancel wins over readiness.
  ReadyAwaiter readable(Instant deadline, Cancel* cancel = nullptr) {
    return {*this, ReadyAwaiter::Side::kRead, deadline, cancel};
  }
  ReadyAwaiter writable(Instant deadline, Cancel* cancel = nullptr) {
    return {*this, ReadyAwaiter::Side::kWrite, deadline, cancel};
  }

  // While set, the peer's hang-up (FIN, reset) triggers `gone` with kClientGone; at once if it
  // has already happened. Null stops watching.
  void watch_hangup(Cancel* gone);
  bool hung_up() const { return hung_up_; }

  // True when bytes or an end are known to wait; an idle pooled connection must show neither.
  bool has_input() const { return readable_ || hung_up_; }
  // The same, and what the kernel has and no event has told yet: it is asked.
  virtual bool look_for_input() { return has_input(); }

  Loop& loop() { return loop_; }

 protected:
  // Somebody waits for readable().
  bool is_awaited() const { return read_timer_.waiter() != nullptr; }
  // The implementation calls these when it learns something; they queue the waiter.
  void mark_readable();
  void mark_writable();
  void mark_hung_up();  // also marks readable: the end can be read
  // After a call that drained or filled the kernel's side.
  void clear_readable() { readable_ = false; }
  void clear_writable() { writable_ = false; }

 private:
  friend class ReadyAwaiter;
  Loop& loop_;
  Timer read_timer_;
  Timer write_timer_;
  Cancel* gone_ = nullptr;
  bool readable_ = false;
  bool writable_ = true;
  bool hung_up_ = false;
};

// Accepts connections of one address.
class Listener {
 public:
  virtual ~Listener() = default;
  // One accept at a time. A triggered cancel ends it once nobody waits any more: whom the kernel
  // took in has been promised an answer, and a close would be a reset. Errors: kCancelled; kSystem
  // only when the listener itself is dead (a full descriptor table is waited out, 100 ms at a
  // time).
  virtual Task<Result<std::unique_ptr<Stream>>> accept(Cancel* cancel) = 0;
  virtual Endpoint local() const = 0;
};

// Sends everything. Errors: kTimeout when no byte could be sent for `stall`, kClosed, kCancelled;
// their origin is kSelf, because only the caller knows who the peer is. `parts` and what its views
// show must stay valid until it returns. Await it at once: it tries before it returns, so that it
// costs a frame only when the kernel's buffer is full.
Task<Result<void>> write_all(Stream& stream, std::span<const std::string_view> parts,
                             Duration stall, Cancel* cancel);

}  // namespace drover::net
