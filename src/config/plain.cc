#include "config/plain.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <type_traits>

#include "config/address.h"
#include "config/values.h"
#include "config/words.h"

namespace drover::config {
namespace {

constexpr std::size_t kLongestInstanceName = 64;
constexpr std::size_t kLongestPath = 4000;  // below Linux's 4096 with a file name behind it

Error refuse(std::string message) {
  return Error{ErrorKind::kConfig, Origin::kSelf, Retry::kNever, std::move(message)};
}

// A value of type T parsed by `parse`, within the key's range.
template <class T>
Result<T> in_range(const Key& key, std::string_view text, Result<T> (*parse)(std::string_view)) {
  Result<T> value = parse(text);
  if (!value || key.least.empty()) return value;
  // The table's own texts parse: schema_test checks every row.
  if (*value >= *parse(key.least) && *value <= *parse(key.most)) return value;
  return refuse(fmt::format("must be from {} to {}, not {}", key.least, key.most, quote(text)));
}

template <class Enum>
Result<void> set_choice(Enum& out, const Key& key, std::string_view text,
                        std::initializer_list<Enum> all) {
  for (const Enum value : all) {
    if (to_string(value) != text) continue;
    out = value;
    return {};
  }
  const auto words = split_choices(key.choices);
  std::string message = fmt::format("must be {}, not {}", either(words), quote(text));
  if (const auto near = nearest(text, words)) message += fmt::format("; did you mean '{}'?", *near);
  return refuse(std::move(message));
}

template <class T>
Result<void> assign(T& out, Result<T> value) {
  if (!value) return std::move(value).error();
  out = *std::move(value);
  return {};
}

bool is_clean(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) == 0x7f;
  });
}

bool is_path(std::string_view text) {
  return text.starts_with('/') && is_clean(text) && text.size() <= kLongestPath;
}

bool is_field_name(std::string_view text) {
  constexpr std::size_t kLongest = 64;
  return !text.empty() && text.size() <= kLongest && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
  });
}

// One overload for each kind of slot.
struct Setter {
  Config& config;
  const Key& key;
  std::string_view text;

  Result<void> operator()(std::monostate) const {
    return refuse("must be written in the configuration file");
  }
  Result<void> operator()(std::uint32_t& (*slot)(Config&)) const {
    return assign(slot(config), read_count(key, text));
  }
  Result<void> operator()(std::optional<std::uint32_t>& (*slot)(Config&)) const {
    slot(config).reset();
    if (text == "auto") return {};
    const Result<std::uint32_t> count = read_count(key, text);
    if (count) {
      slot(config) = *count;
      return {};
    }
    return refuse(fmt::format("must be auto or a whole number from {} to {}, not {}", key.least,
                              key.most, quote(text)));
  }
  Result<void> operator()(std::uint64_t& (*slot)(Config&)) const {
    return assign(slot(config), in_range<std::uint64_t>(key, text, parse_size));
  }
  Result<void> operator()(double& (*slot)(Config&)) const {
    return assign(slot(config), in_range<double>(key, text, parse_share));
  }
  Result<void> operator()(Duration& (*slot)(Config&)) const {
    return assign(slot(config), in_range<Duration>(key, text, parse_duration));
  }
  Result<void> operator()(std::string& (*slot)(Config&)) const {
    return assign(slot(config), read_path(text));
  }
  Result<void> operator()(std::optional<std::string>& (*slot)(Config&)) const {
    slot(config).reset();
    if (text == "auto") return {};
    if (key.kind == Kind::kAutoField && !is_field_name(text)) {
      return refuse(fmt::format("must be auto or the name of a header such as X-Tenant, not {}",
                                quote(text)));
    }
    if (key.kind == Kind::kAutoPath && !is_path(text)) {
      return refuse(fmt::format("must be auto or an absolute path, not {}", quote(text)));
    }
    slot(config) = text;
    return {};
  }
  Result<void> operator()(Supervise& (*slot)(Config&)) const {
    return set_choice(slot(config), key, text,
                      {Supervise::kAuto, Supervise::kAlways, Supervise::kNever});
  }
  Result<void> operator()(Spanning& (*slot)(Config&)) const {
    return set_choice(slot(config), key, text, {Spanning::kAuto, Spanning::kNever});
  }
  Result<void> operator()(Priorities& (*slot)(Config&)) const {
    return set_choice(slot(config), key, text, {Priorities::kNone, Priorities::kByHeader});
  }
  Result<void> operator()(StoreCopies& (*slot)(Config&)) const {
    return set_choice(slot(config), key, text, {StoreCopies::kNever, StoreCopies::kAlways});
  }
  Result<void> operator()(AliasListing& (*slot)(Config&)) const {
    return set_choice(slot(config), key, text, {AliasListing::kNever, AliasListing::kAlways});
  }
  Result<void> operator()(NumCtxRule& (*slot)(Config&)) const {
    return assign(slot(config), read_num_ctx_rule(key, text));
  }
  Result<void> operator()(Policy& (*slot)(Config&)) const {
    return set_choice(slot(config), key, text,
                      {Policy::kRoundRobin, Policy::kLeastLoaded, Policy::kExpectedCompletion});
  }
  Result<void> operator()(LogLevel& (*slot)(Config&)) const {
    return set_choice(slot(config), key, text,
                      {LogLevel::kDebug, LogLevel::kInfo, LogLevel::kWarn, LogLevel::kError});
  }
  Result<void> operator()(LogFormat& (*slot)(Config&)) const {
    return set_choice(slot(config), key, text,
                      {LogFormat::kAuto, LogFormat::kText, LogFormat::kJson});
  }
};

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

bool is_scheme(std::string_view text) {
  return !text.empty() && text.front() >= 'a' && text.front() <= 'z' &&
         text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789+.-") ==
             std::string_view::npos;
}

}  // namespace

Result<void> set_plain(Config& config, const Key& key, std::string_view text) {
  return std::visit(Setter{config, key, text}, key.slot);
}

Result<NumCtxRule> read_num_ctx_rule(const Key& key, std::string_view text) {
  NumCtxRule rule{};
  const Result<void> done =
      set_choice(rule, key, text, {NumCtxRule::kNormalise, NumCtxRule::kPass, NumCtxRule::kRefuse});
  if (!done) return done.error();
  return rule;
}

Result<std::uint32_t> read_count(const Key& key, std::string_view text) {
  const Result<std::uint64_t> count = in_range<std::uint64_t>(key, text, parse_count);
  if (!count) return count.error();
  return static_cast<std::uint32_t>(*count);
}

Result<std::string> read_allowed_host(std::string_view text) {
  if (text == "*") return std::string(text);
  if (text.find("://") != std::string_view::npos) {
    return refuse(fmt::format("{} is a URL; write only the host name", quote(text)));
  }
  const bool suffix = text.starts_with("*.");
  const std::string_view host = suffix ? text.substr(2) : text;
  const bool v6 = std::count(host.begin(), host.end(), ':') > 1;
  if (!v6 && host.find(':') != std::string_view::npos) {
    return refuse(fmt::format("{} has a port; write only the host name, which holds for every port",
                              quote(text)));
  }
  Result<std::string> parsed = parse_host(host);
  if (!parsed) return parsed;
  return suffix ? "*." + *parsed : *std::move(parsed);
}

Result<std::string> read_model_name(std::string_view text) {
  constexpr std::size_t kLongest = 350;  // Ollama's own bound
  const bool fine =
      !text.empty() && text.size() <= kLongest &&
      std::all_of(text.begin(), text.end(), [](unsigned char c) { return c > ' ' && c < 0x7F; });
  if (fine) return std::string(text);
  return refuse(fmt::format("{} is not the name of a model, such as qwen3:4b", quote(text)));
}

Result<std::string> read_network(std::string_view text) {
  const std::size_t slash = text.find('/');
  const std::string address(text.substr(0, slash));
  std::array<unsigned char, 16> bytes{};
  const bool v6 = address.find(':') != std::string::npos;
  const unsigned most = v6 ? 128 : 32;
  unsigned bits = most;
  bool fine = address.find('\0') == std::string::npos &&
              ::inet_pton(v6 ? AF_INET6 : AF_INET, address.c_str(), bytes.data()) == 1;
  if (fine && slash != std::string_view::npos) {
    const std::string_view length = text.substr(slash + 1);
    const auto read = std::from_chars(length.data(), length.data() + length.size(), bits);
    fine = read.ec == std::errc() && read.ptr == length.data() + length.size() && bits <= most;
  }
  if (!fine) {
    return refuse(
        fmt::format("{} is not a network; write an address and the bits that count, "
                    "such as 172.17.0.0/16",
                    quote(text)));
  }
  for (unsigned bit = bits; bit < most; ++bit) {
    if ((bytes[bit / 8] & (0x80U >> bit % 8)) == 0) continue;
    return refuse(
        fmt::format("'{}' names an address and not a network: bits behind the first {} "
                    "are set; write {}/{} for this address alone",
                    text, bits, address, most));
  }
  return fmt::format("{}/{}", address, bits);
}

Result<std::string> read_path(std::string_view text) {
  if (is_path(text)) return std::string(text);
  return refuse(fmt::format("must be an absolute path such as /tmp, not {}", quote(text)));
}

Result<std::string> read_allowed_origin(std::string_view text) {
  if (text == "*") return std::string(text);
  const std::string origin = lower(text);
  const std::size_t colon = origin.find("://");
  if (colon == std::string::npos || !is_scheme(std::string_view(origin).substr(0, colon))) {
    return refuse(
        fmt::format("{} is no origin; write scheme and host, such as "
                    "https://chat.example.com",
                    quote(text)));
  }
  const std::string_view rest = std::string_view(origin).substr(colon + 3);
  if (rest == "*") return origin;
  if (rest.find_first_of("/?#@") != std::string_view::npos) {
    return refuse(
        fmt::format("{} has more than scheme, host and port; an origin has no path or "
                    "user name",
                    quote(text)));
  }
  const bool has_port = !rest.ends_with(']') && rest.find(':') != std::string_view::npos;
  const Result<HostPort> parsed =
      parse_host_port(has_port ? std::string(rest) : std::string(rest) + ":1");
  if (!parsed) {
    return refuse(
        fmt::format("{} is no origin; write scheme, host and perhaps a port, such as "
                    "https://chat.example.com",
                    quote(text)));
  }
  return origin;
}

// What drover must set itself, or the pinning and the balancing would be a lie.
Result<std::string> read_variable(std::string_view text) {
  const std::size_t equals = text.find('=');
  const std::string_view name = text.substr(0, equals);
  const bool named = equals != std::string_view::npos && !name.empty() &&
                     name.find_first_not_of(
                         "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                         "0123456789_") == std::string_view::npos &&
                     (name.front() < '0' || name.front() > '9');
  if (!named || !is_clean(text)) {
    return refuse(
        fmt::format("{} is no variable; write NAME=value, such as "
                    "OLLAMA_FLASH_ATTENTION=1",
                    quote(text)));
  }
  constexpr std::string_view kOurs[] = {"OLLAMA_HOST", "CUDA_VISIBLE_DEVICES",
                                        "ROCR_VISIBLE_DEVICES", "DROVER_KEEPER"};
  if (std::ranges::find(kOurs, name) != std::end(kOurs)) {
    return refuse(
        fmt::format("{} is set by drover itself; choose GPUs with 'gpus' and the port "
                    "with 'port'",
                    quote(name)));
  }
  if (name == "OLLAMA_DEBUG_LOG_REQUESTS") {
    return refuse(
        "OLLAMA_DEBUG_LOG_REQUESTS would write every prompt to a file without a limit; "
        "it is not passed on");
  }
  return std::string(text);
}

Result<std::string> read_gpu(std::string_view text) {
  const bool clean = text.find_first_not_of(
                         "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                         "0123456789-:./") == std::string_view::npos;
  if (clean && !text.empty() && text.size() <= kLongestInstanceName) return std::string(text);
  return refuse(
      fmt::format("{} is no GPU; write a UUID such as GPU-5f1c…, or an index, as 'drover "
                  "gpus' shows them",
                  quote(text)));
}

Result<std::string> read_name(std::string_view text) {
  const bool clean = std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("._-:[]").find(c) != std::string_view::npos;
  });
  if (clean && !text.empty() && text.size() <= kLongestInstanceName) return std::string(text);
  return refuse(fmt::format("must be 1 to {} letters, digits or . _ - : [ ], such as gpu0, not {}",
                            kLongestInstanceName, quote(text)));
}

}  // namespace drover::config
