#include "net/read_ahead.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"

namespace drover::net {
namespace {

// Of the room: small messages of a whole turn, or one long one and some more.
constexpr std::size_t kRoomBytes = 2 * Loop::kScratchBytes;
constexpr std::size_t kLine = ReceiveMemory::kLineBytes;  // two readings share none

}  // namespace

ReadAhead::ReadAhead() : room_(kRoomBytes) {}

std::span<char> ReadAhead::room() {
  if (kRoomBytes - used_ < Loop::kScratchBytes) return {};
  return room_.span().subspan(used_, Loop::kScratchBytes);
}

ReadAhead::Key ReadAhead::keep(Io io) {
  DROVER_ASSERT(io.state != Io::State::kWouldBlock);
  Key key = static_cast<Key>(readings_.size());
  if (free_.empty()) {
    readings_.emplace_back();
  } else {
    key = free_.back();
    free_.pop_back();
  }
  Reading& reading = readings_[key];
  reading.at = room_.span().data() + used_;
  reading.bytes = static_cast<std::uint32_t>(io.bytes);
  reading.state = io.state;
  reading.more = io.bytes == Loop::kScratchBytes;
  used_ += (io.bytes + kLine - 1) / kLine * kLine;
  ++held_;
  return key;
}

Arrived ReadAhead::take(Key key) {
  Reading& reading = readings_[key];
  const Arrived all{reading.state, {reading.at, reading.bytes}};
  drop(key);
  return all;
}

bool ReadAhead::take_some(Key key, std::span<char> into, Io& io) {
  Reading& reading = readings_[key];
  const auto bytes = static_cast<std::uint32_t>(std::min<std::size_t>(into.size(), reading.bytes));
  if (bytes > 0) std::memcpy(into.data(), reading.at, bytes);
  io = {reading.state, bytes};
  reading.at += bytes;
  reading.bytes -= bytes;
  if (reading.bytes > 0) return false;
  drop(key);
  return true;
}

// Its own memory stays until the loop turns: take() has shown it to somebody.
void ReadAhead::drop(Key key) {
  DROVER_ASSERT(readings_[key].state != Io::State::kWouldBlock);
  readings_[key].state = Io::State::kWouldBlock;
  free_.push_back(key);
  --held_;
}

void ReadAhead::begin_turn() {
  // Nearly always: whoever was woken because something arrived has taken it.
  if (held_ == 0) {
    readings_.clear();
    free_.clear();
  }
  for (Reading& reading : readings_) {
    if (reading.state == Io::State::kWouldBlock) {
      reading.own.reset();
    } else if (!reading.own && reading.bytes > 0) {
      reading.own = std::make_unique_for_overwrite<char[]>(reading.bytes);
      std::memcpy(reading.own.get(), reading.at, reading.bytes);
      reading.at = reading.own.get();
    }
  }
  used_ = 0;
}

}  // namespace drover::net
