#pragma once
// The grammar of JSON (RFC 8259) as a machine that is fed in pieces of any size. It holds a bit per
// open container, the state of the token it is in, and the text of at most one short token; so its
// memory is a constant however long the document is. It tells what it meets near the top of the
// document and reads over the rest at full speed:
//
//   scanner.next(rest) → kKey, kString, kBeginObject, … → kMore when `rest` is used up
//
// The inspector of requests and the watch over streams stand on it: one grammar means that the two
// never disagree about what a body says. (What lies whole and is plain goes a shorter way first,
// plain_json.h.)

#include <algorithm>
#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace drover::wire {

class JsonScanner {
 public:
  enum class Event : std::uint8_t {
    kMore,  // the piece is used up
    kKey,   // text() is the key, unescaped
    kString,
    kNumber,
    kTrue,
    kFalse,
    kNull,
    kBeginObject,
    kEndObject,
    kBeginArray,
    kEndArray,
    kBad,  // not JSON: what() and offset() say why and where; every later call says so again
  };

  struct Options {
    std::uint32_t max_depth = 128;   // containers open at once; at most kDepthCeiling
    std::uint32_t report_depth = 1;  // events come from inside at most this many containers
    std::size_t max_text = 1024;     // bytes of one token kept
  };

  static constexpr std::uint32_t kDepthCeiling = 1024;

  explicit JsonScanner(Options options);
  // Back to the start of a document; keeps its memory.
  void reset();

  // The next event that is near enough to the top. Takes what it read off the front of `rest`.
  Event next(std::string_view& rest);
  // Says nothing from inside more than `depth` containers until the document is back there.
  void skip_to(std::uint32_t depth) { report_depth_ = depth; }
  // Of string values from here on at most `bytes` are kept, of keys max_text as before.
  void keep_of_values(std::size_t bytes) { value_limit_ = std::min(bytes, options_.max_text); }
  // The input ends here. False: it ended inside the document, before it, or after an error.
  bool complete() const;
  // The whole value was read (white space may still follow).
  bool closed() const { return state_ == State::kTail; }

  // Of the last key or string: its first max_text bytes, unescaped. Of a number: as written, its
  // first 48 bytes. Lives until the next call of next(), and no longer than the piece: it may be a
  // part of it.
  std::string_view text() const { return in_place_ ? text_in_place_ : std::string_view(text_); }
  bool text_cut() const { return text_cut_; }  // there was more of it
  // The last string named half a surrogate pair (\ud800), which is no character. Go, and so Ollama,
  // reads it as U+FFFD, and so does text(). In a key it is kBad: keys must be what they seem.
  bool text_replaced() const { return text_replaced_; }
  // The last key or string was written without any escape.
  bool text_plain() const { return text_plain_; }

  // Containers open around the last event (0: it is the document itself).
  std::uint32_t depth() const { return event_depth_; }
  // Bytes read so far; after kBad, the place of the first wrong byte.
  std::uint64_t offset() const { return offset_; }
  // First byte of the last token: of a string, the byte after its quote; of a container, its brace.
  std::uint64_t token_offset() const { return token_offset_; }
  // A phrase without a byte of the input. Null while all is well.
  const char* what() const { return what_; }

 private:
  enum class State : std::uint8_t {
    kValue,       // a value must come
    kFirstValue,  // just after [
    kFirstKey,    // just after {
    kNextKey,     // after a comma in an object
    kColon,
    kAfter,  // a comma or the end of the container
    kTail,   // only white space may come
    kString,
    kUtf8,  // inside a character of several bytes
    kEscape,
    kHex,
    kLowBackslash,  // after a high surrogate: its low half should follow
    kLowU,
    kNumber,
    kLiteral,
    kBad,
  };
  enum class Digits : std::uint8_t { kMinus, kZero, kInt, kDot, kFraction, kE, kESign, kExponent };
  struct Cursor {
    const char* p;
    const char* end;
  };
  // What a step returns when there is nothing to tell yet.
  static constexpr auto kNothing = static_cast<Event>(0xFF);

  Event step(Cursor& in);
  Event structure(Cursor& in);
  Event begin_value(Cursor& in);
  Event begin_string(Cursor& in, bool key);
  Event open(Cursor& in, bool object);
  Event close(Cursor& in, bool object);
  Event string_run(Cursor& in);
  Event end_string(Cursor& in);
  Event end_string_in_place(Cursor& in, const char* end);
  Event utf8_run(Cursor& in);
  Event utf8_lead(Cursor& in);
  Event utf8_rest(Cursor& in);
  Event escape(Cursor& in);
  Event hex(Cursor& in);
  Event code_unit();
  Event replace_half();
  Event begin_number(Cursor& in);
  Event number(Cursor& in);
  Event number_byte(Cursor& in);
  Event end_number();
  Event literal(Cursor& in);
  Event fail(const char* what);
  Event told(Event event, std::uint32_t depth);
  void digits(Cursor& in);
  bool overflows() const;
  bool is_complete_number() const;
  void after_value();
  void keep(const char* from, const char* to);
  void keep_code_point(std::uint32_t code);
  void begin_token(Cursor& in, std::uint64_t skip);
  bool reported() const { return depth_ <= report_depth_; }

  Options options_;
  std::size_t value_limit_ = 0;  // for string values
  std::size_t text_limit_ = 0;   // for the token being read
  State state_ = State::kValue;
  bool is_key_ = false;
  bool keeping_ = false;
  bool text_cut_ = false;
  bool text_plain_ = true;
  bool text_replaced_ = false;
  std::uint32_t depth_ = 0;
  std::uint32_t report_depth_ = 0;
  std::uint32_t event_depth_ = 0;
  std::uint64_t offset_ = 0;
  std::uint64_t token_offset_ = 0;
  const char* start_ = nullptr;  // of the piece being read; offset_ counts up to it meanwhile
  const char* what_ = nullptr;
  std::bitset<kDepthCeiling + 1> is_object_;
  std::string text_;  // of a token that lies in two pieces or has escapes
  bool in_place_ = false;
  std::string_view text_in_place_;  // of any other

  // Inside a character: bytes still to come, and the bounds of the next one.
  std::uint8_t utf8_left_ = 0;
  std::uint8_t utf8_low_ = 0x80;
  std::uint8_t utf8_high_ = 0xBF;
  // Inside an escape.
  std::uint8_t hex_left_ = 0;
  std::uint32_t code_ = 0;
  std::uint32_t high_surrogate_ = 0;
  // Inside a literal: what is still to come.
  const char* literal_left_ = "";
  Event literal_event_ = Event::kNull;
  // Inside a number: enough to know whether a double can hold it.
  static constexpr std::size_t kNumberKept = 48;
  Digits digits_state_ = Digits::kMinus;
  bool exponent_negative_ = false;
  bool fraction_started_ = false;  // a digit other than zero was seen behind the point
  std::size_t number_size_ = 0;
  std::uint64_t int_digits_ = 0;      // digits before the point; 0 when there is only a zero
  std::uint64_t fraction_zeros_ = 0;  // zeros between the point and the first other digit
  std::uint32_t exponent_ = 0;        // saturates
  std::array<char, kNumberKept> number_{};
};

// The value of a number's text; zero for what is not a whole number from 0 to 2^64 - 1.
std::uint64_t whole_number(std::string_view text);

}  // namespace drover::wire
