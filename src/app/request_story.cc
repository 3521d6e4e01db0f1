#include "app/request_story.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <iterator>

#include "app/cells.h"

namespace drover::app {
namespace {

using simdjson::dom::element;

bool has_text(element request, std::string_view key) {
  std::string_view text;
  return request[key].get(text) == simdjson::SUCCESS && !text.empty();
}

std::uint64_t count_of(element request, std::string_view key) {
  std::uint64_t count = 0;
  return request[key].get(count) == simdjson::SUCCESS ? count : 0;
}

// "0.1 ms", "312 ms", "2.31 s"; nothing when there is no such time.
std::string duration_of(element request, std::string_view key) {
  double millis = 0;
  if (request[key].get(millis) != simdjson::SUCCESS) return "";
  if (millis < 10) return fmt::format("{:.1f} ms", millis);
  if (millis < 1000) return fmt::format("{:.0f} ms", millis);
  return fmt::format("{:.2f} s", millis / 1000);
}

// "Request abc, 12s ago: /api/chat for llama3.2:latest, from 127.0.0.1"
std::string asked(element request) {
  std::string text = fmt::format(
      "Request {}, {} ago: {}", text_of(request, "id"), time_of(request, "arrived_seconds_ago"),
      has_text(request, "route") ? text_of(request, "route") : "an unknown path");
  if (has_text(request, "model")) text += " for " + text_of(request, "model");
  return text + fmt::format(", from {}\n", text_of(request, "client"));
}

// What the client saw, in a sentence, and with a failure its own.
std::string ending(element request) {
  const std::string outcome = text_of(request, "outcome");
  const std::string instance = text_of(request, "instance");
  const std::string status = number_of(request, "status");
  const bool placed = has_text(request, "instance");
  const bool failed = has_text(request, "failure");
  const std::string failure = failed ? ": " + text_of(request, "failure") : "";
  if (outcome == "refused") return fmt::format("Refused with status {}{}\n", status, failure);
  if (outcome == "failed") return fmt::format("Failed with status {}{}\n", status, failure);
  if (outcome == "broken") {
    return fmt::format("Broke off when {} had sent a part of the answer{}\n", instance, failure);
  }
  std::string text;
  if (outcome != "client_gone") {
    text = fmt::format("Answered by {} with status {}\n", instance, status);
  } else if (placed) {
    text = fmt::format("The client left before it had the whole answer of {}\n", instance);
  } else {
    text = "The client left before an instance had it\n";
  }
  if (failed) text += fmt::format("A failure on the way{}\n", failure);
  return text;
}

std::string times(element request) {
  std::string text = "\n";
  const auto add = [&](std::string_view what, const std::string& value) {
    if (!value.empty()) fmt::format_to(std::back_inserter(text), "  {:<22}{:>9}\n", what, value);
  };
  double queued = 0;
  const bool waited = request["queued_ms"].get(queued) == simdjson::SUCCESS && queued >= 0.1;
  if (waited || has_text(request, "instance")) {
    add("waited in drover", duration_of(request, "queued_ms"));
  }
  // As the instance says, for which it takes a moment too to find a model loaded.
  add("load in the instance", duration_of(request, "load_ms"));
  add("first token after", duration_of(request, "first_token_ms"));
  add("all over after", duration_of(request, "total_ms"));
  if (const auto retries = count_of(request, "retries")) {
    add("tried again", fmt::format("{} {}", retries, retries == 1 ? "time" : "times"));
  }
  if (count_of(request, "prompt_tokens") + count_of(request, "output_tokens") > 0) {
    add("tokens read", number_of(request, "prompt_tokens"));
    add("tokens written", number_of(request, "output_tokens"));
  }
  return text;
}

// The line that X-Drover-Why has, broken where it goes on with the next instance.
std::string decision(element request) {
  if (!has_text(request, "why")) return "\nNo instance was chosen, and none was considered.\n";
  constexpr std::string_view kNext = "; ";
  const std::string why = text_of(request, "why");
  std::string text = "\nThe decision:\n";
  std::string indent = "  ";
  bool has_candidates = false;
  bool has_delays = false;
  for (std::size_t at = 0; at <= why.size();) {
    const std::size_t end = std::min(why.find(kNext, at), why.size());
    const std::string line = why.substr(at, end - at);
    text += indent + line + '\n';
    has_candidates = has_candidates || at > 0;
    has_delays = has_delays || (at > 0 && line.ends_with(" s"));
    indent = "    ";
    at = end + kNext.size();
  }
  if (has_candidates) {
    text +=
        "\nEach instance as it was then: why it was passed over, or the requests it had under "
        "way.\n";
  }
  if (has_delays) {
    text += "The time is the delay, whoever's, that was expected of sending this request there.\n";
  }
  return text;
}

}  // namespace

Result<std::string> request_story(std::string_view json) {
  simdjson::dom::parser parser;
  element request;
  const bool usable = parser.parse(json.data(), json.size()).get(request) == simdjson::SUCCESS &&
                      request.is_object() && has_text(request, "id");
  if (!usable) {
    return Error{ErrorKind::kUpstream, Origin::kInstance, Retry::kNever,
                 "the answer is no request of drover"};
  }
  return asked(request) + ending(request) + times(request) + decision(request);
}

}  // namespace drover::app
