// Which instance has what, what drover says of all of them, and how it ends.

#include <fmt/format.h>

#include "gateway/sim_world.h"

namespace drover::simtest {
namespace {

WorldOptions two_stores() {
  WorldOptions options;
  options.models[0] = {{.name = "common"}, {.name = "left"}};
  options.models[1] = {{.name = "common"}, {.name = "right"}};
  return options;
}

std::string generate(std::string_view model) {
  return R"({"model":")" + std::string(model) + R"(","prompt":"hi"})";
}

TEST(Models, ARequestGoesWhereItsModelIs) {
  World world(two_stores());
  for (int i = 0; i < 6; ++i) {
    Client& left = world.post("/api/generate", generate("left"));
    Client& right = world.post("/api/generate", generate("RIGHT:latest"));
    EXPECT_EQ(world.done(left).reply().field("x-drover-backend"), "gpu0");
    EXPECT_EQ(world.done(right).reply().field("x-drover-backend"), "gpu1");
  }
  world.expect_nothing_left();
}

// The empty request that loads a model is drover's; the client who waits for it may leave.
TEST(Models, AModelIsLoadedByDroverAndOutlivesWhoAskedForIt) {
  WorldOptions options;
  options.core.policy = core::PolicyName::kExpectedCompletion;
  options.fake.load_time = 3s;
  World world(options);
  world.pass(3s);
  Client& left = world.post("/api/generate", R"({"model":"llama3.2","prompt":"hi"})");
  world.pass(1s);
  left.leave();
  world.pass(3s);
  EXPECT_EQ(world.metrics().loads().size(), 1U);
  const Instant asked = world.now();
  Client& stays = world.post("/api/generate", R"({"model":"llama3.2","prompt":"hi"})");
  EXPECT_EQ(world.done(stays).reply().status, 200);
  EXPECT_LT(world.now() - asked, 2s) << "it was loaded already";
  world.expect_nothing_left();
}

TEST(Models, WhoWaitedIsToldAsWhichNumber) {
  WorldOptions options;
  options.core.policy = core::PolicyName::kExpectedCompletion;
  options.fake.load_time = 3s;
  World world(options);
  world.pass(3s);
  const std::string body = R"({"model":"llama3.2","prompt":"hi"})";
  Client& first = world.post("/api/generate", body);
  Client& second = world.post("/api/generate", body);
  EXPECT_EQ(world.done(first).reply().field("x-drover-queue-position"), "1");
  EXPECT_EQ(world.done(second).reply().field("x-drover-queue-position"), "2");
  Client& later = world.post("/api/generate", body);
  EXPECT_EQ(world.done(later).reply().field("x-drover-queue-position"), "");
}

// A conversation whose every turn repeats a long first message.
class Talk {
 public:
  explicit Talk(char about) : messages_(said("user", std::string(40'000, about))) {}
  Client& ask(World& world) {
    Client& client = world.post("/v1/chat/completions",
                                R"({"model":"llama3.2","messages":[)" + messages_ + "]}");
    messages_ += "," + said("assistant", "Yes.") + "," + said("user", "Why?");
    return client;
  }
  // The instance that the next turn went to.
  std::string next_turn(World& world) { return where(world, ask(world)); }
  static std::string where(World& world, Client& client) {
    return std::string(world.done(client).reply().field("x-drover-backend"));
  }

 private:
  static std::string said(std::string_view role, std::string_view what) {
    return fmt::format(R"({{"role":"{}","content":"{}"}})", role, what);
  }
  std::string messages_;
};

TEST(Conversations, GoOnWhereTheyWereHeld) {
  WorldOptions options;
  options.core.policy = core::PolicyName::kExpectedCompletion;
  options.gateway.names_beginnings = true;
  World world(options);
  const std::string load = World::request("POST", "/api/generate", R"({"model":"llama3.2"})");
  for (std::uint32_t i = 0; i < 2; ++i) world.done(world.ask_instance(i, load));
  world.pass(5s);
  Talk sky('a');
  Talk sea('b');
  Client& about_sky = sky.ask(world);
  Client& about_sea = sea.ask(world);
  const std::string of_sky = Talk::where(world, about_sky);
  const std::string of_sea = Talk::where(world, about_sea);
  ASSERT_NE(of_sky, of_sea) << "one was busy";
  // Not whoever was asked the longest time ago. One turn each: this instance remembers nothing, and
  // from how long it reads drover learns that.
  EXPECT_EQ(sea.next_turn(world), of_sea);
  EXPECT_EQ(sky.next_turn(world), of_sky);
  world.expect_nothing_left();
}

// A header names tenants: the log shows a hash of it, the same for the same name, and the address
// is no longer what counts.
TEST(Tenants, AreNamedByTheConfiguredHeader) {
  WorldOptions options;
  options.gateway.tenant_header = "x-tenant";
  World world(options);
  const std::string body = R"({"model":"llama3.2","prompt":"hi"})";
  for (const std::string_view fields :
       {"X-Tenant: ann\r\n", "x-tenant: bob\r\n", "X-TENANT: ann\r\n", ""}) {
    world.done(world.ask(World::request("POST", "/api/generate", body, fields)));
  }
  const auto tenant = [&](std::size_t i) { return world.log().requests.at(i).at("tenant"); };
  EXPECT_EQ(tenant(0).size(), 16U);
  EXPECT_EQ(tenant(0), tenant(2));
  EXPECT_NE(tenant(0), tenant(1));
  EXPECT_NE(tenant(0), tenant(3));
  EXPECT_EQ(tenant(0).find("ann"), std::string::npos);
}

TEST(Tenants, AreNoFieldOfTheLogWhereAddressesCount) {
  World world;
  world.done(world.post("/api/generate", R"({"model":"llama3.2","prompt":"hi"})"));
  EXPECT_FALSE(world.log().requests.at(0).contains("tenant"));
}

TEST(Models, TheListsOfAllStoresAreOne) {
  World world(two_stores());
  const std::string tags = world.done(world.get("/api/tags")).reply().body;
  const std::string models = world.done(world.get("/v1/models")).reply().body;
  for (std::string_view name : {"common", "left", "right"}) {
    EXPECT_NE(tags.find("\"" + std::string(name)), std::string::npos) << tags;
    EXPECT_NE(models.find("\"" + std::string(name)), std::string::npos) << models;
  }
  world.done(world.post("/api/generate", generate("left")));
  world.pass(5s);
  const std::string ps = world.done(world.get("/api/ps")).reply().body;
  EXPECT_NE(ps.find("gpu0"), std::string::npos) << ps;
  EXPECT_EQ(ps.find("gpu1"), std::string::npos) << ps;
}

// Checks are two seconds apart; who has just run or stopped a model looks at once.
TEST(Loaded, IsTrueAtTheMomentOfTheQuestion) {
  World world(two_stores());
  world.done(world.post("/api/generate", generate("left")));
  EXPECT_NE(world.done(world.get("/api/ps")).reply().body.find("left"), std::string::npos);
  world.done(world.ask_instance(
      0, World::request("POST", "/api/generate", R"({"model":"left","keep_alive":0})")));
  EXPECT_EQ(world.done(world.get("/api/ps")).reply().body, R"({"models":[]})");
  world.expect_nothing_left();
}

TEST(Loaded, OfAnInstanceThatDoesNotAnswerInTimeIsWhatWasSeenLast) {
  World world(two_stores());
  world.done(world.post("/api/generate", generate("right")));
  world.pass(5s);
  world.done(world.post("/api/generate", generate("left")));
  ASSERT_TRUE(world.instance(1).inject(R"({"kind":"hang","match":"/api/ps","count":-1})"));
  const Instant asked = world.now();
  const std::string ps = world.done(world.get("/api/ps")).reply().body;
  EXPECT_LT(world.now() - asked, 2100ms);
  EXPECT_NE(ps.find("left"), std::string::npos) << ps;
  EXPECT_NE(ps.find("right"), std::string::npos) << ps;
  world.expect_nothing_left();
}

TEST(Loaded, ManyQuestionsAreOneForAnInstance) {
  World world(two_stores());
  world.stop_probe();
  world.pass(10s);
  ASSERT_TRUE(world.instance(1).inject(R"({"kind":"hang","match":"/api/ps","count":-1})"));
  const std::size_t before = world.network().connects(world.at(0));
  std::vector<Client*> clients;
  for (int i = 0; i < 50; ++i) clients.push_back(&world.get("/api/ps"));
  for (Client* client : clients) EXPECT_EQ(world.done(*client).reply().status, 200);
  EXPECT_LE(world.network().connects(world.at(0)) - before, 2U);
  world.expect_nothing_left();
}

TEST(Models, NotFoundIsSaidOnlyAfterEverybodyWasAskedAnew) {
  World world(two_stores());
  world.pass(500ms);
  const std::size_t before = world.network().connects(world.at(0));
  const Reply reply = world.done(world.post("/api/generate", generate("nowhere"))).reply();
  EXPECT_EQ(reply.status, 404);
  EXPECT_EQ(json_text(reply.body, "error"), "model 'nowhere' not found");
  EXPECT_GT(world.network().connects(world.at(0)), before);
  world.expect_nothing_left();
}

TEST(Models, AModelThatHasJustArrivedIsFound) {
  World world(two_stores());
  world.pass(100ms);
  world.done(world.ask_instance(
      1, World::request("POST", "/api/copy", R"({"source":"right","destination":"fresh"})")));
  const Reply reply = world.done(world.post("/api/generate", generate("fresh"))).reply();
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.field("x-drover-backend"), "gpu1");
}

TEST(Models, AModelThatHasJustGoneIsNotFound) {
  World world(two_stores());
  world.pass(100ms);
  world.done(
      world.ask_instance(1, World::request("DELETE", "/api/delete", R"({"model":"right"})")));
  const Reply reply = world.done(world.post("/api/generate", generate("right"))).reply();
  EXPECT_EQ(reply.status, 404);
  EXPECT_EQ(world.view(1).health, core::HealthState::kUp);
}

TEST(Models, WhileAnInstanceIsAwayNothingIsNotFound) {
  World world(two_stores());
  world.kill(1);
  world.pass(5s);
  const Reply unknown = world.done(world.post("/api/generate", generate("nowhere"))).reply();
  EXPECT_EQ(unknown.status, 503);
  EXPECT_NE(unknown.field("retry-after"), "");
  const Reply away = world.done(world.post("/api/generate", generate("right"))).reply();
  EXPECT_EQ(away.status, 503);
  EXPECT_NE(away.field("retry-after"), "");
  EXPECT_EQ(world.done(world.post("/api/generate", generate("left"))).reply().status, 200);
  world.restart(1);
  world.pass(5s);
  EXPECT_EQ(world.done(world.post("/api/generate", generate("right"))).reply().status, 200);
  world.expect_nothing_left();
}

TEST(Models, AnUnknownFleetIsNotAnEmptyOne) {
  World world({.starts_frozen = true});
  for (std::string_view path : {"/api/tags", "/api/ps", "/api/version", "/v1/models"}) {
    const Reply reply = world.done(world.get(path)).reply();
    EXPECT_EQ(reply.status, 503) << path;
    EXPECT_NE(reply.field("retry-after"), "") << path;
  }
  EXPECT_EQ(world.done(world.chat()).reply().status, 503) << "nobody could be asked";
  world.thaw(0);
  world.pass(10s);
  EXPECT_EQ(world.done(world.get("/api/tags")).reply().status, 200);
}

TEST(Models, ErrorsHaveTheDialectOfTheirRoute) {
  World world;
  const std::string openai =
      world.done(world.post("/v1/chat/completions", R"({"model":"x","messages":[]})")).reply().body;
  EXPECT_EQ(json_text(openai, "error/message"), "model 'x' not found");
  const std::string anthropic =
      world.done(world.post("/v1/messages", R"({"model":"x","messages":[]})")).reply().body;
  EXPECT_EQ(json_text(anthropic, "error/type"), "not_found_error");
}

// --- the end ---

TEST(Drain, RunningRequestsFinishAndIdleConnectionsClose) {
  World world;
  Client& idle = world.get("/");
  Client& running = world.chat(100);
  world.pass(500ms);
  int done = 0;
  world.gateway().drain([&done] { ++done; });
  world.pass(10ms);
  EXPECT_TRUE(idle.ended());
  EXPECT_FALSE(running.closed());
  EXPECT_EQ(done, 0);
  Client& late = world.get("/");
  world.pass(10ms);
  EXPECT_FALSE(late.connected());
  world.closed(running);
  EXPECT_TRUE(running.ended());
  EXPECT_EQ(read_native(running.reply().body).text, world.text(100));
  EXPECT_TRUE(running.reply().complete);
  world.pass(5s);
  EXPECT_EQ(done, 1);
  EXPECT_EQ(world.gateway().open_connections(), 0U);
}

TEST(Drain, WithoutAnyConnectionItIsDoneAtOnce) {
  World world;
  int done = 0;
  world.gateway().drain([&done] { ++done; });
  world.pass(1us);  // the listener looks once more for those who wait
  EXPECT_EQ(done, 1);
}

TEST(Drain, ARequestThatArrivesInThatMomentIsServedAsTheLast) {
  // The drain begins at every moment around the arrival of the request.
  for (Duration at = 0us; at < 400us; at += 10us) {
    World world({.instances = 1});
    Client& client = world.get("/");
    world.pass(1s);
    client.say(World::request("GET", "/", ""));
    world.pass(at);
    world.gateway().drain([] {});
    world.closed(client);
    const std::vector<Reply> replies = client.replies();
    ASSERT_GE(replies.size(), 1U);
    ASSERT_LE(replies.size(), 2U);
    EXPECT_TRUE(replies.back().complete) << at.count();
    EXPECT_FALSE(client.malformed());
    if (replies.size() == 2) {
      EXPECT_EQ(replies[1].status, 200);
    }
  }
}

TEST(Drain, AnAnswerBegunWhileDrainingSaysThatItIsTheLast) {
  World world({.instances = 1});
  Client& client = world.ask("POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Le");
  world.pass(10ms);
  Client& other = world.chat(100);
  world.pass(10ms);
  world.gateway().drain([] {});
  world.closed(other);
  EXPECT_TRUE(other.reply().complete);
  EXPECT_TRUE(client.closed()) << "half a head is no request";
}

TEST(Cut, AStreamEndsWithAnErrorRecord) {
  World world;
  Client& client = world.chat(1000);
  world.pass(1s);
  world.gateway().drain([] {});
  world.gateway().cut();
  world.closed(client);
  EXPECT_TRUE(client.ended());
  EXPECT_TRUE(client.reply().complete);
  EXPECT_NE(read_native(client.reply().body).error.find("shutting down"), std::string::npos);
  EXPECT_FALSE(read_native(client.reply().body).done);
  world.pass(10s);
  EXPECT_EQ(world.in_flight(), 0U);
  EXPECT_EQ(world.gateway().open_connections(), 0U);
}

TEST(Cut, WhoHasNothingYetGetsAStatus) {
  World world;
  ASSERT_TRUE(world.instance(0).inject(R"({"kind":"hang","count":-1})"));
  ASSERT_TRUE(world.instance(1).inject(R"({"kind":"hang","count":-1})"));
  Client& waiting = world.chat();
  Client& sending = world.ask(
      "POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{\"model\":");
  world.pass(1s);
  world.gateway().drain([] {});
  world.gateway().cut();
  for (Client* client : {&waiting, &sending}) {
    world.closed(*client);
    EXPECT_EQ(client->reply().status, 503) << client->raw();
    EXPECT_TRUE(client->reply().complete);
    EXPECT_NE(client->reply().body.find("shutting down"), std::string::npos);
  }
  EXPECT_EQ(world.in_flight(), 0U);
}

// --- admin ---

Reply admin(World& world, std::string_view method, std::string_view path,
            std::string_view host = "localhost:11436") {
  Client& client = world.connect_admin();
  client.say(std::string(method) + " " + std::string(path) +
             " HTTP/1.1\r\nHost: " + std::string(host) + "\r\n\r\n");
  world.pass(100ms);
  const bool head = method == "HEAD";
  EXPECT_EQ(client.replies({head}).size(), 1U) << client.raw();
  const Reply reply = client.reply(head);
  client.leave();
  return reply;
}

TEST(AdminSide, EveryPageHasItsStatusAndType) {
  World world;
  const std::tuple<std::string_view, std::string_view, int, std::string_view> rows[] = {
      {"GET", "/livez", 200, "text/plain"},
      {"GET", "/readyz", 200, "text/plain"},
      {"GET", "/metrics", 200, "text/plain; version=0.0.4"},
      {"GET", "/api/v1/status", 200, "application/json"},
      {"GET", "/", 200, "text/html"},
      {"HEAD", "/metrics", 200, "text/plain"},
      {"GET", "/nowhere", 404, "application/problem+json"},
      {"HEAD", "/nowhere", 404, "application/problem+json"},
      {"POST", "/livez", 405, "application/problem+json"},
      {"DELETE", "/nowhere", 405, "application/problem+json"},
  };
  for (const auto& [method, path, status, type] : rows) {
    const Reply reply = admin(world, method, path);
    EXPECT_EQ(reply.status, status) << path;
    EXPECT_TRUE(reply.type().starts_with(type)) << path << reply.type();
    EXPECT_EQ(reply.field("x-content-type-options"), "nosniff");
    EXPECT_EQ(reply.field("cache-control"), "no-store");
    EXPECT_EQ(reply.field("allow"), status == 405 ? "GET, HEAD" : "");
    if (type == "application/problem+json" && method != "HEAD") {
      EXPECT_TRUE(is_json(reply.body)) << reply.body;
    }
  }
}

TEST(AdminSide, AForeignNameIsNotAnswered) {
  World world;
  EXPECT_EQ(admin(world, "GET", "/metrics", "evil.com").status, 421);
  EXPECT_EQ(admin(world, "GET", "/", "localhost.evil.com:11436").status, 421);
}

TEST(AdminSide, AConnectionServesSeveralRequests) {
  World world;
  Client& client = world.connect_admin();
  client.say(World::request("GET", "/livez", "") + World::request("GET", "/nowhere", "") +
             World::request("GET", "/readyz", ""));
  world.pass(1s);
  ASSERT_EQ(client.replies().size(), 3U);
  EXPECT_EQ(client.replies()[2].status, 200);
  client.say("nonsense\r\n\r\n");
  world.closed(client);
  ASSERT_EQ(client.replies().size(), 4U);
  EXPECT_EQ(client.replies()[3].status, 400);
}

TEST(AdminSide, ReadyMeansThatSomebodyCanServe) {
  World world;
  EXPECT_EQ(admin(world, "GET", "/readyz").status, 200);
  world.kill(0);
  world.pass(5s);
  EXPECT_EQ(admin(world, "GET", "/readyz").status, 200);
  world.kill(1);
  world.pass(5s);
  EXPECT_EQ(admin(world, "GET", "/readyz").status, 503);
  EXPECT_EQ(admin(world, "GET", "/livez").status, 200);
  world.restart(0);
  world.pass(5s);
  EXPECT_EQ(admin(world, "GET", "/readyz").status, 200);
  world.admin().set_draining();
  EXPECT_EQ(admin(world, "GET", "/readyz").body, "draining\n");
}

}  // namespace
}  // namespace drover::simtest
