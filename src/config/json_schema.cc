#include <fmt/format.h>

#include <iterator>

#include "config/schema.h"

namespace drover::config {
namespace {

// The texts come from the table, which holds no control bytes and no quotes but these.
std::string json_text(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

constexpr std::string_view kHostPortPattern = R"(^(\\[[0-9a-fA-F:.]+\\]|[^:/\\[\\]]+):[0-9]{1,5}$)";
constexpr std::string_view kUrlPattern =
    R"(^[hH][tT][tT][pP]://(\\[[0-9a-fA-F:.]+\\]|[^:/\\[\\]@]+):[0-9]{1,5}/?$)";

std::string list_of(std::string_view item) {
  return fmt::format(R"("type": ["array", "null"], "maxItems": 256, "items": {{{}}})", item);
}

std::string number_type(const Key& key) {
  return fmt::format(R"("type": "integer", "minimum": {}, "maximum": {})", key.least, key.most);
}

std::string host_port_type() {
  return fmt::format(R"("type": "string", "pattern": "{}")", kHostPortPattern);
}

// The part of a key's schema that says what values it takes.
std::string type_of(const Key& key) {
  switch (key.kind) {
    case Kind::kSection:
    case Kind::kBackends:
    case Kind::kInstances:
    case Kind::kModels:
      return "";  // written by the caller, with what they hold
    case Kind::kAddresses:
      return fmt::format(R"("oneOf": [{{{0}}}, {{"type": "array", "minItems": 1, "maxItems": 256, )"
                         R"("items": {{{0}}}}}])",
                         host_port_type());
    case Kind::kAddress:
      return host_port_type();
    case Kind::kUrl:
      return fmt::format(R"("type": "string", "pattern": "{}")", kUrlPattern);
    case Kind::kName:
      return R"("type": "string", "pattern": "^[A-Za-z0-9._:\\[\\]-]{1,64}$")";
    case Kind::kHosts:
    case Kind::kOrigins:
    case Kind::kNetworks:
      return list_of(R"("type": "string")");
    case Kind::kAliases:
      return R"("type": ["object", "null"], "additionalProperties": {"oneOf": [)"
             R"({"type": "string"}, {"type": "array", "items": {"type": "string"}}]})";
    case Kind::kSteps:
      return list_of(R"("type": "integer", "minimum": 1)");
    case Kind::kCopies:
      return fmt::format(R"("oneOf": [{{"const": "all"}}, {{{}}}])", number_type(key));
    case Kind::kNames:
      return list_of(R"("type": "string", "pattern": "^[A-Za-z0-9._:\\[\\]-]{1,64}$")");
    case Kind::kModelName:
      return R"("type": "string", "minLength": 1)";
    case Kind::kPath:
      return R"("type": "string", "pattern": "^/")";
    case Kind::kAutoPath:
      return R"x("type": "string", "pattern": "^(auto$|/)")x";
    case Kind::kAutoField:
      return R"("type": "string", "pattern": "^[A-Za-z0-9-]{1,64}$")";
    case Kind::kVariables:
      return list_of(R"("type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*=")");
    case Kind::kGpus:
      return list_of(R"("type": ["string", "integer"])");
    case Kind::kCount:
      return number_type(key);
    case Kind::kAutoCount:
      return fmt::format(R"("oneOf": [{{"const": "auto"}}, {{{}}}])", number_type(key));
    case Kind::kShare:
      return fmt::format(R"("type": "number", "minimum": {}, "maximum": {})", key.least, key.most);
    case Kind::kSize:
      return R"("type": ["string", "integer"], "pattern": "^[0-9]+([KMG]i?)?B?$", "minimum": 0)";
    case Kind::kDuration:
      return R"("type": "string", "pattern": "^[0-9]+(ms|s|m|h)$")";
    case Kind::kChoice:
      break;
  }
  std::string words;
  for (const std::string_view word : split_choices(key.choices)) {
    words += (words.empty() ? "" : ", ") + json_text(word);
  }
  return fmt::format(R"("enum": [{}])", words);
}

// Of a default: written as it is.
bool is_bare(const Key& key) {
  return key.kind == Kind::kCount || key.kind == Kind::kShare || key.kind == Kind::kSteps;
}

std::string description(const Key& key) {
  std::string text(key.meaning);
  if (key.kind == Kind::kSize || key.kind == Kind::kDuration) {
    text += fmt::format(" From {} to {}.", key.least, key.most);
  }
  return json_text(text);
}

void append_properties(std::string& out, std::string_view section, std::size_t indent);

void append_key(std::string& out, const Key& key, std::size_t indent) {
  const std::string pad(indent, ' ');
  fmt::format_to(std::back_inserter(out), "{}{}: {{\n{}  \"description\": {}", pad,
                 json_text(key.name()), pad, description(key));
  if (const std::string type = type_of(key); !type.empty()) out += ",\n" + pad + "  " + type;
  if (!key.fallback.empty()) {
    const std::string value = is_bare(key) ? std::string(key.fallback) : json_text(key.fallback);
    out += ",\n" + pad + "  \"default\": " + value;
  }
  if (key.kind == Kind::kSection) {
    out += ",\n" + pad + "  \"type\": [\"object\", \"null\"],\n";
    append_properties(out, key.path, indent + 2);
  }
  if (key.kind == Kind::kBackends) {
    fmt::format_to(std::back_inserter(out),
                   ",\n{0}  \"type\": [\"array\", \"null\"],\n{0}  \"maxItems\": 256,\n"
                   "{0}  \"items\": {{\n{0}    \"oneOf\": [\n{0}      {{\"type\": \"string\", "
                   "\"pattern\": \"{1}\"}},\n{0}      {{\n{0}        \"type\": \"object\",\n"
                   "{0}        \"required\": [\"url\"],\n",
                   pad, kUrlPattern);
    append_properties(out, "backends[]", indent + 8);
    fmt::format_to(std::back_inserter(out), "\n{0}      }}\n{0}    ]\n{0}  }}", pad);
  }
  if (key.kind == Kind::kInstances || key.kind == Kind::kModels) {
    fmt::format_to(std::back_inserter(out),
                   ",\n{0}  \"type\": [\"array\", \"null\"],\n{0}  \"maxItems\": 256,\n"
                   "{0}  \"items\": {{\n{0}    \"type\": \"object\",\n",
                   pad);
    append_properties(out, std::string(key.path) + "[]", indent + 4);
    fmt::format_to(std::back_inserter(out), "\n{0}  }}", pad);
  }
  out += "\n" + pad + "}";
}

void append_properties(std::string& out, std::string_view section, std::size_t indent) {
  const std::string pad(indent, ' ');
  out += pad + "\"additionalProperties\": false,\n" + pad + "\"properties\": {\n";
  std::string_view separator;
  for (const Key& key : schema()) {
    if (key.section() != section) continue;
    out += separator;
    append_key(out, key, indent + 2);
    separator = ",\n";
  }
  out += "\n" + pad + "}";
}

}  // namespace

std::string json_schema() {
  std::string out =
      "{\n"
      "  \"$schema\": \"http://json-schema.org/draft-07/schema#\",\n"
      "  \"title\": \"drover configuration\",\n"
      "  \"type\": [\"object\", \"null\"],\n";
  append_properties(out, "", 2);
  return out + "\n}\n";
}

}  // namespace drover::config
