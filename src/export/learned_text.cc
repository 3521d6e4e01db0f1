#include "export/learned_text.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <type_traits>

namespace drover::exporter {
namespace {

using namespace core;

// --- writing ---

constexpr std::string_view kHex = "0123456789ABCDEF";

void put(std::string& line, std::string_view name) {
  line += ' ';
  if (name.empty()) line += "%";  // a word has at least one byte
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte > 0x20 && byte < 0x7F && c != '%') {
      line += c;
      continue;
    }
    line += '%';
    line += kHex[byte >> 4];
    line += kHex[byte & 15];
  }
}
template <class Number>
  requires std::is_arithmetic_v<Number>
void put(std::string& line, Number number) {
  fmt::format_to(std::back_inserter(line), " {}", number);
}
void put(std::string& line, const LearnedLine& sums) {
  for (const double each : {sums.n, sums.x, sums.xx, sums.y, sums.xy}) put(line, each);
}
void put(std::string& line, const LearnedSpeed& speed) {
  for (const LearnedFactor& each : {speed.prefill, speed.step}) {
    put(line, each.mean);
    put(line, each.samples);
  }
}
void put(std::string& line, const LearnedLengths& lengths) {
  put(line, lengths.samples);
  for (const float each : lengths.counts) put(line, each);
}

template <class... Parts>
void write_line(std::string& out, std::string_view kind, const Parts&... parts) {
  out += kind;
  (put(out, parts), ...);
  out += '\n';
}

std::string model_text(const LearnedModel& model) {
  std::string out;
  write_line(out, "model", std::string_view(model.key), std::string_view(model.name),
             model.bytes_per_token, model.prompt_tokens, model.speed, model.lengths);
  for (const LearnedPair& pair : model.at) {
    write_line(out, "at", std::string_view(pair.instance), pair.prefill, pair.step, pair.slots,
               pair.streak_to_raise);
  }
  return out;
}

// --- reading ---

// Larger ones are no seconds, tokens, bytes or counts of anything.
constexpr double kLargest = 1e18;

class Words {
 public:
  explicit Words(std::string_view line) : rest_(line) {}
  std::string_view next() {
    const std::size_t end = std::min(rest_.find(' '), rest_.size());
    const std::string_view word = rest_.substr(0, end);
    rest_.remove_prefix(std::min(end + 1, rest_.size()));
    return word;
  }
  bool fine() const { return fine_ && rest_.empty(); }

  void get(std::string& name) {
    const std::string_view word = next();
    fine_ &= !word.empty();
    name.clear();
    if (word == "%") return;
    for (std::size_t i = 0; i < word.size(); ++i) {
      if (word[i] != '%') {
        name += word[i];
        continue;
      }
      unsigned byte = 0;
      const char* from = word.data() + i + 1;
      const char* to = word.data() + std::min(i + 3, word.size());
      const auto [end, error] = std::from_chars(from, to, byte, 16);
      if (error != std::errc() || end != from + 2) {
        fine_ = false;
        return;
      }
      name += static_cast<char>(byte);
      i += 2;
    }
  }
  template <class Number>
    requires std::is_arithmetic_v<Number>
  void get(Number& number) {
    const std::string_view word = next();
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
    fine_ &= error == std::errc() && end == word.data() + word.size();
    if constexpr (std::is_floating_point_v<Number>) {
      fine_ &= std::isfinite(number) && number >= 0 && number < kLargest;
    }
  }
  void get(LearnedLine& sums) {
    for (double* each : {&sums.n, &sums.x, &sums.xx, &sums.y, &sums.xy}) get(*each);
  }
  void get(LearnedSpeed& speed) {
    for (LearnedFactor* each : {&speed.prefill, &speed.step}) {
      get(each->mean);
      get(each->samples);
    }
  }
  void get(LearnedLengths& lengths) {
    get(lengths.samples);
    for (float& each : lengths.counts) get(each);
  }

 private:
  std::string_view rest_;
  bool fine_ = true;
};

template <class... Parts>
bool read_line(Words& words, Parts&... parts) {
  (words.get(parts), ...);
  return words.fine();
}

bool read_one(Words& words, Learned& to) {
  const std::string_view kind = words.next();
  if (kind == "fleet") return read_line(words, to.speed, to.loads, to.lengths);
  if (kind == "instance") {
    LearnedInstance& each = to.instances.emplace_back();
    return read_line(words, each.instance, each.speed, each.loads);
  }
  if (kind == "size") {
    LearnedSize& each = to.sizes.emplace_back();
    return read_line(words, each.instance, each.model, each.bytes);
  }
  if (kind == "model") {
    LearnedModel& each = to.models.emplace_back();
    return read_line(words, each.key, each.name, each.bytes_per_token, each.prompt_tokens,
                     each.speed, each.lengths);
  }
  if (kind == "at" && !to.models.empty()) {
    LearnedPair& each = to.models.back().at.emplace_back();
    return read_line(words, each.instance, each.prefill, each.step, each.slots,
                     each.streak_to_raise);
  }
  return false;
}

}  // namespace

std::string learned_text(const Learned& learned) {
  std::string out;
  write_line(out, "fleet", learned.speed, learned.loads, learned.lengths);
  for (const LearnedInstance& each : learned.instances) {
    write_line(out, "instance", std::string_view(each.instance), each.speed, each.loads);
  }
  for (const LearnedSize& each : learned.sizes) {
    write_line(out, "size", std::string_view(each.instance), std::string_view(each.model),
               each.bytes);
  }
  for (const LearnedModel& each : learned.models) {
    const std::string text = model_text(each);
    if (out.size() + text.size() > kLearnedMaxBytes) break;
    out += text;
  }
  return out;
}

std::optional<Learned> parse_learned(std::string_view text) {
  std::optional<Learned> learned(std::in_place);
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) return std::nullopt;
    Words words(text.substr(0, end));
    if (!read_one(words, *learned)) return std::nullopt;
    text.remove_prefix(end + 1);
  }
  return learned;
}

}  // namespace drover::exporter
