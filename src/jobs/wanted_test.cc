#include "jobs/wanted.h"

#include <gtest/gtest.h>

namespace drover::jobs {
namespace {

const ModelName kModel = ModelName::canonical("m");

struct Instance {
  bool up = true;
  bool known = true;
  bool has = false;
  bool loaded = false;
  std::uint32_t in_flight = 0;
};

// Each instance has a store of its own.
struct Shop {
  explicit Shop(const std::vector<Instance>& all) {
    for (std::size_t i = 0; i < all.size(); ++i) {
      const BackendId id{static_cast<std::uint32_t>(i)};
      core::BackendView view;
      view.id = id;
      view.name = "i" + std::to_string(i);
      view.health = all[i].up ? core::HealthState::kUp : core::HealthState::kDown;
      view.in_flight = all[i].in_flight;
      core::Catalogue catalogue;
      core::Residency residency;
      if (all[i].has) catalogue.push_back({.name = kModel});
      if (all[i].loaded) residency.push_back({.name = kModel});
      if (all[i].known) {
        view.catalogue = std::make_shared<core::Catalogue>(std::move(catalogue));
        view.residency = std::make_shared<core::Residency>(std::move(residency));
      }
      fleet.backends.push_back(std::move(view));
      stores.push_back({"s" + std::to_string(i), {{id, "i" + std::to_string(i), {}}}});
    }
  }
  // "pull", or the numbers of the instances that shall load it.
  std::string lacks(Wanted wanted) const {
    wanted.shown = "m";
    wanted.model = kModel;
    std::string text;
    for (const Lack& lack : lacking({wanted}, stores, fleet)) {
      text += (text.empty() ? "" : " ");
      text += lack.load_on ? std::to_string(lack.load_on->value) : "pull";
    }
    return text;
  }
  core::FleetView fleet;
  std::vector<Store> stores;
};

constexpr Instance kHas{.has = true};
constexpr Instance kLoaded{.has = true, .loaded = true};
constexpr Instance kNone{};
constexpr Instance kAway{.up = false};
constexpr Instance kUnheard{.up = false, .known = false};

TEST(Wanted, IsFetchedUntilEnoughStoresHaveIt) {
  EXPECT_EQ(Shop({kHas, kNone, kNone}).lacks({.stores = 2}), "pull");
  EXPECT_EQ(Shop({kHas, kHas, kNone}).lacks({.stores = 2}), "");
  EXPECT_EQ(Shop({kHas, kHas, kNone}).lacks({.stores = 1000}), "pull");
  EXPECT_EQ(Shop({kHas, kHas, kHas}).lacks({.stores = 1000}), "");
  EXPECT_EQ(Shop({kNone}).lacks({}), "");
}

TEST(Wanted, IsNotFetchedOnASuspicion) {
  EXPECT_EQ(Shop({kNone, kUnheard}).lacks({.stores = 1}), "");
  EXPECT_EQ(Shop({kHas, kAway}).lacks({.stores = 2}), "") << "who lacks it is away";
}

TEST(Wanted, IsLoadedOnTheLeastBusy) {
  const Instance busy{.has = true, .in_flight = 3};
  EXPECT_EQ(Shop({busy, kHas, kNone}).lacks({.loaded = 1}), "1");
  EXPECT_EQ(Shop({busy, kHas, kNone}).lacks({.loaded = 2}), "1 0");
  EXPECT_EQ(Shop({kLoaded, kHas}).lacks({.loaded = 1}), "");
  EXPECT_EQ(Shop({kUnheard, kNone}).lacks({.loaded = 1}), "");
}

TEST(Wanted, IsLoadedWhereItIsPinned) {
  EXPECT_EQ(Shop({kLoaded, kHas, kHas}).lacks({.pinned = {BackendId{2}}}), "2");
  EXPECT_EQ(Shop({kHas, kHas, kHas}).lacks({.loaded = 2, .pinned = {BackendId{2}}}), "2 0");
  EXPECT_EQ(Shop({kHas, kLoaded}).lacks({.pinned = {BackendId{1}}}), "");
}

TEST(Wanted, SaysWhatThereIs) {
  const Shop shop({kLoaded, kHas, kNone});
  EXPECT_EQ(wanted_json({{"m", kModel, 1000, 2, {}}, {"n", ModelName::canonical("n"), {}, 0, {}}},
                        shop.stores, shop.fleet),
            R"({"models":[{"name":"m","stores":{"wanted":3,"have":2},"loaded":{"wanted":2,)"
            R"("have":1}},{"name":"n","stores":null,"loaded":{"wanted":0,"have":0}}]})"
            "\n");
}

}  // namespace
}  // namespace drover::jobs
