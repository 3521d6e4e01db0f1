#pragma once
// JSON that lies in memory whole and is written as nearly all of it is, read in one pass: what
// small requests and answers consist of. PlainContainer gives up on whatever is rare, right or
// wrong: on escapes in keys, on numbers of more than 15 digits or with an exponent, on deep
// nesting, on every error. JsonScanner reads all that, and says what is wrong with it. So this only
// has to be right in what it accepts, and that is compared with JsonScanner by the fuzzers.

#include <cstdint>
#include <string_view>

namespace drover::wire {

// One value as it is written.
struct PlainValue {
  enum class Kind : std::uint8_t { kString, kNumber, kTrue, kFalse, kNull, kObject, kArray };
  Kind kind = Kind::kNull;
  bool has_escapes = false;  // of a string: its text is not what it says
  std::string_view text;     // a string without its quotes, all others whole
  std::uint64_t whole = 0;   // of a number, what whole_number() makes of its text

  bool is_text() const { return kind == Kind::kString; }
  bool is_container() const { return kind == Kind::kObject || kind == Kind::kArray; }
};

// The members of an object or the elements of an array. Usage:
//
//   PlainContainer document(body);
//   while (document.next()) look_at(document.key(), document.value());
//   if (!document.complete()) …read it with JsonScanner
class PlainContainer {
 public:
  // `text` is to be the container and white space around it. Views point into it.
  explicit PlainContainer(std::string_view text);

  // False: after the last one, or given up.
  bool next();
  // Of an object's member: as written, which has no escapes. Empty in an array.
  std::string_view key() const { return key_; }
  const PlainValue& value() const { return value_; }
  // Everything was read, and nothing follows.
  bool complete() const { return complete_; }
  bool is_object() const { return close_ == '}'; }

 private:
  const char* at_;
  const char* end_;
  char close_ = '\0';  // zero: neither object nor array
  bool first_ = true;
  bool complete_ = false;
  std::string_view key_;
  PlainValue value_;
};

}  // namespace drover::wire
