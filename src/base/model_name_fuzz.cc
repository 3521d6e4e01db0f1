// Any bytes as the name of a model: its canonical form is its own canonical form, and the case, the
// white space around it and Ollama's defaults make no difference.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/model_name.h"

namespace {

using drover::ModelName;

void require(bool condition) {
  if (!condition) std::abort();
}

std::string upper(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
  return text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const ModelName name = ModelName::canonical(text);
  require(name.text().size() <= size + std::string_view(":latest").size());
  require(ModelName::canonical(upper(text)) == name);
  require(ModelName::canonical(" \n" + text + "\t") == name);
  if (name.empty()) return 0;
  require(name.text().find(':') != std::string::npos);
  // Such a name nobody has, in whatever form.
  if (name.text().find_first_of(" \t\r\n\v\f") != std::string::npos) return 0;
  require(ModelName::canonical(name.text()) == name);
  return 0;
}
