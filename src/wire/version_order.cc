#include <algorithm>
#include <cstddef>
#include <string_view>

#include "wire/catalogue.h"

namespace drover::wire {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Takes the run of digits (or of anything else) off the front of `text`.
std::string_view take_run(std::string_view& text) {
  const bool number = is_digit(text.front());
  std::size_t size = 1;
  while (size < text.size() && is_digit(text[size]) == number) ++size;
  const std::string_view run = text.substr(0, size);
  text.remove_prefix(size);
  return run;
}

// Numbers of any length by value, without converting them.
int compare_numbers(std::string_view a, std::string_view b) {
  a.remove_prefix(std::min(a.find_first_not_of('0'), a.size()));
  b.remove_prefix(std::min(b.find_first_not_of('0'), b.size()));
  if (a.size() != b.size()) return a.size() < b.size() ? -1 : 1;
  return a.compare(b);
}

// "rc2" before "rc10": runs of digits by value, the rest by bytes; a prefix comes first.
int compare_natural(std::string_view a, std::string_view b) {
  while (!a.empty() && !b.empty()) {
    const std::string_view x = take_run(a);
    const std::string_view y = take_run(b);
    const bool numbers = is_digit(x.front()) && is_digit(y.front());
    const int order = numbers ? compare_numbers(x, y) : x.compare(y);
    if (order != 0) return order;
  }
  if (a.empty() == b.empty()) return 0;
  return a.empty() ? -1 : 1;
}

struct Version {
  std::string_view core;     // "0.30.0"
  std::string_view preview;  // "rc2"; empty in a release
};

Version split(std::string_view text) {
  if (text.starts_with('v')) text.remove_prefix(1);
  text = text.substr(0, text.find('+'));  // build metadata does not order
  const std::size_t dash = text.find('-');
  if (dash == std::string_view::npos) return {text, {}};
  return {text.substr(0, dash), text.substr(dash + 1)};
}

int compare(const Version& a, const Version& b) {
  const int core = compare_natural(a.core, b.core);
  if (core != 0) return core;
  if (a.preview.empty() != b.preview.empty()) return a.preview.empty() ? 1 : -1;
  return compare_natural(a.preview, b.preview);
}

}  // namespace

std::string_view lower_version(std::string_view a, std::string_view b) {
  if (a.empty()) return b;
  if (b.empty()) return a;
  return compare(split(b), split(a)) < 0 ? b : a;
}

}  // namespace drover::wire
