// Any bytes, in two ways of cutting them: the same facts or the same refusal. What is accepted is
// JSON for another parser too, and that parser finds the same model and stream.

#include <simdjson.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/rng.h"
#include "wire/json_fuzz_grammar.h"
#include "wire/json_fuzz_judge.h"
#include "wire/json_scan.h"
#include "wire/plain_request.h"

namespace {

using drover::Duration;
using drover::Result;
using drover::Rng;
using drover::wire::Edit;
using drover::wire::RequestFacts;
using drover::wire::RequestInspector;

constexpr std::uint64_t kSalt = 7;

void require(bool condition) {
  if (!condition) std::abort();
}

Result<RequestFacts> inspect(std::string_view body, std::uint64_t longest, std::uint64_t seed) {
  Rng rng(seed);
  RequestInspector inspector({}, kSalt);
  while (!body.empty()) {
    const std::string_view piece = body.substr(0, 1 + rng.below(longest));
    (void)inspector.feed(piece);
    body.remove_prefix(piece.size());
  }
  return inspector.finish();
}

std::string show(const Result<RequestFacts>& result) {
  if (!result) return result.error().message;
  std::string out = result->model.value_or("\xFF") + '/';
  out += result->stream ? (*result->stream ? '1' : '0') : '-';
  out += result->include_usage ? 'u' : '-';
  out += result->has_tools ? 't' : '-';
  out += result->empty_prompt ? 'e' : '-';
  out += std::to_string(result->num_ctx.value_or(0));
  const auto& places = result->places;
  out += '~' + std::to_string(places.document) + '~' + std::to_string(result->other_runner_options);
  out += '~' + std::to_string(static_cast<int>(places.options));
  if (static_cast<int>(places.options) != 0) {
    out += '@' + std::to_string(places.at.offset) + '+' + std::to_string(places.at.length);
  }
  for (const auto& end : result->beginnings.all()) {
    out += '=' + std::to_string(end.hash) + '+' + std::to_string(end.bytes);
  }
  for (const auto& place : places.others) {
    out += '@' + std::to_string(place.offset) + '+' + std::to_string(place.length);
  }
  const auto& usage = result->usage_places;
  out += '~' + std::to_string(static_cast<int>(usage.options));
  out += '@' + std::to_string(usage.at.offset) + '+' + std::to_string(usage.at.length);
  out += '@' + std::to_string(usage.include_usage.offset) + '+' +
         std::to_string(usage.include_usage.length);
  out += '~' + std::to_string(result->kept_alive.value_or(Duration(1)).count());
  out += '@' + std::to_string(result->keep_alive.offset) + '+' +
         std::to_string(result->keep_alive.length);
  out += places.num_ctx_is_wrong ? 'w' : '-';
  out += '@' + std::to_string(places.num_ctx.offset) + '+' + std::to_string(places.num_ctx.length);
  for (const Edit& edit : result->edits) {
    out += '/' + std::to_string(edit.offset) + '+' + std::to_string(edit.length) + edit.text;
  }
  return out;
}

// An empty or absent "model" lets "name" speak.
std::string_view text_of(simdjson::dom::element document, const char* key) {
  std::string_view text;
  return document[key].get(text) ? std::string_view{} : text;
}

void compare_with_simdjson(const std::string& body, const RequestFacts& facts) {
  simdjson::dom::parser parser;
  simdjson::dom::element document;
  const auto error = parser.parse(body).get(document);
  if (drover::wire::is_known_difference(error, body)) return;
  require(!error);
  const std::string_view model = text_of(document, "model");
  require(facts.model.value_or("") == (model.empty() ? text_of(document, "name") : model));
  bool stream = false;
  const bool has_stream = !document["stream"].get(stream);
  require(has_stream == facts.stream.has_value());
  require(!has_stream || stream == *facts.stream);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  const auto whole = inspect(body, size + 1, 0);
  const std::string facts = show(whole);
  require(show(inspect(body, 1, 0)) == facts);
  require(show(inspect(body, 7, size)) == facts);
  require(show(inspect(body, 64, size)) == facts);
  const auto plain = drover::wire::read_plain_request(body, {}, kSalt);
  if (plain) require(show(*plain) == facts);
  if (!whole) return 0;
  const std::string canonical = drover::wire::edited(std::string(body), whole->edits);
  const auto again = inspect(canonical, canonical.size() + 1, 0);
  require(again.ok() && again->edits.empty() && again->model == whole->model);
  compare_with_simdjson(canonical, *whole);
  return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t max_size, unsigned seed) {
  return drover::wire::GrammarMutation(drover::wire::kJsonGrammar, seed)
      .apply(data, size, max_size);
}
