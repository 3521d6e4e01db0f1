#pragma once
// Every key of the configuration in one table: its type, default, range and meaning. The reader,
// the JSON Schema, the documentation and their tests all go by it, so a key exists in all of them
// or in none. To add one: a member in config.h, a row in schema.cc, and the tests name the rest.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "config/config.h"

namespace drover::config {

enum class Kind : std::uint8_t {
  kSection,    // a mapping of keys
  kAddresses,  // one host:port or a list of them
  kAddress,    // host:port
  kBackends,   // a list of instances
  kUrl,        // http://host:port
  kName,       // a word for people and labels
  kHosts,      // a list of host names, "*.suffix" or "*"
  kOrigins,    // a list of origins, "scheme://*" or "*"
  kAliases,    // names, each with a model or a list of them
  kSteps,      // a list of whole numbers, ascending
  kModels,     // a list of models
  kModelName,  // a model as clients name it
  kCopies,     // a whole number, or "all"
  kNames,      // a list of words for people and labels
  kNetworks,   // a list of networks, as 172.17.0.0/16
  kPath,       // an absolute path
  kAutoPath,   // an absolute path, or "auto"
  kAutoField,  // the name of a header, or "auto"
  kVariables,  // a list of NAME=value
  kInstances,  // a list of supervised instances
  kGpus,       // a list of UUIDs or indices
  kCount,      // a whole number
  kAutoCount,  // a whole number, or "auto"
  kShare,      // a decimal number
  kSize,       // bytes, as 64KiB
  kDuration,   // a time, as 2s
  kChoice,     // one of the words in `choices`
};

// Where a plain value lives in a Config. Kinds without a row here are read by their own function.
using Slot = std::variant<std::monostate,                              //
                          std::uint32_t& (*)(Config&),                 // kCount
                          std::optional<std::uint32_t>& (*)(Config&),  // kAutoCount
                          std::uint64_t& (*)(Config&),                 // kSize
                          double& (*)(Config&),                        // kShare
                          Duration& (*)(Config&),                      // kDuration
                          std::string& (*)(Config&),                   // kPath
                          std::optional<std::string>& (*)(Config&),    // kAutoPath, kAutoField
                          Policy& (*)(Config&),                        // kChoice, and the rest
                          Supervise& (*)(Config&),                     //
                          Spanning& (*)(Config&),                      //
                          AliasListing& (*)(Config&),                  //
                          StoreCopies& (*)(Config&),                   //
                          Priorities& (*)(Config&),                    //
                          NumCtxRule& (*)(Config&),                    //
                          LogLevel& (*)(Config&),                      //
                          LogFormat& (*)(Config&)>;

struct Key {
  std::string_view path;  // "policy", "limits.head_bytes", "backends[].url"
  Kind kind = Kind::kSection;
  std::string_view fallback;  // the default as written in a file; empty: none, or a section
  std::string_view least;     // as written in a file; empty: no range
  std::string_view most;
  std::string_view choices;  // "a|b|c"
  std::string_view meaning;  // one sentence
  Slot slot;

  std::string_view name() const;     // the last part: "head_bytes"
  std::string_view section() const;  // what is before it: "limits", "backends[]" or ""
};

// In the order of the documentation; a section stands before its keys.
std::span<const Key> schema();

// The row of a path, null when there is none.
const Key* find_key(std::string_view path);

// The names of a section's keys ("" is the top level).
std::vector<std::string_view> names_in(std::string_view section);

// The words of a kChoice.
std::vector<std::string_view> split_choices(std::string_view choices);

// The JSON Schema (draft 7, what editors' YAML extensions read) of the table, ending in a newline.
std::string json_schema();

}  // namespace drover::config
