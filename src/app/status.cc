#include <fmt/format.h>

#include "app/admin_target.h"
#include "app/http_get.h"
#include "app/status_table.h"
#include "app/verbs.h"

namespace drover::app {
namespace {

cli::Printed failure(std::string message) {
  return {cli::kFailed, "", "drover: " + std::move(message) + "\n"};
}

cli::Printed show(const config::HostPort& admin, cli::Output output) {
  const Result<Answer> answer = http_get(admin, "/api/v1/status", kAdminPatience);
  if (!answer) return failure(explain_no_answer(admin, answer.error()));
  if (answer->status != 200) {
    return failure(fmt::format("{} answered {} instead of a status; is it drover's admin address?",
                               admin.to_string(), answer->status));
  }
  if (output == cli::Output::kJson) {
    const bool ends = answer->body.ends_with('\n');
    return {cli::kDone, answer->body + (ends ? "" : "\n"), ""};
  }
  Result<std::string> table = status_table(answer->body);
  if (!table) return failure(explain_no_answer(admin, table.error()));
  return {cli::kDone, *std::move(table), ""};
}

}  // namespace

cli::Printed run_status(const cli::StatusCommand& command, const config::Environment& environment) {
  const Result<AdminTarget> where = admin_target(command.config, environment);
  if (!where) return failure(where.error().message);
  cli::Printed printed = show(where->admin, command.output);
  printed.err = where->warning + printed.err;
  return printed;
}

}  // namespace drover::app
