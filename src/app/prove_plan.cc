#include "app/prove_plan.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <map>
#include <utility>

#include "app/escape.h"
#include "base/model_name.h"

namespace drover::app {
namespace {

using simdjson::dom::element;

// A GPU that somebody else keeps this busy would be part of what is measured.
constexpr double kBusyBefore = 0.2;

std::string text(element object, const char* key) {
  std::string_view value;
  return object[key].get(value) == simdjson::SUCCESS ? std::string(value) : std::string();
}

std::int64_t number(element object, const char* key) {
  std::int64_t value = 0;
  return object[key].get(value) == simdjson::SUCCESS ? value : 0;
}

// Of texts, or of objects that have a name.
std::vector<std::string> texts(element object, const char* key) {
  std::vector<std::string> all;
  simdjson::dom::array list;
  if (object[key].get(list) != simdjson::SUCCESS) return all;
  for (const element each : list) {
    std::string_view word;
    if (each.get(word) == simdjson::SUCCESS || each["name"].get(word) == simdjson::SUCCESS) {
      all.emplace_back(word);
    }
  }
  return all;
}

SeenInstance read_instance(element from) {
  SeenInstance one;
  one.name = text(from, "name");
  one.url = text(from, "url");
  one.health = text(from, "health");
  one.reason = text(from, "reason");
  one.placement = text(from, "placement");
  one.gpus = texts(from, "gpus");
  one.models = texts(from, "models");
  one.told_models = from["models"].is_array();
  one.loaded = texts(from, "loaded");
  one.in_flight = number(from, "in_flight");
  element process;
  if (from["process"].get(process) == simdjson::SUCCESS) one.pid = number(process, "pid");
  return one;
}

SeenGpu read_gpu(element from) {
  SeenGpu gpu{text(from, "uuid"), number(from, "index"), std::nullopt};
  double share = 0;
  if (from["utilization"].get(share) == simdjson::SUCCESS) gpu.utilization = share;
  return gpu;
}

bool same_model(std::string_view a, std::string_view b) {
  return ModelName::canonical(a) == ModelName::canonical(b);
}

bool contains(const std::vector<std::string>& names, std::string_view model) {
  return std::ranges::any_of(names, [model](const auto& each) { return same_model(each, model); });
}

// Embedding models generate nothing, and those in somebody's cloud use no GPU of this machine.
bool can_prove(std::string_view model) {
  return model.find("embed") == std::string_view::npos &&
         model.find("cloud") == std::string_view::npos;
}

// All devices at once belong to no comparison of one with all.
bool is_candidate(const SeenInstance& one) { return one.answers() && one.placement != "spanning"; }

template <class Names>
std::optional<std::string> most_common(const SeenFleet& fleet, Names names) {
  std::map<std::string, int> holders;
  for (const SeenInstance& one : fleet.instances) {
    if (!is_candidate(one)) continue;
    for (const std::string& model : names(one)) {
      if (can_prove(model)) ++holders[model];
    }
  }
  const auto best = std::ranges::max_element(
      holders, [](const auto& a, const auto& b) { return a.second < b.second; });
  return best == holders.end() ? std::nullopt : std::optional(best->first);
}

std::optional<std::string> choose_model(const SeenFleet& fleet) {
  auto loaded = most_common(fleet, [](const SeenInstance& one) { return one.loaded; });
  if (loaded) return loaded;
  return most_common(fleet, [](const SeenInstance& one) { return one.models; });
}

std::string join(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : ", ") + text_words(word);
  return out;
}

Error refusal(std::string message) {
  return {ErrorKind::kUnavailable, Origin::kSelf, Retry::kNever, std::move(message)};
}

Error too_few(const SeenFleet& fleet, const ProvePlan& plan) {
  std::string why;
  for (const SeenInstance& one : fleet.instances) {
    if (one.placement == "spanning") continue;
    if (!why.empty()) why += "; ";
    why += text_words(one.name) + " ";
    why += !one.answers()         ? fmt::format("is {}", text_words(one.health))
           : !one.told_models     ? "has not told its models yet"
           : !one.has(plan.model) ? "does not have it"
                                  : "has it";
  }
  return refusal(fmt::format(
      "two instances that are up and have {} are needed to compare one with all ({}); see 'drover "
      "status', pull the model where it is missing, or name another with --model",
      text_words(plan.model), why.empty() ? "there are none" : why));
}

void note_shared_devices(ProvePlan& plan) {
  std::map<std::string, std::vector<std::string>> users;
  std::vector<std::string> unknown;
  std::vector<std::string> on_cpu;
  for (const SeenInstance& one : plan.instances) {
    for (const std::string& uuid : one.gpus) users[uuid].push_back(one.name);
    if (one.gpus.empty()) (one.placement == "pinned" ? on_cpu : unknown).push_back(one.name);
  }
  for (const auto& [uuid, names] : users) {
    if (names.size() < 2) continue;
    plan.notes.push_back(
        fmt::format("{} share one device ({}): together they cannot be faster "
                    "than it is",
                    join(names), text_words(uuid)));
  }
  if (on_cpu.size() > 1) {
    plan.notes.push_back(fmt::format("{} compute on the same CPU", join(on_cpu)));
  }
  if (!unknown.empty()) {
    plan.notes.push_back(fmt::format(
        "drover does not run {} and cannot know which device is used there; on one device two "
        "instances are no faster than one",
        join(unknown)));
  }
}

}  // namespace

bool SeenInstance::has(std::string_view model) const { return contains(models, model); }

const SeenInstance* SeenFleet::find(std::string_view name) const {
  const auto found = std::ranges::find(instances, name, &SeenInstance::name);
  return found == instances.end() ? nullptr : &*found;
}

Result<SeenFleet> read_fleet(std::string_view status_json) {
  simdjson::dom::parser parser;
  element status;
  simdjson::dom::array list;
  if (parser.parse(status_json.data(), status_json.size()).get(status) != simdjson::SUCCESS ||
      status["instances"].get(list) != simdjson::SUCCESS) {
    return Error{ErrorKind::kUpstream, Origin::kInstance, Retry::kNever,
                 "the answer is no status of drover"};
  }
  SeenFleet fleet;
  fleet.listen = texts(status, "listen");
  for (const element each : list) fleet.instances.push_back(read_instance(each));
  if (status["gpus"]["devices"].get(list) == simdjson::SUCCESS) {
    for (const element each : list) fleet.gpus.push_back(read_gpu(each));
  }
  return fleet;
}

Result<ProvePlan> plan_proof(const SeenFleet& fleet, const std::optional<std::string>& model) {
  std::vector<std::string> busy;
  for (const SeenInstance& one : fleet.instances) {
    if (one.in_flight > 0) busy.push_back(fmt::format("{}: {}", one.name, one.in_flight));
  }
  if (!busy.empty()) {
    return refusal(fmt::format(
        "other requests are under way ({}): they would be slowed down and counted against the "
        "result; try again when the fleet is idle",
        join(busy)));
  }
  const std::optional<std::string> chosen = model ? model : choose_model(fleet);
  if (!chosen) {
    return refusal("no instance that is up holds a model that generates text; 'ollama pull' one");
  }
  ProvePlan plan;
  plan.model = *chosen;
  for (const SeenInstance& one : fleet.instances) {
    if (is_candidate(one) && one.has(plan.model)) {
      plan.instances.push_back(one);
    } else if (one.placement != "spanning" && !one.answers()) {
      plan.notes.push_back(fmt::format("{} is {} and takes no part: {}", text_words(one.name),
                                       text_words(one.health), text_words(one.reason)));
    } else if (one.placement != "spanning") {
      plan.notes.push_back(
          fmt::format("{} does not have the model and takes no part", text_words(one.name)));
    }
  }
  if (plan.instances.size() < 2) return too_few(fleet, plan);
  note_shared_devices(plan);
  for (const SeenGpu& gpu : fleet.gpus) {
    if (gpu.utilization.value_or(0) < kBusyBefore) continue;
    plan.notes.push_back(fmt::format("GPU {} was {:.0f} % busy before the first question",
                                     gpu.index, *gpu.utilization * 100));
  }
  return plan;
}

}  // namespace drover::app
