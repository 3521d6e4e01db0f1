#include "wire/http_body.h"

#include <algorithm>
#include <string>

#include "base/check.h"
#include "wire/http_chars.h"

namespace drover::wire {
namespace {

constexpr std::uint32_t kMaxSizeDigits = 16;
constexpr std::uint32_t kMaxExtension = 4 * 1024;    // a chunk
constexpr std::uint32_t kMaxExtensions = 64 * 1024;  // a body
constexpr std::uint32_t kMaxTrailer = 8 * 1024;
constexpr const char* kBadSize = "A chunk size is not a hexadecimal number.";

}  // namespace

BodyDecoder::BodyDecoder(Framing framing, std::uint64_t content_length, Origin origin)
    : origin_(origin) {
  switch (framing) {
    case Framing::kNone:
      state_ = State::kDone;
      break;
    case Framing::kLength:
      left_ = content_length;
      state_ = left_ == 0 ? State::kDone : State::kData;
      break;
    case Framing::kChunked:
      state_ = State::kSize;
      break;
    case Framing::kUntilClose:
      state_ = State::kUntilClose;
      break;
  }
}

Error BodyDecoder::broken(const char* why) {
  state_ = State::kBroken;
  why_ = why;
  if (origin_ == Origin::kInstance) {
    return {ErrorKind::kUpstream, origin_, Retry::kSafe,
            std::string("An instance sent a broken answer: ") + why};
  }
  return {ErrorKind::kMalformed, origin_, Retry::kNever, why};
}

Result<BodyDecoder::Step> BodyDecoder::next(std::string_view input) {
  Step step;
  const char* fault = nullptr;
  while (fault == nullptr && step.consumed < input.size() && takes_framing()) {
    fault = read_framing(input, step.consumed);
  }
  if (fault != nullptr) return broken(fault);
  const std::string_view rest = input.substr(step.consumed);
  switch (state_) {
    case State::kBroken:
      return broken(why_);
    case State::kUntilClose:
      step.data = rest;
      break;
    case State::kData:
    case State::kChunkData:
      step.data = rest.substr(0, std::min<std::uint64_t>(left_, rest.size()));
      left_ -= step.data.size();
      if (left_ == 0) state_ = state_ == State::kData ? State::kDone : State::kChunkCr;
      break;
    default:
      break;
  }
  step.consumed += step.data.size();
  step.done = done();
  return step;
}

bool BodyDecoder::take_whole(std::string_view input) {
  if (state_ != State::kData || left_ != input.size()) return false;
  left_ = 0;
  state_ = State::kDone;
  return true;
}

Result<void> BodyDecoder::end() {
  if (state_ == State::kUntilClose) state_ = State::kDone;
  if (done()) return Done{};
  if (state_ == State::kBroken) return broken(why_);
  return broken("The connection ended before the body did.");
}

// Everything that stands between one chunk's data and the next. Runs to the end of `input`, to
// data or to the end of the body.
const char* BodyDecoder::read_framing(std::string_view input, std::size_t& at) {
  switch (state_) {
    case State::kSize:
      return read_size(input, at);
    case State::kExtension:
      return read_extension(input, at);
    case State::kSizeLf:
      if (input[at++] != '\n') return "A chunk size line does not end in CR LF.";
      size_digits_ = 0;
      extension_ = 0;
      state_ = left_ == 0 ? State::kTrailerStart : State::kChunkData;
      return nullptr;
    case State::kChunkCr:
      if (input[at++] != '\r') return "A chunk is longer than its size says.";
      state_ = State::kChunkLf;
      return nullptr;
    case State::kChunkLf:
      if (input[at++] != '\n') return "The data of a chunk does not end in CR LF.";
      state_ = State::kSize;
      return nullptr;
    case State::kLastLf:
      if (input[at++] != '\n') return "The trailer section does not end in CR LF.";
      state_ = State::kDone;
      return nullptr;
    default:
      return read_trailer(input, at);
  }
}

const char* BodyDecoder::read_size(std::string_view input, std::size_t& at) {
  for (; at < input.size(); ++at) {
    const int digit = hex_value(input[at]);
    if (digit < 0) break;
    if (++size_digits_ > kMaxSizeDigits) return "A chunk size has more than 16 digits.";
    left_ = left_ << 4U | static_cast<std::uint64_t>(digit);
  }
  if (at == input.size()) return nullptr;
  const char c = input[at++];
  // White space here is what smuggling uses; nobody sends it in earnest.
  if (size_digits_ == 0 || (c != '\r' && c != ';')) return kBadSize;
  state_ = c == '\r' ? State::kSizeLf : State::kExtension;
  return c == ';' ? count_extension(1) : nullptr;
}

const char* BodyDecoder::count_extension(std::size_t bytes) {
  // Both counters are compared before they could wrap: a piece is at most what is left of them.
  if (bytes > kMaxExtension - extension_) return "A chunk extension is longer than 4096 bytes.";
  if (bytes > kMaxExtensions - extensions_) {
    return "The chunk extensions of the body are longer than 65536 bytes.";
  }
  extension_ += static_cast<std::uint32_t>(bytes);
  extensions_ += static_cast<std::uint32_t>(bytes);
  return nullptr;
}

const char* BodyDecoder::read_extension(std::string_view input, std::size_t& at) {
  const std::size_t end = find_control(input, at);
  const char* fault = count_extension(end - at);
  at = end;
  if (fault != nullptr || at == input.size()) return fault;
  if (input[at++] != '\r') return "A chunk extension has a control character in it.";
  state_ = State::kSizeLf;
  return nullptr;
}

// Trailer fields are checked as fields of a head are and then forgotten: merging them would let a
// sender change what was decided on the head.
const char* BodyDecoder::read_trailer(std::string_view input, std::size_t& at) {
  const std::size_t from = at;
  const char* fault = nullptr;
  switch (state_) {
    case State::kTrailerStart:
      if (input[at] == '\r') {
        ++at;
        state_ = State::kLastLf;
        return nullptr;
      }
      if (!is_char(input[at], kTokenChar)) return "A trailer field has no valid name.";
      state_ = State::kTrailerName;
      return nullptr;
    case State::kTrailerName:
      at = skip_chars(input, at, kTokenChar);
      if (at == input.size()) break;
      if (input[at++] != ':') fault = "A trailer field has no valid name.";
      state_ = State::kTrailerValue;
      break;
    case State::kTrailerValue:
      at = find_control(input, at);
      if (at == input.size()) break;
      if (input[at++] != '\r') fault = "A trailer field has a control character in it.";
      state_ = State::kTrailerLf;
      break;
    default:
      if (input[at++] != '\n') fault = "A trailer field does not end in CR LF.";
      state_ = State::kTrailerStart;
      break;
  }
  if (at - from > kMaxTrailer - trailer_) return "The trailer section is longer than 8192 bytes.";
  trailer_ += static_cast<std::uint32_t>(at - from);
  return fault;
}

ChunkHead::ChunkHead(std::uint64_t size) {
  // Zero would be the last chunk: whoever wants to end a body says so with kLastChunk.
  DROVER_ASSERT(size > 0);
  constexpr char kDigits[] = "0123456789abcdef";
  int shift = 60;
  while ((size >> shift) == 0) shift -= 4;
  for (; shift >= 0; shift -= 4) text[length++] = kDigits[(size >> shift) & 0xfU];
  text[length++] = '\r';
  text[length++] = '\n';
}

}  // namespace drover::wire
