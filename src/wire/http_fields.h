#pragma once
// The part of a head that requests and responses share: line ends, field lines, and what the
// fields say about the body and the connection. Private to the HTTP half of wire/.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "wire/http_head.h"

namespace drover::wire {

// Why a head is refused. Faults are constants, so that refusing costs nothing until it is told.
struct Fault {
  enum class Bound : std::uint8_t { kNone, kHeadBytes, kFields, kTarget };
  ErrorKind kind = ErrorKind::kMalformed;
  const char* message = "";  // one sentence, or its beginning where a bound completes it
  Bound bound = Bound::kNone;
};
std::string message_of(const Fault& fault, const HeadLimits& limits);

inline constexpr Fault kHeadTooLong{ErrorKind::kHeadTooLarge, "The message head is longer than ",
                                    Fault::Bound::kHeadBytes};
inline constexpr Fault kBadLineEnd{ErrorKind::kMalformed,
                                   "A line of the head does not end in CR LF."};
inline constexpr Fault kControlInFirstLine{
    ErrorKind::kMalformed, "The first line has a control character or does not end in CR LF."};

struct Scan {
  enum class State : std::uint8_t { kMore, kFound, kBad };
  State state = State::kMore;
  std::size_t at = 0;  // kFound: one past the end. kMore: where to go on.
};

// The end of the line that holds `from`. Bad: a control octet before it, or CR without LF.
Scan find_line_end(std::string_view bytes, std::size_t from);

// The end of the empty line that ends a head. `from` is the start of a field line, or where an
// earlier scan stopped; at least one whole line lies before it. Bad: CR without LF or LF without
// CR.
Scan find_head_end(std::string_view bytes, std::size_t from);

enum class Underscores : std::uint8_t {
  kKeep,
  kDrop,  // some readers behind us take '_' for '-': such a field is never passed on
};

// What the fields say about framing and connection; views point into the fields.
struct FieldFacts {
  std::string_view host;
  std::string_view content_length;
  std::string_view transfer_encoding;
  std::uint32_t hosts = 0;
  std::uint32_t content_lengths = 0;
  std::uint32_t transfer_encodings = 0;
  bool connection_close = false;
  bool connection_keep_alive = false;
  bool expects_continue = false;
  bool expects_other = false;
};

// Reads the field lines up to and with the empty line; `section` ends there and its line ends have
// been checked by find_head_end. Null when all is well.
const Fault* read_fields(std::string_view section, std::size_t max_fields, Underscores underscores,
                         std::vector<Field>& fields, FieldFacts& facts);

struct BodyLength {
  Framing framing = Framing::kNone;
  std::uint64_t content_length = 0;
};

// Framing by the fields alone (RFC 9112 6.1 to 6.3); kNone when they say nothing.
const Fault* read_body_length(const FieldFacts& facts, int minor_version, BodyLength& out);

bool wants_keep_alive(const FieldFacts& facts, int minor_version);

}  // namespace drover::wire
