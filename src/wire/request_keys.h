#pragma once
// Private to the readers of request bodies: the keys that they know, and how keys are compared.

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

namespace drover::wire {

// In the order of kKnownKeys. Only the first ones carry a fact; all of them must be unambiguous,
// because the instance acts on them.
enum class RequestKey : std::uint8_t {
  kModel,
  kName,
  kStream,
  kPrompt,
  kMessages,
  kTools,
  kFormat,
  kOptions,
  kStreamOptions,
  kKeepAlive,
  kOther,
};

inline constexpr std::array<std::string_view, 22> kKnownKeys = {"model",
                                                                "name",
                                                                "stream",
                                                                "prompt",
                                                                "messages",
                                                                "tools",
                                                                "format",
                                                                "options",
                                                                "stream_options",
                                                                "keep_alive",
                                                                "input",
                                                                "think",
                                                                "raw",
                                                                "template",
                                                                "system",
                                                                "context",
                                                                "images",
                                                                "suffix",
                                                                "truncate",
                                                                "shift",
                                                                "max_tokens",
                                                                "_debug_render_only"};

inline constexpr std::string_view kIncludeUsage = "include_usage";
inline constexpr std::string_view kNumCtx = "num_ctx";
// The other load-time options of Ollama (its struct Runner).
inline constexpr std::array<std::string_view, 6> kRunnerOptions = {
    "num_batch", "num_gpu", "main_gpu", "use_mmap", "num_thread", "draft_num_predict"};

// Its place in kRunnerOptions, or its size.
inline std::size_t runner_option(std::string_view name) {
  const auto* const found = std::find(kRunnerOptions.begin(), kRunnerOptions.end(), name);
  return static_cast<std::size_t>(found - kRunnerOptions.begin());
}

// Of several, the same in any order: the options are a map. Never 0.
inline std::uint32_t with_option(std::uint32_t so_far, std::string_view name,
                                 std::string_view value) {
  std::uint32_t hash = 2166136261U;  // FNV-1a
  for (const std::string_view part : {name, value}) {
    for (const char c : part) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619U;
  }
  const std::uint32_t sum = so_far + (hash | 1U);
  return sum == 0 ? 1 : sum;
}

// Most keys are their own folded form.
inline bool is_folded(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](char c) {
    return (c >= 'A' && c <= 'Z') || static_cast<unsigned char>(c) >= 0x80;
  });
}

// As Go's encoding/json folds a key before it looks for the field: of all characters outside ASCII
// only two fold into it, the long s and the Kelvin sign.
inline void fold_into(std::string& out, std::string_view text) {
  constexpr std::string_view kLongS = "\xC5\xBF";
  constexpr std::string_view kKelvin = "\xE2\x84\xAA";
  out.clear();
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (text.substr(i).starts_with(kLongS)) {
      out += 's';
      i += kLongS.size() - 1;
    } else if (text.substr(i).starts_with(kKelvin)) {
      out += 'k';
      i += kKelvin.size() - 1;
    } else {
      out += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
  }
}

// The place in kKnownKeys, or its size.
inline std::size_t known_index(std::string_view folded) {
  if (folded.empty()) return kKnownKeys.size();
  std::size_t i = 0;
  for (; i < kKnownKeys.size(); ++i) {
    const std::string_view known = kKnownKeys[i];
    if (known.size() == folded.size() && known[0] == folded[0] && known == folded) break;
  }
  return i;
}

// As Ollama reads the option: a number of any spelling, less its fraction. Where that is no context
// Ollama takes the least that there is, so 1 stands for all of these.
inline std::uint64_t context_of(std::string_view number) {
  constexpr double kMost = 9007199254740992.0;  // 2^53, which a double still counts exactly
  double value = 0;
  // What is too small to be told from 0 leaves it so; what is too large is no number to Go.
  (void)std::from_chars(number.data(), number.data() + number.size(), value);
  return static_cast<std::uint64_t>(std::clamp(value, 1.0, kMost));
}

// Of a number's text that is kept; what is longer is no option that anybody means.
inline constexpr std::size_t kLongestNumber = 48;

}  // namespace drover::wire
