#include "base/model_name.h"

#include <algorithm>
#include <cstddef>

namespace drover {
namespace {

constexpr std::string_view kDefaultHost = "registry.ollama.ai";
constexpr std::string_view kDefaultNamespace = "library";
constexpr std::string_view kDefaultTag = "latest";
constexpr std::string_view kLocal = ":local";
constexpr std::string_view kCloud = ":cloud";
constexpr auto kNone = std::string_view::npos;

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n\v\f";
  const std::size_t first = text.find_first_not_of(kSpace);
  if (first == kNone) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

// Where the tag's colon is. A colon before a slash belongs to a port.
std::size_t tag_colon(std::string_view name) {
  const std::size_t colon = name.rfind(':');
  const std::size_t slash = name.rfind('/');
  const bool is_tag = colon != kNone && (slash == kNone || colon > slash);
  return is_tag ? colon : kNone;
}

bool names_source(std::string_view name) {
  return name.ends_with(kLocal) || name.ends_with(kCloud) ||
         (name.ends_with("-cloud") && tag_colon(name) != kNone);
}

// ":local" and ":cloud" behind a name say where it should run: "m:local" is the m that is
// installed, and "m:20b:cloud" is installed as "m:20b-cloud". Two of them contradict each other;
// Ollama refuses that, and left alone it matches nothing.
void settle_source(std::string& name) {
  if (!name.ends_with(kLocal) && !name.ends_with(kCloud)) return;
  const std::string_view rest = std::string_view(name).substr(0, name.rfind(':'));
  if (names_source(rest)) return;
  const bool cloud = name.ends_with(kCloud);
  if (cloud && tag_colon(rest) == kNone) return;
  name = std::string(rest) + (cloud ? "-cloud" : "");
}

// The defaults are taken off only where Ollama would put them: "registry.ollama.ai/m" names a
// namespace of that (impossible) name, not the host.
std::string_view without_defaults(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  if (slash == kNone) return path;
  const std::size_t before = path.substr(0, slash).rfind('/');
  if (before == kNone) {
    return path.substr(0, slash) == kDefaultNamespace ? path.substr(slash + 1) : path;
  }
  const std::size_t scheme = path.substr(0, before).find("://");
  const std::size_t host_at = scheme == kNone ? 0 : scheme + 3;
  const std::string_view host = path.substr(host_at, before - host_at);
  if (host.find("://") != kNone) return path;  // no host: nobody has such a model
  if (host != kDefaultHost) return path.substr(host_at);
  return without_defaults(path.substr(before + 1));
}

// Nearly every name is canonical as it comes, "llama3.2:3b", or lacks nothing but the tag.
enum class Lacks : std::uint8_t { kNothing, kTag, kPerhapsMore };

Lacks lack_of(std::string_view text) {
  std::size_t colons = 0;
  for (const char c : text) {
    const bool plain =
        (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
    if (c == ':') ++colons;
    if (!plain && c != ':') return Lacks::kPerhapsMore;
  }
  if (colons == 0 && !text.empty()) return Lacks::kTag;
  const bool whole = colons == 1 && !text.ends_with(kLocal) && !text.ends_with(kCloud);
  return whole ? Lacks::kNothing : Lacks::kPerhapsMore;
}

}  // namespace

ModelName ModelName::canonical(std::string_view text) {
  ModelName name;
  const Lacks lack = lack_of(text);
  if (lack != Lacks::kPerhapsMore) {
    name.text_ = text;
    if (lack == Lacks::kTag) (name.text_ += ':') += kDefaultTag;
    return name;
  }
  std::string out(trimmed(text));
  if (out.empty()) return name;
  std::transform(out.begin(), out.end(), out.begin(), lower);
  settle_source(out);
  const std::size_t colon = tag_colon(out);
  const std::string_view whole = out;
  const std::string_view path = whole.substr(0, colon);
  const std::string_view tag = colon == kNone ? kDefaultTag : whole.substr(colon + 1);
  name.text_ = std::string(without_defaults(path)) + ':' + std::string(tag);
  return name;
}

}  // namespace drover
