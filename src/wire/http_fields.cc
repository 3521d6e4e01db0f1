#include "wire/http_fields.h"

#include <bit>
#include <optional>

#include "wire/http_chars.h"

namespace drover::wire {
namespace {

constexpr Fault kTooManyFields{ErrorKind::kHeadTooLarge, "The message head has more than ",
                               Fault::Bound::kFields};
constexpr Fault kFoldedLine{
    ErrorKind::kMalformed,
    "A header line begins with white space; folded header lines are not accepted."};
constexpr Fault kBadName{ErrorKind::kMalformed,
                         "A header field name is empty or has a character that is not allowed."};
constexpr Fault kBadValue{ErrorKind::kMalformed,
                          "A header field value has a control character in it."};
constexpr Fault kTwoLengths{ErrorKind::kMalformed, "Content-Length is given more than once."};
constexpr Fault kBadLength{ErrorKind::kMalformed, "Content-Length is not a plain decimal number."};
constexpr Fault kLengthAndCoding{ErrorKind::kMalformed,
                                 "Content-Length and Transfer-Encoding exclude each other."};
constexpr Fault kOldCoding{ErrorKind::kMalformed, "HTTP/1.0 has no Transfer-Encoding."};
constexpr Fault kBadCoding{ErrorKind::kMalformed,
                           "Transfer-Encoding must be given once, as 'chunked' alone."};
constexpr Fault kUnknownCoding{ErrorKind::kUnsupported,
                               "Only the transfer coding 'chunked' is implemented."};

std::string_view trimmed_end(std::string_view text) {
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

void note_connection(std::string_view value, FieldFacts& facts) {
  if (field_is(value, "keep-alive")) {
    facts.connection_keep_alive = true;
    return;
  }
  if (list_has_token(value, "close")) facts.connection_close = true;
  if (list_has_token(value, "keep-alive")) facts.connection_keep_alive = true;
}

void note_expect(std::string_view value, FieldFacts& facts) {
  if (field_is(value, "100-continue")) {
    facts.expects_continue = true;
  } else {
    facts.expects_other = true;
  }
}

// The length tells nearly all names apart, so an ordinary field costs one jump.
void note_field(const Field& field, FieldFacts& facts) {
  switch (field.name.size()) {
    case 4:
      if (!field_is(field.name, "host")) return;
      facts.host = field.value;
      ++facts.hosts;
      return;
    case 6:
      if (field_is(field.name, "expect")) note_expect(field.value, facts);
      return;
    case 10:
      if (field_is(field.name, "connection")) note_connection(field.value, facts);
      return;
    case 14:
      if (!field_is(field.name, "content-length")) return;
      facts.content_length = field.value;
      ++facts.content_lengths;
      return;
    case 17:
      if (!field_is(field.name, "transfer-encoding")) return;
      facts.transfer_encoding = field.value;
      ++facts.transfer_encodings;
      return;
    default:
      return;
  }
}

// At most 19 digits: every such number fits, and readers with signed 64 bits agree up to 2^63-1.
std::optional<std::uint64_t> decimal_length(std::string_view text) {
  if (text.empty() || text.size() > 19) return std::nullopt;
  std::uint64_t value = 0;
  for (const char c : text) {
    if (!is_digit(c)) return std::nullopt;
    value = value * 10 + static_cast<std::uint64_t>(c - '0');
  }
  if (value > static_cast<std::uint64_t>(INT64_MAX)) return std::nullopt;
  return value;
}

}  // namespace

std::string message_of(const Fault& fault, const HeadLimits& limits) {
  std::string text = fault.message;
  switch (fault.bound) {
    case Fault::Bound::kNone:
      return text;
    case Fault::Bound::kHeadBytes:
      return text + std::to_string(limits.max_bytes) + " bytes.";
    case Fault::Bound::kFields:
      return text + std::to_string(limits.max_fields) + " fields.";
    case Fault::Bound::kTarget:
      return text + std::to_string(limits.max_target) + " bytes.";
  }
  return text;
}

Scan find_line_end(std::string_view bytes, std::size_t from) {
  const std::size_t at = find_control(bytes, from);
  if (at == bytes.size()) return {Scan::State::kMore, at};
  if (bytes[at] != '\r') return {Scan::State::kBad, at};
  if (at + 1 == bytes.size()) return {Scan::State::kMore, at};
  if (bytes[at + 1] != '\n') return {Scan::State::kBad, at};
  return {Scan::State::kFound, at + 2};
}

Scan find_head_end(std::string_view bytes, std::size_t from) {
  std::size_t at = from;
#ifdef __SSE2__
  // Sixteen octets a step: bit i of `cr` and `lf` is octet i. In a sound head LF stands exactly
  // where the octet before is CR; the head ends where LF stands two after another LF.
  const __m128i cr_block = _mm_set1_epi8('\r');
  const __m128i lf_block = _mm_set1_epi8('\n');
  unsigned cr_before = bytes[at - 1] == '\r' ? 1U : 0U;
  unsigned lf_before = (bytes[at - 2] == '\n' ? 1U : 0U) | (bytes[at - 1] == '\n' ? 2U : 0U);
  for (; at + 16 <= bytes.size(); at += 16) {
    const __m128i block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes.data() + at));
    const auto cr = static_cast<unsigned>(_mm_movemask_epi8(_mm_cmpeq_epi8(block, cr_block)));
    const auto lf = static_cast<unsigned>(_mm_movemask_epi8(_mm_cmpeq_epi8(block, lf_block)));
    const unsigned unpaired = (((cr << 1U) | cr_before) & 0xffffU) ^ lf;
    const unsigned end = lf & ((lf << 2U) | lf_before);
    if ((unpaired | end) != 0) {
      const auto first = static_cast<unsigned>(std::countr_zero(unpaired | end));
      if (((unpaired >> first) & 1U) != 0) return {Scan::State::kBad, at + first};
      return {Scan::State::kFound, at + first + 1};
    }
    cr_before = cr >> 15U;
    lf_before = lf >> 14U;
  }
#endif
  for (; at < bytes.size(); ++at) {
    const bool after_cr = bytes[at - 1] == '\r';
    const bool is_lf = bytes[at] == '\n';
    if (after_cr != is_lf) return {Scan::State::kBad, at};
    if (is_lf && bytes[at - 2] == '\n') return {Scan::State::kFound, at + 1};
  }
  return {Scan::State::kMore, at};
}

const Fault* read_fields(std::string_view section, std::size_t max_fields, Underscores underscores,
                         std::vector<Field>& fields, FieldFacts& facts) {
  // The loops below stop at a CR at the latest, and the section ends with one and an LF.
  const char* const begin = section.data();
  std::size_t at = 0;
  for (std::size_t lines = 0; begin[at] != '\r'; ++lines) {
    if (lines == max_fields) return &kTooManyFields;
    const FieldName name = read_name(section, at);
    if (name.end == at || begin[name.end] != ':') {
      const bool folded = begin[at] == ' ' || begin[at] == '\t';
      return folded ? &kFoldedLine : &kBadName;
    }
    std::size_t value_at = name.end + 1;
    while (begin[value_at] == ' ' || begin[value_at] == '\t') ++value_at;
    const std::size_t line_end = find_control(section, value_at);
    if (begin[line_end] != '\r') return &kBadValue;

    const Field field{{begin + at, name.end - at},
                      trimmed_end({begin + value_at, line_end - value_at})};
    at = line_end + 2;
    if (underscores == Underscores::kDrop && name.has_underscore) continue;
    note_field(field, facts);
    fields.push_back(field);
  }
  return nullptr;
}

const Fault* read_body_length(const FieldFacts& facts, int minor_version, BodyLength& out) {
  if (facts.transfer_encodings != 0) {
    if (facts.content_lengths != 0) return &kLengthAndCoding;
    if (minor_version == 0) return &kOldCoding;
    if (facts.transfer_encodings != 1) return &kBadCoding;
    const std::string_view coding = facts.transfer_encoding;
    if (!field_is(coding, "chunked")) {
      const bool one_token = !coding.empty() && all_chars(coding, kTokenChar);
      return one_token ? &kUnknownCoding : &kBadCoding;
    }
    out.framing = Framing::kChunked;
    return nullptr;
  }
  if (facts.content_lengths == 0) return nullptr;
  if (facts.content_lengths != 1) return &kTwoLengths;
  const std::optional<std::uint64_t> length = decimal_length(facts.content_length);
  if (!length) return &kBadLength;
  out.framing = Framing::kLength;
  out.content_length = *length;
  return nullptr;
}

bool wants_keep_alive(const FieldFacts& facts, int minor_version) {
  if (facts.connection_close) return false;
  return minor_version >= 1 || facts.connection_keep_alive;
}

}  // namespace drover::wire
