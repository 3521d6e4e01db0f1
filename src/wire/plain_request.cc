#include "wire/plain_request.h"

#include <string>

#include "wire/keep_alive.h"
#include "wire/message_ends.h"
#include "wire/plain_json.h"
#include "wire/request_keys.h"
#include "wire/runner_options.h"

namespace drover::wire {
namespace {

using Key = RequestKey;
using Kind = PlainValue::Kind;

// The keys of one object. More than it has room for are rare.
class Keys {
 public:
  // False: it is there already in some spelling, or may be, or there is no room.
  bool add(std::string_view key) {
    constexpr std::size_t kLongest = 64;
    if (size_ == keys_.size() || key.size() > kLongest || !is_folded(key)) return false;
    for (std::size_t i = 0; i < size_; ++i) {
      if (keys_[i] == key) return false;
    }
    keys_[size_++] = key;
    return true;
  }

 private:
  std::array<std::string_view, 24> keys_;
  std::size_t size_ = 0;
};

// Nothing but white space stands between its brackets.
bool is_empty(const PlainValue& container) {
  return container.text.find_first_not_of(" \t\r\n", 1) == container.text.size() - 1;
}

// Calls `take(key, value)` for each member. False, which also `take` may say: give up.
template <class Take>
bool read_members(std::string_view object, Take take) {
  Keys keys;
  PlainContainer members(object);
  if (!members.is_object()) return false;
  while (members.next()) {
    if (!keys.add(members.key()) || !take(members.key(), members.value())) return false;
  }
  return members.complete();
}

struct Reader {
  std::string_view body;
  const JsonLimits& limits;
  std::optional<std::uint64_t> salt;
  RequestFacts facts;
  std::string_view model;
  std::string_view name;

  bool take(std::string_view key, const PlainValue& value);
  bool take_name(std::string_view& into, const PlainValue& value) const;
  bool place_object(const PlainValue& value, OptionPlaces::Options& what,
                    OptionPlaces::Place& at) const;
  bool take_messages(const PlainValue& value);
  bool take_options(const PlainValue& value);
  bool take_keep_alive(const PlainValue& value);
  bool take_stream_options(const PlainValue& value);
  std::uint64_t offset_of(const PlainValue& value) const {
    return static_cast<std::uint64_t>(value.text.data() - body.data());
  }
};

// False: give up.
bool Reader::take(std::string_view key, const PlainValue& value) {
  const std::size_t index = known_index(key);
  if (index == static_cast<std::size_t>(Key::kOptions)) return take_options(value);
  if (index == static_cast<std::size_t>(Key::kStreamOptions)) return take_stream_options(value);
  if (index >= static_cast<std::size_t>(Key::kOther) || value.kind == Kind::kNull) return true;
  const bool empty_text = value.is_text() && value.text.empty();
  switch (static_cast<Key>(index)) {
    case Key::kModel:
      return take_name(model, value);
    case Key::kName:
      return take_name(name, value);
    case Key::kStream:
      facts.stream = value.kind == Kind::kTrue;
      return value.kind == Kind::kTrue || value.kind == Kind::kFalse;
    case Key::kPrompt:
      if (!empty_text) facts.empty_prompt = false;
      return true;
    case Key::kMessages:
      if (value.kind != Kind::kArray || !is_empty(value)) facts.empty_prompt = false;
      return !salt || value.kind != Kind::kArray || take_messages(value);
    case Key::kTools:
      if (value.is_container() && !is_empty(value)) facts.has_tools = true;
      return true;
    case Key::kFormat:
      if (!empty_text) facts.has_tools = true;
      return true;
    case Key::kKeepAlive:
      return take_keep_alive(value);
    case Key::kOptions:
    case Key::kStreamOptions:
    case Key::kOther:
      break;
  }
  return true;
}

bool Reader::take_name(std::string_view& into, const PlainValue& value) const {
  into = value.text;
  return value.is_text() && !value.has_escapes && value.text.size() <= limits.max_model;
}

bool Reader::take_messages(const PlainValue& value) {
  MessageEnds ends(*salt);
  PlainContainer messages(value.text);
  while (messages.next()) {
    if (messages.value().kind != Kind::kObject) continue;
    ends.feed(messages.value().text.substr(1));  // as RequestInspector does
    ends.ended();
  }
  facts.beginnings = ends.take();
  return messages.complete();
}

// False: it is no object.
bool Reader::place_object(const PlainValue& value, OptionPlaces::Options& what,
                          OptionPlaces::Place& at) const {
  using Options = OptionPlaces::Options;
  const bool null = value.kind == Kind::kNull;
  at = {offset_of(value), null ? value.text.size() : 0};
  what = null ? Options::kNull : Options::kOther;
  if (value.kind != Kind::kObject) return false;
  what = is_empty(value) ? Options::kEmpty : Options::kFilled;
  return true;
}

bool Reader::take_options(const PlainValue& value) {
  if (!place_object(value, facts.places.options, facts.places.at)) return true;
  return read_members(value.text, [this](std::string_view key, const PlainValue& option) {
    const bool number = option.kind == Kind::kNumber;
    const bool truth = option.kind == Kind::kTrue || option.kind == Kind::kFalse;
    const bool named = key == kNumCtx || runner_option(key) < kRunnerOptions.size();
    if (number && named && option.text.size() >= kLongestNumber) return false;
    if (key == kNumCtx) {
      const bool known = number || option.kind == Kind::kNull;
      note_context(facts, known ? option.text : std::string_view{}, offset_of(option));
    } else if (named && (number || truth)) {
      note_option(facts, key, option.text, offset_of(option));
    }
    return true;
  });
}

bool Reader::take_keep_alive(const PlainValue& value) {
  const bool number = value.kind == Kind::kNumber;
  if (!number && !value.is_text()) return true;
  if (value.text.size() >= kLongestNumber || value.has_escapes) return false;
  facts.kept_alive = number ? keep_alive_of_number(value.text) : keep_alive_of_text(value.text);
  const std::uint64_t quote = number ? 0 : 1;
  if (facts.kept_alive) {
    facts.keep_alive = {offset_of(value) - quote, value.text.size() + 2 * quote};
  }
  return true;
}

bool Reader::take_stream_options(const PlainValue& value) {
  UsagePlaces& places = facts.usage_places;
  if (!place_object(value, places.options, places.at)) return true;
  return read_members(value.text, [this, &places](std::string_view key, const PlainValue& option) {
    if (key != kIncludeUsage) return true;
    facts.include_usage = option.kind == Kind::kTrue;
    const bool none = option.kind == Kind::kFalse || option.kind == Kind::kNull;
    if (none) places.include_usage = {offset_of(option), option.text.size()};
    if (!none && !facts.include_usage) places.options = OptionPlaces::Options::kOther;
    return true;
  });
}

}  // namespace

std::optional<RequestFacts> read_plain_request(std::string_view body, const JsonLimits& limits,
                                               std::optional<std::uint64_t> salt) {
  Reader reader{body, limits, salt, {}, {}, {}};
  reader.facts.places.document = body.find_first_not_of(" \t\r\n");
  const bool read = read_members(body, [&reader](std::string_view key, const PlainValue& value) {
    return reader.take(key, value);
  });
  if (!read) return std::nullopt;
  const std::string_view model = reader.model.empty() ? reader.name : reader.model;
  // An empty "model" is said all the same.
  if (reader.model.data() != nullptr || reader.name.data() != nullptr) {
    reader.facts.model = std::string(model);
  }
  return std::move(reader.facts);
}

}  // namespace drover::wire
