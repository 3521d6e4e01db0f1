// Models in the cloud and accounts, whole: which instance is asked, and who is refused.

#include "gateway/sim_world.h"

namespace drover::simtest {
namespace {

WorldOptions with_cloud(std::optional<BackendId> identity) {
  WorldOptions options;
  options.instances = 3;
  options.fake.models = {{.name = "gpt-oss:120b-cloud"}, {.name = "llama3.2:latest"}};
  options.gateway.identity = identity;
  return options;
}

constexpr std::string_view kAsk = R"({"model":"GPT-oss:120b-CLOUD","prompt":"hi","stream":false})";

TEST(Account, ModelsInTheCloudGoToItsInstanceOnly) {
  World world(with_cloud(BackendId{1}));
  for (int i = 0; i < 6; ++i) {
    const Reply reply = world.done(world.post("/api/generate", kAsk)).reply();
    EXPECT_EQ(reply.field("x-drover-backend"), "gpu1");
  }
  world.kill(1);
  world.pass(5s);
  EXPECT_EQ(world.done(world.post("/api/generate", kAsk)).reply().status, 503);
  world.expect_nothing_left();
}

TEST(Account, WithoutOneTheyAreRefusedWithTheLineToWrite) {
  World world(with_cloud({}));
  const Reply reply = world.done(world.post("/api/generate", kAsk)).reply();
  EXPECT_EQ(reply.status, 403);
  EXPECT_NE(reply.body.find("identity: NAME"), std::string::npos) << reply.body;
  for (const std::string_view path : {"/api/me", "/api/signout", "/api/experimental/web_search"}) {
    EXPECT_EQ(world.done(world.post(path, "{}")).reply().status, 403) << path;
  }
  EXPECT_EQ(world.done(world.get("/api/status")).reply().body,
            R"({"cloud":{"disabled":true,"source":"config"}})");
  EXPECT_EQ(world.requests_seen(), 0U);
  world.expect_nothing_left();
}

TEST(Account, ItsRoutesAreAnsweredByItsInstance) {
  World world(with_cloud(BackendId{2}));
  const Reply status = world.done(world.get("/api/status")).reply();
  EXPECT_EQ(status.status, 200);
  EXPECT_NE(status.body, R"({"cloud":{"disabled":true,"source":"config"}})");
  // The simulated instance has no such route: its own answer comes back.
  const Reply me = world.done(world.post("/api/me", "{}")).reply();
  EXPECT_EQ(me.status, 404);
  EXPECT_EQ(me.body, "404 page not found");
  Client& waits = world.ask(
      "POST /api/me HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: "
      "2\r\n\r\n");
  world.pass(1s);
  EXPECT_EQ(waits.raw(), "HTTP/1.1 100 Continue\r\n\r\n");
  waits.say("{}");
  world.pass(1s);
  EXPECT_NE(waits.raw().find("404 page not found"), std::string::npos);
  world.kill(2);
  EXPECT_EQ(world.done(world.post("/api/me", "{}")).reply().status, 503);
  world.expect_nothing_left();
}

}  // namespace
}  // namespace drover::simtest
