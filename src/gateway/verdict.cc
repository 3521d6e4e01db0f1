#include "gateway/verdict.h"

#include <fmt/format.h>

#include <array>

namespace drover::gateway {
namespace {

// Errors that every instance would repeat: the model or the request is at fault, not the instance.
constexpr std::array<std::string_view, 3> kSameEverywhere = {
    "may be incompatible with your version of Ollama", "unsupported model architecture",
    "must be of type"};  // an option

// 500 texts that mean "full", not "ill".
constexpr std::array<std::string_view, 2> kBusyTexts = {"no slots available", "llm busy"};

// The process that computed is gone; with 0.30 and later, and before.
constexpr std::array<std::string_view, 3> kRunnerDied = {"model runner has unexpectedly stopped",
                                                         "llama-server process no longer running",
                                                         "llama runner process no longer running"};

template <std::size_t N>
bool contains_any(std::string_view text, const std::array<std::string_view, N>& needles) {
  for (std::string_view needle : needles) {
    if (text.find(needle) != std::string_view::npos) return true;
  }
  return false;
}

Verdict judge_success(const Route& route, std::string_view content_type,
                      const wire::DocumentFacts& facts) {
  const bool json = is_media_type(content_type, "application/json");
  // A transcription may be asked for as plain text, in which nothing can be told from anything.
  const bool text = is_media_type(content_type, "text/plain");
  if (route.treatment == Treatment::kMultipart && text) return {};
  if (!json || !facts.valid) {
    return {core::AttemptResult::kFailed, true,
            "the instance answered 200 with something that is "
            "not a JSON document"};
  }
  // An object of the Responses API carries the error of the response that it describes.
  if (facts.has_error && route.inference && route.shape != StreamShape::kResponses) {
    return {judge_error(facts.error), true, facts.error};
  }
  if (facts.truncated && route.inference) {
    return {core::AttemptResult::kFailed, true,
            "the instance ended the generation before it was done"};
  }
  return {};
}

}  // namespace

core::AttemptResult judge_error(std::string_view text) {
  return contains_any(text, kRunnerDied) ? core::AttemptResult::kDied
                                         : core::AttemptResult::kFailed;
}

Result<void> judge_answer_head(const wire::ResponseHead& head) {
  const auto refused = [](std::string message) {
    return Error{ErrorKind::kUpstream, Origin::kInstance, Retry::kSafe, std::move(message)};
  };
  for (const wire::Field& field : head.fields) {
    if (!wire::field_is(field.name, "content-encoding")) continue;
    if (field.value.empty() || wire::field_is(field.value, "identity")) continue;
    return refused("the instance compressed its answer, which it was not asked to");
  }
  if (head.status < 400 && head.status != 200) {
    return refused(
        fmt::format("the instance answered with status {}, as no Ollama does", head.status));
  }
  return {};
}

bool is_media_type(std::string_view content_type, std::string_view media_type) {
  std::string_view name = content_type.substr(0, content_type.find(';'));
  while (name.ends_with(' ') || name.ends_with('\t')) name.remove_suffix(1);
  return wire::field_is(name, media_type);
}

Verdict judge(const Route& route, int status, std::string_view content_type,
              const wire::DocumentFacts& facts) {
  if (status == 200) return judge_success(route, content_type, facts);
  const std::string text = facts.error.empty() ? fmt::format("status {}", status) : facts.error;
  // A 404 that is no JSON speaks of the route, not of the model: an Ollama that is older than it.
  if (status == 404 && !facts.valid) return {};
  // "model 'x' not found": placement. Another 404 is about something in the request.
  if (status == 404 && text.find("not found") != std::string::npos) {
    return {core::AttemptResult::kNoModel, true, text};
  }
  if (status == 503) return {core::AttemptResult::kBusy, true, text};
  if (status == 500 && contains_any(text, kSameEverywhere)) return {};
  if (status == 500 && contains_any(text, kBusyTexts)) {
    return {core::AttemptResult::kBusy, true, text};
  }
  if (status == 500) return {judge_error(text), true, text};
  // 400, 401, 403, 413 …: the client's own; 502 and 504: a cloud that could not be reached.
  return {};
}

}  // namespace drover::gateway
