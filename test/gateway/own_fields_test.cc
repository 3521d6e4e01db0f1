// What clients tell drover by X-Drover-Priority and X-Drover-Deadline.

#include <fmt/format.h>

#include "gateway/sim_world.h"

namespace drover::simtest {
namespace {

std::string asking(std::string_view fields, std::string_view more = {}) {
  return World::request("POST", "/api/generate",
                        fmt::format(R"({{"model":"llama3.2","prompt":"hi"{}}})", more), fields);
}

WorldOptions by_cost() {
  WorldOptions options{.instances = 1};
  options.core.policy = core::PolicyName::kExpectedCompletion;
  return options;
}

TEST(OwnFields, ValuesThatNobodyUnderstandsAreRefused) {
  World world;
  for (const std::string_view field :
       {"X-Drover-Priority: high", "X-Drover-Priority: Batch",
        "X-Drover-Priority:", "X-Drover-Deadline: soon", "X-Drover-Deadline: 0",
        "X-Drover-Deadline: -1", "X-Drover-Deadline: 1e3", "X-Drover-Deadline: nan",
        "X-Drover-Deadline: inf", "X-Drover-Deadline: 86401", "X-Drover-Deadline: 5s",
        "X-Drover-Deadline:", "X-Drover-Deadline: 5\r\nX-Drover-Deadline: x"}) {
    const Reply reply = world.done(world.ask(asking(std::string(field) + "\r\n"))).reply();
    EXPECT_EQ(reply.status, 400) << field;
    const std::string error = json_text(reply.body, "error");
    const std::string name(field.substr(0, field.find(':')));
    EXPECT_EQ(error.find(name + " is "), 0U) << error;
  }
  world.expect_nothing_left();
}

TEST(OwnFields, OthersAreNobodysBusiness) {
  World world;
  for (const std::string_view field :
       {"x-drover-priority: batch", "X-Drover-Deadline: 0.5", "X-Drover-Deadline: 86400",
        "X-Drover-Something: 1", "X-Drover-: 1", "X-Drover: 1"}) {
    EXPECT_EQ(world.done(world.ask(asking(std::string(field) + "\r\n"))).reply().status, 200)
        << field;
  }
  world.expect_nothing_left();
}

TEST(OwnFields, ThePriorityIsFollowedAndTold) {
  World world(by_cost());
  const auto why = [&](std::string_view fields) {
    Client& client = world.ask(asking(std::string(fields) + "X-Drover-Explain: 1\r\n"));
    return std::string(world.done(client).reply().field("x-drover-why"));
  };
  EXPECT_EQ(why("").find("with priority"), std::string::npos);
  EXPECT_NE(why("X-Drover-Priority: interactive\r\n").find("with priority interactive"),
            std::string::npos);
  for (const std::string_view both :
       {"X-Drover-Priority: interactive\r\nX-Drover-Priority: normal\r\n",
        "X-Drover-Priority: normal\r\nX-Drover-Priority: interactive\r\n"}) {
    EXPECT_EQ(why(both).find("with priority"), std::string::npos) << "the lower one counts";
  }
  EXPECT_NE(why("X-Drover-Priority: interactive\r\nX-Drover-Priority: batch\r\n")
                .find("with priority batch"),
            std::string::npos);
}

TEST(OwnFields, WhereNobodyIsToBeBelievedAllAreAlike) {
  WorldOptions options = by_cost();
  options.gateway.hears_priorities = false;
  World world(options);
  Client& client = world.ask(asking("X-Drover-Priority: interactive\r\nX-Drover-Explain: 1\r\n"));
  const Reply reply = world.done(client).reply();
  EXPECT_EQ(reply.field("x-drover-why").find("with priority"), std::string_view::npos);
  EXPECT_EQ(world.done(world.ask(asking("X-Drover-Priority: p0\r\n"))).reply().status, 200)
      << "another gateway's own words";
}

// A stream, and a document.
TEST(Deadline, AnAnswerThatHasNotBegunByThenIsCalledOffAndNobodyIsIll) {
  for (const std::string_view more : {"", R"(,"stream":false)"}) {
    World world({.instances = 1});
    ASSERT_TRUE(world.instance(0).inject(R"({"kind":"hang","match":"/api/generate"})"));
    const Instant asked = world.now();
    Client& client = world.ask(asking("X-Drover-Deadline: 1.5\r\n", more));
    world.pass(2s);
    EXPECT_EQ(client.reply().status, 504);
    EXPECT_GE(client.last_byte() - asked, 1500ms);
    EXPECT_LT(client.last_byte() - asked, 1600ms);
    const std::string error = json_text(client.reply().body, "error");
    EXPECT_NE(error.find("had not begun to answer at the request's deadline (X-Drover-Deadline)"),
              std::string::npos)
        << error;
    EXPECT_EQ(world.view(0).health, core::HealthState::kUp);
    EXPECT_EQ(world.view(0).failed, 0U);
    world.expect_nothing_left();
  }
}

TEST(Deadline, AnAnswerThatHasBegunGoesOn) {
  World world({.instances = 1});
  Client& client = world.ask(
      World::request("POST", "/api/chat", World::chat_body(500), "X-Drover-Deadline: 1\r\n"));
  const Instant asked = world.now();
  world.done(client);
  EXPECT_GT(world.now() - asked, 1s);
  EXPECT_TRUE(client.reply().complete);
  EXPECT_EQ(read_native(client.reply().body).text, world.text(500));
}

TEST(Deadline, WhoWaitsForALoadIsToldAtItsDeadlineAndTheLoadGoesOn) {
  WorldOptions options = by_cost();
  options.fake.load_time = 3s;
  World world(options);
  world.pass(3s);
  const Instant asked = world.now();
  Client& hurried = world.ask(asking("X-Drover-Deadline: 1\r\n"));
  world.pass(1100ms);
  const Reply reply = hurried.reply();
  EXPECT_EQ(reply.status, 503);
  EXPECT_NE(reply.field("retry-after"), "");
  EXPECT_LT(hurried.last_byte() - asked, 1050ms);
  world.pass(3s);
  const Instant again = world.now();
  EXPECT_EQ(world.done(world.ask(asking("X-Drover-Deadline: 1\r\n"))).reply().status, 200);
  EXPECT_LT(world.now() - again, 2s);
  world.expect_nothing_left();
}

}  // namespace
}  // namespace drover::simtest
