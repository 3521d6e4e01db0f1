#include "wire/json_scanner.h"

#include <algorithm>

#include "wire/json_bytes.h"

namespace drover::wire {
JsonScanner::JsonScanner(Options options) : options_(options) {
  options_.max_depth = std::min(options_.max_depth, kDepthCeiling);
  report_depth_ = options_.report_depth;
  value_limit_ = options_.max_text;
}

void JsonScanner::reset() {
  state_ = State::kValue;
  depth_ = 0;
  report_depth_ = options_.report_depth;
  event_depth_ = 0;
  offset_ = 0;
  token_offset_ = 0;
  high_surrogate_ = 0;
  what_ = nullptr;
  text_.clear();
  in_place_ = false;
  value_limit_ = options_.max_text;
}

JsonScanner::Event JsonScanner::next(std::string_view& rest) {
  if (state_ == State::kBad) return Event::kBad;
  Cursor in{rest.data(), rest.data() + rest.size()};
  start_ = in.p;
  Event event = kNothing;
  while (in.p != in.end && event == kNothing) event = step(in);
  const auto used = static_cast<std::size_t>(in.p - start_);
  offset_ += used;
  rest.remove_prefix(used);
  return event == kNothing ? Event::kMore : event;
}

bool JsonScanner::complete() const {
  if (state_ == State::kTail) return true;
  return state_ == State::kNumber && depth_ == 0 && is_complete_number() && !overflows();
}

JsonScanner::Event JsonScanner::step(Cursor& in) {
  switch (state_) {
    case State::kString:
      return string_run(in);
    case State::kUtf8: {
      const char* const from = in.p;
      const Event event = utf8_rest(in);
      keep(from, in.p);
      return event;
    }
    case State::kEscape:
      return escape(in);
    case State::kHex:
      return hex(in);
    case State::kLowBackslash:
      state_ = State::kString;
      if (*in.p != '\\') return replace_half();
      ++in.p;
      state_ = State::kLowU;
      return kNothing;
    case State::kLowU:
      state_ = State::kEscape;
      if (*in.p != 'u') return replace_half();
      ++in.p;
      state_ = State::kHex;
      hex_left_ = 4;
      code_ = 0;
      return kNothing;
    case State::kNumber:
      return number(in);
    case State::kLiteral:
      return literal(in);
    default:
      return structure(in);
  }
}

// --- structure ----------------------------------------------------------------------------------

JsonScanner::Event JsonScanner::structure(Cursor& in) {
  for (; in.p != in.end; ++in.p) {
    const char c = *in.p;
    if (is_space(c)) continue;
    switch (state_) {
      case State::kFirstKey:
        if (c == '}') return close(in, true);
        [[fallthrough]];
      case State::kNextKey:
        return c == '"' ? begin_string(in, true) : fail("a key must come here");
      case State::kColon:
        if (c != ':') return fail("a colon must come here");
        state_ = State::kValue;
        break;
      case State::kAfter:
        if (c == '}' || c == ']') return close(in, c == '}');
        if (c != ',') return fail("a comma or an end must come here");
        state_ = is_object_[depth_] ? State::kNextKey : State::kValue;
        break;
      case State::kFirstValue:
        return c == ']' ? close(in, false) : begin_value(in);
      case State::kTail:
        return fail("something follows the document");
      default:
        return begin_value(in);
    }
  }
  return kNothing;
}

JsonScanner::Event JsonScanner::begin_value(Cursor& in) {
  const char c = *in.p;
  switch (c) {
    case '"':
      return begin_string(in, false);
    case '{':
    case '[':
      return open(in, c == '{');
    case 't':
      literal_left_ = "true";
      literal_event_ = Event::kTrue;
      break;
    case 'f':
      literal_left_ = "false";
      literal_event_ = Event::kFalse;
      break;
    case 'n':
      literal_left_ = "null";
      literal_event_ = Event::kNull;
      break;
    default:
      if (c != '-' && !is_digit(c)) return fail("a value must come here");
      return begin_number(in);
  }
  begin_token(in, 0);
  state_ = State::kLiteral;
  return literal(in);
}

JsonScanner::Event JsonScanner::begin_string(Cursor& in, bool key) {
  begin_token(in, 1);
  ++in.p;
  is_key_ = key;
  text_limit_ = key ? options_.max_text : value_limit_;
  // Most strings are plain and lie in one piece: their text need not be copied.
  const char* const end = skip_plain(in.p, in.end);
  if (end != in.end && *end == '"') return end_string_in_place(in, end);
  state_ = State::kString;
  keep(in.p, end);
  in.p = end;
  return kNothing;
}

void JsonScanner::begin_token(Cursor& in, std::uint64_t skip) {
  token_offset_ = offset_ + static_cast<std::uint64_t>(in.p - start_) + skip;
  text_.clear();
  in_place_ = false;
  text_cut_ = false;
  text_plain_ = true;
  text_replaced_ = false;
  keeping_ = reported();
  text_limit_ = options_.max_text;
}

JsonScanner::Event JsonScanner::open(Cursor& in, bool object) {
  if (depth_ >= options_.max_depth) return fail("nested too deeply");
  begin_token(in, 0);
  ++in.p;
  const Event event = told(object ? Event::kBeginObject : Event::kBeginArray, depth_);
  ++depth_;
  is_object_[depth_] = object;
  state_ = object ? State::kFirstKey : State::kFirstValue;
  return event;
}

JsonScanner::Event JsonScanner::close(Cursor& in, bool object) {
  if (is_object_[depth_] != object) return fail("the wrong closing bracket");
  begin_token(in, 0);
  ++in.p;
  --depth_;
  after_value();
  if (depth_ <= report_depth_) report_depth_ = options_.report_depth;
  return told(object ? Event::kEndObject : Event::kEndArray, depth_);
}

void JsonScanner::after_value() { state_ = depth_ == 0 ? State::kTail : State::kAfter; }

JsonScanner::Event JsonScanner::told(Event event, std::uint32_t depth) {
  if (depth > report_depth_) return kNothing;
  event_depth_ = depth;
  return event;
}

JsonScanner::Event JsonScanner::fail(const char* what) {
  state_ = State::kBad;
  what_ = what;
  return Event::kBad;
}

JsonScanner::Event JsonScanner::literal(Cursor& in) {
  while (in.p != in.end && *literal_left_ != '\0') {
    if (*in.p != *literal_left_) return fail("a value must come here");
    ++in.p;
    ++literal_left_;
  }
  if (*literal_left_ != '\0') return kNothing;
  after_value();
  return told(literal_event_, depth_);
}

// --- strings ------------------------------------------------------------------------------------

void JsonScanner::keep(const char* from, const char* to) {
  if (!keeping_ || from == to) return;
  const auto size = static_cast<std::size_t>(to - from);
  const std::size_t room = text_limit_ - text_.size();
  text_.append(from, std::min(size, room));
  text_cut_ = size > room;
  keeping_ = !text_cut_;
}

JsonScanner::Event JsonScanner::string_run(Cursor& in) {
  for (;;) {
    const char* const from = in.p;
    const char* at = from;
    if (keeping_) {
      at = skip_plain(from, in.end);
      keep(from, at);
    } else {
      const SkippedText skipped = skip_text(from, in.end);
      text_plain_ = text_plain_ && !skipped.had_escapes;
      at = skipped.at;
    }
    in.p = at;
    if (at == in.end) return kNothing;
    const char c = *at;
    if (c == '\\') {
      text_plain_ = false;
      // Nearly every escape is two bytes in one piece.
      const char byte = in.end - at > 1 ? escaped_byte(at[1]) : '\0';
      if (byte == '\0') {
        ++in.p;
        state_ = State::kEscape;
        return kNothing;
      }
      if (keeping_) keep(&byte, &byte + 1);
      in.p = at + 2;
      continue;
    }
    if (c == '"') return end_string(in);
    if (static_cast<unsigned char>(c) < 0x20) return fail("a control character in a string");
    const Event event = utf8_run(in);
    if (event != kNothing || state_ != State::kString) return event;
  }
}

JsonScanner::Event JsonScanner::end_string(Cursor& in) {
  ++in.p;
  if (is_key_) {
    state_ = State::kColon;
    return told(Event::kKey, depth_);
  }
  after_value();
  return told(Event::kString, depth_);
}

JsonScanner::Event JsonScanner::end_string_in_place(Cursor& in, const char* end) {
  const auto size = static_cast<std::size_t>(end - in.p);
  in_place_ = true;
  text_cut_ = keeping_ && size > text_limit_;
  text_in_place_ = {in.p, keeping_ ? std::min(size, text_limit_) : 0};
  in.p = end;
  return end_string(in);
}

// Text that is not ASCII seldom comes as a single character.
JsonScanner::Event JsonScanner::utf8_run(Cursor& in) {
  const char* const from = in.p;
  Event event = kNothing;
  while (in.p != in.end && event == kNothing && static_cast<unsigned char>(*in.p) >= 0x80) {
    event = utf8_lead(in);
    if (event == kNothing && in.p != in.end) event = utf8_rest(in);
  }
  keep(from, in.p);
  return event;
}

// The bounds of the second byte exclude overlong forms, surrogates and what is above U+10FFFF
// (Unicode, table 3-7).
JsonScanner::Event JsonScanner::utf8_lead(Cursor& in) {
  const auto c = static_cast<unsigned char>(*in.p);
  utf8_low_ = 0x80;
  utf8_high_ = 0xBF;
  if (c >= 0xC2 && c <= 0xDF) {
    utf8_left_ = 1;
  } else if (c >= 0xE0 && c <= 0xEF) {
    utf8_left_ = 2;
    if (c == 0xE0) utf8_low_ = 0xA0;
    if (c == 0xED) utf8_high_ = 0x9F;
  } else if (c >= 0xF0 && c <= 0xF4) {
    utf8_left_ = 3;
    if (c == 0xF0) utf8_low_ = 0x90;
    if (c == 0xF4) utf8_high_ = 0x8F;
  } else {
    return fail("invalid UTF-8");
  }
  ++in.p;
  state_ = State::kUtf8;
  return kNothing;
}

JsonScanner::Event JsonScanner::utf8_rest(Cursor& in) {
  while (in.p != in.end && utf8_left_ > 0) {
    const auto c = static_cast<unsigned char>(*in.p);
    if (c < utf8_low_ || c > utf8_high_) return fail("invalid UTF-8");
    utf8_low_ = 0x80;
    utf8_high_ = 0xBF;
    --utf8_left_;
    ++in.p;
  }
  if (utf8_left_ == 0) state_ = State::kString;
  return kNothing;
}

JsonScanner::Event JsonScanner::escape(Cursor& in) {
  const char c = *in.p;
  if (c == 'u') {
    ++in.p;
    state_ = State::kHex;
    hex_left_ = 4;
    code_ = 0;
    return kNothing;
  }
  const char byte = escaped_byte(c);
  if (byte == '\0') return fail("an unknown escape");
  ++in.p;
  keep(&byte, &byte + 1);
  state_ = State::kString;
  return kNothing;
}

JsonScanner::Event JsonScanner::hex(Cursor& in) {
  while (in.p != in.end && hex_left_ > 0) {
    const int value = hex_value(*in.p);
    if (value < 0) return fail("an escape needs four hexadecimal digits");
    code_ = code_ * 16 + static_cast<std::uint32_t>(value);
    --hex_left_;
    ++in.p;
  }
  return hex_left_ > 0 ? kNothing : code_unit();
}

JsonScanner::Event JsonScanner::code_unit() {
  const bool high = code_ >= 0xD800 && code_ < 0xDC00;
  const bool low = code_ >= 0xDC00 && code_ < 0xE000;
  state_ = State::kString;
  const bool half_before = high_surrogate_ != 0 && !low;
  if (half_before && replace_half() == Event::kBad) return Event::kBad;
  if (low && high_surrogate_ == 0) return replace_half();
  if (high) {
    high_surrogate_ = code_;
    state_ = State::kLowBackslash;
    return kNothing;
  }
  if (low) code_ = 0x10000 + ((high_surrogate_ - 0xD800) << 10) + (code_ - 0xDC00);
  high_surrogate_ = 0;
  keep_code_point(code_);
  return kNothing;
}

// One half without the other; state_ says what follows.
JsonScanner::Event JsonScanner::replace_half() {
  constexpr std::uint32_t kReplacement = 0xFFFD;
  if (is_key_) return fail("half a surrogate pair in a key");
  high_surrogate_ = 0;
  text_replaced_ = true;
  keep_code_point(kReplacement);
  return kNothing;
}

void JsonScanner::keep_code_point(std::uint32_t code) {
  const auto byte = [](std::uint32_t value) { return static_cast<char>(value); };
  std::array<char, 4> out{};
  std::size_t size = 0;
  if (code < 0x80) {
    out[size++] = byte(code);
  } else if (code < 0x800) {
    out[size++] = byte(0xC0 | (code >> 6));
    out[size++] = byte(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    out[size++] = byte(0xE0 | (code >> 12));
    out[size++] = byte(0x80 | ((code >> 6) & 0x3F));
    out[size++] = byte(0x80 | (code & 0x3F));
  } else {
    out[size++] = byte(0xF0 | (code >> 18));
    out[size++] = byte(0x80 | ((code >> 12) & 0x3F));
    out[size++] = byte(0x80 | ((code >> 6) & 0x3F));
    out[size++] = byte(0x80 | (code & 0x3F));
  }
  keep(out.data(), out.data() + size);
}

}  // namespace drover::wire
