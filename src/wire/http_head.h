#pragma once
// HTTP/1.1 message heads, bytes to values, without sockets (RFC 9112, strict). What two readers
// could read two ways is refused here, before anything behind us sees a byte of it.
//
// Parsers are fed everything buffered since the start of the head and say "more", "done" or an
// Error. They remember how far they looked, so a head that dribbles in costs linear time.
// All views point into the bytes given to the successful call: they live as long as those do.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace drover::wire {

struct Fault;  // private to the parsers

struct HeadLimits {
  std::size_t max_bytes = 64 * 1024;  // the whole head, request line and blank line included
  std::size_t max_fields = 100;
  std::size_t max_target = 8 * 1024;
  std::size_t max_leading_crlf = 1;  // empty lines before a request that are forgiven
};

struct Field {
  std::string_view name;   // as sent; compare with field_is()
  std::string_view value;  // without surrounding white space
};

// Case-insensitive for ASCII. `lower_case_name` is of the same length, and of lower-case letters
// and characters below '@', as hyphens, digits and slashes are.
bool is_lower_case_of(std::string_view name, std::string_view lower_case_name);
inline bool field_is(std::string_view name, std::string_view lower_case_name) {
  return name.size() == lower_case_name.size() && is_lower_case_of(name, lower_case_name);
}

// A closed list of field names, in lower case, of less than 32 bytes each. Length and first letter
// tell nearly all of them apart.
template <std::size_t N>
class FieldNames {
 public:
  constexpr explicit FieldNames(std::array<std::string_view, N> names) : names_(names) {
    std::sort(names_.begin(), names_.end(),
              [](std::string_view a, std::string_view b) { return a.size() < b.size(); });
    for (const std::string_view name : names_) ++from_[name.size() + 1];
    for (std::size_t i = 1; i < from_.size(); ++i) from_[i] += from_[i - 1];
  }
  constexpr bool contains(std::string_view name) const {
    if (name.size() >= kLongest) return false;
    for (std::size_t i = from_[name.size()]; i < from_[name.size() + 1]; ++i) {
      if ((name[0] | 0x20) == names_[i][0] && is_lower_case_of(name, names_[i])) return true;
    }
    return false;
  }

 private:
  static constexpr std::size_t kLongest = 32;
  std::array<std::string_view, N> names_;          // shortest first
  std::array<std::uint8_t, kLongest + 1> from_{};  // by length: where those begin
};

enum class Method : std::uint8_t { kGet, kHead, kPost, kPut, kPatch, kDelete, kOptions, kOther };

// How the bytes after the head are delimited.
enum class Framing : std::uint8_t {
  kNone,        // no body
  kLength,      // content_length bytes
  kChunked,     // chunked coding, last
  kUntilClose,  // responses only
};

struct RequestHead {
  Method method = Method::kOther;
  std::string_view method_text;
  std::string_view target;     // origin form after an absolute form was taken apart ("/" is static)
  std::string_view path;       // target before '?', as sent; "*" for OPTIONS of the whole server
  std::string_view query;      // after '?', may be empty
  std::string_view authority;  // that of an absolute-form target, or Host; empty only in HTTP/1.0
  int minor_version = 1;       // 0 or 1
  std::vector<Field> fields;   // in order, names with '_' already dropped
  Framing framing = Framing::kNone;
  std::uint64_t content_length = 0;  // with kLength
  bool keep_alive = true;
  bool expect_continue = false;  // only where a body is to follow (RFC 9110 10.1.1)
  std::size_t bytes = 0;         // size of the head: the body starts there

  // First value of the field, if any.
  std::optional<std::string_view> find(std::string_view lower_case_name) const;
  void clear();  // keeps the capacity of `fields`
};

class RequestParser {
 public:
  explicit RequestParser(HeadLimits limits = {}) : limits_(limits) {}
  // nullopt: feed more. A value: the head is complete, `out` is filled. Errors carry the status to
  // answer through their kind (kMalformed, kHeadTooLarge, kTargetTooLong, kUnsupported,
  // kHttpVersion, kExpectation) and a sentence; Origin::kClient, Retry::kNever. After a value or an
  // error the parser is ready for another head; `out` is only meaningful after a value.
  Result<std::optional<std::size_t>> parse(std::string_view buffered, RequestHead& out);
  void reset() { scanned_ = fields_at_ = 0; }

 private:
  Error refuse(const Fault& fault);
  Result<std::optional<std::size_t>> more(std::string_view window);

  HeadLimits limits_;
  std::size_t scanned_ = 0;    // bytes that need no second look for the end
  std::size_t fields_at_ = 0;  // where the first field line starts; 0: the first line is not whole
};

struct ResponseHead {
  int status = 0;  // 100..599
  int minor_version = 1;
  std::vector<Field> fields;
  Framing framing = Framing::kNone;
  std::uint64_t content_length = 0;
  bool keep_alive = true;
  std::size_t bytes = 0;

  std::optional<std::string_view> find(std::string_view lower_case_name) const;
  void clear();
};

class ResponseParser {
 public:
  explicit ResponseParser(HeadLimits limits = {}) : limits_(limits) {}
  // `request` decides framing (HEAD has no body). 1xx are returned like any other head. A response
  // that declares a body where none can be (1xx, 204) has kNone and ends its connection. Errors:
  // kUpstream, Origin::kInstance, Retry::kSafe; otherwise as in RequestParser.
  Result<std::optional<std::size_t>> parse(std::string_view buffered, Method request,
                                           ResponseHead& out);
  void reset() { scanned_ = fields_at_ = 0; }

 private:
  Error refuse(const Fault& fault);
  Result<std::optional<std::size_t>> more(std::string_view window);

  HeadLimits limits_;
  std::size_t scanned_ = 0;  // as in RequestParser
  std::size_t fields_at_ = 0;
};

// A list-valued field such as Connection: true when `token` is one of its members, whatever the
// case of either.
bool list_has_token(std::string_view value, std::string_view token);

// Fields that end at one hop by their name (RFC 9110 7.6.1). Those that Connection names end there
// too: ask list_has_token.
bool is_hop_by_hop(std::string_view name);

// The standard phrase of a status ("Not Found"); "Status" for unknown ones.
std::string_view reason_phrase(int status);

// The path as routes are matched: the same bytes, once they are found to be the only spelling of
// that path. Refused (kNotFound): dot segments, empty segments ("//"), backslash, escapes that do
// not belong in any segment (of "/", "\\", ".", "%", "?", "#" and controls), and escapes of octets
// that need none ("/%61pi"), except in the last of three or more segments, where parameters stand.
// Other escapes stay ("/v1/models/llama3%3A8b"): decode a parameter with percent_decode().
Result<std::string_view> canonical_path(std::string_view path);

// Every %XX once; '+' is a plus sign. kMalformed when a percent sign has no two digits behind it.
Result<std::string> percent_decode(std::string_view text);

}  // namespace drover::wire
