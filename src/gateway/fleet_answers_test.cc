#include "gateway/fleet_answers.h"

#include <gtest/gtest.h>

#include "gateway/admin_page.h"
#include "wire/catalogue.h"

namespace drover::gateway {
namespace {

using core::HealthState;

InstalledModel installed(std::string_view name, std::string_view modified) {
  InstalledModel model;
  model.name = ModelName::canonical(name);
  model.shown_name = name;
  model.modified_at = modified;
  model.json =
      "{\"name\":\"" + std::string(name) + "\",\"modified_at\":\"" + std::string(modified) + "\"}";
  return model;
}

LoadedModel loaded(std::string_view name) {
  LoadedModel model;
  model.name = ModelName::canonical(name);
  model.json = "{\"name\":\"" + std::string(name) + "\"}";
  return model;
}

core::BackendView backend(std::string name, HealthState health) {
  core::BackendView view;
  view.name = std::move(name);
  view.health = health;
  return view;
}

std::shared_ptr<const core::Catalogue> has(std::initializer_list<std::string_view> names) {
  auto all = std::make_shared<core::Catalogue>();
  for (std::string_view name : names) all->push_back(installed(name, "2026-01-01T00:00:00Z"));
  return all;
}

std::shared_ptr<const core::Residency> runs(std::string_view name) {
  return std::make_shared<const core::Residency>(core::Residency{loaded(name)});
}

std::vector<std::string> names_of(std::string_view body) {
  const auto models = wire::read_tags(body);
  EXPECT_TRUE(models.ok()) << body;
  std::vector<std::string> names;
  if (models.ok()) {
    for (const InstalledModel& model : *models) names.push_back(model.shown_name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

TEST(FleetAnswers, AnUnknownFleetIsUnavailableAndNotEmpty) {
  core::FleetView fleet;
  fleet.backends.push_back(backend("a", HealthState::kUnknown));
  for (const Treatment treatment :
       {Treatment::kVersion, Treatment::kTags, Treatment::kModels, Treatment::kPs}) {
    const Result<FleetAnswer> answer = answer_for_fleet(treatment, fleet, {});
    ASSERT_FALSE(answer.ok());
    EXPECT_EQ(answer.error().kind, ErrorKind::kUnavailable);
  }
}

TEST(FleetAnswers, DroverIsAliveWithoutAnyInstance) {
  const Result<FleetAnswer> answer = answer_for_fleet(Treatment::kAlive, {}, {});
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->body, "Ollama is running");
}

TEST(FleetAnswers, TagsAndModelsAreTheUnionOfWhatIsKnown) {
  core::FleetView fleet;
  fleet.backends = {backend("a", HealthState::kUp), backend("b", HealthState::kUp),
                    backend("c", HealthState::kUnknown)};
  fleet.backends[0].catalogue = has({"one", "both"});
  fleet.backends[1].catalogue = has({"two", "both:latest"});
  const Result<FleetAnswer> tags = answer_for_fleet(Treatment::kTags, fleet, {});
  ASSERT_TRUE(tags.ok());
  EXPECT_EQ(names_of(tags->body).size(), 3U) << tags->body;
  const Result<FleetAnswer> models = answer_for_fleet(Treatment::kModels, fleet, {});
  ASSERT_TRUE(models.ok());
  for (std::string_view name : {"one", "two", "both"}) {
    EXPECT_NE(models->body.find("\"id\":\"" + std::string(name)), std::string::npos) << name;
  }
}

TEST(FleetAnswers, TheModelsOfADeadInstanceStayListed) {
  core::FleetView fleet;
  fleet.backends = {backend("a", HealthState::kDown)};
  fleet.backends[0].catalogue = has({"one"});
  const Result<FleetAnswer> tags = answer_for_fleet(Treatment::kTags, fleet, {});
  ASSERT_TRUE(tags.ok());
  EXPECT_EQ(names_of(tags->body), std::vector<std::string>{"one"});
}

TEST(FleetAnswers, AnEmptyStoreIsAnEmptyList) {
  core::FleetView fleet;
  fleet.backends = {backend("a", HealthState::kUp)};
  fleet.backends[0].catalogue = has({});
  EXPECT_EQ(answer_for_fleet(Treatment::kTags, fleet, {})->body, R"({"models":[]})");
}

TEST(FleetAnswers, OnlyInstancesThatAnswerHaveModelsLoaded) {
  const std::pair<HealthState, bool> rows[] = {{HealthState::kUp, true},
                                               {HealthState::kProbation, true},
                                               {HealthState::kDraining, true},
                                               {HealthState::kDown, false},
                                               {HealthState::kUnknown, false}};
  for (const auto& [health, shown] : rows) {
    core::FleetView fleet;
    fleet.backends = {backend("gpu0", health)};
    fleet.backends[0].catalogue = has({"one"});
    fleet.backends[0].residency = runs("one");
    const Result<FleetAnswer> ps = answer_for_fleet(Treatment::kPs, fleet, {});
    ASSERT_TRUE(ps.ok());
    EXPECT_EQ(ps->body.find("\"one\"") != std::string::npos, shown) << ps->body;
    EXPECT_EQ(ps->body.find("gpu0") != std::string::npos, shown) << ps->body;
  }
}

TEST(FleetAnswers, TheVersionIsTheLowest) {
  core::FleetView fleet;
  fleet.backends = {backend("a", HealthState::kUp), backend("b", HealthState::kUp),
                    backend("c", HealthState::kUnknown)};
  fleet.backends[0].version = "0.30.0";
  fleet.backends[1].version = "0.9.1";
  const Result<FleetAnswer> answer = answer_for_fleet(Treatment::kVersion, fleet, {});
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->body, R"({"version":"0.9.1","drover":true})");
}

TEST(AdminPage, TextOfInstancesIsEscaped) {
  core::FleetView fleet;
  fleet.policy = "<p>";
  core::BackendView bad = backend("<script>alert(\"n\")</script>", HealthState::kDown);
  bad.url = "http://x/?a=1&b=\"2\"";
  bad.reason = "said <img src=x onerror=y>";
  bad.version = "</td><script>";
  bad.residency = runs("<b>model</b>");
  fleet.backends.push_back(bad);
  const std::string page = admin_page(fleet, {"<v>", "<listen>", Instant{}, 0});
  for (std::string_view raw :
       {"<script", "<img", "<b>model", "<v>", "<listen>", "b=\"2\"", "<p>\n"}) {
    EXPECT_EQ(page.find(raw), std::string::npos) << raw;
  }
  for (std::string_view shown : {"&lt;script&gt;alert(&quot;n&quot;)", "?a=1&amp;b=&quot;2&quot;",
                                 "&lt;img src=x", "&lt;b&gt;model&lt;/b&gt;"}) {
    EXPECT_NE(page.find(shown), std::string::npos) << shown;
  }
}

TEST(AdminPage, UnknownIsSaidAndNotShownAsNone) {
  core::FleetView fleet;
  fleet.backends = {backend("a", HealthState::kUnknown), backend("b", HealthState::kUp)};
  fleet.backends[1].catalogue = has({"one", "two"});
  fleet.backends[1].residency = std::make_shared<const core::Residency>();
  const std::string page = admin_page(fleet, {"1", "x", Instant(std::chrono::hours(50)), 3});
  EXPECT_NE(page.find("<td>unknown</td><td class=\"n\">unknown</td>"), std::string::npos);
  EXPECT_NE(page.find("<td>none</td><td class=\"n\">2</td>"), std::string::npos);
  EXPECT_NE(page.find("for 2 d"), std::string::npos);
  EXPECT_NE(page.find("3 requests running"), std::string::npos);
}

TEST(AdminPage, DifferentModelsUnderOneNameAreNamed) {
  core::FleetView fleet;
  fleet.backends = {backend("a", HealthState::kUp), backend("b", HealthState::kUp)};
  for (core::BackendView& each : fleet.backends) {
    core::Catalogue one = *has({"one"});
    one[0].digest = each.name;
    each.catalogue = std::make_shared<const core::Catalogue>(std::move(one));
  }
  const std::string page = admin_page(fleet, {"1", "x", Instant{}, 0});
  EXPECT_NE(page.find("Different models under one name: <b>one:latest</b>"), std::string::npos);
}

TEST(AdminPage, DevicesAndProcessesHaveTheirTables) {
  core::FleetView fleet;
  fleet.backends = {backend("gpu0", HealthState::kUp), backend("foreign", HealthState::kUp)};
  const std::string without = admin_page(fleet, {"1", "x", Instant{}, 0});
  EXPECT_EQ(without.find("<th>GPU</th>"), std::string::npos);
  EXPECT_EQ(without.find("<th>Process of</th>"), std::string::npos);
  fleet.backends[0].gpus = {"GPU-a"};
  InstanceProcess process{.state = ProcessState::kRunning, .pid = 77, .starts = 3};
  process.pinned_well = false;
  process.pinning_detail = "runner <78>";
  fleet.backends[0].process = process;
  GpuReport report{"nvml", {{.index = 0, .uuid = "GPU-a", .name = "<H100>"}}, {"a <problem>"}};
  report.gpus[0].utilization = 0.35;
  report.gpus[0].xid_errors = {{79, 2}};
  report.gpus[0].throttle_reasons = {"hw_thermal", "sw_power_cap"};
  fleet.gpus = std::make_shared<const GpuReport>(report);
  const std::string page = admin_page(fleet, {"1", "x", Instant{}, 0});
  for (std::string_view shown :
       {"<td>gpu0</td><td>running", "<td class=\"n\">2</td>", "runner &lt;78&gt;", "0 &lt;H100&gt;",
        "<td class=\"n\">35 %</td>", "<td class=\"n\">- of -</td>", "XID 79 (2 times)",
        "slowed down by hw_thermal, sw_power_cap", "<td>gpu0</td></tr>",
        "<p>a &lt;problem&gt;</p>"}) {
    EXPECT_NE(page.find(shown), std::string::npos) << shown << "\n" << page;
  }
}

}  // namespace
}  // namespace drover::gateway
