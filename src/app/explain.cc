#include <fmt/format.h>
#include <simdjson.h>

#include <cctype>
#include <iterator>

#include "app/admin_target.h"
#include "app/escape.h"
#include "app/http_get.h"
#include "app/request_story.h"
#include "app/verbs.h"

namespace drover::app {
namespace {

cli::Printed failure(std::string message) {
  return {cli::kFailed, "", "drover: " + std::move(message) + "\n"};
}

// The id may be anything that somebody pasted: it must stay one part of the path.
std::string path_of(std::string_view id) {
  std::string path = "/api/v1/requests/";
  for (const char c : id) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80 && (std::isalnum(byte) != 0 || c == '-' || c == '_' || c == ':')) {
      path += c;
    } else {
      fmt::format_to(std::back_inserter(path), "%{:02X}", byte);
    }
  }
  return path;
}

// What drover says itself: that it remembers no such request, or that there can be none.
cli::Printed refused(const config::HostPort& admin, const Answer& answer) {
  simdjson::dom::parser parser;
  std::string_view detail;
  if (parser.parse(answer.body)["detail"].get(detail) == simdjson::SUCCESS && !detail.empty()) {
    return failure(text_words(detail));
  }
  return failure(fmt::format("{} answered {} instead of a request; is it drover's admin address?",
                             admin.to_string(), answer.status));
}

cli::Printed show(const config::HostPort& admin, const cli::ExplainCommand& command) {
  const Result<Answer> answer = http_get(admin, path_of(command.id), kAdminPatience);
  if (!answer) return failure(explain_no_answer(admin, answer.error()));
  if (answer->status != 200) return refused(admin, *answer);
  Result<std::string> story = request_story(answer->body);
  if (!story) return failure(explain_no_answer(admin, story.error()));
  if (command.output == cli::Output::kJson) return {cli::kDone, answer->body, ""};
  return {cli::kDone, *std::move(story), ""};
}

}  // namespace

cli::Printed run_explain(const cli::ExplainCommand& command,
                         const config::Environment& environment) {
  const Result<AdminTarget> where = admin_target(command.config, environment);
  if (!where) return failure(where.error().message);
  cli::Printed printed = show(where->admin, command);
  printed.err = where->warning + printed.err;
  return printed;
}

}  // namespace drover::app
