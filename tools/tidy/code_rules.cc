// Rules that need a little structure: braces, statements, lambdas. All are heuristics over masked
// code, tuned to be right about the way this tree is written.
#include <algorithm>
#include <string>

#include "rules.h"

namespace tidy {

namespace {

constexpr std::size_t kMaxFunctionLines = 70;
constexpr std::size_t kNone = std::string_view::npos;

enum class Scope { kFunction, kOther };

// Drops leading `template <...>` and `[[...]]`, which would hide what is being declared.
std::string_view without_prefixes(std::string_view head) {
  for (;;) {
    head = trim(head);
    if (head.starts_with("[[")) {
      const std::size_t end = head.find("]]");
      if (end == kNone) return head;
      head.remove_prefix(end + 2);
    } else if (head.starts_with("template")) {
      std::size_t depth = 0;
      std::size_t at = head.find('<');
      for (; at < head.size(); ++at) {
        if (head[at] == '<') ++depth;
        if (head[at] == '>' && --depth == 0) break;
      }
      if (at >= head.size()) return head;
      head.remove_prefix(at + 1);
    } else {
      return head;
    }
  }
}

// Does a `=` that assigns stand outside all brackets? Then the brace opens a value.
bool assigns(std::string_view head) {
  if (find_word(head, "operator") != kNone) return false;
  std::size_t depth = 0;
  for (const char c : head) {
    if (c == '(' || c == '[') ++depth;
    if ((c == ')' || c == ']') && depth > 0) --depth;
    if (c == '=' && depth == 0) return true;
  }
  return false;
}

// What does a brace open that follows `head`, the text since the last `;`, `{` or `}`?
Scope scope_of(std::string_view head, bool after_function) {
  head = without_prefixes(head);
  // After `a_{a}` of a constructor's initialisers comes more of them, or the body.
  if (after_function && (head.empty() || head.starts_with(","))) return Scope::kFunction;
  for (std::string_view word :
       {"namespace", "class", "struct", "union", "enum", "extern", "concept", "using", "typedef"}) {
    if (head.starts_with(word) && (head.size() == word.size() || !is_word(head[word.size()]))) {
      return Scope::kOther;
    }
  }
  if (head.find('(') == kNone || assigns(head)) return Scope::kOther;
  return Scope::kFunction;
}

// Blanks preprocessor lines: their braces and parentheses follow other rules.
std::string without_directives(const File& file) {
  std::string code;
  bool continued = false;
  for (const Line& line : file.lines) {
    const bool directive = continued || trim(line.code).starts_with("#");
    continued = directive && line.code.ends_with("\\");
    code += directive ? std::string(line.code.size(), ' ') : line.code;
    code += '\n';
  }
  return code;
}

// --- lambdas ---

struct Lambda {
  bool found = false;
  std::string_view captures;
  std::string_view after;  // Parameters and return type.
  std::size_t body = kNone;
  std::size_t end = kNone;
};

// Reads the lambda whose `[` is at `at`, if that bracket introduces one.
Lambda lambda_at(std::string_view code, std::size_t at) {
  Lambda lambda;
  const std::string_view before = trim(code.substr(0, at));
  const bool keyword = before.ends_with("return");
  if (!before.empty() && !keyword) {
    const char last = before.back();
    if (is_word(last) || last == ')' || last == ']' || last == '[') return lambda;
  }
  if (code.substr(at).starts_with("[[")) return lambda;
  const std::size_t close = find_close(code, at);
  if (close == kNone) return lambda;
  std::size_t next = code.find_first_not_of(" \t\n", close + 1);
  if (next == kNone || (code[next] != '(' && code[next] != '{' && code[next] != '<')) return lambda;
  if (code[next] == '<') next = code.find('(', next);
  if (next != kNone && code[next] == '(') {
    const std::size_t parameters_end = find_close(code, next);
    if (parameters_end == kNone) return lambda;
    lambda.body = code.find_first_of("{;", parameters_end);
  } else {
    lambda.body = next;
  }
  if (lambda.body == kNone || code[lambda.body] != '{') return lambda;
  lambda.end = find_close(code, lambda.body);
  lambda.captures = trim(code.substr(at + 1, close - at - 1));
  lambda.after = code.substr(close + 1, lambda.body - close - 1);
  lambda.found = lambda.end != kNone;
  return lambda;
}

// Does this body suspend, lambdas inside it not counted?
bool suspends(std::string_view body) {
  std::string own(body);
  for (std::size_t at = own.find('['); at != std::string::npos; at = own.find('[', at + 1)) {
    const Lambda inner = lambda_at(own, at);
    if (inner.found)
      std::fill(own.begin() + static_cast<std::ptrdiff_t>(inner.body),
                own.begin() + static_cast<std::ptrdiff_t>(inner.end), ' ');
  }
  return find_word(own, "co_await") != kNone || find_word(own, "co_return") != kNone ||
         find_word(own, "co_yield") != kNone;
}

bool returns_task(std::string_view after) {
  const std::size_t arrow = after.rfind("->");
  return arrow != kNone &&
         (find_word(after, "Task", arrow) != kNone || find_word(after, "task", arrow) != kNone);
}

// --- conditional expressions ---

bool is_assignment(std::string_view code, std::size_t at) {
  if (code[at] != '=') return false;
  if (at + 1 < code.size() && code[at + 1] == '=') return false;
  return at == 0 || std::string_view("=!<>").find(code[at - 1]) == kNone;
}

// Where the condition of the `?` at `at` begins, at the latest.
std::size_t expression_start(std::string_view code, std::size_t at) {
  std::size_t depth = 0;
  while (at > 0) {
    const char c = code[--at];
    if (c == ')' || c == ']') ++depth;
    if (c == '(' || c == '[') {
      if (depth == 0) return at + 1;
      --depth;
    }
    if (depth > 0) continue;
    if (c == ';' || c == '{' || c == '}' || c == ',' || is_assignment(code, at)) return at + 1;
  }
  return 0;
}

// Where the last branch of the `?` at `at` ends.
std::size_t expression_end(std::string_view code, std::size_t at) {
  std::size_t depth = 0;
  for (; at < code.size(); ++at) {
    const char c = code[at];
    if (c == '(' || c == '[' || c == '{') ++depth;
    if (c == ')' || c == ']' || c == '}') {
      if (depth == 0) return at;
      --depth;
    }
    if (depth == 0 && (c == ';' || c == ',')) return at;
  }
  return at;
}

}  // namespace

void check_function_length(const Rule& rule, const File& file, Findings& out) {
  if (!file.is_cxx()) return;
  const std::string code = without_directives(file);
  std::vector<Scope> scopes;
  std::size_t functions = 0;  // How many open scopes are functions; only the outermost counts.
  std::size_t head = 0;
  std::size_t opened = 0;
  bool after_function = false;
  for (std::size_t at = 0; at < code.size(); ++at) {
    const char c = code[at];
    if (c == ';') after_function = false;
    if (c == '{') {
      const Scope scope = functions > 0 ? Scope::kFunction
                                        : scope_of({code.data() + head, at - head}, after_function);
      if (scope == Scope::kFunction && functions++ == 0) opened = file.line_at(at);
      scopes.push_back(scope);
      after_function = false;
    }
    if (c == '}' && !scopes.empty()) {
      after_function = scopes.back() == Scope::kFunction;
      scopes.pop_back();
      if (after_function && --functions == 0) {
        const std::size_t body = file.line_at(at) - opened;
        if (body > kMaxFunctionLines + 1) {
          report(rule, file, opened, "a body of " + std::to_string(body - 1) + " lines", out);
        }
      }
    }
    if (c == ';' || c == '{' || c == '}') head = at + 1;
  }
}

void check_conditional_await(const Rule& rule, const File& file, Findings& out) {
  if (!file.is_cxx()) return;
  const std::string_view code = file.code;
  for (std::size_t at = code.find('?'); at != kNone; at = code.find('?', at + 1)) {
    const std::size_t start = expression_start(code, at);
    const std::string_view expression = code.substr(start, expression_end(code, at) - start);
    if (find_word(expression, "co_await") == kNone) continue;
    report(rule, file, file.line_at(at), "co_await inside `? :`", out);
  }
}

void check_lambda_coroutine(const Rule& rule, const File& file, Findings& out) {
  if (!file.is_cxx()) return;
  const std::string_view code = file.code;
  for (std::size_t at = code.find('['); at != kNone; at = code.find('[', at + 1)) {
    const Lambda lambda = lambda_at(code, at);
    if (!lambda.found || lambda.captures.empty()) continue;
    const std::string_view body = code.substr(lambda.body + 1, lambda.end - lambda.body - 1);
    if (!returns_task(lambda.after) && !suspends(body)) continue;
    report(rule, file, file.line_at(at), "a coroutine with captures", out);
  }
}

}  // namespace tidy
