#pragma once
// Finds the `model` part of a multipart/form-data body (audio transcriptions) wherever it stands,
// in constant memory. Nothing is decoded or kept besides that one value.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace drover::wire {

// The boundary that a Content-Type names. kMalformed when it is no multipart/form-data, or names
// none, two, or one that RFC 2046 does not allow: then nobody can say where parts begin.
Result<std::string> form_boundary(std::string_view content_type);

// The boundary is taken from the body's first line ("--BOUNDARY"), which must be there: RFC 7578
// bodies of real clients have no preamble, and a body that hides one is refused.
class MultipartModel {
 public:
  // Errors: kMalformed (no boundary line, a boundary over 70 bytes, part headers over 8 KiB,
  // two parts named `model`, a model over 512 bytes, more than 64 parts; and part headers that Go,
  // and so Ollama, might read otherwise: folded lines, two Content-Dispositions, a name that is
  // encoded or given twice, a disposition other than form-data, a model that is a file or
  // quoted-printable).
  Result<void> feed(std::string_view piece);
  // The model, or an Error when the closing boundary or the part is missing.
  Result<std::string> finish();
  // Of the first line, once finish() was content with the form; whether it is the announced one is
  // for the caller to compare.
  std::string_view boundary() const { return std::string_view(delimiter_).substr(4); }

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
