// The file's tree against the table: known keys, once each, of the right shape.

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>
#include <utility>

#include "base/model_name.h"
#include "config/address.h"
#include "config/draft.h"
#include "config/plain.h"
#include "config/schema.h"
#include "config/values.h"
#include "config/words.h"
#include "config/yaml_tree.h"

namespace drover::config {
namespace {

using NodeKind = YamlNode::Kind;

std::string_view describe(NodeKind kind) {
  switch (kind) {
    case NodeKind::kNothing:
      return "empty";
    case NodeKind::kScalar:
      return "a plain value";
    case NodeKind::kList:
      return "a list";
    case NodeKind::kMapping:
      return "a mapping of keys";
  }
  return "";
}

std::string join(std::string_view section, std::string_view name) {
  return section.empty() ? std::string(name) : fmt::format("{}.{}", section, name);
}

// What an unknown key was probably meant to be; empty when nothing is near.
std::string guess(std::string_view section, std::string_view name) {
  const auto siblings = names_in(section);
  if (const auto near = nearest(name, siblings); near && *near != name) {
    return fmt::format("; did you mean '{}'?", *near);
  }
  if (const Key* whole = find_key(name); whole != nullptr && !whole->section().empty()) {
    return fmt::format("; write '{}' under '{}:'", whole->name(), whole->section());
  }
  for (const Key& key : schema()) {
    const std::string_view home = key.section();
    if (key.name() != name) continue;
    if (home.empty()) return fmt::format("; '{}' belongs at the top level", name);
    if (!home.ends_with("[]")) return fmt::format("; '{}' belongs under '{}'", name, home);
  }
  return fmt::format("; known here are {}", either(siblings));
}

class FileReader {
 public:
  FileReader(Draft& draft, std::string_view file_name)
      : draft_(draft), config_(draft.config), file_(file_name) {}

  void read(const YamlNode& root) {
    if (root.kind == NodeKind::kScalar || root.kind == NodeKind::kList) {
      return refuse(root.place, fmt::format("a configuration is a mapping of keys, such as "
                                            "'policy: least_loaded', but this is {}",
                                            describe(root.kind)));
    }
    read_section(root, "");
  }

 private:
  using Visit = std::function<void(const Key&, const YamlNode&)>;

  Spot spot(Place place) const { return {file_, place}; }
  void refuse(Place place, std::string message) { draft_.refuse(spot(place), std::move(message)); }
  void refuse(Place place, const Key& key, const Error& error) {
    refuse(place, fmt::format("'{}' {}", key.name(), error.message));
  }

  // Calls `visit` for each known key of a mapping, once.
  void each_key(const YamlNode& mapping, std::string_view section, const Visit& visit) {
    std::map<std::string_view, Place> seen;
    for (std::size_t i = 0; i < mapping.items.size() && i < mapping.keys.size(); ++i) {
      const auto& [name, place] = mapping.keys[i];
      const auto [first, fresh] = seen.emplace(name, place);
      if (!fresh) {
        refuse(place, fmt::format("key {} is given twice, first on line {}; keep one", quote(name),
                                  first->second.line));
        continue;
      }
      const Key* key = find_key(join(section, name));
      // A name with a dot or bracket would otherwise reach into another section.
      if (key == nullptr || key->name() != name || key->section() != section) {
        refuse(place, fmt::format("unknown key {}{}", quote(name), guess(section, name)));
        continue;
      }
      YamlNode value = mapping.items[i];
      // An empty value stands nowhere: its key is the place to look at.
      if (value.kind == NodeKind::kNothing) value.place = place;
      visit(*key, value);
    }
  }

  void read_section(const YamlNode& mapping, std::string_view section) {
    each_key(mapping, section,
             [this](const Key& key, const YamlNode& value) { read_key(key, value); });
  }

  void read_key(const Key& key, const YamlNode& value) {
    draft_.written[std::string(key.path)] = spot(value.place);
    switch (key.kind) {
      case Kind::kSection:
        return read_subsection(key, value);
      case Kind::kAddresses:
        return read_listen(key, value);
      case Kind::kAddress:
        return read_admin(key, value);
      case Kind::kBackends:
        return read_backends(key, value);
      case Kind::kHosts:
        return read_words(key, value, config_.allowed_hosts, read_allowed_host);
      case Kind::kOrigins:
        return read_words(key, value, config_.allowed_origins, read_allowed_origin);
      case Kind::kAliases:
        return read_aliases(key, value);
      case Kind::kName:
        return read_identity(key, value);
      case Kind::kSteps:
        return read_steps(key, value);
      case Kind::kModels:
        return read_models(key, value);
      case Kind::kNetworks:
        return read_words(key, value, config_.trust, read_network);
      case Kind::kVariables:
        return read_words(key, value, config_.ollama.environment, read_variable);
      case Kind::kInstances:
        return read_instances(key, value);
      default:
        return read_plain(key, value);
    }
  }

  void read_subsection(const Key& key, const YamlNode& value) {
    if (value.kind == NodeKind::kNothing) return;  // every key under it is a comment
    if (value.kind == NodeKind::kMapping) return read_section(value, key.path);
    refuse(value.place, fmt::format("'{}' must be a mapping of keys, each on its own line and "
                                    "indented, but is {}",
                                    key.name(), describe(value.kind)));
  }

  // The text of a plain value; null after a refusal.
  const std::string* text_of(const Key& key, const YamlNode& value) {
    if (value.kind == NodeKind::kScalar) return &value.text;
    if (value.kind == NodeKind::kNothing) {
      refuse(value.place,
             fmt::format("'{}' has no value; write one or remove the key", key.name()));
    } else {
      refuse(value.place, fmt::format("'{}' must be a plain value{}, but is {}", key.name(),
                                      example(key), describe(value.kind)));
    }
    return nullptr;
  }

  static std::string example(const Key& key) {
    if (key.kind == Kind::kUrl) return " such as http://127.0.0.1:11434";
    return key.fallback.empty() ? "" : fmt::format(" such as {}", key.fallback);
  }

  void read_plain(const Key& key, const YamlNode& value) {
    const std::string* text = text_of(key, value);
    if (text == nullptr) return;
    const Result<void> done = set_plain(config_, key, *text);
    if (!done) refuse(value.place, key, done.error());
  }

  // The entries of a list; false after a refusal. An empty value is an empty list.
  bool is_list(const Key& key, const YamlNode& value) {
    if (value.kind == NodeKind::kNothing) return true;
    if (value.kind != NodeKind::kList) {
      refuse(value.place, fmt::format("'{}' must be a list, each entry on its own line after '- ', "
                                      "but is {}",
                                      key.name(), describe(value.kind)));
      return false;
    }
    if (value.items.size() <= kMaxListItems) return true;
    refuse(value.place, fmt::format("'{}' has {} entries; at most {} are read", key.name(),
                                    value.items.size(), kMaxListItems));
    return false;
  }

  void read_listen(const Key& key, const YamlNode& value) {
    YamlNode list = value;
    if (value.kind == NodeKind::kScalar) {
      list.kind = NodeKind::kList;
      list.items.push_back(value);
    }
    if (!is_list(key, list)) return;
    if (list.items.empty()) {
      return refuse(value.place, fmt::format("'listen' is empty, so no client could connect; write "
                                             "an address such as {}",
                                             key.fallback));
    }
    std::vector<HostPort> addresses;
    std::vector<Spot> spots;
    for (const YamlNode& item : list.items) {
      const std::string* text = text_of(key, item);
      if (text == nullptr) continue;
      Result<HostPort> address = parse_listen_address(*text);
      if (!address) {
        refuse(item.place, address.error().message);
        continue;
      }
      addresses.push_back(*std::move(address));
      spots.push_back(spot(item.place));
    }
    if (addresses.empty()) return;
    config_.listen = std::move(addresses);
    draft_.listen_at = std::move(spots);
  }

  void read_admin(const Key& key, const YamlNode& value) {
    const std::string* text = text_of(key, value);
    if (text == nullptr) return;
    Result<HostPort> address = parse_listen_address(*text, kAdminPort);
    if (!address) return refuse(value.place, address.error().message);
    config_.admin = *std::move(address);
  }

  void read_words(const Key& key, const YamlNode& value, std::vector<std::string>& out,
                  Result<std::string> (*parse)(std::string_view)) {
    if (!is_list(key, value)) return;
    for (const YamlNode& item : value.items) {
      const std::string* text = text_of(key, item);
      if (text == nullptr) continue;
      Result<std::string> word = parse(*text);
      if (word) {
        out.push_back(*std::move(word));
      } else {
        refuse(item.place, word.error().message);
      }
    }
  }

  // "fast: qwen3:4b", or a list in the order of preference.
  void read_aliases(const Key& key, const YamlNode& value) {
    if (value.kind == NodeKind::kNothing) return;
    if (value.kind != NodeKind::kMapping) {
      return refuse(value.place, fmt::format("'aliases' must be a mapping such as "
                                             "'fast: [qwen3:4b, llama3.2:3b]', but is {}",
                                             describe(value.kind)));
    }
    if (value.items.size() > kMaxListItems) {
      return refuse(value.place, fmt::format("'aliases' has {} entries; at most {} are read",
                                             value.items.size(), kMaxListItems));
    }
    for (std::size_t i = 0; i < value.items.size(); ++i) {
      read_alias(key, value.keys[i].first, value.keys[i].second, value.items[i]);
    }
    for (std::size_t i = 0; i < config_.aliases.size(); ++i) {
      check_alias(config_.aliases[i], value.keys[i].second);
    }
  }

  void read_alias(const Key& key, const std::string& name, Place place, const YamlNode& value) {
    Alias alias{name, {}};
    YamlNode list = value;
    if (value.kind == NodeKind::kScalar) {
      list.kind = NodeKind::kList;
      list.items = {value};
    }
    if (list.kind == NodeKind::kList) read_words(key, list, alias.models, read_model_name);
    const Result<std::string> fine = read_model_name(name);
    if (!fine) refuse(place, fine.error().message);
    if (alias.models.empty()) {
      refuse(place,
             fmt::format("alias {} stands for no model; write {}: [qwen3:4b]", quote(name), name));
    }
    config_.aliases.push_back(std::move(alias));
  }

  void check_alias(const Alias& alias, Place place) {
    const ModelName name = ModelName::canonical(alias.name);
    for (const Alias& other : config_.aliases) {
      const bool same = ModelName::canonical(other.name) == name;
      if (same && &other < &alias) {
        refuse(place, fmt::format("alias {} is given twice; keep one", quote(alias.name)));
      }
      for (const std::string& model : other.models) {
        if (ModelName::canonical(model) != name) continue;
        refuse(place, fmt::format("alias {} is what alias {} stands for; name a model there",
                                  quote(alias.name), quote(other.name)));
      }
    }
  }

  void read_identity(const Key& key, const YamlNode& value) {
    const std::string* text = text_of(key, value);
    if (text == nullptr) return;
    Result<std::string> name = read_name(*text);
    if (!name) return refuse(value.place, key, name.error());
    config_.identity = *std::move(name);
  }

  void read_steps(const Key& key, const YamlNode& value) {
    if (!is_list(key, value)) return;
    constexpr std::uint64_t kMost = 16'777'216;  // as of ollama.context_length
    std::vector<std::uint32_t> steps;
    for (const YamlNode& item : value.items) {
      const std::string* text = text_of(key, item);
      if (text == nullptr) return;
      const Result<std::uint64_t> step = parse_count(*text);
      const bool fine =
          step && *step >= 1 && *step <= kMost && (steps.empty() || *step > steps.back());
      if (!fine) {
        return refuse(item.place,
                      fmt::format("'steps' must be whole numbers from 1 to {}, each larger than "
                                  "the one before, and {} is not",
                                  kMost, quote(*text)));
      }
      steps.push_back(static_cast<std::uint32_t>(*step));
    }
    config_.num_ctx.steps = std::move(steps);
  }

  void read_models(const Key& key, const YamlNode& value) {
    if (!is_list(key, value)) return;
    for (const YamlNode& item : value.items) read_model(item);
  }

  void read_model(const YamlNode& item) {
    if (item.kind != NodeKind::kMapping) {
      return refuse(item.place, fmt::format("a model must be a mapping such as 'name: qwen3:4b', "
                                            "but this is {}",
                                            describe(item.kind)));
    }
    Model model;
    const std::size_t before = draft_.errors.size();
    each_key(item, "models[]",
             [&](const Key& inner, const YamlNode& v) { read_model_key(inner, v, model); });
    if (draft_.errors.size() != before) return;
    if (model.name.empty()) {
      return refuse(item.place, "this model has no name; add one such as 'name: qwen3:4b'");
    }
    const auto same = [&](const Model& other) {
      return ModelName::canonical(other.name) == ModelName::canonical(model.name);
    };
    if (std::ranges::any_of(config_.models, same)) {
      return refuse(item.place,
                    fmt::format("model {} is given twice; keep one", quote(model.name)));
    }
    config_.models.push_back(std::move(model));
  }

  void read_model_key(const Key& key, const YamlNode& value, Model& model) {
    if (key.kind == Kind::kNames) return read_words(key, value, model.pin, read_name);
    const std::string* text = text_of(key, value);
    if (text == nullptr) return;
    if (key.kind == Kind::kCopies && *text == "all") {
      model.copies = Model::kAllStores;
      return;
    }
    if (key.kind == Kind::kCopies || key.kind == Kind::kCount) {
      const Result<std::uint32_t> count = read_count(key, *text);
      if (!count) return refuse(value.place, key, count.error());
      if (key.kind == Kind::kCount) model.preload = *count;
      if (key.kind == Kind::kCopies) model.copies = *count;
      return;
    }
    if (key.kind == Kind::kModelName) {
      Result<std::string> name = read_model_name(*text);
      if (!name) return refuse(value.place, name.error().message);
      model.name = *std::move(name);
      return;
    }
    const Result<NumCtxRule> rule = read_num_ctx_rule(key, *text);
    if (!rule) return refuse(value.place, key, rule.error());
    model.num_ctx = *rule;
  }

  void read_backends(const Key& key, const YamlNode& value) {
    if (!is_list(key, value)) return;
    for (const YamlNode& item : value.items) read_backend(item);
  }

  void read_instances(const Key& key, const YamlNode& value) {
    if (!is_list(key, value)) return;
    for (const YamlNode& item : value.items) {
      if (item.kind != NodeKind::kMapping) {
        refuse(item.place, fmt::format("a supervised instance must be a mapping such as "
                                       "'gpus: [0]', but this is {}",
                                       describe(item.kind)));
        continue;
      }
      SupervisedInstance instance;
      const std::size_t before = draft_.errors.size();
      each_key(item, "ollama.instances[]",
               [&](const Key& inner, const YamlNode& v) { read_instance_key(inner, v, instance); });
      if (draft_.errors.size() == before) {
        config_.ollama.instances.push_back(std::move(instance));
        draft_.supervised_at.push_back(spot(item.place));
      }
    }
  }

  void read_instance_key(const Key& key, const YamlNode& value, SupervisedInstance& instance) {
    if (key.kind == Kind::kGpus) return read_words(key, value, instance.gpus, read_gpu);
    if (key.kind == Kind::kVariables) {
      return read_words(key, value, instance.environment, read_variable);
    }
    const std::string* text = text_of(key, value);
    if (text == nullptr) return;
    if (key.kind == Kind::kName) {
      Result<std::string> name = read_name(*text);
      if (!name) return refuse(value.place, key, name.error());
      instance.name = *std::move(name);
      return;
    }
    const Result<std::uint32_t> port = read_count(key, *text);
    if (!port) return refuse(value.place, key, port.error());
    instance.port = static_cast<std::uint16_t>(*port);
  }

  // "- url: http://…" with more keys, or the URL alone.
  void read_backend(const YamlNode& item) {
    Backend backend;
    bool fine = true;
    Spot at = spot(item.place);
    if (item.kind == NodeKind::kScalar) {
      fine = read_url(item, backend);
    } else if (item.kind == NodeKind::kMapping) {
      bool named_url = false;
      each_key(item, "backends[]", [&](const Key& key, const YamlNode& value) {
        if (key.kind == Kind::kUrl) {
          named_url = true;
          at = spot(value.place);
        }
        fine = read_backend_key(key, value, backend) && fine;
      });
      if (!named_url) {
        refuse(item.place,
               "this instance has no url; add one such as "
               "'url: http://127.0.0.1:11434'");
        return;
      }
    } else {
      refuse(item.place, fmt::format("an instance must be a URL or a mapping with 'url', but this "
                                     "is {}",
                                     describe(item.kind)));
      return;
    }
    if (!fine) return;
    if (backend.name.empty()) backend.name = backend.address.to_string();
    config_.backends.push_back(std::move(backend));
    draft_.backends_at.push_back(std::move(at));
  }

  bool read_url(const YamlNode& value, Backend& backend) {
    Result<Backend> parsed = parse_backend_url(value.text);
    if (!parsed) {
      refuse(value.place, parsed.error().message);
      return false;
    }
    backend.url = std::move(parsed->url);
    backend.address = std::move(parsed->address);
    return true;
  }

  bool read_backend_key(const Key& key, const YamlNode& value, Backend& backend) {
    const std::string* text = text_of(key, value);
    if (text == nullptr) return false;
    if (key.kind == Kind::kUrl) return read_url(value, backend);
    if (key.kind == Kind::kName) {
      Result<std::string> name = read_name(*text);
      if (name) {
        (key.name() == "store" ? backend.store : backend.name) = *std::move(name);
      } else {
        refuse(value.place, key, name.error());
      }
      return name.ok();
    }
    if (key.kind == Kind::kPath) {
      Result<std::string> path = read_path(*text);
      if (path) {
        backend.models = *std::move(path);
      } else {
        refuse(value.place, key, path.error());
      }
      return path.ok();
    }
    const Result<std::uint32_t> count = read_count(key, *text);
    if (count && key.name() == "parallel") {
      backend.parallel = *count;
    } else if (count) {
      backend.max_in_flight = *count;
    } else {
      refuse(value.place, key, count.error());
    }
    return count.ok();
  }

  Draft& draft_;
  Config& config_;
  std::string file_;
};

}  // namespace

void read_file(Draft& draft, std::string_view text, std::string_view file_name) {
  const YamlTree tree = read_yaml(text);
  if (tree.refused) {
    draft.refuse({std::string(file_name), tree.refused->place}, tree.refused->message);
    return;
  }
  FileReader(draft, file_name).read(tree.root);
}

}  // namespace drover::config
