#pragma once
// The body of one request, kept until its answer has begun so that it can be sent again, and not a
// moment longer: an answer may take minutes, and its client's neighbours need the room. Small
// bodies stay in memory, larger ones as long as the loop has room for them there; the rest live in
// unlinked files, so memory has a bound whatever clients send. Edits are applied while reading: the
// stored bytes are never rewritten.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/metric_cells.h"
#include "base/result.h"
#include "wire/json_scan.h"

namespace drover::gateway {

// Memory that the larger bodies of one loop share. First come, first served.
class BodyRoom {
 public:
  // `taken` counts what is in use, and outlives the room.
  BodyRoom(std::uint64_t bytes, Gauge& taken) : free_(bytes), taken_(taken) {}
  BodyRoom(const BodyRoom&) = delete;
  BodyRoom& operator=(const BodyRoom&) = delete;

  // False: there is not so much left.
  bool take(std::uint64_t bytes) {
    if (bytes > free_) return false;
    free_ -= bytes;
    taken_.add(static_cast<std::int64_t>(bytes));
    return true;
  }
  void give(std::uint64_t bytes) {
    free_ += bytes;
    taken_.add(-static_cast<std::int64_t>(bytes));
  }
  std::uint64_t free_bytes() const { return free_; }

 private:
  std::uint64_t free_;
  Gauge& taken_;
};

class BodyStore {
 public:
  // Above `spill_bytes` the body moves to a file in `spill_dir`, unless its length is known before
  // it comes and `room`, which outlives the store and may be null, has so much for it.
  BodyStore(std::uint64_t spill_bytes, const std::string& spill_dir, BodyRoom* room = nullptr);
  BodyStore(const BodyStore&) = delete;
  BodyStore& operator=(const BodyStore&) = delete;
  ~BodyStore();

  // Errors: kUnavailable when the disk is full or the directory cannot be written to.
  Result<void> append(std::string_view piece);
  // Nobody will read it again: its memory and its file are given back. received_bytes() stays.
  void release();
  // This much will come. Once, before the first byte.
  void expect(std::uint64_t bytes);
  // Sorted, not overlapping, inside the body.
  void set_edits(std::vector<wire::Edit> edits) { edits_ = std::move(edits); }

  // One more, of a place in the body as read() gives it; not across an edit that is there.
  void replace(wire::Edit edit);

  // On top of these, until the next call: of stored bytes that no other edit touches, sorted.
  void overlay(std::vector<wire::Edit> edits);

  std::uint64_t received_bytes() const { return received_; }
  std::uint64_t sent_bytes() const;  // with the edits applied: the Content-Length to announce
  bool spilled() const { return file_ >= 0; }
  std::size_t memory_bytes() const { return memory_.capacity(); }  // what it holds besides a file

  // A place in the edited body.
  struct Cursor {
    std::uint64_t offset = 0;  // in the stored bytes
    std::size_t edit = 0;      // next edit to apply
  };
  // The next piece; empty at the end. Points into the store, an edit, or `room`: a spilled body is
  // read into that, at most room.size() bytes at a time, and nothing else needs it. Errors:
  // kSystem.
  Result<std::string_view> read(Cursor& cursor, std::span<char> room) const;

 private:
  Result<void> spill();
  void leave_memory();
  Result<void> write_file(std::string_view piece);

  std::uint64_t spill_bytes_;
  const std::string& spill_dir_;
  BodyRoom* room_;
  std::uint64_t taken_ = 0;  // of the room
  std::string memory_;
  int file_ = -1;
  std::uint64_t received_ = 0;
  std::vector<wire::Edit> edits_;
  std::vector<wire::Edit> below_;  // while there is an overlay: the edits without it
  bool overlaid_ = false;
};

}  // namespace drover::gateway
