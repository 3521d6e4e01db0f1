#pragma once
// ReadAhead: what one poll of a loop found arrived, all taken from the kernel before anybody looks
// at it. Thirty readings back to back find the kernel's code and a socket's path through it
// in the caches; with thirty requests served between them each finds what the last one left there.
//
// One shared room, which the next poll uses again: what nobody has taken until then gets memory of
// its own. Used by EpollLoop and EpollStream only.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "net/receive_memory.h"
#include "net/stream.h"

namespace drover::net {

class ReadAhead {
 public:
  // Names one reading, until it is taken whole or dropped.
  using Key = std::uint32_t;
  static constexpr Key kNone = UINT32_MAX;

  ReadAhead();

  // Where to read: as much as one reading takes at most, or empty when the room is used up.
  std::span<char> room();
  // Keeps what was just read into room(); an end or a failure is kept as well. Precondition: it did
  // not block.
  Key keep(Io io);

  // All of it, which ends the key. The bytes are valid until the next poll.
  Arrived take(Key key);
  // A piece of it. Precondition: `into` is not empty. True: that was the last, which ends the key.
  bool take_some(Key key, std::span<char> into, Io& io);
  // Its socket has heard from its peer since, or had more than the reading took.
  void note_more(Key key) { readings_[key].more = true; }
  bool has_more(Key key) const { return readings_[key].more; }
  void drop(Key key);

  // Before a poll: the room is used anew.
  void begin_turn();
  std::size_t held() const { return held_; }

 private:
  struct Reading {
    const char* at = nullptr;
    std::uint32_t bytes = 0;
    Io::State state = Io::State::kWouldBlock;  // this one: nobody's
    bool more = false;
    std::unique_ptr<char[]> own;  // where it lies when its turn is over
  };

  ReceiveMemory room_;
  std::size_t used_ = 0;
  std::size_t held_ = 0;  // readings that are somebody's
  std::vector<Reading> readings_;
  std::vector<Key> free_;
};

}  // namespace drover::net
