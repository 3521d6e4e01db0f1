#include "gateway/aliases.h"

#include <fmt/format.h>

#include <algorithm>

#include "jobs/stores.h"
#include "wire/catalogue.h"
#include "wire/dialect.h"
#include "wire/model_request.h"

namespace drover::gateway {
namespace {

// Null: it does not have it, or is not known.
const InstalledModel* installed(const core::BackendView& instance, const ModelName& model) {
  if (!instance.catalogue) return nullptr;
  const auto found = std::ranges::find(*instance.catalogue, model, &InstalledModel::name);
  return found == instance.catalogue->end() ? nullptr : &*found;
}

// Where the model stands in the body as it was received.
Result<wire::ModelValue::Place> find_value(const BodyStore& body) {
  wire::ModelValue value;
  std::string room(64 * 1024, '\0');
  BodyStore::Cursor cursor;
  for (;;) {
    Result<std::string_view> piece = body.read(cursor, room);
    if (!piece) return std::move(piece).error();
    if (piece->empty()) return value.place();
    value.feed(*piece);
  }
}

// Where an alias is changed, or stands in a form.
Error not_here(std::string_view name, const Alias& alias) {
  return {ErrorKind::kMalformed, Origin::kClient, Retry::kNever,
          fmt::format("'{}' is an alias of drover's configuration; name the model itself, for "
                      "example '{}'",
                      name, alias.models.front())};
}

}  // namespace

const std::string& chosen_model(const Alias& alias, const core::FleetView& fleet) {
  for (const bool answering : {true, false}) {
    for (const std::string& model : alias.models) {
      const ModelName name = ModelName::canonical(model);
      for (const core::BackendView& instance : fleet.backends) {
        if (answering && !jobs::answers(instance)) continue;
        if (installed(instance, name) != nullptr) return model;
      }
    }
  }
  return alias.models.front();
}

core::Catalogue listed_aliases(const core::FleetView& fleet, const Settings& settings) {
  core::Catalogue listed;
  if (!settings.list_aliases) return listed;
  for (const auto& [name, alias] : settings.aliases) {
    const ModelName model = ModelName::canonical(chosen_model(alias, fleet));
    for (const core::BackendView& instance : fleet.backends) {
      const InstalledModel* found = installed(instance, model);
      if (found == nullptr) continue;
      listed.push_back(wire::renamed(*found, name));
      break;
    }
  }
  return listed;
}

Result<void> resolve_alias(Exchange& exchange, const core::FleetView& fleet,
                           const Settings& settings) {
  if (settings.aliases.empty()) return {};
  const auto found = settings.aliases.find(exchange.ask.model);
  if (found == settings.aliases.end()) return {};
  const std::string& model = chosen_model(found->second, fleet);
  switch (exchange.route->treatment) {
    case Treatment::kPathModel:
      exchange.kept->target = "/v1/models/" + model;
      break;
    case Treatment::kJsonBody: {
      Result<wire::ModelValue::Place> place = find_value(exchange.kept->body);
      if (!place) return std::move(place).error();
      exchange.kept->body.replace({place->offset, place->length, wire::json_quote(model)});
      break;
    }
    default:
      return not_here(exchange.ask.model.text(), found->second);
  }
  exchange.ask.model = ModelName::canonical(model);
  exchange.ask.model_as_sent = model;
  return {};
}

}  // namespace drover::gateway
