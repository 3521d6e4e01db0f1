#include "lines.h"

#include <algorithm>
#include <cctype>
#include <utility>

namespace tidy {

namespace {

// Reads C++ just far enough to tell code from comments and literals.
class Masker {
 public:
  explicit Masker(std::string_view text) : text_(text) {}

  std::vector<Line> run() {
    while (at_ < text_.size()) step();
    if (!line_.raw.empty()) lines_.push_back(std::move(line_));
    return std::move(lines_);
  }

 private:
  enum class In { kCode, kLineComment, kBlockComment, kString, kChar, kRawString };

  bool sees(std::string_view what) const { return text_.substr(at_).starts_with(what); }

  // Takes one character over; it counts as code, as comment, or as neither.
  void take(bool code, bool comment) {
    const char c = text_[at_++];
    if (c == '\n') {
      lines_.push_back(std::move(line_));
      line_ = Line{};
      line_.in_raw_string = in_ == In::kRawString;
      if (in_ == In::kLineComment) in_ = In::kCode;
      return;
    }
    line_.raw += c;
    line_.code += code ? c : ' ';
    if (comment) line_.comment += c;
  }

  void step() {
    switch (in_) {
      case In::kCode:
        return step_code();
      case In::kLineComment:
        return take(false, true);
      case In::kBlockComment:
        if (sees("*/")) {
          take(false, false);
          in_ = In::kCode;
          return take(false, false);
        }
        return take(false, true);
      case In::kString:
        return step_quoted('"');
      case In::kChar:
        return step_quoted('\'');
      case In::kRawString:
        return step_raw_string();
    }
  }

  void step_code() {
    const bool after_word = !line_.code.empty() && is_word(line_.code.back());
    if (sees("//")) {
      in_ = In::kLineComment;
      take(false, false);
      return take(false, false);
    }
    if (sees("/*")) {
      in_ = In::kBlockComment;
      take(false, false);
      return take(false, false);
    }
    if (sees("R\"") && !after_word) {
      const std::size_t paren = text_.find('(', at_);
      if (paren != std::string_view::npos) {
        raw_end_ = ")" + std::string(text_.substr(at_ + 2, paren - at_ - 2)) + "\"";
        in_ = In::kRawString;
        while (at_ <= paren) take(text_[at_] == '"', false);
        return;
      }
    }
    if (text_[at_] == '"') in_ = In::kString;
    // An apostrophe inside a number separates digits.
    if (text_[at_] == '\'' && !after_word) in_ = In::kChar;
    take(true, false);
  }

  void step_quoted(char quote) {
    if (text_[at_] == '\\' && at_ + 1 < text_.size()) {
      take(false, false);
      return take(false, false);
    }
    if (text_[at_] == quote || text_[at_] == '\n') {
      in_ = In::kCode;
      return take(true, false);
    }
    take(false, false);
  }

  void step_raw_string() {
    if (!sees(raw_end_)) return take(false, false);
    for (std::size_t i = 0; i < raw_end_.size(); ++i) take(i + 1 == raw_end_.size(), false);
    in_ = In::kCode;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  In in_ = In::kCode;
  std::string raw_end_;
  Line line_;
  std::vector<Line> lines_;
};

std::vector<Line> split_plain(std::string_view text) {
  std::vector<Line> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    Line line;
    line.raw = std::string(text.substr(0, end));
    line.code = line.raw;
    line.comment = line.raw;
    lines.push_back(std::move(line));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

}  // namespace

std::size_t File::line_at(std::size_t offset) const {
  const auto after = std::upper_bound(starts.begin(), starts.end(), offset);
  return static_cast<std::size_t>(after - starts.begin());
}

File read_lines(std::string path, std::string_view text) {
  File file;
  file.path = std::move(path);
  file.lines = file.is_cxx() ? Masker(text).run() : split_plain(text);
  for (const Line& line : file.lines) {
    file.starts.push_back(file.code.size());
    file.code += line.code;
    file.code += '\n';
  }
  return file;
}

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

std::string_view trim(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const std::size_t first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

std::size_t find_word(std::string_view text, std::string_view word, std::size_t from) {
  for (std::size_t at = text.find(word, from); at != std::string_view::npos;
       at = text.find(word, at + 1)) {
    const std::size_t end = at + word.size();
    const bool starts = at == 0 || !is_word(word.front()) || !is_word(text[at - 1]);
    const bool ends = end == text.size() || !is_word(word.back()) || !is_word(text[end]);
    if (starts && ends) return at;
  }
  return std::string_view::npos;
}

std::size_t find_close(std::string_view code, std::size_t open) {
  std::size_t depth = 0;
  for (std::size_t at = open; at < code.size(); ++at) {
    const char c = code[at];
    if (c == '(' || c == '[' || c == '{') ++depth;
    if (c == ')' || c == ']' || c == '}') {
      if (--depth == 0) return at;
    }
  }
  return std::string_view::npos;
}

}  // namespace tidy
