#pragma once
// A model's name as Ollama compares names: without regard to case, the tag `latest` implied, the
// host `registry.ollama.ai` and the namespace `library` implied.

#include <compare>
#include <functional>
#include <string>
#include <string_view>

namespace drover {

// Canonical form: lower case, default host and namespace removed, tag always present
// ("llama3:latest", "someone/model:7b", "host.example/ns/model:tag"). Empty when unparsed.
class ModelName {
 public:
  ModelName() = default;

  // Accepts what a client may send, at most 512 bytes (Ollama's own parts sum to less). Never
  // fails: a name that no store can have simply matches nothing. Empty text gives an empty name.
  static ModelName canonical(std::string_view text);

  const std::string& text() const { return text_; }
  bool empty() const { return text_.empty(); }
  friend auto operator<=>(const ModelName&, const ModelName&) = default;

 private:
  std::string text_;
};

}  // namespace drover

template <>
struct std::hash<drover::ModelName> {
  std::size_t operator()(const drover::ModelName& name) const noexcept {
    return std::hash<std::string>{}(name.text());
  }
};
