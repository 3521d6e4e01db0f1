// Completions for three shells, written from the definition of the command line: a new option is
// completed without anybody thinking of it.
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "app/verbs.h"

namespace drover::app {
namespace {

using cli::OptionText;
using cli::VerbText;

bool is_path(const OptionText& option) { return option.value == "FILE" || option.value == "DIR"; }

std::string names_of(const std::vector<VerbText>& verbs) {
  std::string names;
  for (const VerbText& verb : verbs) names += (names.empty() ? "" : " ") + verb.name;
  return names;
}

// bash looks at the word before only: what is a flag of any verb is followed by no path.
bool is_flag_somewhere(const std::vector<VerbText>& verbs, const std::string& name) {
  return std::ranges::any_of(verbs, [&](const VerbText& verb) {
    return std::ranges::any_of(verb.options, [&](const OptionText& option) {
      return option.name == name && option.value.empty();
    });
  });
}

std::string bash(const std::vector<VerbText>& verbs) {
  std::string cases;
  std::string paths;
  for (const VerbText& verb : verbs) {
    std::string words = fmt::format("{}", fmt::join(verb.words, " "));
    for (const OptionText& option : verb.options) {
      words += (words.empty() ? "" : " ") + option.name;
      const std::string pattern = "|" + option.name;
      const bool path = is_path(option) && !is_flag_somewhere(verbs, option.name);
      if (path && (paths + "|").find(pattern + "|") == std::string::npos) {
        paths += pattern;
      }
    }
    cases += fmt::format("    {}) words='{}' ;;\n", verb.name, words);
  }
  return fmt::format(
      "# bash completion for drover; drover completion bash wrote it.\n"
      "_drover() {{\n"
      "  local current=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD-1]}} words=\n"
      "  case $previous in\n"
      "    {}) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- \"$current\"); return "
      ";;\n"
      "  esac\n"
      "  case ${{COMP_WORDS[1]}} in\n{}"
      "  esac\n"
      "  ((COMP_CWORD > 1)) || words='{}'\n"
      "  mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\")\n"
      "}}\n"
      "complete -F _drover drover\n",
      paths.substr(1), cases, names_of(verbs));
}

// Inside single quotes, and inside an _arguments specification where brackets and colons mean
// something.
std::string zsh_text(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\'') {
      out += "'\\''";
      continue;
    }
    if (c == '[' || c == ']' || c == ':') out += '\\';
    out += c;
  }
  return out;
}

std::string zsh_argument(const OptionText& option) {
  std::string text = fmt::format("'{}[{}]", option.name, zsh_text(option.meaning));
  if (!option.value.empty()) {
    text += fmt::format(":{}:{}", zsh_text(option.value), is_path(option) ? "_files" : "");
  }
  return text + "'";
}

std::string zsh(const std::vector<VerbText>& verbs) {
  std::string list;
  std::string cases;
  for (const VerbText& verb : verbs) {
    list += fmt::format("    '{}:{}'\n", verb.name, zsh_text(verb.meaning));
    cases += fmt::format("    {}) _arguments", verb.name);
    if (!verb.words.empty()) cases += fmt::format(" '1:what:({})'", fmt::join(verb.words, " "));
    for (const OptionText& option : verb.options) cases += " " + zsh_argument(option);
    cases += " ;;\n";
  }
  return fmt::format(
      "#compdef drover\n"
      "# zsh completion for drover; drover completion zsh wrote it.\n"
      "_drover() {{\n"
      "  local -a verbs=(\n{}  )\n"
      "  if ((CURRENT == 2)); then\n"
      "    _describe verb verbs\n"
      "    return\n"
      "  fi\n"
      "  shift words\n"
      "  ((CURRENT--))\n"
      "  case $words[1] in\n{}"
      "  esac\n"
      "}}\n"
      "_drover \"$@\"\n",
      list, cases);
}

std::string fish_text(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\'' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

std::string fish(const std::vector<VerbText>& verbs) {
  std::string out =
      "# fish completion for drover; drover completion fish wrote it.\n"
      "complete -c drover -f\n";
  for (const VerbText& verb : verbs) {
    out += fmt::format("complete -c drover -n __fish_use_subcommand -a {} -d '{}'\n", verb.name,
                       fish_text(verb.meaning));
    const std::string seen =
        fmt::format("complete -c drover -n '__fish_seen_subcommand_from {}'", verb.name);
    if (!verb.words.empty()) out += fmt::format("{} -a '{}'\n", seen, fmt::join(verb.words, " "));
    for (const OptionText& option : verb.options) {
      const char* value = option.value.empty() ? "" : is_path(option) ? " -r -F" : " -x";
      out += fmt::format("{} -l {}{} -d '{}'\n", seen, option.name.substr(2), value,
                         fish_text(option.meaning));
    }
  }
  return out;
}

}  // namespace

cli::Printed run_completion(const cli::CompletionCommand& command) {
  const std::vector<VerbText> verbs = cli::describe();
  switch (command.shell) {
    case cli::Shell::kBash:
      return {cli::kDone, bash(verbs), ""};
    case cli::Shell::kZsh:
      return {cli::kDone, zsh(verbs), ""};
    case cli::Shell::kFish:
      return {cli::kDone, fish(verbs), ""};
  }
  return {};
}

}  // namespace drover::app
