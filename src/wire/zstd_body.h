#pragma once
// A request body that came compressed with zstd, as some OpenAI clients send theirs: decoded piece
// by piece in constant memory. A few bytes can stand for gigabytes, so what comes out is held
// against what went in.

#include <cstdint>
#include <memory>
#include <string_view>

#include "base/result.h"

namespace drover::wire {

class ZstdBody {
 public:
  // JSON of chats shrinks to a tenth, of repeated base64 to a fiftieth. Up to the slack any ratio
  // is fine: it costs nobody anything.
  static constexpr std::uint64_t kMostRatio = 100;
  static constexpr std::uint64_t kSlack = 1024 * 1024;  // bytes
  // Memory that a body may ask its reader to keep; the library's own levels up to 19 need no more.
  static constexpr int kWindowLog = 23;  // 8 MiB

  ZstdBody();
  ZstdBody(ZstdBody&&) noexcept;
  ~ZstdBody();

  // What went in has not come out yet as a whole: call again with the rest until it is empty.
  struct Step {
    std::size_t consumed = 0;  // of the piece
    std::string_view data;     // decoded; lives until the next call
  };
  // Errors: kMalformed (no zstd, or damaged), kTooLarge (the ratio or the window).
  Result<Step> next(std::string_view piece);
  // What it holds now: next to nothing until the first frame says how large a window it needs.
  std::uint64_t memory_bytes() const;
  // The body is over. Error kMalformed: in the middle of a frame, or it was empty.
  Result<void> end() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace drover::wire
