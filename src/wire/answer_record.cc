#include "wire/answer_record.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace drover::wire {
namespace {

using Event = JsonScanner::Event;

constexpr std::size_t kMaxError = 200;
constexpr std::size_t kMaxType = 64;

Duration nanoseconds(std::uint64_t value) {
  constexpr std::uint64_t kMost = std::numeric_limits<std::int64_t>::max();
  return Duration(static_cast<std::int64_t>(std::min(value, kMost)));
}

bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

}  // namespace

std::string printable_error(std::string_view text) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string out;
  std::size_t last_character = 0;  // where the character being written starts
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (!is_continuation(c)) last_character = out.size();
    if (c == '\n') {
      out += "\\n";
    } else if (byte < 0x20 || byte == 0x7F) {
      out += "\\x";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    } else {
      out += c;
    }
    if (out.size() > kMaxError) {
      out.resize(last_character);
      break;
    }
  }
  return out;
}

enum class RecordReader::Key : std::uint8_t {
  kOther,
  kDone,
  kError,
  kType,
  kUsage,
  kResponse,
  kMessage,
  kPromptTokens,
  kOutputTokens,
  kPromptEvalCount,
  kEvalCount,
  kTotalDuration,
  kLoadDuration,
  kPromptEvalDuration,
  kEvalDuration,
};

RecordReader::Key RecordReader::key_of(std::string_view text) {
  constexpr std::array<std::pair<std::string_view, Key>, 16> kKeys = {{
      {"done", Key::kDone},
      {"error", Key::kError},
      {"type", Key::kType},
      {"usage", Key::kUsage},
      {"response", Key::kResponse},
      {"message", Key::kMessage},
      {"prompt_tokens", Key::kPromptTokens},
      {"input_tokens", Key::kPromptTokens},
      {"completion_tokens", Key::kOutputTokens},
      {"output_tokens", Key::kOutputTokens},
      {"prompt_eval_count", Key::kPromptEvalCount},
      {"eval_count", Key::kEvalCount},
      {"total_duration", Key::kTotalDuration},
      {"load_duration", Key::kLoadDuration},
      {"prompt_eval_duration", Key::kPromptEvalDuration},
      {"eval_duration", Key::kEvalDuration},
  }};
  for (const auto& [name, key] : kKeys) {
    if (name == text) return key;
  }
  return Key::kOther;
}

// The text is one byte over the limit, so that a cut is noticed.
RecordReader::RecordReader()
    : scanner_({.report_depth = kDepth, .max_text = kMaxError + 4}), path_{} {}

std::string_view RecordReader::feed(std::string_view piece) {
  while (!bad_ && !closed_) {
    const Event event = scanner_.next(piece);
    if (event == Event::kMore) return piece;
    if (event == Event::kBad) {
      bad_ = true;
    } else {
      take(event);
      closed_ = scanner_.closed();
    }
  }
  return piece;
}

void RecordReader::take(Event event) {
  const std::uint32_t depth = scanner_.depth();
  if (event == Event::kKey) {
    const Key key = scanner_.text_plain() ? key_of(scanner_.text()) : Key::kOther;
    const bool text = key == Key::kError || key == Key::kType || key == Key::kMessage;
    scanner_.keep_of_values(text ? kMaxError + 4 : 1);
    path_[depth] = key;
    return;
  }
  // Nothing inside an array speaks of the answer; a context has thousands of elements.
  if (event == Event::kBeginArray) scanner_.skip_to(depth);
  if (event == Event::kBeginObject && depth < kDepth) path_[depth + 1] = Key::kOther;
  if (depth == 0) return;
  if (event == Event::kNumber) number(depth);
  if (depth == 1) top_value(event, path_[1]);
  const bool text = event == Event::kString && facts_.has_error && facts_.error.empty();
  if (depth == 2 && text && path_[1] == Key::kError && path_[2] == Key::kMessage) {
    facts_.error = printable_error(scanner_.text());
  }
}

void RecordReader::top_value(Event event, Key key) {
  const bool end = event == Event::kEndObject || event == Event::kEndArray;
  if (end) return;
  const bool text = event == Event::kString;
  switch (key) {
    case Key::kDone:
      facts_.done = event == Event::kTrue;
      facts_.done_false = event == Event::kFalse;
      return;
    case Key::kType:
      facts_.type = text ? std::string(scanner_.text().substr(0, kMaxType)) : std::string();
      return;
    case Key::kMessage:
      if (text) facts_.message = printable_error(scanner_.text());
      return;
    case Key::kError:
      facts_.has_error = text ? !scanner_.text().empty()
                              : event != Event::kNull && event != Event::kFalse &&
                                    !(event == Event::kNumber && scanner_.text() == "0");
      facts_.error = text ? printable_error(scanner_.text()) : std::string();
      return;
    default:
      return;
  }
}

void RecordReader::number(std::uint32_t depth) {
  const std::uint64_t value = scanner_.text_cut() ? 0 : whole_number(scanner_.text());
  const Key key = path_[depth];
  if (depth == 1) return native_number(key, value);
  const bool deep = depth == 3 && (path_[1] == Key::kResponse || path_[1] == Key::kMessage);
  if ((depth == 2 || deep) && path_[depth - 1] == Key::kUsage) tokens(key, value);
}

void RecordReader::tokens(Key key, std::uint64_t value) {
  if (key == Key::kPromptTokens) facts_.tokens.prompt_tokens = value;
  if (key == Key::kOutputTokens) facts_.tokens.output_tokens = value;
}

void RecordReader::native_number(Key key, std::uint64_t value) {
  Usage& usage = facts_.native;
  switch (key) {
    case Key::kPromptEvalCount:
      usage.prompt_tokens = value;
      return;
    case Key::kEvalCount:
      usage.output_tokens = value;
      return;
    case Key::kTotalDuration:
      usage.total = nanoseconds(value);
      return;
    case Key::kLoadDuration:
      usage.load = nanoseconds(value);
      return;
    case Key::kPromptEvalDuration:
      usage.prompt_eval = nanoseconds(value);
      return;
    case Key::kEvalDuration:
      usage.eval = nanoseconds(value);
      return;
    default:
      return;
  }
}

}  // namespace drover::wire
