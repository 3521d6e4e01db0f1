#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lines.h"

// The house rules. Each one is a row of a table: what it is called, why it exists, what to do
// instead, and a function that finds where it is broken. An exception is written in the code, on
// the line or the line above it, and gives its reason:
//
//   // tidy: allow(threads) The child's reaper must outlive the loop.
namespace tidy {

enum class Weight { kAsk, kFail };

struct Finding {
  std::string path;
  std::size_t line = 0;
  std::string rule;
  std::string what;
  Weight weight = Weight::kFail;
};

struct Rule;
using Findings = std::vector<Finding>;
using FileCheck = void (*)(const Rule&, const File&, Findings&);
using TreeCheck = void (*)(const Rule&, std::span<const File>, Findings&);

struct Rule {
  std::string_view name;
  std::string_view why;
  std::string_view instead;
  FileCheck check = nullptr;
  TreeCheck check_tree = nullptr;
  // For rules that ban words: the words, and the path prefixes where they are at home.
  std::vector<std::string_view> words = {};
  std::vector<std::string_view> home = {};
};

std::span<const Rule> rules();

// Checks the whole tree against every rule and drops what the code allows with a reason.
Findings check(std::span<const File> files);

// The checks, by the file they live in. text_rules.cc:
void check_words(const Rule& rule, const File& file, Findings& out);
void check_file_length(const Rule& rule, const File& file, Findings& out);
void check_line_length(const Rule& rule, const File& file, Findings& out);
void check_sleep(const Rule& rule, const File& file, Findings& out);
void check_todo(const Rule& rule, const File& file, Findings& out);
void check_pragma_once(const Rule& rule, const File& file, Findings& out);
void check_private_path(const Rule& rule, const File& file, Findings& out);
void check_configs_tested(const Rule& rule, std::span<const File> files, Findings& out);
void check_allow_reason(const Rule& rule, const File& file, Findings& out);
// include_rules.cc:
void check_include_direction(const Rule& rule, const File& file, Findings& out);
void check_pure_core(const Rule& rule, const File& file, Findings& out);
void check_own_header_first(const Rule& rule, std::span<const File> files, Findings& out);
// code_rules.cc:
void check_function_length(const Rule& rule, const File& file, Findings& out);
void check_conditional_await(const Rule& rule, const File& file, Findings& out);
void check_lambda_coroutine(const Rule& rule, const File& file, Findings& out);

// Adds a finding at a line, counted from 1.
void report(const Rule& rule, const File& file, std::size_t line, std::string what, Findings& out);

}  // namespace tidy
