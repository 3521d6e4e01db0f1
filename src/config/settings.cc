// Values from the environment and from flags, on top of the file.

#include <fmt/format.h>

#include <utility>

#include "config/address.h"
#include "config/draft.h"
#include "config/plain.h"
#include "config/schema.h"
#include "config/words.h"

namespace drover::config {
namespace {

// Entries between commas, without the blanks around them; empty entries are dropped.
std::vector<std::string_view> split_list(std::string_view text) {
  std::vector<std::string_view> entries;
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    std::string_view entry = text.substr(0, comma);
    text = comma == std::string_view::npos ? std::string_view{} : text.substr(comma + 1);
    const std::size_t first = entry.find_first_not_of(" \t");
    if (first == std::string_view::npos) continue;
    entry = entry.substr(first, entry.find_last_not_of(" \t") - first + 1);
    entries.push_back(entry);
  }
  return entries;
}

// Parses every entry into `out`; true when something usable was given.
template <class T, class Parse>
bool parse_all(Draft& draft, const Spot& spot, std::string_view text, Parse parse,
               std::vector<T>& out) {
  const auto entries = split_list(text);
  if (entries.empty()) draft.refuse(spot, "is empty; give a value or leave it out");
  if (entries.size() > kMaxListItems) {
    draft.refuse(spot,
                 fmt::format("has {} entries; at most {} are read", entries.size(), kMaxListItems));
    return false;
  }
  for (const std::string_view entry : entries) {
    Result<T> value = parse(entry);
    if (value) {
      out.push_back(*std::move(value));
    } else {
      draft.refuse(spot, value.error().message);
    }
  }
  return !out.empty();
}

template <class T>
void put(std::vector<T>& list, std::vector<T> values, Repeat repeat) {
  if (repeat == Repeat::kFirst) list.clear();
  for (T& value : values) list.push_back(std::move(value));
}

void apply_listen(Draft& draft, const Spot& spot, std::string_view value, Repeat repeat) {
  const auto parse_one = [](std::string_view entry) { return parse_listen_address(entry); };
  std::vector<HostPort> addresses;
  if (!parse_all<HostPort>(draft, spot, value, parse_one, addresses)) return;
  put(draft.listen_at, std::vector<Spot>(addresses.size(), spot), repeat);
  put(draft.config.listen, std::move(addresses), repeat);
}

void apply_backends(Draft& draft, const Spot& spot, std::string_view value, Repeat repeat) {
  std::vector<Backend> backends;
  if (!parse_all<Backend>(draft, spot, value, parse_backend_url, backends)) return;
  for (Backend& backend : backends) backend.name = backend.address.to_string();
  put(draft.backends_at, std::vector<Spot>(backends.size(), spot), repeat);
  put(draft.config.backends, std::move(backends), repeat);
}

void apply_words(Draft& draft, const Spot& spot, std::string_view value, Repeat repeat,
                 std::vector<std::string>& list, Result<std::string> (*parse)(std::string_view)) {
  std::vector<std::string> words;
  if (parse_all<std::string>(draft, spot, value, parse, words)) put(list, std::move(words), repeat);
}

void apply_admin(Draft& draft, const Spot& spot, std::string_view value) {
  Result<HostPort> address = parse_listen_address(value, kAdminPort);
  if (!address) return draft.refuse(spot, address.error().message);
  draft.config.admin = *std::move(address);
}

}  // namespace

void apply_setting(Draft& draft, const Setting& setting, Repeat repeat) {
  const Spot spot{setting.source, {}};
  const Key* key = find_key(setting.key);
  if (key == nullptr) {
    return draft.refuse(spot, "there is no key " + quote(setting.key));
  }
  draft.written[setting.key] = spot;
  Config& config = draft.config;
  switch (key->kind) {
    case Kind::kAddresses:
      return apply_listen(draft, spot, setting.value, repeat);
    case Kind::kAddress:
      return apply_admin(draft, spot, setting.value);
    case Kind::kBackends:
      return apply_backends(draft, spot, setting.value, repeat);
    case Kind::kHosts:
      return apply_words(draft, spot, setting.value, repeat, config.allowed_hosts,
                         read_allowed_host);
    case Kind::kOrigins:
      return apply_words(draft, spot, setting.value, repeat, config.allowed_origins,
                         read_allowed_origin);
    case Kind::kNetworks:
      return apply_words(draft, spot, setting.value, repeat, config.trust, read_network);
    default:
      break;
  }
  const Result<void> done = set_plain(config, *key, setting.value);
  if (!done) draft.refuse(spot, done.error().message);
}

}  // namespace drover::config
