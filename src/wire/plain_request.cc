#include "wire/plain_request.h"

#include <string>

#include "wire/plain_json.h"
#include "wire/request_keys.h"

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

bool is_empty(const PlainValue& container) {
  PlainContainer inside(container.text);
  return !inside.next();
}

struct Reader {
  const JsonLimits& limits;
  RequestFacts facts;
  std::string_view model;
  std::string_view name;

  bool take(std::string_view key, const PlainValue& value);
  bool take_name(std::string_view& into, const PlainValue& value) const;
  bool take_options(const PlainValue& value);
  bool take_stream_options(const PlainValue& value);
};

// False: give up.
bool Reader::take(std::string_view key, const PlainValue& value) {
  const std::size_t index = known_index(key);
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
      return true;
    case Key::kTools:
      if (value.is_container() && !is_empty(value)) facts.has_tools = true;
      return true;
    case Key::kFormat:
      if (!empty_text) facts.has_tools = true;
      return true;
    case Key::kOptions:
      return take_options(value);
    case Key::kStreamOptions:
      return take_stream_options(value);
    case Key::kOther:
      break;
  }
  return true;
}

bool Reader::take_name(std::string_view& into, const PlainValue& value) const {
  into = value.text;
  return value.is_text() && !value.has_escapes && value.text.size() <= limits.max_model;
}

bool Reader::take_options(const PlainValue& value) {
  if (value.kind != Kind::kObject) return true;
  Keys keys;
  PlainContainer options(value.text);
  while (options.next()) {
    if (!keys.add(options.key())) return false;
    const bool named = options.key() == kNumCtx && options.value().kind == Kind::kNumber;
    if (named) facts.num_ctx = context_of(options.value().text);
  }
  return options.complete();
}

bool Reader::take_stream_options(const PlainValue& value) {
  if (value.kind != Kind::kObject) return true;
  Keys keys;
  PlainContainer options(value.text);
  while (options.next()) {
    if (!keys.add(options.key())) return false;
    if (options.key() == kIncludeUsage) facts.include_usage = options.value().kind == Kind::kTrue;
  }
  return options.complete();
}

}  // namespace

std::optional<RequestFacts> read_plain_request(std::string_view body, const JsonLimits& limits) {
  Reader reader{limits, {}, {}, {}};
  Keys keys;
  PlainContainer document(body);
  if (!document.is_object()) return std::nullopt;
  while (document.next()) {
    if (!keys.add(document.key()) || !reader.take(document.key(), document.value())) {
      return std::nullopt;
    }
  }
  if (!document.complete()) return std::nullopt;
  const std::string_view model = reader.model.empty() ? reader.name : reader.model;
  // An empty "model" is said all the same.
  if (reader.model.data() != nullptr || reader.name.data() != nullptr) {
    reader.facts.model = std::string(model);
  }
  return std::move(reader.facts);
}

}  // namespace drover::wire
