#include "rules.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace tidy {

namespace {

std::vector<Rule> shape_rules() {
  return {
      {.name = "include-direction",
       .why = "a folder may use only what the include table in STYLE.md grants it",
       .instead = "move the value to base, or pass it in from the folder above",
       .check = check_include_direction},
      {.name = "pure-core",
       .why = "core and wire decide and translate; they touch no socket, thread or log",
       .instead = "return an effect or a value, and let engine, gateway or net act on it",
       .check = check_pure_core},
      {.name = "own-header-first",
       .why = "a header that is not included first somewhere may not stand alone",
       .instead = "include the file's own header before all others",
       .check_tree = check_own_header_first},
      {.name = "file-length",
       .why = "a file past 1000 lines is one that nobody reads whole",
       .instead = "split it by the reasons for which it changes",
       .check = check_file_length},
      {.name = "function-length",
       .why = "a function past 70 lines hides its story",
       .instead = "keep the branching here and move straight work into named helpers",
       .check = check_function_length},
      {.name = "line-length",
       .why = "lines stay within 100 columns",
       .instead = "run ./dev fmt, or break the line",
       .check = check_line_length},
  };
}

std::vector<Rule> ban_rules() {
  return {
      {.name = "clock",
       .why = "time is an argument, so that tests and the simulator can set it",
       .instead = "take `now` as an argument, or ask the Loop or the Clock you were given",
       .check = check_words,
       .words = {"steady_clock::now", "system_clock::now", "high_resolution_clock::now",
                 "clock_gettime(", "gettimeofday(", "time(nullptr)"},
       .home = {"src/net/", "src/app/", "src/base/time", "test/e2e/", "bench/", "tools/"}},
      {.name = "threads",
       .why = "one loop owns each piece of state; locks exist only in net, store and the log sink",
       .instead = "post a value to the owning loop, or publish an immutable snapshot",
       .check = check_words,
       .words = {"std::mutex", "std::shared_mutex", "std::recursive_mutex", "std::thread",
                 "std::jthread", "std::condition_variable", "std::async", "std::lock_guard",
                 "std::unique_lock", "std::scoped_lock"},
       .home = {"src/net/", "src/store/", "src/app/log", "test/e2e/", "bench/", "tools/"}},
      {.name = "new",
       .why = "ownership is visible in the type",
       .instead = "std::make_unique, a container or a member",
       .check = check_words,
       .words = {"new"}},
      {.name = "rand",
       .why = "chance is an argument, so that a seed repeats a run",
       .instead = "draw from the drover::Rng that was passed in",
       .check = check_words,
       .words = {"rand(", "srand(", "random()", "std::random_device", "std::mt19937",
                 "std::mt19937_64", "std::default_random_engine"},
       .home = {"src/base/rng", "src/app/", "bench/"}},
      {.name = "assert",
       .why = "assert() vanishes in release and saves no flight record",
       .instead = "DROVER_ASSERT for shared state, DROVER_BUG for one request",
       .check = check_words,
       .words = {"assert(", "<cassert>", "<assert.h>"}},
      {.name = "regex",
       .why = "std::regex is slow and recurses on what the network sends",
       .instead = "a hand-written match, fuzzed when its input comes from outside",
       .check = check_words,
       .words = {"std::regex", "<regex>"}},
  };
}

std::vector<Rule> habit_rules() {
  return {
      {.name = "conditional-await",
       .why = "g++ 12 runs destructors twice when co_await stands in a conditional expression",
       .instead = "if and else, or a named value awaited before the expression",
       .check = check_conditional_await},
      {.name = "lambda-coroutine",
       .why = "the captures of a lambda die with the lambda, while its coroutine lives on",
       .instead = "a named function that takes what it needs by value",
       .check = check_lambda_coroutine},
      {.name = "sleep",
       .why = "a sleep is a guess: too short on a loaded machine, too long everywhere else",
       .instead = "wait for the event with a deadline, or move the virtual clock",
       .check = check_sleep,
       .words = {"this_thread::sleep_for", "this_thread::sleep_until", "usleep(", "nanosleep(",
                 "time.sleep("},
       .home = {"bench/"}},
      {.name = "todo",
       .why = "a TODO without an end stays for ever",
       .instead = "say until when: `TODO: ... until <condition>`; or do it",
       .check = check_todo},
      {.name = "pragma-once",
       .why = "a header is included once",
       .instead = "begin the header with #pragma once",
       .check = check_pragma_once},
      {.name = "private-path",
       .why = "a path of one machine means nothing on another",
       .instead = "a path relative to the tree, or an XDG directory",
       .check = check_private_path},
      {.name = "config-tested",
       .why = "an example nobody loads is an example that stopped working",
       .instead = "name the file in a test that loads it",
       .check_tree = check_configs_tested},
      {.name = "allow-reason",
       .why = "an exception is one because of its reason",
       .instead = "`// tidy: allow(rule) reason`, with a rule of this table and a sentence",
       .check = check_allow_reason},
  };
}

const std::vector<Rule>& table() {
  static const std::vector<Rule> kRules = [] {
    std::vector<Rule> all;
    for (const auto& some : {shape_rules(), ban_rules(), habit_rules()}) {
      all.insert(all.end(), some.begin(), some.end());
    }
    return all;
  }();
  return kRules;
}

bool line_allows(const File& file, std::size_t line, std::string_view rule) {
  if (line == 0 || line > file.lines.size()) return false;
  const std::string marker = "tidy: allow(" + std::string(rule) + ")";
  return file.lines[line - 1].comment.find(marker) != std::string::npos;
}

bool is_allowed(const File& file, const Finding& finding) {
  if (finding.rule == "allow-reason") return false;
  if (finding.rule == "file-length") {
    for (std::size_t line = 1; line <= file.lines.size(); ++line) {
      if (line_allows(file, line, finding.rule)) return true;
    }
    return false;
  }
  if (line_allows(file, finding.line, finding.rule)) return true;
  // Above the line, through the rest of the comment that stands there.
  for (std::size_t above = finding.line - 1; above > 0; --above) {
    if (line_allows(file, above, finding.rule)) return true;
    const Line& line = file.lines[above - 1];
    if (line.comment.empty() || !trim(line.code).empty()) return false;
  }
  return false;
}

}  // namespace

std::span<const Rule> rules() { return table(); }

void report(const Rule& rule, const File& file, std::size_t line, std::string what, Findings& out) {
  out.push_back({file.path, line, std::string(rule.name), std::move(what), Weight::kFail});
}

Findings check(std::span<const File> files) {
  Findings found;
  for (const Rule& rule : rules()) {
    if (rule.check_tree != nullptr) rule.check_tree(rule, files, found);
    if (rule.check == nullptr) continue;
    for (const File& file : files) rule.check(rule, file, found);
  }
  std::erase_if(found, [&](const Finding& finding) {
    const auto file = std::find_if(files.begin(), files.end(),
                                   [&](const File& f) { return f.path == finding.path; });
    return file != files.end() && is_allowed(*file, finding);
  });
  std::stable_sort(found.begin(), found.end(), [](const Finding& a, const Finding& b) {
    return std::tie(a.path, a.line) < std::tie(b.path, b.line);
  });
  return found;
}

}  // namespace tidy
