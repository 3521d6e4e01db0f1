// Rules that look at words and lengths.
#include <array>
#include <string>

#include "rules.h"

namespace tidy {

namespace {

constexpr std::size_t kAskLines = 600;
constexpr std::size_t kAskTestLines = 700;
constexpr std::size_t kMaxLines = 1000;
constexpr std::size_t kMaxColumns = 100;

bool is_at_home(const Rule& rule, const File& file) {
  for (std::string_view prefix : rule.home) {
    if (file.is_below(prefix)) return true;
  }
  return false;
}

// Characters, not bytes: the continuation bytes of UTF-8 take no column.
std::size_t columns(std::string_view text) {
  std::size_t count = 0;
  for (const char c : text) count += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  return count;
}

// `operator new` and `<new>` allocate nothing; `std::thread::hardware_concurrency` starts nothing.
bool is_harmless(std::string_view word, std::string_view code, std::size_t at) {
  const std::string_view before = trim(code.substr(0, at));
  if (word == "new") return before.ends_with("operator") || before.ends_with("<");
  return word == "std::thread" && code.substr(at + word.size()).starts_with("::");
}

// The columns of a line without what its string literals say.
std::size_t columns_of_code(const Line& line) {
  std::size_t blanks = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < line.code.size(); ++i) {
    if (line.code[i] == '"') quoted = !quoted;
    blanks += quoted && line.code[i] == ' ';
  }
  return line.code.size() - blanks;
}

void find_words(const Rule& rule, const File& file, Findings& out) {
  for (std::size_t i = 0; i < file.lines.size(); ++i) {
    const std::string& code = file.lines[i].code;
    for (std::string_view word : rule.words) {
      const std::size_t at = find_word(code, word);
      if (at == std::string::npos || is_harmless(word, code, at)) continue;
      report(rule, file, i + 1, "`" + std::string(word) + "`", out);
      break;
    }
  }
}

}  // namespace

void check_words(const Rule& rule, const File& file, Findings& out) {
  if (file.is_cxx() && !is_at_home(rule, file)) find_words(rule, file, out);
}

void check_sleep(const Rule& rule, const File& file, Findings& out) {
  const bool script = file.path.ends_with(".py") && file.is_test();
  if ((file.is_cxx() || script) && !is_at_home(rule, file)) find_words(rule, file, out);
}

void check_file_length(const Rule& rule, const File& file, Findings& out) {
  if (!file.is_cxx()) return;
  const std::size_t lines = file.lines.size();
  if (lines <= (file.is_test() ? kAskTestLines : kAskLines)) return;
  report(rule, file, 1, std::to_string(lines) + " lines", out);
  if (lines <= kMaxLines) out.back().weight = Weight::kAsk;
}

void check_line_length(const Rule& rule, const File& file, Findings& out) {
  if (!file.is_cxx()) return;
  for (std::size_t i = 0; i < file.lines.size(); ++i) {
    const Line& line = file.lines[i];
    if (columns(line.raw) <= kMaxColumns) continue;
    // Recorded text and addresses cannot be broken; a test's table reads better with whole strings.
    if (line.in_raw_string || line.raw.find("://") != std::string::npos) continue;
    if (file.is_test() && line.comment.empty() && columns_of_code(line) <= kMaxColumns) continue;
    report(rule, file, i + 1, std::to_string(columns(line.raw)) + " columns", out);
  }
}

void check_todo(const Rule& rule, const File& file, Findings& out) {
  for (std::size_t i = 0; i < file.lines.size(); ++i) {
    const std::string& comment = file.lines[i].comment;
    const bool code_only = !file.is_cxx() && comment.find('#') == std::string::npos &&
                           comment.find("//") == std::string::npos;
    if (code_only || find_word(comment, "TODO") == std::string::npos) continue;
    // The condition may stand on the line after.
    std::string text = comment;
    if (i + 1 < file.lines.size()) text += ' ' + file.lines[i + 1].comment;
    if (find_word(text, "until") == std::string::npos) report(rule, file, i + 1, "TODO", out);
  }
}

void check_pragma_once(const Rule& rule, const File& file, Findings& out) {
  if (!file.is_header()) return;
  for (const Line& line : file.lines) {
    if (trim(line.code) == "#pragma once") return;
  }
  report(rule, file, 1, "no #pragma once", out);
}

void check_private_path(const Rule& rule, const File& file, Findings& out) {
  // Joined from halves, so that this file passes its own rule.
  static const std::array<std::string, 3> kPaths = {
      std::string("/wo") + "rk/", std::string("/Use") + "rs/", std::string("/ro") + "ot/"};
  for (std::size_t i = 0; i < file.lines.size(); ++i) {
    const std::string& raw = file.lines[i].raw;
    for (const std::string& path : kPaths) {
      const std::size_t at = raw.find(path);
      // Only at the start of a path: `x/work/y` is somebody's folder, not a machine's.
      if (at == std::string::npos || (at > 0 && is_word(raw[at - 1]))) continue;
      report(rule, file, i + 1, "`" + path + "`", out);
    }
  }
}

void check_configs_tested(const Rule& rule, std::span<const File> files, Findings& out) {
  for (const File& config : files) {
    if (!config.is_below("config/") || !config.path.ends_with(".yaml")) continue;
    const std::string name = config.path.substr(config.path.rfind('/') + 1);
    bool named = false;
    for (const File& file : files) {
      if (!file.is_test()) continue;
      for (const Line& line : file.lines) named |= line.raw.find(name) != std::string::npos;
    }
    if (!named) report(rule, config, 1, "no test names " + name, out);
  }
}

void check_allow_reason(const Rule& rule, const File& file, Findings& out) {
  constexpr std::string_view kMarker = "tidy: allow(";
  if (!file.is_cxx() && !file.path.ends_with(".py")) return;
  for (std::size_t i = 0; i < file.lines.size(); ++i) {
    const std::string_view comment = file.lines[i].comment;
    const std::size_t at = comment.find(kMarker);
    if (at == std::string_view::npos) continue;
    const std::size_t close = comment.find(')', at);
    if (close == std::string_view::npos) continue;
    const std::string_view name = comment.substr(at + kMarker.size(), close - at - kMarker.size());
    bool known = name == "rule";  // The placeholder that the documentation uses.
    for (const Rule& other : rules()) known |= other.name == name;
    if (!known) report(rule, file, i + 1, "no rule `" + std::string(name) + "`", out);
    if (trim(comment.substr(close + 1)).size() < 8) report(rule, file, i + 1, "no reason", out);
  }
}

}  // namespace tidy
