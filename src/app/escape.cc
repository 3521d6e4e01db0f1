#include "app/escape.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "base/put.h"
#include "wire/json_bytes.h"

namespace drover::app {
namespace {

enum class Sort : std::uint8_t { kPlain, kControl, kBroken };

struct Character {
  std::size_t length = 1;
  Sort sort = Sort::kPlain;
};

bool is_tail(std::string_view text, std::size_t i) {
  return i < text.size() && (static_cast<unsigned char>(text[i]) & 0xC0) == 0x80;
}

// The first character of a text that is not empty.
Character first_character(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x20 || lead == 0x7F) return {1, Sort::kControl};
  if (lead < 0x80) return {1, Sort::kPlain};
  if (lead >= 0xC2 && lead <= 0xDF && is_tail(text, 1)) {
    // U+0080 to U+009F: control characters that some terminals obey.
    return {2, lead == 0xC2 && byte(1) < 0xA0 ? Sort::kControl : Sort::kPlain};
  }
  if ((lead & 0xF0) == 0xE0 && is_tail(text, 1) && is_tail(text, 2)) {
    const bool overlong = lead == 0xE0 && byte(1) < 0xA0;
    const bool surrogate = lead == 0xED && byte(1) >= 0xA0;
    if (!overlong && !surrogate) return {3, Sort::kPlain};
  }
  if (lead >= 0xF0 && lead <= 0xF4 && is_tail(text, 1) && is_tail(text, 2) && is_tail(text, 3)) {
    const bool overlong = lead == 0xF0 && byte(1) < 0x90;
    const bool too_high = lead == 0xF4 && byte(1) >= 0x90;
    if (!overlong && !too_high) return {4, Sort::kPlain};
  }
  return {1, Sort::kBroken};
}

#ifdef __SSE2__
// Of `block`: a bit for each byte that a log line has to do something about. A delete is a control
// character, which JSON allows in a string.
int odd_bytes(__m128i block) {
  const __m128i odd =
      _mm_or_si128(wire::special_of(block), _mm_cmpeq_epi8(block, _mm_set1_epi8(0x7F)));
  return _mm_movemask_epi8(odd);
}
#endif

// Most text is plain from end to end, and goes in one piece. Blocks may overlap, so that short
// text needs no loop.
bool is_plain(std::string_view text) {
  const char* p = text.data();
  const char* const end = p + text.size();
#ifdef __SSE2__
  const auto whole = [](const char* at) {
    return odd_bytes(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at)));
  };
  const auto half = [](const char* at) {  // its other half is zero, and so odd
    return odd_bytes(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(at))) & 0xFF;
  };
  if (text.size() >= 16) {
    for (; end - p > 16; p += 16) {
      if (whole(p) != 0) return false;
    }
    return whole(end - 16) == 0;
  }
  if (text.size() >= 8) return (half(p) | half(end - 8)) == 0;
#endif
  constexpr char kDelete = 0x7F;
  return std::all_of(p, end, [](char c) { return wire::is_plain_string_byte(c) && c != kDelete; });
}

bool is_short_and_plain(std::string_view text) {
  return text.size() <= kLongestValue && is_plain(text);
}

template <class Append>
void escape(std::string& out, std::string_view text, Append append) {
  for (std::size_t done = 0; done < text.size();) {
    if (done >= kLongestValue) {
      out += "…";
      return;
    }
    const Character character = first_character(text.substr(done));
    append(out, text.substr(done, character.length), character.sort);
    done += character.length;
  }
}

void append_json(std::string& out, std::string_view character, Sort sort) {
  if (sort == Sort::kBroken) {
    out += "\\ufffd";
  } else if (sort == Sort::kControl) {
    // Two bytes: U+0080 to U+009F, whose second byte is the code point.
    const unsigned code = static_cast<unsigned char>(character.back());
    fmt::format_to(std::back_inserter(out), "\\u{:04x}", code);
  } else {
    if (character == "\"" || character == "\\") out += '\\';
    out += character;
  }
}

void append_text(std::string& out, std::string_view character, Sort sort) {
  if (sort == Sort::kPlain) {
    out += character;
  } else if (character == "\n") {
    out += "\\n";
  } else if (character == "\t") {
    out += "\\t";
  } else {
    for (const char c : character) {
      fmt::format_to(std::back_inserter(out), "\\x{:02x}", static_cast<unsigned char>(c));
    }
  }
}

}  // namespace

std::string json_quoted(std::string_view text) {
  std::string out = "\"";
  if (is_short_and_plain(text)) {
    out += text;
  } else {
    escape(out, text, append_json);
  }
  out += '"';
  return out;
}

char* put_json_quoted(char* out, std::string_view text) {
  if (!is_short_and_plain(text)) {
    const std::string quoted = json_quoted(text);
    return std::copy(quoted.begin(), quoted.end(), out);
  }
  *out++ = '"';
  out = put(out, text);
  *out++ = '"';
  return out;
}

std::size_t quoted_bound(std::string_view text) {
  constexpr std::size_t kLongestEscape = 6;  // \u0000
  constexpr std::size_t kFrame = 8;          // quotes and "…"
  return std::min(text.size(), kLongestValue + 4) * kLongestEscape + kFrame;
}

std::string text_words(std::string_view text) {
  if (is_short_and_plain(text)) return std::string(text);
  std::string out;
  escape(out, text, append_text);
  return out;
}

std::string text_value(std::string_view text) {
  const std::string words = text_words(text);
  if (!words.empty() && words.find_first_of(" \"=\\") == std::string::npos) return words;
  std::string out = "\"";
  for (const char c : words) {
    if (c == '"') out += '\\';
    out += c;
  }
  return out + '"';
}

}  // namespace drover::app
