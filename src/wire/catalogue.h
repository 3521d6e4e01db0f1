#pragma once
// What instances say about their models, read and merged. Unknown fields survive: models travel as
// the JSON text they arrived in.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/model_name.h"
#include "base/models.h"
#include "base/result.h"

namespace drover::wire {

using drover::InstalledModel;
using drover::LoadedModel;

// Errors (kUpstream): not a JSON object with an array (or null) "models", an entry without a name,
// more than 100,000 entries.
Result<std::vector<InstalledModel>> read_tags(std::string_view body);
Result<std::vector<LoadedModel>> read_ps(std::string_view body);
Result<std::string> read_version(std::string_view body);  // {"version":"…"}

// Union by canonical name; of two digests the newest modified_at is shown. Ordered by modified_at,
// newest first, as Ollama does. Returns the whole body {"models":[…]}.
std::string merge_tags(std::span<const std::vector<InstalledModel>* const> stores);
// Concatenation {"models":[…]}; `instances` names each list's instance and is added to its entries
// as "drover_instance" (clients ignore fields that they do not know).
struct InstanceModels {
  std::string_view instance;
  const std::vector<LoadedModel>* models;
};
std::string merge_ps(std::span<const InstanceModels> lists);
// {"object":"list","data":[{id,object,created,owned_by}…]}; data is null without models, as Ollama.
std::string models_list(std::span<const std::vector<InstalledModel>* const> stores);
// One entry of the same, or nullopt.
std::optional<std::string> model_entry(std::span<const std::vector<InstalledModel>* const> stores,
                                       const ModelName& name);

// The same model as if it were called `name`, its text of /api/tags included.
InstalledModel renamed(const InstalledModel& model, const ModelName& name);

// The lower of two version texts by numeric parts ("0.9.1" < "0.30.0"; pre-releases lower).
std::string_view lower_version(std::string_view a, std::string_view b);

}  // namespace drover::wire
