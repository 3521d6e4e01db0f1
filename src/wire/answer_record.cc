#include "wire/answer_record.h"

#include <algorithm>
#include <cstring>
#include <limits>

namespace drover::wire {
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

namespace {

using Event = JsonScanner::Event;
using Key = RecordReader::Key;

constexpr std::size_t kMaxError = 200;
constexpr std::size_t kMaxType = 64;

Duration nanoseconds(std::uint64_t value) {
  constexpr std::uint64_t kMost = std::numeric_limits<std::int64_t>::max();
  return Duration(static_cast<std::int64_t>(std::min(value, kMost)));
}

bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

Key key_of(std::string_view text) {
  const auto is = [text](std::string_view word, Key key, Key otherwise) {
    return std::memcmp(text.data(), word.data(), word.size()) == 0 ? key : otherwise;
  };
  constexpr Key kNone = Key::kOther;
  switch (text.size()) {
    case 4:
      return is("done", Key::kDone, is("type", Key::kType, kNone));
    case 5:
      return is("error", Key::kError, is("usage", Key::kUsage, kNone));
    case 7:
      return is("message", Key::kMessage, kNone);
    case 8:
      return is("response", Key::kResponse, kNone);
    case 10:
      return is("eval_count", Key::kEvalCount, kNone);
    case 12:
      return is("input_tokens", Key::kPromptTokens, kNone);
    case 13:
      return is("prompt_tokens", Key::kPromptTokens,
                is("output_tokens", Key::kOutputTokens,
                   is("load_duration", Key::kLoadDuration,
                      is("eval_duration", Key::kEvalDuration, kNone))));
    case 14:
      return is("total_duration", Key::kTotalDuration, kNone);
    case 17:
      return is("completion_tokens", Key::kOutputTokens,
                is("prompt_eval_count", Key::kPromptEvalCount, kNone));
    case 20:
      return is("prompt_eval_duration", Key::kPromptEvalDuration, kNone);
    default:
      return kNone;
  }
}

bool is_zero(std::string_view number) { return number == "0" || number == "-0"; }

void token_count(Usage& usage, Key key, std::uint64_t value) {
  if (key == Key::kPromptTokens) usage.prompt_tokens = value;
  if (key == Key::kOutputTokens) usage.output_tokens = value;
}

void native_number(Usage& usage, Key key, std::uint64_t value) {
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

template <class T>
void overlay(T& old, const T& said) {
  if (said != T{}) old = said;
}

// --- of a document that lies whole ---

void read_tokens(Usage& usage, const PlainValue& said) {
  if (said.kind != PlainValue::Kind::kObject) return;
  for (PlainContainer fields(said.text); fields.next();) {
    const bool number = fields.value().kind == PlainValue::Kind::kNumber;
    if (number) token_count(usage, key_of(fields.key()), fields.value().whole);
  }
}

bool read_plain_error(RecordFacts& facts, const PlainValue& said) {
  using Kind = PlainValue::Kind;
  const bool none = said.kind == Kind::kNull || said.kind == Kind::kFalse ||
                    (said.kind == Kind::kNumber && is_zero(said.text));
  facts.has_error = said.is_text() ? !said.text.empty() : !none;
  facts.error = said.is_text() ? printable_error(said.text) : std::string();
  if (said.is_text()) return !said.has_escapes;
  if (said.kind != Kind::kObject) return true;
  for (PlainContainer fields(said.text); fields.next();) {
    const PlainValue& text = fields.value();
    if (!text.is_text() || !facts.error.empty() || key_of(fields.key()) != Key::kMessage) continue;
    if (text.has_escapes) return false;
    facts.error = printable_error(text.text);
  }
  return true;
}

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

void merge(Usage& usage, const Usage& said) {
  overlay(usage.prompt_tokens, said.prompt_tokens);
  overlay(usage.output_tokens, said.output_tokens);
  overlay(usage.total, said.total);
  overlay(usage.load, said.load);
  overlay(usage.prompt_eval, said.prompt_eval);
  overlay(usage.eval, said.eval);
}

const std::string& error_text(const RecordFacts& facts) {
  static const std::string unsaid = "the instance gave no reason";
  if (!facts.error.empty()) return facts.error;
  return facts.message.empty() ? unsaid : facts.message;
}

bool read_plain_field(RecordFacts& facts, std::string_view name, const PlainValue& value) {
  using Kind = PlainValue::Kind;
  const Key key = key_of(name);
  switch (key) {
    case Key::kOther:
      return true;
    case Key::kDone:
      facts.done = value.kind == Kind::kTrue;
      facts.done_false = value.kind == Kind::kFalse;
      return true;
    case Key::kType:
      facts.type = value.is_text() ? value.text.substr(0, kMaxType) : std::string_view();
      return !value.has_escapes;
    case Key::kError:
      return read_plain_error(facts, value);
    case Key::kUsage:
      read_tokens(facts.tokens, value);
      return true;
    case Key::kMessage:
      if (value.is_text()) facts.message = printable_error(value.text);
      if (value.has_escapes) return false;
      [[fallthrough]];
    case Key::kResponse:
      if (value.kind != Kind::kObject) return true;
      for (PlainContainer fields(value.text); fields.next();) {
        if (key_of(fields.key()) == Key::kUsage) read_tokens(facts.tokens, fields.value());
      }
      return true;
    default:
      if (value.kind == Kind::kNumber) native_number(facts.native, key, value.whole);
      return true;
  }
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
                                    !(event == Event::kNumber && is_zero(scanner_.text()));
      facts_.error = text ? printable_error(scanner_.text()) : std::string();
      return;
    default:
      return;
  }
}

void RecordReader::number(std::uint32_t depth) {
  const std::uint64_t value = scanner_.text_cut() ? 0 : whole_number(scanner_.text());
  const Key key = path_[depth];
  if (depth == 1) return native_number(facts_.native, key, value);
  const bool deep = depth == 3 && (path_[1] == Key::kResponse || path_[1] == Key::kMessage);
  if ((depth == 2 || deep) && path_[depth - 1] == Key::kUsage)
    token_count(facts_.tokens, key, value);
}

}  // namespace drover::wire
