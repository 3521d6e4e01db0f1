// Any bytes as an instance's lists: what is read merges into lists that can be read again, are JSON
// for another parser, and name the same models. The version readers get the same bytes.

#include <simdjson.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "wire/catalogue.h"
#include "wire/json_fuzz_judge.h"
#include "wire/rfc3339.h"

namespace {

using namespace drover;
using namespace drover::wire;

void require(bool condition) {
  if (!condition) std::abort();
}

void require_json(const std::string& text) {
  simdjson::dom::parser parser;
  const auto error = parser.parse(text).error();
  require(!error || is_known_difference(error, text));
}

template <class Models>
std::set<std::string> names(const Models& models) {
  std::set<std::string> out;
  for (const auto& model : models) out.insert(model.name.text());
  return out;
}

void check_tags(const std::vector<InstalledModel>& models) {
  const std::vector<const std::vector<InstalledModel>*> stores = {&models, &models};
  const std::string merged = merge_tags(stores);
  const auto again = read_tags(merged);
  require(again.ok() && names(*again) == names(models));
  require(again->size() == names(models).size());
  require_json(merged);
  require_json(models_list(stores));
  for (const auto& model : models) {
    require(model_entry(stores, model.name).has_value());
    (void)parse_rfc3339(model.modified_at);
  }
}

void check_ps(const std::vector<LoadedModel>& models) {
  const std::vector<InstanceModels> lists = {{"a\"b", &models}, {"c", &models}};
  const std::string merged = merge_ps(lists);
  const auto again = read_ps(merged);
  require(again.ok() && again->size() == 2 * models.size());
  require(names(*again) == names(models));
  require_json(merged);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  if (const auto tags = read_tags(body)) check_tags(*tags);
  if (const auto ps = read_ps(body)) check_ps(*ps);
  (void)read_version(body);
  const std::string_view half = body.substr(0, size / 2);
  const std::string_view rest = body.substr(size / 2);
  const std::string_view lower = lower_version(half, rest);
  require(lower == half || lower == rest);
  (void)parse_rfc3339(body);
  return 0;
}
