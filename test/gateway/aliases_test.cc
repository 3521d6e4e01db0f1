// Names of the operator's for models, whole: what a client asks for, and what an instance is asked.

#include <fmt/format.h>

#include "gateway/sim_world.h"

namespace drover::simtest {
namespace {

WorldOptions with_alias(std::vector<std::string> models) {
  WorldOptions options;
  options.models[0] = {{.name = "big:latest"}};
  options.models[1] = {{.name = "small:latest"}};
  options.gateway.aliases.emplace(ModelName::canonical("fast"), gateway::Alias{std::move(models)});
  return options;
}

constexpr std::string_view kAsk = R"({"model":"FAST","prompt":"hi","stream":false})";

TEST(Alias, StandsForTheFirstModelThatSomebodyHas) {
  World world(with_alias({"nobodys", "small", "big"}));
  const Reply reply = world.done(world.post("/api/generate", kAsk)).reply();
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.field("x-drover-backend"), "gpu1");
  EXPECT_EQ(json_text(reply.body, "model"), "small");
}

TEST(Alias, FallsBackWhenWhoHasTheFirstIsAway) {
  World world(with_alias({"big", "small"}));
  EXPECT_EQ(world.done(world.post("/api/generate", kAsk)).reply().field("x-drover-backend"),
            "gpu0");
  world.kill(0);
  world.pass(5s);
  EXPECT_EQ(world.done(world.post("/api/generate", kAsk)).reply().field("x-drover-backend"),
            "gpu1");
  world.expect_nothing_left();
}

TEST(Alias, OfEveryRouteThatNamesAModel) {
  World world(with_alias({"small"}));
  EXPECT_EQ(world.done(world.post("/api/show", R"({"model":"","name":"fast"})")).reply().status,
            200);
  EXPECT_EQ(world.done(world.get("/v1/models/fast")).reply().status, 200);
  const Reply chat = world
                         .done(world.post("/v1/chat/completions",
                                          R"({"messages":[{"role":"user","content":"hi"}],)"
                                          R"("Model":"fa\u0073t"})"))
                         .reply();
  EXPECT_EQ(chat.status, 200);
  const Reply stop =
      world.done(world.post("/api/generate", R"({"model":"fast","keep_alive":0})")).reply();
  EXPECT_EQ(stop.status, 200);
  EXPECT_EQ(json_text(stop.body, "done_reason"), "unload");
  world.expect_nothing_left();
}

TEST(Alias, OfALargeBodyTooAndNothingElseChanges) {
  WorldOptions options = with_alias({"small"});
  options.gateway.limits.spill_bytes = 10'000;
  options.gateway.limits.body_memory_bytes = 0;
  World world(std::move(options));
  const std::string body =
      fmt::format(R"({{"prompt":"{}","stream":false,"model":"fast"}})", std::string(200'000, 'x'));
  const Reply reply = world.done(world.post("/api/generate", body)).reply();
  EXPECT_EQ(reply.status, 200);
  EXPECT_NE(world.instance(1).state_json().find(fmt::format(R"("body_bytes":{})", body.size() + 1)),
            std::string::npos);
}

TEST(Alias, IsListedWhereAskedFor) {
  World hidden(with_alias({"big", "small"}));
  WorldOptions options = with_alias({"big", "small"});
  options.gateway.list_aliases = true;
  World world(std::move(options));
  const auto digest_in_tags = [](World& of) {
    const Reply reply = of.done(of.get("/api/tags")).reply();
    const std::size_t at = reply.body.find(R"("name":"fast:latest","model":"fast:latest")");
    const std::size_t digest = reply.body.find(R"("digest":")", at);
    return at == std::string::npos ? "" : reply.body.substr(digest, 30);
  };
  EXPECT_EQ(digest_in_tags(hidden), "");
  const std::string big = digest_in_tags(world);
  EXPECT_NE(big, "");
  const Reply models = world.done(world.get("/v1/models")).reply();
  EXPECT_NE(models.body.find(R"("id":"fast:latest")"), std::string::npos) << models.body;
  world.kill(0);
  world.pass(5s);
  EXPECT_NE(digest_in_tags(world), big);
}

TEST(Alias, IsNotChangedByOrders) {
  World world(with_alias({"small"}));
  const Reply reply = world.done(world.post("/api/pull", R"({"model":"fast"})")).reply();
  EXPECT_EQ(reply.status, 400);
  EXPECT_EQ(json_text(reply.body, "error"),
            "'fast:latest' is an alias of drover's configuration; name the model itself, for "
            "example 'small'");
  EXPECT_EQ(world.done(world.remove(R"({"model":"fast"})")).reply().status, 400);
}

}  // namespace
}  // namespace drover::simtest
