#include "app/translate.h"

#include <gtest/gtest.h>

#include <string>

#include "config/load.h"

namespace drover::app {
namespace {

const std::string kThree =
    "backends:\n"
    "  - {name: a, url: 'http://127.0.0.1:11001'}\n"
    "  - {name: b, url: 'http://127.0.0.1:11002'}\n"
    "  - {name: c, url: 'http://127.0.0.1:11003'}\n";

config::Config read(const std::string& text) {
  config::LoadResult result = config::load(text, "test.yaml");
  for (const config::Problem& problem : result.errors) ADD_FAILURE() << problem.render();
  return std::move(result.config);
}

TEST(Translate, WhatStaysLoadedReachesTheScheduler) {
  const config::Config config = read(kThree +
                                     "models:\n"
                                     "  - {name: everywhere, preload: 2}\n"
                                     "  - {name: there, pin: [c, a]}\n"
                                     "  - {name: both, preload: 1, pin: [b]}\n"
                                     "  - {name: installed, copies: 2}\n");
  const core::Settings settings = core_settings(config, 1);
  ASSERT_EQ(settings.stays.size(), 3U) << "of an installed model nothing stays loaded";
  for (const core::Stay& stay : settings.stays) {
    const std::string& name = stay.model.text();
    EXPECT_EQ(stay.instances, name == "everywhere:latest" ? 2U
                              : name == "both:latest"     ? 1U
                                                          : 0U)
        << name;
    if (name == "there:latest") {
      EXPECT_EQ(stay.pinned, (std::vector<BackendId>{BackendId{0}, BackendId{2}}));
    } else if (name == "both:latest") {
      EXPECT_EQ(stay.pinned, std::vector<BackendId>{BackendId{1}});
    } else {
      EXPECT_TRUE(stay.pinned.empty()) << name;
    }
  }
}

TEST(Translate, APinToAnInstanceThatThereIsNotIsNamedAndLeftOut) {
  const config::Config config = read(kThree + "models:\n  - {name: m, pin: [d, b]}\n");
  EXPECT_EQ(vain_pins(config), std::vector<std::string>{"m on d"});
  const core::Settings settings = core_settings(config, 1);
  ASSERT_EQ(settings.stays.size(), 1U);
  EXPECT_EQ(settings.stays[0].pinned, std::vector<BackendId>{BackendId{1}});
}

TEST(Translate, WhoStaysByItsNameStaysByItsAlias) {
  const config::Config config = read(kThree +
                                     "models:\n  - {name: m, preload: 1}\n"
                                     "aliases: {mine: m}\n");
  const gateway::Settings settings = gateway_settings(config);
  EXPECT_TRUE(settings.stay_loaded.contains(ModelName::canonical("m")));
  EXPECT_TRUE(settings.stay_loaded.contains(ModelName::canonical("mine")));
  EXPECT_EQ(settings.stay_loaded.size(), 2U);
}

TEST(Translate, SlotsThatAreSaidAreNotLearned) {
  const config::Config config = read(
      "backends:\n"
      "  - {name: a, url: 'http://127.0.0.1:11001', parallel: 3}\n"
      "  - {name: b, url: 'http://127.0.0.1:11002'}\n");
  const std::vector<core::BackendSpec> specs = backend_specs(config, {});
  ASSERT_EQ(specs.size(), 2U);
  EXPECT_TRUE(specs[0].slots_are_told);
  EXPECT_EQ(specs[0].slots, 3U);
  EXPECT_FALSE(specs[1].slots_are_told);
}

}  // namespace
}  // namespace drover::app
