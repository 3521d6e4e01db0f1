// A body that the gate has let pass, read for what it says about models: another parser finds the
// same texts in it, pieces make no difference to where the model stands, and nothing is taken for
// an unload that asks for an answer.

#include "wire/model_request.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "wire/http_fuzz_pieces.h"
#include "wire/json_fuzz_grammar.h"
#include "wire/json_fuzz_judge.h"
#include "wire/request_keys.h"

namespace drover::wire {
namespace {

using simdjson::dom::element;

constexpr std::size_t kMaxName = 1024;

constexpr std::string_view kMembers[] = {
    "{",
    "}",
    "\"model\":\"m\",",
    "\"MODEL\":\"m\",",
    "\"model\":\"\",",
    "\"model\":null,",
    "\"name\":\"n\",",
    "\"from\":\"f\",",
    "\"\\u0046rom\":\"\\u0066\",",
    "\"source\":\"s\",",
    "\"\xc5\xbfource\":\"s\",",
    "\"destination\":\"d\",",
    "\"Destination\":[],",
    "\"insecure\":true,",
    "\"stream\":false,",
    "\"files\":{\"from\":\"x\"},",
    "\"prompt\":\"\",",
    "\"prompt\":\"p\",",
    "\"messages\":[],",
    "\"messages\":[{\"content\":\"c\"}],",
    "\"messages\":null,",
    "\"keep_alive\":0,",
    "\"keep_alive\":-0.0e5,",
    "\"keep_alive\":\"0h0m0s\",",
    "\"keep_alive\":\"1ns\",",
    "\"keep_alive\":5",
};
constexpr FuzzGrammar kGrammar{",", kMembers, kJsonWords};

// What the document says, by the other parser. False: a text that drover refuses.
bool read_with(const element& document, ModelRequest& out) {
  std::string name;
  std::string key;
  bool texts = true;
  for (const auto& [written, value] : document.get_object()) {
    fold_into(key, written);
    std::string* into = nullptr;
    if (key == "model") into = &out.model;
    if (key == "name") into = &name;
    if (key == "from") into = &out.from;
    if (key == "source") into = &out.source;
    if (key == "destination") into = &out.destination;
    if (into != nullptr && value.is_string()) *into = std::string_view(value);
    const bool fits = value.is_string() && std::string_view(value).size() <= kMaxName;
    if (into != nullptr && !fits && !value.is_null()) texts = false;
    if (key == "stream") out.stream = !value.is_bool() || bool(value);
    if (key == "insecure") out.insecure = value.is_bool() && bool(value);
  }
  if (out.model.empty()) out.model = name;
  return texts;
}

void check_texts(const element& document, const std::string& body) {
  ModelRequest theirs;
  const bool texts = read_with(document, theirs);
  const Result<ModelRequest> ours = read_model_request(body);
  require(ours.ok() == texts, "what is refused is no text");
  if (!ours) return;
  require(ours->model == theirs.model && ours->from == theirs.from, "the models");
  require(ours->source == theirs.source && ours->destination == theirs.destination, "a copy");
  require(ours->stream == theirs.stream && ours->insecure == theirs.insecure, "the flags");
}

void check_place(const std::string& body, const RequestFacts& facts) {
  ModelValue whole;
  whole.feed(body);
  ModelValue pieces;
  RandomPieces next(body);
  for (std::string_view rest = body; !rest.empty();) {
    const std::string_view piece = rest.substr(0, next(rest.size()));
    pieces.feed(piece);
    rest.remove_prefix(piece.size());
  }
  const ModelValue::Place at = whole.place();
  require(at.offset == pieces.place().offset && at.length == pieces.place().length, "one place");
  require((at.length != 0) == !facts.model.value_or("").empty(), "where a model is, is a place");
  if (at.length == 0) return;
  require(at.length >= 2 && at.offset + at.length <= body.size(), "within the body");
  simdjson::dom::parser parser;
  std::string_view text;
  const auto error = parser.parse(body.substr(at.offset, at.length)).get(text);
  require(error == simdjson::SUCCESS && text == *facts.model, "the model stands there");
}

// Of what drover takes for an unload, nothing may ask for an answer.
void check_unload(const element& document, const std::string& body) {
  if (!asks_to_unload(body)) return;
  std::string_view prompt;
  require(document["prompt"].get(prompt) != simdjson::SUCCESS || prompt.empty(), "no prompt");
  simdjson::dom::array messages;
  const bool some = document["messages"].get(messages) == simdjson::SUCCESS;
  require(!some || messages.size() == 0, "no message");
  element kept;
  require(document["keep_alive"].get(kept) == simdjson::SUCCESS, "it says how long");
  double number = 1;
  std::string_view text;
  // Less than a nanosecond is none.
  const bool zero = (kept.get(number) == simdjson::SUCCESS && number > -1e-9 && number < 1e-9) ||
                    (kept.get(text) == simdjson::SUCCESS &&
                     (text.find_first_of("123456789") == text.npos || text.find('n') != text.npos));
  require(zero, "and that is zero");
}

void check(std::string_view input) {
  RequestInspector inspector;
  (void)inspector.feed(input);
  const Result<RequestFacts> facts = inspector.finish();
  if (!facts) return;
  const std::string body = edited(std::string(input), facts->edits);
  check_place(body, *facts);
  simdjson::dom::parser parser;
  element document;
  const auto error = parser.parse(body).get(document);
  if (error) return require(is_known_difference(error, body), "JSON elsewhere too");
  check_texts(document, body);
  check_unload(document, body);
}

}  // namespace
}  // namespace drover::wire

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  drover::wire::check({reinterpret_cast<const char*>(data), size});
  return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t max_size, unsigned seed) {
  return drover::wire::GrammarMutation(drover::wire::kGrammar, seed).apply(data, size, max_size);
}
