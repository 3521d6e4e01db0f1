#include "keeper/ollama_unit.h"

#include <algorithm>

namespace drover::keeper {
namespace {

// The words of a list that systemctl prints: blanks divide, and what holds one is in "…" or $'…'
// with backslashes.
std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  bool begun = false;
  char quote = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool escape = c == '\\' && i + 1 < text.size();
    if (escape) {
      word += text[++i];
    } else if (quote != 0 && c == quote) {
      quote = 0;
    } else if (quote != 0) {
      word += c;
    } else if (c == '"' || c == '\'') {
      quote = c;
      if (word == "$") word.clear();
    } else if (c == ' ') {
      if (begun) words.push_back(std::move(word));
      word.clear();
      begun = false;
      continue;
    } else {
      word += c;
    }
    begun = true;
  }
  if (begun) words.push_back(std::move(word));
  return words;
}

std::vector<Variable> variables_of(std::string_view text) {
  std::vector<Variable> variables;
  for (const std::string& word : words_of(text)) {
    const std::size_t equals = word.find('=');
    if (equals == std::string::npos) continue;
    variables.emplace_back(word.substr(0, equals), word.substr(equals + 1));
  }
  return variables;
}

// "{ path=/usr/local/bin/ollama ; argv[]=… }"
std::string program_of(std::string_view text) {
  constexpr std::string_view kBegin = "path=";
  const std::size_t begin = text.find(kBegin);
  if (begin == std::string_view::npos) return "";
  text.remove_prefix(begin + kBegin.size());
  return std::string(text.substr(0, text.find(" ;")));
}

void take(OllamaUnit& service, std::string_view key, std::string_view value) {
  if (key == "LoadState") {
    service.masked = value == "masked";
    service.found = !value.empty() && value != "not-found";
  } else if (key == "ActiveState") {
    service.active = value == "active" || value == "activating" || value == "reloading";
  } else if (key == "FragmentPath") {
    service.unit_file = value;
  } else if (key == "User") {
    service.user = value;
  } else if (key == "Group") {
    service.group = value;
  } else if (key == "ExecStart") {
    service.program = program_of(value);
  } else if (key == "Environment") {
    service.environment = variables_of(value);
  } else if (key == "EnvironmentFiles" && service.environment_file.empty()) {
    // "/etc/default/ollama (ignore_errors=yes)"
    service.environment_file = value.substr(0, value.find(" (ignore_errors="));
  }
}

}  // namespace

std::optional<std::string> OllamaUnit::variable(std::string_view name) const {
  // Of a variable that is set twice the last value holds.
  const auto last = std::find_if(environment.rbegin(), environment.rend(),
                                 [&](const Variable& v) { return v.first == name; });
  return last == environment.rend() ? std::nullopt : std::optional(last->second);
}

std::string OllamaUnit::address() const {
  std::string host = variable("OLLAMA_HOST").value_or("");
  const std::size_t scheme = host.find("://");
  if (scheme != std::string::npos) host.erase(0, scheme + 3);
  host.resize(std::min(host.find('/'), host.size()));
  const std::size_t colon = host.rfind(':');
  const bool has_port = colon != std::string::npos && colon + 1 < host.size() &&
                        host.find_first_not_of("0123456789", colon + 1) == std::string::npos &&
                        (host.find(':') == colon || host[colon - 1] == ']');
  const std::string port = has_port ? host.substr(colon + 1) : "11434";
  if (has_port) host.resize(colon);
  // ":8080" is every address to Ollama.
  if (host.empty()) host = has_port ? "0.0.0.0" : "127.0.0.1";
  if (host == "localhost") host = "127.0.0.1";
  if (host.find(':') != std::string::npos && host.front() != '[') host = "[" + host + "]";
  return host + ":" + port;
}

std::vector<std::string> ollama_unit_question() {
  return {"systemctl", "show", "--property",
          "LoadState,ActiveState,FragmentPath,User,Group,ExecStart,Environment,EnvironmentFiles",
          kOllamaUnitName};
}

OllamaUnit read_ollama_unit(std::string_view answer) {
  OllamaUnit service;
  while (!answer.empty()) {
    const std::string_view line = answer.substr(0, answer.find('\n'));
    answer.remove_prefix(std::min(line.size() + 1, answer.size()));
    const std::size_t equals = line.find('=');
    if (equals == std::string_view::npos) continue;
    take(service, line.substr(0, equals), line.substr(equals + 1));
  }
  return service;
}

}  // namespace drover::keeper
