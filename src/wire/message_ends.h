#pragma once
// MessageEnds: hashes of a conversation's beginnings, made while its messages are read. Who asks
// for the next turn of a conversation repeats all messages before it, byte for byte, so the hash up
// to the end of a message is the conversation's name at that moment.
//
// The same whatever pieces the bytes come in. Of each message the first 64 KiB and the length
// count: what is longer is a picture or a file, and nobody waits for a hash of all of it. With
// another salt all hashes are others. Not for secrets: who wants two messages with one hash can
// find them, and wins nothing but a wrong guess about where a conversation is held.

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

#include "base/ask.h"

namespace drover::wire {

class MessageEnds {
 public:
  static constexpr std::uint64_t kHashedBytes = 64 * 1024;  // of each message

  explicit MessageEnds(std::uint64_t salt) : hash_(salt) {}

  // The next bytes of a message, as it is written.
  void feed(std::string_view bytes);
  // It ends here.
  void ended();
  // Of all that have ended; nothing may follow.
  Beginnings take() { return std::move(all_); }

 private:
  void mix(std::uint64_t word);

  Beginnings all_;
  std::uint64_t hash_;
  std::uint64_t bytes_ = 0;  // of all messages that have ended
  std::uint64_t read_ = 0;   // of this one
  std::uint64_t word_ = 0;   // its last bytes that do not fill one
  unsigned word_bytes_ = 0;
};

}  // namespace drover::wire
