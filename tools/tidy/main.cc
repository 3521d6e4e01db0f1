// tidy ROOT: checks the tree below ROOT against the house rules and prints what breaks them, with
// the replacement. Exit 0 when nothing fails; a finding marked `ask` is a question, not a failure.
#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "rules.h"

namespace {

namespace fs = std::filesystem;

constexpr std::uintmax_t kMaxBytes = 1u << 20;

// Folders that hold other people's files, built files, or bytes that are no text.
bool is_skipped_folder(const fs::path& folder) {
  constexpr std::array<std::string_view, 7> kSkipped = {
      "build", "node_modules", "dist", "corpus", "__pycache__", "results", "recorded"};
  const std::string name = folder.filename().string();
  if (name.starts_with(".")) return name != ".ci";
  return std::find(kSkipped.begin(), kSkipped.end(), name) != kSkipped.end();
}

bool is_text(const fs::path& file) {
  constexpr std::array<std::string_view, 19> kText = {
      ".cc",  ".h",   ".md",   ".py",    ".sh",   ".ts", ".tsx",     ".js",   ".mjs", ".css",
      ".yml", ".txt", ".yaml", ".cmake", ".html", ".in", ".service", ".case", ""};
  const std::string name = file.filename().string();
  if (name.starts_with(".") || name == "LICENSE") return false;
  const std::string extension = file.extension().string();
  return std::find(kText.begin(), kText.end(), extension) != kText.end();
}

std::vector<tidy::File> read_tree(const fs::path& root) {
  std::vector<tidy::File> files;
  for (fs::recursive_directory_iterator it(root), end; it != end; ++it) {
    if (it->is_directory() && is_skipped_folder(it->path())) {
      it.disable_recursion_pending();
      continue;
    }
    std::error_code error;
    if (!it->is_regular_file(error) || !is_text(it->path())) continue;
    if (it->file_size(error) > kMaxBytes || error) continue;
    std::ifstream in(it->path(), std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    files.push_back(tidy::read_lines(it->path().lexically_relative(root).generic_string(), text));
  }
  std::sort(files.begin(), files.end(),
            [](const tidy::File& a, const tidy::File& b) { return a.path < b.path; });
  return files;
}

const tidy::Rule& rule_named(std::string_view name) {
  const auto rules = tidy::rules();
  return *std::find_if(rules.begin(), rules.end(),
                       [&](const tidy::Rule& rule) { return rule.name == name; });
}

void print(const tidy::Finding& finding) {
  const tidy::Rule& rule = rule_named(finding.rule);
  const char* word = finding.weight == tidy::Weight::kAsk ? "ask" : "error";
  std::printf("%s:%zu: %s: %s [%s]\n", finding.path.c_str(), finding.line, word,
              finding.what.c_str(), finding.rule.c_str());
  std::printf("    why: %.*s\n    instead: %.*s\n", static_cast<int>(rule.why.size()),
              rule.why.data(), static_cast<int>(rule.instead.size()), rule.instead.data());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2 || !fs::is_directory(argv[1])) {
    std::fprintf(stderr, "usage: %s ROOT\n", argv[0]);
    return 2;
  }
  const std::vector<tidy::File> files = read_tree(fs::path(argv[1]).lexically_normal());
  const tidy::Findings findings = tidy::check(files);
  std::size_t failures = 0;
  for (const tidy::Finding& finding : findings) {
    print(finding);
    failures += finding.weight == tidy::Weight::kFail;
  }
  std::printf("tidy: %zu files, %zu rules, %zu broken\n", files.size(), tidy::rules().size(),
              failures);
  return failures == 0 ? 0 : 1;
}
