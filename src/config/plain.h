#pragma once
// One key's text into its place in a Config, by the table of schema.h. Shared by the file, the
// environment and flags, so that a value means the same wherever it comes from.

#include <string>
#include <string_view>

#include "base/result.h"
#include "config/schema.h"

namespace drover::config {

// Counts, sizes, durations, shares, choices and paths. An Error's message begins with "must be".
// Precondition: key.slot holds an accessor.
Result<void> set_plain(Config& config, const Key& key, std::string_view text);

// A whole number within the range of `key` (for values that live outside the table's slots).
Result<std::uint32_t> read_count(const Key& key, std::string_view text);

// A word of the choices of `key`.
Result<NumCtxRule> read_num_ctx_rule(const Key& key, std::string_view text);

// One entry of allowed_hosts or allowed_origins, lower-cased.
Result<std::string> read_allowed_host(std::string_view text);
Result<std::string> read_allowed_origin(std::string_view text);
// A model as clients name it.
Result<std::string> read_model_name(std::string_view text);
// "172.17.0.0/16", "fd00::/8", or an address alone, which is a network of one.
Result<std::string> read_network(std::string_view text);

// NAME=value for a supervised instance; names that drover sets itself are refused.
Result<std::string> read_variable(std::string_view text);
// A UUID or an index.
Result<std::string> read_gpu(std::string_view text);

// An absolute path. An Error's message begins with "must be".
Result<std::string> read_path(std::string_view text);

// A name of an instance: 1 to 64 of letters, digits and . _ - : [ ].
Result<std::string> read_name(std::string_view text);

}  // namespace drover::config
