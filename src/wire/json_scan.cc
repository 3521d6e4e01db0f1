#include "wire/json_scan.h"

#include <algorithm>
#include <array>
#include <functional>
#include <optional>
#include <utility>

#include "wire/json_scanner.h"
#include "wire/keep_alive.h"
#include "wire/message_ends.h"
#include "wire/plain_request.h"
#include "wire/request_keys.h"
#include "wire/runner_options.h"

namespace drover::wire {
namespace {

using Event = JsonScanner::Event;
using Key = RequestKey;

// More top-level keys than any API of ours has fields, and few enough to compare one by one.
constexpr std::size_t kMaxKeys = 256;
// Containers whose insides are reported: the document, and `options`, `messages` and so on.
constexpr std::uint32_t kReportDepth = 2;
constexpr std::string_view kNull = "null";

// The folded keys of one object, as hashes. Two keys with one hash are refused as a duplicate: by
// accident that does not happen, and on purpose it only hurts the request that does it.
class KeySet {
 public:
  enum class Added : std::uint8_t { kNew, kTwice, kFull };

  Added add(std::string_view folded) {
    const std::size_t hash = std::hash<std::string_view>{}(folded);
    const std::size_t* const end = first_.data() + std::min(size_, first_.size());
    if (std::find<const std::size_t*>(first_.data(), end, hash) != end) return Added::kTwice;
    if (std::find(more_.begin(), more_.end(), hash) != more_.end()) return Added::kTwice;
    if (size_ == kMaxKeys) return Added::kFull;
    if (size_ < first_.size()) {
      first_[size_] = hash;
    } else {
      more_.push_back(hash);
    }
    ++size_;
    return Added::kNew;
  }
  void clear() {
    more_.clear();
    size_ = 0;
  }

 private:
  std::array<std::size_t, 16> first_;  // as many as most objects have, without an allocation
  std::vector<std::size_t> more_;
  std::size_t size_ = 0;
};

}  // namespace

struct RequestInspector::State {
  State(const JsonLimits& given, const std::optional<std::uint64_t>& salt)
      : limits(given),
        scanner({.max_depth = given.max_depth,
                 .report_depth = kReportDepth,
                 .max_text = std::max(given.max_key, given.max_model) + 1}) {
    if (salt) ends.emplace(*salt);
  }

  void take(Event event);
  void key();
  void inner_key();
  void known_key(std::size_t index);
  void spell(std::string_view canonical);
  void value(Event event);
  void place_object(Event event, OptionPlaces::Options& what, OptionPlaces::Place& at) const;
  void usage_value(Event event);
  void runner_value(Event event);
  void keep_alive_value(Event event);
  void name_value(Event event, std::optional<std::string>& into, std::string_view key_name);
  void inner_value(Event event);
  void refuse(std::string_view what, std::uint64_t at);
  void duplicate(KeySet::Added added, std::string_view known, std::uint64_t at);
  std::string_view key_text() const { return scanner.text().substr(0, limits.max_key); }
  std::string_view folded_key();

  JsonLimits limits;
  JsonScanner scanner;
  RequestFacts facts;
  std::optional<std::string> model;
  std::optional<std::string> name;
  std::optional<Error> error;
  KeySet keys;
  KeySet inner_keys;
  std::string folded;  // room for folded_key()
  Key current = Key::kOther;
  std::optional<MessageEnds> ends;  // none: nobody asks for them
  bool in_messages = false;         // the array
  bool in_message = false;          // one of its objects
  bool inner_is_usage = false;
  bool inner_is_num_ctx = false;
  std::size_t inner_runner = kRunnerOptions.size();
};

RequestInspector::RequestInspector(JsonLimits limits, std::optional<std::uint64_t> salt)
    : limits_(limits), salt_(salt) {}
RequestInspector::~RequestInspector() = default;
RequestInspector::RequestInspector(RequestInspector&&) noexcept = default;

RequestInspector::State& RequestInspector::state() {
  if (state_ == nullptr) state_ = std::make_unique<State>(limits_, salt_);
  return *state_;
}

bool RequestInspector::take_whole(std::string_view body) {
  facts_ = read_plain_request(body, limits_, salt_);
  return facts_.has_value();
}

Result<void> RequestInspector::feed(std::string_view piece) {
  State& s = state();
  while (!s.error) {
    const std::string_view before = piece;
    const Event event = s.scanner.next(piece);
    if (s.in_message) s.ends->feed(before.substr(0, before.size() - piece.size()));
    if (event == Event::kMore) return {};
    s.take(event);
  }
  return *s.error;
}

Result<RequestFacts> RequestInspector::finish() {
  if (facts_) return *std::exchange(facts_, std::nullopt);
  State& s = state();
  if (!s.error && s.scanner.offset() == 0) s.refuse("missing request body", 0);
  if (!s.error && !s.scanner.complete()) {
    s.refuse("the request body ends before its JSON does", s.scanner.offset());
  }
  // A bare number has no end of its own, so no event told of it.
  if (!s.error && !s.scanner.closed()) s.refuse("the request body must be a JSON object", 0);
  if (s.error) return *s.error;
  const bool named = !s.model || s.model->empty();
  if (s.ends) s.facts.beginnings = s.ends->take();
  s.facts.model = named && s.name ? std::move(s.name) : std::move(s.model);
  return std::move(s.facts);
}

void RequestInspector::State::refuse(std::string_view what, std::uint64_t at) {
  std::string message(what);
  message += " (byte ";
  message += std::to_string(at);
  message += ')';
  error = Error{ErrorKind::kMalformed, Origin::kClient, Retry::kNever, std::move(message)};
}

void RequestInspector::State::duplicate(KeySet::Added added, std::string_view known,
                                        std::uint64_t at) {
  if (added == KeySet::Added::kFull) {
    refuse("more than " + std::to_string(kMaxKeys) + " keys in one JSON object", at);
  } else if (known.empty()) {
    refuse("a key is given twice in one JSON object", at);
  } else {
    refuse("\"" + std::string(known) + "\" is given twice", at);
  }
}

void RequestInspector::State::take(Event event) {
  const std::uint32_t depth = scanner.depth();
  if (event == Event::kBad) {
    refuse("the request body is not valid JSON: " + std::string(scanner.what()), scanner.offset());
  } else if (depth == 0) {
    if (event == Event::kBeginObject) facts.places.document = scanner.token_offset();
    const bool object = event == Event::kBeginObject || event == Event::kEndObject;
    if (!object) refuse("the request body must be a JSON object", scanner.token_offset());
  } else if (event == Event::kKey && depth == 1) {
    key();
  } else if (event == Event::kKey) {
    inner_key();
  } else if (depth == 1) {
    value(event);
  } else {
    inner_value(event);
  }
}

// Lives until the next one.
std::string_view RequestInspector::State::folded_key() {
  const std::string_view text = key_text();
  if (is_folded(text)) return text;
  fold_into(folded, text);
  return folded;
}

void RequestInspector::State::key() {
  const std::string_view key = folded_key();
  const std::size_t index = scanner.text_cut() ? kKnownKeys.size() : known_index(key);
  const bool is_known = index < kKnownKeys.size();
  const auto added = keys.add(key);
  if (added != KeySet::Added::kNew) {
    duplicate(added, is_known ? kKnownKeys[index] : std::string_view{}, scanner.token_offset());
    return;
  }
  current = Key::kOther;
  scanner.keep_of_values(1);  // of any other value it matters whether there is something in it
  if (is_known) known_key(index);
}

void RequestInspector::State::known_key(std::size_t index) {
  if (index < static_cast<std::size_t>(Key::kOther)) current = static_cast<Key>(index);
  if (current == Key::kModel || current == Key::kName) scanner.keep_of_values(limits.max_model + 1);
  if (current == Key::kKeepAlive) scanner.keep_of_values(kLongestNumber);
  inner_keys.clear();
  spell(kKnownKeys[index]);
}

// The key that was just read goes on in this spelling.
void RequestInspector::State::spell(std::string_view canonical) {
  if (scanner.text_plain() && scanner.text() == canonical) return;
  const std::uint64_t offset = scanner.token_offset();
  const std::uint64_t length = scanner.offset() - 1 - offset;  // without the closing quote
  facts.edits.push_back({offset, length, std::string(canonical)});
}

void RequestInspector::State::inner_key() {
  if (current == Key::kTools) facts.has_tools = true;
  if (current != Key::kOptions && current != Key::kStreamOptions) return;
  const std::string_view key = folded_key();
  const auto added = inner_keys.add(key);
  if (added != KeySet::Added::kNew) duplicate(added, {}, scanner.token_offset());
  OptionPlaces::Options& usage = facts.usage_places.options;
  const bool first = current == Key::kStreamOptions && usage == OptionPlaces::Options::kEmpty;
  if (first) usage = OptionPlaces::Options::kFilled;
  // Ollama reads stream_options into a struct, whose fields Go finds in any case, and options into
  // a map, in which it looks for the exact name: "NUM_CTX" is no option and must not become one.
  inner_is_usage = current == Key::kStreamOptions && key == kIncludeUsage;
  inner_is_num_ctx = current == Key::kOptions && key_text() == kNumCtx;
  inner_runner = kRunnerOptions.size();
  if (current == Key::kOptions) {
    inner_runner = runner_option(key_text());
    facts.places.options = OptionPlaces::Options::kFilled;
  }
  if (inner_is_usage) spell(kIncludeUsage);
  if (inner_is_num_ctx) spell(kNumCtx);
}

void RequestInspector::State::value(Event event) {
  if (current == Key::kOptions) place_object(event, facts.places.options, facts.places.at);
  if (current == Key::kStreamOptions) {
    place_object(event, facts.usage_places.options, facts.usage_places.at);
  }
  const bool end = event == Event::kEndObject || event == Event::kEndArray;
  const bool null = event == Event::kNull;
  if (end || null) return;
  // Of a container only: behind a bare value it would reach into the next one.
  const bool begins = event == Event::kBeginObject || event == Event::kBeginArray;
  if (current == Key::kOther && begins) scanner.skip_to(1);
  const bool empty_text = event == Event::kString && scanner.text().empty();
  switch (current) {
    case Key::kModel:
      return name_value(event, model, "model");
    case Key::kName:
      return name_value(event, name, "name");
    case Key::kStream:
      if (event != Event::kTrue && event != Event::kFalse) {
        return refuse("\"stream\" must be true or false", scanner.token_offset());
      }
      facts.stream = event == Event::kTrue;
      return;
    case Key::kKeepAlive:
      return keep_alive_value(event);
    case Key::kPrompt:
      if (!empty_text) facts.empty_prompt = false;
      return;
    case Key::kMessages:
      if (event != Event::kBeginArray) facts.empty_prompt = false;
      in_messages = ends && event == Event::kBeginArray;
      return;
    case Key::kFormat:
      if (!empty_text) facts.has_tools = true;
      return;
    default:
      return;
  }
}

void RequestInspector::State::place_object(Event event, OptionPlaces::Options& what,
                                           OptionPlaces::Place& at) const {
  using Options = OptionPlaces::Options;
  if (event == Event::kEndObject || event == Event::kEndArray) return;
  at = {scanner.token_offset(), 0};
  what = Options::kOther;
  if (event == Event::kBeginObject) what = Options::kEmpty;
  if (event != Event::kNull) return;
  what = Options::kNull;
  at.length = kNull.size();
}

void RequestInspector::State::usage_value(Event event) {
  facts.include_usage = event == Event::kTrue;
  const bool none = event == Event::kFalse || event == Event::kNull;
  const std::size_t length = event == Event::kFalse ? std::string_view("false").size() : 4;
  if (none) facts.usage_places.include_usage = {scanner.token_offset(), length};
  // Of another type: an error, which the instance shall say.
  if (!none && !facts.include_usage) facts.usage_places.options = OptionPlaces::Options::kOther;
}

// A value that Ollama takes for a load-time option; of others it says itself what is wrong.
void RequestInspector::State::runner_value(Event event) {
  const bool number = event == Event::kNumber;
  if (number && scanner.text().size() >= kLongestNumber) {
    return refuse("a number among the options has too many digits", scanner.token_offset());
  }
  if (inner_is_num_ctx) {
    const std::string_view other = event == Event::kNull ? kNull : std::string_view{};
    return note_context(facts, number ? scanner.text() : other, scanner.token_offset());
  }
  const bool truth = event == Event::kTrue || event == Event::kFalse;
  if (!truth && !number) return;
  const std::string_view text = truth ? (event == Event::kTrue ? "true" : "false") : scanner.text();
  note_option(facts, kRunnerOptions[inner_runner], text, scanner.token_offset());
}

void RequestInspector::State::keep_alive_value(Event event) {
  const std::string_view text = scanner.text();
  const bool whole = !scanner.text_cut() && text.size() < kLongestNumber;
  const std::uint64_t at = scanner.token_offset();
  if (event == Event::kNumber && whole) {
    facts.keep_alive = {at, text.size()};
    facts.kept_alive = keep_alive_of_number(text);
  } else if (event == Event::kString && whole) {
    facts.kept_alive = keep_alive_of_text(text);
    if (facts.kept_alive) facts.keep_alive = {at - 1, scanner.offset() - (at - 1)};
  }
}

void RequestInspector::State::name_value(Event event, std::optional<std::string>& into,
                                         std::string_view key_name) {
  const auto quoted = [key_name] { return '"' + std::string(key_name) + '"'; };
  if (event != Event::kString) {
    return refuse(quoted() + " must be a string", scanner.token_offset());
  }
  if (scanner.text().size() > limits.max_model) {
    return refuse(quoted() + " is longer than " + std::to_string(limits.max_model) + " bytes",
                  scanner.token_offset());
  }
  // U+FFFD would stand for many names: no store has a model that is called so.
  if (scanner.text_replaced()) {
    return refuse(quoted() + " holds half a surrogate pair", scanner.token_offset());
  }
  into = std::string(scanner.text());
}

void RequestInspector::State::inner_value(Event event) {
  switch (current) {
    case Key::kMessages:
      facts.empty_prompt = false;
      if (!in_messages) return scanner.skip_to(1);
      in_message = event == Event::kBeginObject;
      if (event == Event::kEndObject) ends->ended();
      return;
    case Key::kTools:
      facts.has_tools = true;
      scanner.skip_to(1);
      return;
    case Key::kStreamOptions:
      if (inner_is_usage) usage_value(event);
      inner_is_usage = false;
      return;
    case Key::kOptions:
      if (inner_is_num_ctx || inner_runner < kRunnerOptions.size()) runner_value(event);
      inner_is_num_ctx = false;
      inner_runner = kRunnerOptions.size();
      return;
    default:
      return;
  }
}

}  // namespace drover::wire
