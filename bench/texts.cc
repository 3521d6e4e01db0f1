#include "texts.h"

#include <fmt/format.h>

#include <cstring>

#include "base/check.h"

namespace drover::bench {
namespace {

constexpr std::string_view kHead =
    R"({"model":"bench","created_at":"2026-01-01T00:00:00Z","response":")";
constexpr std::string_view kTail = "\",\"done\":false}\n";
constexpr std::size_t kSentDigits = 18;  // nanoseconds of thirty years of uptime
constexpr std::size_t kNumberDigits = 6;
constexpr std::size_t kSentAt = kHead.size();
constexpr std::size_t kNumberAt = kSentAt + kSentDigits + 1;
constexpr std::size_t kTailAt = kNumberAt + kNumberDigits;
static_assert(kTailAt + kTail.size() == kRecordBytes);

void write_digits(char* out, std::size_t digits, std::uint64_t value) {
  for (std::size_t i = digits; i > 0; --i) {
    out[i - 1] = static_cast<char>('0' + value % 10);
    value /= 10;
  }
}

bool read_digits(std::string_view text, std::uint64_t& value) {
  value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return false;
    value = value * 10 + static_cast<std::uint64_t>(c - '0');
  }
  return true;
}

std::string final_text(std::uint32_t records, std::string_view response) {
  return fmt::format(
      R"({{"model":"bench","created_at":"2026-01-01T00:00:00Z","response":"{}","done":true,)"
      R"("done_reason":"stop","total_duration":1000000,"load_duration":1000,)"
      R"("prompt_eval_count":26,"prompt_eval_duration":1000,"eval_count":{},)"
      R"("eval_duration":100000}})",
      response, records);
}

}  // namespace

void write_record(char* out, RecordFacts facts) {
  std::memcpy(out, kHead.data(), kHead.size());
  write_digits(out + kSentAt, kSentDigits, facts.sent_ns);
  out[kNumberAt - 1] = ' ';
  write_digits(out + kNumberAt, kNumberDigits, facts.number);
  std::memcpy(out + kTailAt, kTail.data(), kTail.size());
}

bool read_record(std::string_view line, RecordFacts& facts) {
  if (line.size() != kRecordBytes || !line.starts_with(kHead) || !line.ends_with(kTail) ||
      line[kNumberAt - 1] != ' ') {
    return false;
  }
  std::uint64_t number = 0;
  if (!read_digits(line.substr(kSentAt, kSentDigits), facts.sent_ns)) return false;
  if (!read_digits(line.substr(kNumberAt, kNumberDigits), number)) return false;
  facts.number = static_cast<std::uint32_t>(number);
  return true;
}

std::string last_record(std::uint32_t records) { return final_text(records, "") + "\n"; }

const std::string& document() {
  static const std::string kDocument = final_text(3, "A short answer.");
  return kDocument;
}

// {"model":"bench","stream":false,"prompt":"…"} or {"stream":false,"prompt":"…","model":"bench"}.
std::string body_of(const Question& question) {
  const std::string model = fmt::format("\"model\":\"{}\"", kModel);
  const bool first = question.model == ModelPlace::kFirst;
  const std::string begin =
      fmt::format("{{{}\"stream\":{},\"prompt\":\"", first ? model + "," : std::string(),
                  question.answer == Answer::kStream);
  const std::string end = first ? "\"}" : fmt::format("\",{}}}", model);
  DROVER_ASSERT(question.body_bytes > begin.size() + end.size());
  // Words and not one letter: a scanner that stops at blanks or quotes has something to look at.
  constexpr std::string_view kWords = "Why is the sky blue, and what is \\\"blue\\\" anyway? ";
  std::string prompt;
  const std::size_t room = question.body_bytes - begin.size() - end.size();
  prompt.reserve(room);
  while (prompt.size() + kWords.size() <= room) prompt += kWords;
  prompt.append(room - prompt.size(), '.');
  return begin + prompt + end;
}

Answer wanted_answer(std::string_view beginning) {
  const bool stream = beginning.find("\"stream\":true") != std::string_view::npos;
  return stream ? Answer::kStream : Answer::kDocument;
}

}  // namespace drover::bench
