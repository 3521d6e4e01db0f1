#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <span>
#include <string>
#include <string_view>

#include "app/effective.h"
#include "app/escape.h"
#include "app/verbs.h"
#include "config/schema.h"

namespace drover::app {
namespace {

std::string plural(std::size_t count, std::string_view word) {
  return fmt::format("{} {}{}", count, word, count == 1 ? "" : "s");
}

// Where the values come from, for the first line.
std::string origin(const Effective& effective) {
  if (effective.file) return *effective.file;
  return "no configuration file (defaults, environment and flags)";
}

std::string summary(const Effective& effective) {
  const config::Config& config = effective.result.config;
  std::string out = fmt::format("{}: fine\n", text_words(origin(effective)));
  std::string_view label = "listen";
  for (const config::HostPort& address : config.listen) {
    fmt::format_to(std::back_inserter(out), "  {:<10} {}\n", label, address.to_string());
    label = "";
  }
  fmt::format_to(std::back_inserter(out), "  {:<10} {}\n  {:<10} {}\n", "admin",
                 config.admin.to_string(), "policy", to_string(config.policy));
  if (config.backends.empty()) {
    fmt::format_to(std::back_inserter(out),
                   "  {:<10} none configured; drover serve looks for an Ollama on this machine\n",
                   "instances");
  }
  std::size_t width = 0;
  for (const config::Backend& backend : config.backends) {
    width = std::max(width, backend.name.size());
  }
  label = "instances";
  for (const config::Backend& backend : config.backends) {
    fmt::format_to(std::back_inserter(out), "  {:<10} {:<{}}  {}  at most {} in flight\n", label,
                   backend.name, width, backend.url, backend.max_in_flight);
    label = "";
  }
  return out;
}

cli::Printed as_text(const Effective& effective) {
  const config::LoadResult& result = effective.result;
  cli::Printed printed;
  for (const config::Problem& problem : result.warnings) {
    printed.err += "warning: " + text_words(problem.render()) + "\n";
  }
  for (const config::Problem& problem : result.errors) {
    printed.err += text_words(problem.render()) + "\n";
  }
  if (result.ok()) {
    printed.out = summary(effective);
    return printed;
  }
  printed.exit_code = cli::kFailed;
  printed.err += fmt::format("{}\n", plural(result.errors.size(), "error"));
  return printed;
}

std::string json_problems(std::span<const config::Problem> problems) {
  std::string out = "[";
  for (const config::Problem& problem : problems) {
    fmt::format_to(std::back_inserter(out),
                   R"({}{{"source":{},"line":{},"column":{},"message":{}}})",
                   out.size() > 1 ? "," : "", json_quoted(problem.source), problem.line,
                   problem.column, json_quoted(problem.message));
  }
  return out + "]";
}

std::string json_config(const config::Config& config) {
  std::string listen;
  for (const config::HostPort& address : config.listen) {
    listen += (listen.empty() ? "" : ",") + json_quoted(address.to_string());
  }
  std::string instances;
  for (const config::Backend& backend : config.backends) {
    fmt::format_to(std::back_inserter(instances), R"({}{{"name":{},"url":{},"max_in_flight":{}}})",
                   instances.empty() ? "" : ",", json_quoted(backend.name),
                   json_quoted(backend.url), backend.max_in_flight);
  }
  return fmt::format(R"({{"listen":[{}],"admin":{},"policy":"{}","instances":[{}]}})", listen,
                     json_quoted(config.admin.to_string()), to_string(config.policy), instances);
}

cli::Printed as_json(const Effective& effective) {
  const config::LoadResult& result = effective.result;
  const bool ok = result.ok();
  return {ok ? cli::kDone : cli::kFailed,
          fmt::format(R"({{"ok":{},"file":{},"errors":{},"warnings":{},"effective":{}}})"
                      "\n",
                      ok, effective.file ? json_quoted(*effective.file) : "null",
                      json_problems(result.errors), json_problems(result.warnings),
                      ok ? json_config(result.config) : "null"),
          ""};
}

}  // namespace

cli::Printed run_check(const cli::CheckCommand& command, const config::Environment& environment) {
  if (command.what == cli::CheckWhat::kPrintSchema) {
    return {cli::kDone, config::json_schema(), ""};
  }
  const Effective effective = effective_config(command.config, environment);
  return command.output == cli::Output::kJson ? as_json(effective) : as_text(effective);
}

}  // namespace drover::app
