#include <fmt/format.h>

#include "app/effective.h"
#include "app/escape.h"
#include "app/http_get.h"
#include "app/status_table.h"
#include "app/verbs.h"
#include "config/address.h"

namespace drover::app {
namespace {

constexpr Duration kPatience = std::chrono::seconds(3);

cli::Printed failure(std::string message) {
  return {cli::kFailed, "", "drover: " + std::move(message) + "\n"};
}

std::string explain(const config::HostPort& admin, const Error& error) {
  const std::string where = admin.to_string();
  switch (error.kind) {
    case ErrorKind::kRefused:
      return fmt::format(
          "drover is not running on {} (connection refused). Start it with: drover "
          "serve",
          where);
    case ErrorKind::kTimeout:
      return fmt::format(
          "{} did not answer within {} seconds; is it drover's admin address, and is "
          "the machine overloaded?",
          where, std::chrono::duration_cast<std::chrono::seconds>(kPatience).count());
    default:
      return fmt::format(
          "{} gave no status ({}); is it drover's admin address? Name another with "
          "--admin HOST:PORT",
          where, error.message);
  }
}

// Where to ask, and what the operator should know about that.
struct Target {
  config::HostPort admin;
  std::string warning;
};

Result<Target> target(const cli::ConfigOptions& options, const config::Environment& environment) {
  // An address that was given: no file can matter, not even a broken one. Unlike the address that a
  // drover listens on it may be a name, since the drover may run elsewhere.
  const auto variable = environment("DROVER_ADMIN");
  if (options.admin || variable) {
    Result<config::HostPort> admin =
        config::parse_host_port(options.admin ? *options.admin : *variable, config::kAdminPort);
    if (admin) return Target{*std::move(admin), ""};
    const char* source = options.admin ? "--admin: " : "DROVER_ADMIN: ";
    admin.error().message = source + admin.error().message;
    return admin.error();
  }
  const Effective effective = effective_config(options, environment);
  if (effective.result.ok()) return Target{effective.result.config.admin, ""};
  const std::string first = text_words(effective.result.errors.front().render());
  if (!effective.file && options.file) {
    return Error{ErrorKind::kConfig, Origin::kSelf, Retry::kNever, first};
  }
  // A file that somebody is editing must not hide a drover that runs.
  return Target{effective.result.config.admin,
                fmt::format("warning: {} (drover check shows all errors); asking {}\n", first,
                            effective.result.config.admin.to_string())};
}

cli::Printed show(const config::HostPort& admin, cli::Output output) {
  const Result<Answer> answer = http_get(admin, "/api/v1/status", kPatience);
  if (!answer) return failure(explain(admin, answer.error()));
  if (answer->status != 200) {
    return failure(fmt::format("{} answered {} instead of a status; is it drover's admin address?",
                               admin.to_string(), answer->status));
  }
  if (output == cli::Output::kJson) {
    const bool ends = answer->body.ends_with('\n');
    return {cli::kDone, answer->body + (ends ? "" : "\n"), ""};
  }
  Result<std::string> table = status_table(answer->body);
  if (!table) return failure(explain(admin, table.error()));
  return {cli::kDone, *std::move(table), ""};
}

}  // namespace

cli::Printed run_status(const cli::StatusCommand& command, const config::Environment& environment) {
  const Result<Target> where = target(command.config, environment);
  if (!where) return failure(where.error().message);
  cli::Printed printed = show(where->admin, command.output);
  printed.err = where->warning + printed.err;
  return printed;
}

}  // namespace drover::app
