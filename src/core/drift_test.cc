#include "core/drift.h"

#include <gtest/gtest.h>

namespace drover::core {
namespace {

BackendView holding(std::vector<std::pair<std::string, std::string>> models) {
  Catalogue catalogue;
  for (auto& [name, digest] : models) {
    InstalledModel model;
    model.name = ModelName::canonical(name);
    model.digest = digest;
    catalogue.push_back(model);
  }
  BackendView backend;
  backend.catalogue = std::make_shared<const Catalogue>(std::move(catalogue));
  return backend;
}

TEST(Drift, ANameWithTwoDigestsHasDrifted) {
  FleetView fleet;
  fleet.backends = {holding({{"a", "1"}, {"b", "1"}}), holding({{"a", "1"}, {"b", "2"}}),
                    holding({{"b", "3"}}), BackendView{}};
  EXPECT_EQ(drifted_models(fleet), std::vector{ModelName::canonical("b")});
}

TEST(Drift, AnEmptyFleetHasNone) { EXPECT_TRUE(drifted_models({}).empty()); }

}  // namespace
}  // namespace drover::core
