// `drover backends` against an admin side that is played.

#include "app/backends.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <set>
#include <vector>

namespace drover::app {
namespace {

using Action = cli::BackendsCommand::Action;
using Order = cli::BackendsCommand::Order;

struct Played {
  struct Instance {
    std::string name;
    std::uint64_t starts = 1;
    int busy_polls = -1;  // until the new process serves; negative: no restart
    bool supervised = true;
  };
  std::vector<Instance> instances = {{"gpu0"}, {"gpu1"}, {"gpu2"}};
  std::set<std::string> never_well;
  std::vector<std::string> posts;
  std::string said;
  int polls = 0;

  AdminSide side() {
    AdminSide admin;
    admin.get = [this](std::string_view) -> Result<Answer> { return Answer{200, list()}; };
    admin.post = [this](std::string_view path) { return post(std::string(path)); };
    admin.pause = [this](Duration) {
      ++polls;
      for (Instance& each : instances) {
        if (each.busy_polls > 0 && !never_well.contains(each.name)) --each.busy_polls;
        if (each.busy_polls != 0) continue;
        each.busy_polls = -1;
        ++each.starts;
      }
    };
    admin.say = [this](std::string_view line) { said += line; };
    admin.silence = [](const Error& error) { return "silence: " + error.message; };
    return admin;
  }
  std::string list() const {
    std::string text;
    for (const Instance& each : instances) {
      const bool restarting = each.busy_polls >= 0;
      text += fmt::format(
          R"({}{{"name":"{}","url":"http://x","health":"{}","reason":"{}","in_flight":2,)"
          R"("supervised":{},"restarting":{},"process":{{"starts":{}}}}})",
          text.empty() ? "" : ",", each.name, restarting ? "draining" : "up",
          restarting ? "is being restarted" : "", each.supervised, restarting, each.starts);
    }
    return "{\"instances\":[" + text + "]}\n";
  }
  Result<Answer> post(const std::string& path) {
    posts.push_back(path);
    for (Instance& each : instances) {
      if (path.find("/" + each.name + "/restart") == std::string::npos) continue;
      if (!each.supervised) return Answer{409, R"({"detail":"run by somebody else"})"};
      each.busy_polls = 3;
      return Answer{202, "{}"};
    }
    if (path.find("/gpu0/") != std::string::npos) return Answer{200, "{}"};
    return Answer{404, R"({"detail":"no instance is named 'x'; there are: gpu0"})"};
  }
};

cli::BackendsCommand restart(std::vector<std::string> names, Order order) {
  cli::BackendsCommand command;
  command.action = Action::kRestart;
  command.names = std::move(names);
  command.order = order;
  command.grace_seconds = 10;
  return command;
}

TEST(Backends, ARollingRestartGoesOnWhenTheOneBeforeServes) {
  Played played;
  const cli::Printed printed = work_on_backends(restart({}, Order::kRolling), played.side());
  EXPECT_EQ(printed.exit_code, cli::kDone) << printed.err;
  ASSERT_EQ(played.posts.size(), 3U);
  EXPECT_EQ(played.posts[0], "/api/v1/instances/gpu0/restart?grace=10");
  EXPECT_EQ(played.polls, 9);  // one after the other
  EXPECT_EQ(played.said,
            "gpu0: draining 2 requests, then restarting\ngpu0: serves again\n"
            "gpu1: draining 2 requests, then restarting\ngpu1: serves again\n"
            "gpu2: draining 2 requests, then restarting\ngpu2: serves again\n");
}

TEST(Backends, ARollingRestartStopsAtTheFirstThatIsNotWell) {
  Played played;
  played.never_well = {"gpu1"};
  cli::BackendsCommand command = restart({}, Order::kRolling);
  command.output = cli::Output::kJson;
  const cli::Printed printed = work_on_backends(command, played.side());
  EXPECT_EQ(printed.exit_code, cli::kFailed);
  EXPECT_EQ(played.posts.size(), 2U);
  EXPECT_EQ(printed.err,
            "drover: gpu1: it is not well again after 130 s: draining (is being restarted); left "
            "alone: gpu2\n");
  EXPECT_TRUE(printed.out.starts_with(R"({"restarted":["gpu0"],"failed":"gpu1",)")) << printed.out;
}

TEST(Backends, WithoutRollingAllAreRestartedAtOnce) {
  Played played;
  const cli::Printed printed =
      work_on_backends(restart({"gpu2", "gpu0"}, Order::kAtOnce), played.side());
  EXPECT_EQ(printed.exit_code, cli::kDone) << printed.err;
  EXPECT_EQ(played.posts.size(), 2U);
  EXPECT_LE(played.polls, 4);
}

TEST(Backends, AllMeansThoseThatDroverRuns) {
  Played played;
  played.instances[1].supervised = false;
  const cli::Printed printed = work_on_backends(restart({}, Order::kAtOnce), played.side());
  EXPECT_EQ(printed.exit_code, cli::kDone);
  EXPECT_EQ(played.posts.size(), 2U);
  const cli::Printed named = work_on_backends(restart({"gpu1"}, Order::kAtOnce), played.side());
  EXPECT_EQ(named.exit_code, cli::kFailed);
  EXPECT_EQ(named.err, "drover: gpu1: run by somebody else\n");
  for (Played::Instance& each : played.instances) each.supervised = false;
  EXPECT_EQ(work_on_backends(restart({}, Order::kAtOnce), played.side()).exit_code, cli::kFailed);
}

TEST(Backends, DrainAndUndrainSayWhatHappens) {
  Played played;
  cli::BackendsCommand command;
  command.action = Action::kDrain;
  command.names = {"gpu0"};
  EXPECT_EQ(work_on_backends(command, played.side()).out,
            "gpu0 gets nothing new; what it has goes on\n");
  command.names = {"a/b x"};
  const cli::Printed refused = work_on_backends(command, played.side());
  EXPECT_EQ(refused.exit_code, cli::kFailed);
  EXPECT_EQ(refused.err, "drover: no instance is named 'x'; there are: gpu0\n");
  EXPECT_EQ(played.posts.back(), "/api/v1/instances/a%2Fb%20x/drain");
}

TEST(Backends, TheListIsATableOrTheJsonAsSent) {
  Played played;
  cli::BackendsCommand command;
  const cli::Printed table = work_on_backends(command, played.side());
  EXPECT_NE(table.out.find("gpu2      up         2          drover"), std::string::npos)
      << table.out;
  command.output = cli::Output::kJson;
  EXPECT_EQ(work_on_backends(command, played.side()).out, played.list());
}

}  // namespace
}  // namespace drover::app
