#include "wire/catalogue.h"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <unordered_map>
#include <utility>

#include "wire/dialect.h"
#include "wire/json_scanner.h"
#include "wire/rfc3339.h"

namespace drover::wire {
namespace {

using Event = JsonScanner::Event;

constexpr std::size_t kMaxModels = 100'000;
constexpr std::size_t kMaxText = 1024;

Error unreadable(std::string message) {
  return Error{ErrorKind::kUpstream, Origin::kInstance, Retry::kSafe, std::move(message)};
}

// What tags and ps say about a model, both in the same words.
struct Entry {
  std::string name;
  std::string model;  // the same again, except in very old versions, which have only `name`
  std::string digest;
  std::string modified_at;
  std::uint64_t size = 0;
  std::uint64_t size_vram = 0;
  std::uint64_t context_length = 0;
  std::string_view json;
};

// Reads {"models":[{…},…]}: a document, an array, an entry, so three containers deep.
class ModelsReader {
 public:
  explicit ModelsReader(std::string_view body) : body_(body) {}

  Result<std::vector<Entry>> read() {
    std::string_view rest = body_;
    for (;;) {
      const Event event = scanner_.next(rest);
      if (event == Event::kMore) break;
      if (event == Event::kBad) return unreadable(bad_json());
      if (!take(event)) return unreadable(std::string(problem_));
    }
    if (!scanner_.complete()) return unreadable("the list of models ends in its middle");
    if (!found_) return unreadable("an answer without a list of models");
    return std::move(entries_);
  }

 private:
  std::string bad_json() const {
    return "the list of models is not valid JSON: " + std::string(scanner_.what()) + " (byte " +
           std::to_string(scanner_.offset()) + ')';
  }

  bool take(Event event) {
    const bool key = event == Event::kKey;
    switch (scanner_.depth()) {
      case 0:
        if (event != Event::kBeginObject && event != Event::kEndObject) {
          return refuse("an answer that is not a JSON object");
        }
        return true;
      case 1:
        if (key) {
          in_models_ = scanner_.text() == "models";
          return true;
        }
        return !in_models_ || models_value(event);
      case 2:
        return !in_models_ || entry_edge(event);
      default:
        if (in_models_) field(event);
        return true;
    }
  }

  bool models_value(Event event) {
    if (event == Event::kEndArray) return true;
    if (event != Event::kBeginArray && event != Event::kNull) {
      return refuse("an answer whose models are not a list");
    }
    found_ = true;
    entries_.clear();
    return true;
  }

  bool entry_edge(Event event) {
    if (event == Event::kBeginObject) {
      if (entries_.size() == kMaxModels) return refuse("more than 100000 models");
      entries_.emplace_back();
      begin_ = scanner_.token_offset();
      field_.clear();
      return true;
    }
    if (event != Event::kEndObject) return refuse("a model that is not a JSON object");
    Entry& entry = entries_.back();
    if (entry.name.empty()) entry.name = entry.model;
    if (entry.name.empty()) return refuse("a model without a name");
    entry.json = body_.substr(begin_, scanner_.offset() - begin_);
    return true;
  }

  void field(Event event) {
    if (event == Event::kKey) {
      field_ = scanner_.text_cut() ? std::string_view{} : scanner_.text();
      return;
    }
    Entry& entry = entries_.back();
    if (event == Event::kString && !scanner_.text_cut()) {
      if (field_ == "name") entry.name = scanner_.text();
      if (field_ == "model") entry.model = scanner_.text();
      if (field_ == "digest") entry.digest = scanner_.text();
      if (field_ == "modified_at") entry.modified_at = scanner_.text();
    }
    if (event == Event::kNumber) {
      const std::uint64_t number = whole_number(scanner_.text());
      if (field_ == "size") entry.size = number;
      if (field_ == "size_vram") entry.size_vram = number;
      if (field_ == "context_length") entry.context_length = number;
    }
  }

  bool refuse(std::string_view problem) {
    problem_ = problem;
    return false;
  }

  std::string_view body_;
  JsonScanner scanner_{{.report_depth = 3, .max_text = kMaxText}};
  std::vector<Entry> entries_;
  std::string field_;
  std::string_view problem_;
  std::uint64_t begin_ = 0;
  bool in_models_ = false;
  bool found_ = false;
};

// A model that will be shown, with the moment that orders it.
struct Shown {
  const InstalledModel* model;
  CivilMoment modified;
};

CivilMoment moment_of(const InstalledModel& model) {
  constexpr CivilMoment kUnknown{.seconds = std::numeric_limits<std::int64_t>::min()};
  return parse_rfc3339(model.modified_at).value_or(kUnknown);
}

// Newest first. The digest decides between equal moments, so that every gateway shows the same.
bool is_newer(const Shown& a, const Shown& b) {
  if (a.modified != b.modified) return a.modified > b.modified;
  return a.model->digest > b.model->digest;
}

std::vector<Shown> newest(std::span<const std::vector<InstalledModel>* const> stores) {
  std::unordered_map<ModelName, Shown> best;
  for (const auto* const store : stores) {
    for (const InstalledModel& model : *store) {
      const Shown shown{&model, moment_of(model)};
      const auto [at, added] = best.try_emplace(model.name, shown);
      if (!added && is_newer(shown, at->second)) at->second = shown;
    }
  }
  std::vector<Shown> list;
  list.reserve(best.size());
  for (const auto& [name, shown] : best) list.push_back(shown);
  std::sort(list.begin(), list.end(), [](const Shown& a, const Shown& b) {
    if (a.modified != b.modified) return a.modified > b.modified;
    return a.model->name < b.model->name;
  });
  return list;
}

// The namespace, in the spelling of the instance: the last folder before the model.
std::string_view owner(std::string_view shown_name) {
  const std::size_t slash = shown_name.rfind('/');
  if (slash == std::string_view::npos) return "library";
  const std::string_view folders = shown_name.substr(0, slash);
  const std::size_t before = folders.rfind('/');
  return before == std::string_view::npos ? folders : folders.substr(before + 1);
}

std::string openai_entry(const Shown& shown) {
  const auto created = parse_rfc3339(shown.model->modified_at).value_or(CivilMoment{});
  return "{\"id\":" + json_quote(shown.model->shown_name) +
         ",\"object\":\"model\",\"created\":" + std::to_string(created.seconds) +
         ",\"owned_by\":" + json_quote(owner(shown.model->shown_name)) + '}';
}

std::string with_instance(std::string_view json, std::string_view instance) {
  // Behind another drover the entry already names the instance, and that one is closer to the GPU.
  if (json.find("\"drover_instance\"") != std::string_view::npos) return std::string(json);
  const std::size_t end = json.rfind('}');
  if (end == std::string_view::npos) return {};
  const std::string_view fields = json.substr(0, end);
  const bool empty = fields.find_last_not_of(" \t\r\n{") == std::string_view::npos;
  return std::string(fields) + (empty ? "" : ",") + "\"drover_instance\":" + json_quote(instance) +
         '}';
}

class JsonList {
 public:
  explicit JsonList(std::string_view opening) : text_(opening) {}
  void add(std::string_view item) {
    if (item.empty()) return;
    if (!first_) text_ += ',';
    first_ = false;
    text_ += item;
  }
  std::string close() && { return std::move(text_ += "]}"); }

 private:
  std::string text_;
  bool first_ = true;
};

}  // namespace

Result<std::vector<InstalledModel>> read_tags(std::string_view body) {
  auto entries = ModelsReader(body).read();
  if (!entries) return std::move(entries).error();
  std::vector<InstalledModel> models;
  models.reserve(entries->size());
  for (Entry& entry : *entries) {
    models.push_back({.name = ModelName::canonical(entry.name),
                      .shown_name = std::move(entry.name),
                      .digest = std::move(entry.digest),
                      .bytes = entry.size,
                      .modified_at = std::move(entry.modified_at),
                      .json = std::string(entry.json)});
  }
  return models;
}

Result<std::vector<LoadedModel>> read_ps(std::string_view body) {
  auto entries = ModelsReader(body).read();
  if (!entries) return std::move(entries).error();
  std::vector<LoadedModel> models;
  models.reserve(entries->size());
  for (Entry& entry : *entries) {
    models.push_back({.name = ModelName::canonical(entry.name),
                      .digest = std::move(entry.digest),
                      .bytes = entry.size,
                      .vram_bytes = entry.size_vram,
                      .context_length = entry.context_length,
                      .json = std::string(entry.json)});
  }
  return models;
}

Result<std::string> read_version(std::string_view body) {
  JsonScanner scanner({.report_depth = 1, .max_text = 64});
  std::string version;
  bool here = false;
  Event event = Event::kMore;
  while ((event = scanner.next(body)) != Event::kMore && event != Event::kBad) {
    if (event == Event::kKey) here = scanner.text() == "version";
    const bool text = event == Event::kString && scanner.depth() == 1 && !scanner.text_cut();
    if (here && text) version = scanner.text();
  }
  if (!scanner.complete() || version.empty()) return unreadable("an answer without a version");
  return version;
}

std::string merge_tags(std::span<const std::vector<InstalledModel>* const> stores) {
  JsonList list("{\"models\":[");
  for (const Shown& shown : newest(stores)) list.add(shown.model->json);
  return std::move(list).close();
}

InstalledModel renamed(const InstalledModel& model, const ModelName& name) {
  InstalledModel out = model;
  out.name = name;
  out.shown_name = name.text();
  out.json.clear();
  const std::string quoted = json_quote(name.text());
  const std::string_view text = model.json;
  JsonScanner scanner({.report_depth = 1, .max_text = 64});
  std::string_view rest = text;
  std::size_t kept = 0;  // of `text`, in `out`
  bool named = false;
  Event event = Event::kMore;
  while ((event = scanner.next(rest)) != Event::kMore && event != Event::kBad) {
    if (event == Event::kKey) named = scanner.text() == "name" || scanner.text() == "model";
    if (!named || event != Event::kString || scanner.depth() != 1) continue;
    // Behind the opening quote the token begins; the scanner has read the closing one.
    out.json += text.substr(kept, scanner.token_offset() - 1 - kept);
    out.json += quoted;
    kept = scanner.offset();
  }
  out.json += text.substr(kept);
  return out;
}

std::string merge_ps(std::span<const InstanceModels> lists) {
  JsonList list("{\"models\":[");
  for (const InstanceModels& of : lists) {
    for (const LoadedModel& model : *of.models) list.add(with_instance(model.json, of.instance));
  }
  return std::move(list).close();
}

std::string models_list(std::span<const std::vector<InstalledModel>* const> stores) {
  const auto models = newest(stores);
  if (models.empty()) return "{\"object\":\"list\",\"data\":null}";
  JsonList list("{\"object\":\"list\",\"data\":[");
  for (const Shown& shown : models) list.add(openai_entry(shown));
  return std::move(list).close();
}

std::optional<std::string> model_entry(std::span<const std::vector<InstalledModel>* const> stores,
                                       const ModelName& name) {
  std::optional<Shown> best;
  for (const auto* const store : stores) {
    for (const InstalledModel& model : *store) {
      if (model.name != name) continue;
      const Shown shown{&model, moment_of(model)};
      if (!best || is_newer(shown, *best)) best = shown;
    }
  }
  if (!best) return std::nullopt;
  return openai_entry(*best);
}

}  // namespace drover::wire
