#include "app/admin_target.h"

#include <fmt/format.h>

#include "app/effective.h"
#include "app/escape.h"
#include "config/address.h"

namespace drover::app {

Result<AdminTarget> admin_target(const cli::ConfigOptions& options,
                                 const config::Environment& environment) {
  // An address that was given: no file can matter, not even a broken one. Unlike the address that a
  // drover listens on it may be a name, since the drover may run elsewhere.
  const auto variable = environment("DROVER_ADMIN");
  if (options.admin || variable) {
    Result<config::HostPort> admin =
        config::parse_host_port(options.admin ? *options.admin : *variable, config::kAdminPort);
    if (admin) return AdminTarget{*std::move(admin), true, ""};
    const char* source = options.admin ? "--admin: " : "DROVER_ADMIN: ";
    admin.error().message = source + admin.error().message;
    return admin.error();
  }
  const Effective effective = effective_config(options, environment);
  if (effective.result.ok()) return AdminTarget{effective.result.config.admin, false, ""};
  const std::string first = text_words(effective.result.errors.front().render());
  if (!effective.file && options.file) {
    return Error{ErrorKind::kConfig, Origin::kSelf, Retry::kNever, first};
  }
  // A file that somebody is editing must not hide a drover that runs.
  return AdminTarget{effective.result.config.admin, false,
                     fmt::format("warning: {} (drover check shows all errors); asking {}\n", first,
                                 effective.result.config.admin.to_string())};
}

std::string explain_no_answer(const config::HostPort& admin, const Error& error) {
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
          where, std::chrono::duration_cast<std::chrono::seconds>(kAdminPatience).count());
    default:
      return fmt::format(
          "{} gave no status ({}); is it drover's admin address? Name another with "
          "--admin HOST:PORT",
          where, error.message);
  }
}

}  // namespace drover::app
