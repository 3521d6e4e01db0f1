#pragma once
// Finds the `model` part of a multipart/form-data body (audio transcriptions) wherever it stands,
// in constant memory. Nothing is decoded or kept besides that one value.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace drover::wire {

// The boundary is taken from the body's first line ("--BOUNDARY"), which must be there: RFC 7578
// bodies of real clients have no preamble, and a body that hides one is refused.
class MultipartModel {
 public:
  // Errors: kMalformed (no boundary line, a boundary over 70 bytes, part headers over 8 KiB,
  // or such as could be read two ways, two parts named `model`, a model over 512 bytes, more than
  // 64 parts).
  Result<void> feed(std::string_view piece);
  // The model, or an Error when the closing boundary or the part is missing.
  Result<std::string> finish();

 private:
  enum class State : std::uint8_t {
    kFirstLine,  // "--BOUNDARY"
    kAfter,      // behind a boundary: CRLF begins a part, "--" ends the body
    kHeaders,    // up to an empty line
    kContent,    // of a part, up to the next boundary
    kEpilogue,   // behind the closing boundary
  };
  Result<std::size_t> step();
  Result<std::size_t> first_line();
  Result<std::size_t> after_boundary();
  Result<std::size_t> headers();
  Result<std::size_t> content();

  State state_ = State::kFirstLine;
  std::string delimiter_;  // "\r\n--BOUNDARY"
  std::string input_;      // not yet consumed; bounded by one piece and one header block
  std::string model_;
  std::uint32_t parts_ = 0;
  bool in_model_ = false;
  bool found_ = false;
};

}  // namespace drover::wire
