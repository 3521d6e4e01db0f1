// The small languages of the command line.

#include <charconv>
#include <cmath>

#include "fake_ollama/fake_ollama.h"

namespace drover::fake {
namespace {

// Upper case only: "llama3:8b" is a tag, "llama3:8GB" is a size.
bool unit_factor(std::string_view unit, double& factor) {
  if (unit == "KB")
    factor = 1e3;
  else if (unit == "MB")
    factor = 1e6;
  else if (unit == "GB")
    factor = 1e9;
  else if (unit == "TB")
    factor = 1e12;
  else
    return false;
  return true;
}

bool parse_sized(std::string_view text, std::uint64_t& bytes) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || !(number >= 0) || number > 1e15) return false;
  double factor = 0;
  if (!unit_factor({end, static_cast<std::size_t>(text.data() + text.size() - end)}, factor)) {
    return false;
  }
  bytes = static_cast<std::uint64_t>(std::llround(number * factor));
  return true;
}

}  // namespace

bool parse_bytes(const std::string& text, std::uint64_t& bytes) {
  if (parse_sized(text, bytes)) return true;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), bytes);
  return error == std::errc() && end == text.data() + text.size();
}

std::vector<FakeModel> parse_models(const std::string& text, std::string& error) {
  std::vector<FakeModel> models;
  for (std::size_t from = 0; from <= text.size();) {
    std::size_t to = text.find(',', from);
    if (to == std::string::npos) to = text.size();
    std::string name = text.substr(from, to - from);
    from = to + 1;
    FakeModel model;
    const std::size_t colon = name.rfind(':');
    if (colon != std::string::npos && parse_sized(name.substr(colon + 1), model.bytes)) {
      name.resize(colon);
    }
    if (name.empty() || name.find_first_of(" \t\"\\") != std::string::npos) {
      error = "'" + name + "' is not a model name";
      return {};
    }
    // Ollama shows every name with its tag.
    const std::size_t slash = name.rfind('/');
    const std::size_t tag = name.find(':', slash == std::string::npos ? 0 : slash);
    model.name = tag == std::string::npos ? name + ":latest" : name;
    model.embeds = name.find("embed") != std::string::npos;
    models.push_back(std::move(model));
  }
  return models;
}

}  // namespace drover::fake
