// What the admin side remembers of requests that are over.

#include <fmt/format.h>

#include "gateway/sim_world.h"

namespace drover::simtest {
namespace {

Reply story_of(World& world, std::string_view id) {
  return world.admin("GET", fmt::format("/api/v1/requests/{}", id));
}

Reply chat(World& world, std::string_view id) {
  const std::string fields = fmt::format("X-Request-ID: {}\r\nX-Drover-Explain: 1\r\n", id);
  return world.done(world.ask(World::request("POST", "/api/chat", World::chat_body(), fields)))
      .reply();
}

TEST(AdminRequests, AServedOneTellsItsTimesAndItsDecision) {
  World world;
  const Reply answer = chat(world, "mine-1");
  ASSERT_EQ(answer.status, 200);
  world.pass(5s);
  const Reply story = story_of(world, "mine-1");
  EXPECT_EQ(story.status, 200) << story.body;
  EXPECT_TRUE(is_json(story.body)) << story.body;
  EXPECT_EQ(json_text(story.body, "id"), "mine-1");
  EXPECT_EQ(json_text(story.body, "route"), "/api/chat");
  EXPECT_EQ(json_text(story.body, "outcome"), "served");
  EXPECT_EQ(json_text(story.body, "instance"), answer.field("x-drover-backend"));
  EXPECT_EQ(json_text(story.body, "why"), answer.field("x-drover-why"));
  EXPECT_NE(story.body.find("\"status\":200,"), std::string::npos) << story.body;
  EXPECT_EQ(story.body.find("\"arrived_seconds_ago\":0."), std::string::npos) << story.body;
  EXPECT_EQ(story.body.find("\"first_token_ms\":null"), std::string::npos) << story.body;
}

TEST(AdminRequests, ARefusedOneIsFoundByTheIdThatDroverGaveIt) {
  World world;
  const Reply answer = world.done(world.post("/api/generate", R"({"model":"nosuch"})")).reply();
  ASSERT_EQ(answer.status, 404);
  const Reply story = story_of(world, answer.field("x-request-id"));
  EXPECT_EQ(story.status, 200) << story.body;
  EXPECT_EQ(json_text(story.body, "outcome"), "refused");
  EXPECT_EQ(json_text(story.body, "instance"), "");
  EXPECT_EQ(json_text(story.body, "failure"), "model 'nosuch' not found");
  EXPECT_NE(story.body.find("\"first_token_ms\":null"), std::string::npos) << story.body;
}

TEST(AdminRequests, ARetriedOneNamesTheFailure) {
  World world;
  ASSERT_TRUE(world.instance(0).inject(R"({"kind":"reset"})"));
  std::size_t retried = 0;
  for (const std::string_view id : {"a", "b", "c"}) {
    EXPECT_EQ(chat(world, id).status, 200);
    const Reply story = story_of(world, id);
    if (story.body.find("\"retries\":0,") != std::string::npos) continue;
    ++retried;
    EXPECT_NE(json_text(story.body, "failure"), "") << story.body;
    EXPECT_NE(json_text(story.body, "why").find("gpu0: failed this request"), std::string::npos)
        << story.body;
  }
  EXPECT_EQ(retried, 1U);
}

TEST(AdminRequests, UnknownAndImpossibleOnesAreExplained) {
  World world;
  chat(world, "one");
  const Reply unknown = story_of(world, "nobody");
  EXPECT_EQ(unknown.status, 404);
  EXPECT_EQ(json_text(unknown.body, "detail").find("request nobody is not remembered: "), 0U)
      << unknown.body;
  EXPECT_NE(unknown.body.find("(1 now). Its log has"), std::string::npos) << unknown.body;
  EXPECT_EQ(story_of(world, "%0d%0a").status, 400);
  EXPECT_EQ(story_of(world, std::string(129, 'x')).status, 400);
  EXPECT_EQ(story_of(world, "").status, 404);
  EXPECT_EQ(world.admin("GET", "/api/v1/requests").status, 404);
  EXPECT_EQ(world.admin("GET", "/api/v1/requestsx").status, 404);
  const Reply method = world.admin("POST", "/api/v1/requests/one");
  EXPECT_EQ(method.status, 405);
  EXPECT_EQ(method.field("allow"), "GET, HEAD");
}

}  // namespace
}  // namespace drover::simtest
