#pragma once
// The body of an HTTP/1.1 message: framing off, bytes out.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "wire/http_head.h"

namespace drover::wire {

// Takes a body apart as its bytes arrive, in constant memory. Chunk extensions are read over (at
// most 4 KiB a chunk and 64 KiB a body), trailers are checked and discarded (at most 8 KiB). How
// the bytes are cut into pieces makes no difference to what comes out.
class BodyDecoder {
 public:
  // `origin` is named in errors: kMalformed for a client, kUpstream for an instance.
  BodyDecoder(Framing framing, std::uint64_t content_length, Origin origin);

  struct Step {
    std::size_t consumed = 0;  // of the input, framing included
    std::string_view data;     // decoded, points into the input; may be empty
    bool done = false;         // the body is complete; what is left belongs to the next message
  };
  // One piece at a time: call again with the rest until everything is consumed or done. Check
  // done() first: a body of no bytes is complete before any call. After an Error every call gives
  // the same one.
  Result<Step> next(std::string_view input);
  // The usual body of a known length, which came in one piece: `input` is all that was still to
  // come, and nothing else. False, and nothing is taken, when it is not.
  bool take_whole(std::string_view input);

  // The connection ended. kUntilClose: fine, and done. Otherwise an Error unless done.
  Result<void> end();
  bool done() const { return state_ == State::kDone; }
  // Of a chunked body: the next byte begins the size of a chunk.
  bool between_chunks() const { return state_ == State::kSize && size_digits_ == 0; }
  // So far, in all chunk extensions. What holds none can be passed on as it is framed.
  std::uint32_t extension_bytes() const { return extensions_; }

 private:
  enum class State : std::uint8_t {
    kSize,
    kExtension,
    kSizeLf,
    kChunkCr,
    kChunkLf,  // the order matters to takes_framing()
    kTrailerStart,
    kTrailerName,
    kTrailerValue,
    kTrailerLf,
    kLastLf,
    kData,
    kChunkData,
    kUntilClose,
    kDone,
    kBroken,
  };
  bool takes_framing() const { return state_ <= State::kLastLf; }
  // These advance `at` and the state; the answer is null or what is wrong.
  const char* read_framing(std::string_view input, std::size_t& at);
  const char* read_size(std::string_view input, std::size_t& at);
  const char* read_extension(std::string_view input, std::size_t& at);
  const char* read_trailer(std::string_view input, std::size_t& at);
  const char* count_extension(std::size_t bytes);
  Error broken(const char* why);

  Origin origin_;
  State state_ = State::kDone;
  std::uint32_t size_digits_ = 0;
  std::uint32_t extension_ = 0;   // bytes of extension in this chunk
  std::uint32_t extensions_ = 0;  // and in this body
  std::uint32_t trailer_ = 0;
  std::uint64_t left_ = 0;  // bytes of the body or chunk still to come
  const char* why_ = "";    // the first error, which stays
};

// Writes "SIZE CRLF" for a chunk of `size` bytes (> 0) into `out` and returns the view.
struct ChunkHead {
  char text[20];
  std::uint8_t length = 0;
  explicit ChunkHead(std::uint64_t size);
  std::string_view view() const { return {text, length}; }
};
inline constexpr std::string_view kLastChunk = "0\r\n\r\n";

}  // namespace drover::wire
