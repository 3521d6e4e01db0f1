// What clients see when instances fail: nothing before the first content byte, an honest end after.

#include <unistd.h>

#include <filesystem>

#include "fake_ollama/bad_http.h"
#include "gateway/sim_world.h"

namespace drover::simtest {
namespace {

const std::string& outcome(const World& world, std::size_t request = 0) {
  return world.log().requests.at(request).at("outcome");
}

const std::string& retries(const World& world, std::size_t request = 0) {
  return world.log().requests.at(request).at("retries");
}

void inject_everywhere(World& world, std::uint32_t instances, const std::string& fault) {
  for (std::uint32_t i = 0; i < instances; ++i) ASSERT_TRUE(world.instance(i).inject(fault));
}

void expect_served(const World& world, const Reply& reply, int tokens = 4) {
  EXPECT_EQ(reply.status, 200) << reply.body;
  EXPECT_TRUE(reply.complete);
  EXPECT_EQ(read_native(reply.body).text, world.text(tokens));
  EXPECT_TRUE(read_native(reply.body).done);
  EXPECT_EQ(read_native(reply.body).error, "");
}

TEST(Failure, AnInstanceKilledBeforeItsFirstByteIsReplacedUnseen) {
  World world;
  Client& client = world.chat();
  world.pass(100ms);
  const std::uint32_t victim = world.busy_instance();
  ASSERT_LT(victim, 2U);
  world.kill(victim);
  expect_served(world, world.done(client).reply());
  EXPECT_EQ(retries(world), "1");
  EXPECT_EQ(world.metrics().retries(), 1U);
  world.expect_nothing_left();
}

TEST(Failure, AnInstanceKilledInMidStreamIsToldAsAnErrorRecord) {
  World world;
  Client& client = world.chat(1000);
  world.pass(1s);
  world.kill(world.busy_instance());
  world.closed(client);
  EXPECT_TRUE(client.ended());
  EXPECT_TRUE(client.reply().complete) << "the error record ends the stream in good order";
  const NativeText native = read_native(client.reply().body);
  EXPECT_TRUE(native.well_formed);
  EXPECT_FALSE(native.done);
  EXPECT_NE(native.error, "");
  EXPECT_TRUE(world.text(1000).starts_with(native.text));
  EXPECT_EQ(outcome(world), "broken");
  EXPECT_EQ(retries(world), "0");
  world.expect_nothing_left();
}

struct Broken {
  std::string_view path;
  std::string_view body;
  std::string_view record;  // begins the last one
};

constexpr Broken kBroken[] = {
    {"/api/chat", R"({"model":"llama3.2","messages":[{"role":"user","content":"hi"}]})",
     "{\"error\":\""},
    {"/v1/chat/completions",
     R"({"model":"llama3.2","stream":true,"messages":[{"role":"user","content":"hi"}]})",
     "data: {\"error\":{"},
    {"/v1/responses", R"({"model":"llama3.2","stream":true,"input":"hi"})", "event: error\n"},
    {"/v1/messages",
     R"({"model":"llama3.2","max_tokens":50,"stream":true,)"
     R"("messages":[{"role":"user","content":"hi"}]})",
     "event: error\n"},
};

TEST(Failure, EveryWayToBreakAStreamEndsWithAnErrorRecordInEveryDialect) {
  for (const std::string fault : {"reset_mid", "cut", "cut_raw", "missing_done", "error_mid"}) {
    for (const Broken& each : kBroken) {
      SCOPED_TRACE(fault + std::string(each.path));
      World world({.instances = 1});
      ASSERT_TRUE(world.instance(0).inject("{\"kind\":\"" + fault + "\"}"));
      Client& client = world.post(each.path, each.body);
      world.closed(client);
      const Reply reply = client.reply();
      EXPECT_EQ(reply.status, 200);
      EXPECT_TRUE(reply.complete);
      const std::size_t at = reply.body.rfind(each.record);
      ASSERT_NE(at, std::string::npos) << reply.body;
      EXPECT_EQ(reply.body.find("[DONE]"), std::string::npos);
      EXPECT_EQ(reply.body.find("message_stop"), std::string::npos);
      EXPECT_EQ(reply.body.find("response.completed"), std::string::npos);
      EXPECT_EQ(reply.body.find("\"done\":true"), std::string::npos);
      EXPECT_EQ(outcome(world), "broken");
      world.expect_nothing_left();
    }
  }
}

TEST(Failure, ADocumentThatIsCutIsAskedForAgainUnseen) {
  for (const std::string fault : {"reset_mid", "cut", "cut_raw", "missing_done", "error_mid"}) {
    SCOPED_TRACE(fault);
    World world;
    inject_everywhere(world, 2, "{\"kind\":\"" + fault + "\",\"model\":\"stream\"}");
    world.instance(1).clear_faults();
    Client& client = world.post("/api/chat", World::chat_body(4, "hi", "\"stream\":false,"));
    const Reply reply = world.done(client).reply();
    EXPECT_EQ(reply.status, 200) << reply.body;
    EXPECT_EQ(json_text(reply.body, "message/content"), world.text(4));
    world.expect_nothing_left();
  }
}

TEST(Failure, SpentRetriesAreTheLastWord) {
  World world;
  inject_everywhere(world, 2, R"({"kind":"error500","variant":"runner_stopped","count":100})");
  const Reply reply = world.done(world.chat()).reply();
  EXPECT_EQ(reply.status, 502);
  EXPECT_EQ(reply.field("x-should-retry"), "false");
  EXPECT_NE(read_native(reply.body + "\n").error, "");
  EXPECT_EQ(outcome(world), "failed");
  EXPECT_LE(world.requests_seen(), 3U);
  world.expect_nothing_left();
}

TEST(Failure, OneErrorIsHidden) {
  for (const std::string fault :
       {R"({"kind":"error500","variant":"oom"})", R"({"kind":"busy"})", R"({"kind":"reset"})",
        R"({"kind":"html","match":"inference"})"}) {
    SCOPED_TRACE(fault);
    World world;
    ASSERT_TRUE(world.instance(0).inject(fault));
    world.chat();
    world.chat();
    world.pass(10s);
    ASSERT_EQ(world.log().requests.size(), 2U);
    EXPECT_EQ(outcome(world, 0), "served");
    EXPECT_EQ(outcome(world, 1), "served");
    EXPECT_EQ(world.metrics().retries(), 1U);
    world.expect_nothing_left();
  }
}

TEST(Failure, AFullFleetIsNotNow) {
  World world;
  inject_everywhere(world, 2, R"({"kind":"busy","count":100})");
  const Reply reply = world.done(world.chat()).reply();
  EXPECT_EQ(reply.status, 503);
  EXPECT_NE(reply.field("retry-after"), "");
  EXPECT_EQ(world.view(0).health, core::HealthState::kUp);
  EXPECT_EQ(world.view(1).health, core::HealthState::kUp);
}

TEST(Failure, AnErrorRecordBeforeContentIsHidden) {
  World world;
  ASSERT_TRUE(world.instance(0).inject(R"({"kind":"error_mid","after_tokens":0})"));
  Client& a = world.chat();
  Client& b = world.chat();
  expect_served(world, world.done(a).reply());
  expect_served(world, world.done(b).reply());
  EXPECT_EQ(world.metrics().retries(), 1U);
}

TEST(Failure, NoKindOfBadHttpReachesTheClient) {
  std::string variants = fake::bad_http_variants() + ",";
  while (!variants.empty()) {
    const std::size_t comma = variants.find(',');
    std::string variant = variants.substr(0, comma);
    variants.erase(0, comma + 1);
    while (variant.starts_with(' ')) variant.erase(0, 1);
    SCOPED_TRACE(variant);
    World world;
    inject_everywhere(world, 2, R"({"kind":"bad_http","variant":")" + variant + "\"}");
    world.instance(1).clear_faults();
    Client& client = world.chat();
    world.pass(60s);
    ASSERT_EQ(client.replies().size(), 1U);
    // The first of two answers is a sound one.
    if (variant != "extra_bytes") expect_served(world, client.reply());
    // Whatever the connection was left in, the next answer is the right one.
    expect_served(world, world.done(world.chat(7)).reply(), 7);
    expect_served(world, world.done(world.chat(9)).reply(), 9);
    world.expect_nothing_left();
  }
}

TEST(Failure, AStalePooledConnectionIsReplacedUnseen) {
  World world({.instances = 1});
  world.done(world.chat());
  world.pass(10ms);
  // The other side has forgotten the connection: it finds out when something is sent on it.
  world.network().fault_present(world.at(0),
                                {simnet::Fault::Kind::kReset, simnet::Towards::kServer, 1});
  const std::size_t before = world.network().connects(world.at(0));
  expect_served(world, world.done(world.chat()).reply());
  EXPECT_EQ(retries(world, 1), "0");
  EXPECT_EQ(world.view(0).failed, 0U);
  EXPECT_GT(world.network().connects(world.at(0)), before);
  EXPECT_EQ(world.metrics().stale_connections(), 1U);
}

TEST(Failure, AKeptConnectionThatBreaksLateWasNotStale) {
  World world;
  world.done(world.chat());
  world.done(world.chat());
  world.pass(10ms);
  for (std::uint32_t i = 0; i < 2; ++i) {
    ASSERT_TRUE(world.instance(i).inject(R"({"kind":"hang"})"));
  }
  Client& client = world.chat();
  world.pass(1500ms);
  const std::uint32_t victim = world.busy_instance();
  ASSERT_LT(victim, 2U);
  world.instance(1 - victim).clear_faults();
  world.network().fault_present(world.at(victim),
                                {simnet::Fault::Kind::kReset, simnet::Towards::kClient, 0});
  expect_served(world, world.done(client).reply());
  EXPECT_EQ(retries(world, 2), "1") << "under the retry budget";
  EXPECT_EQ(world.view(victim).failed, 1U);
  EXPECT_EQ(world.metrics().stale_connections(), 0U);
  world.expect_nothing_left();
}

TEST(Failure, ALookUpThatHangsIsAskedElsewhereSoon) {
  World world;
  inject_everywhere(world, 2, R"({"kind":"hang","match":"/api/show"})");
  Client& client = world.post("/api/show", R"({"model":"llama3.2"})");
  world.pass(100ms);
  const std::uint32_t victim = world.busy_instance();
  ASSERT_LT(victim, 2U);
  world.instance(1 - victim).clear_faults();
  world.pass(31s);
  EXPECT_EQ(client.reply().status, 200) << client.raw();
  EXPECT_EQ(retries(world), "1");
  world.expect_nothing_left();
}

TEST(Failure, ARestartBetweenTwoRequestsIsNotSeen) {
  World world({.instances = 1});
  Client& client = world.chat();
  world.done(client);
  world.pass(10ms);
  world.restart(0);
  client.say(World::request("POST", "/api/chat", World::chat_body(5)));
  world.done(client, 2);
  ASSERT_EQ(client.replies().size(), 2U);
  expect_served(world, client.replies()[1], 5);
  EXPECT_EQ(retries(world, 1), "0");
}

TEST(Failure, AFrozenInstanceIsTakenOutAndItsRequestServedElsewhere) {
  World world;
  Client& client = world.chat();
  world.pass(100ms);
  const std::uint32_t victim = world.busy_instance();
  ASSERT_LT(victim, 2U);
  world.freeze(victim);
  world.pass(20s);
  expect_served(world, client.reply());
  EXPECT_EQ(world.metrics().revoked(), 1U);
  EXPECT_EQ(world.view(victim).health, core::HealthState::kDown);
  EXPECT_EQ(world.view(victim).in_flight, 0U);
  world.thaw(victim);
  world.pass(20s);
  EXPECT_NE(world.view(victim).health, core::HealthState::kDown);
  world.expect_nothing_left();
}

TEST(Failure, AnInstanceFrozenInMidStreamIsGivenUpAfterTheLongestGap) {
  World world;
  Client& client = world.chat(1000);
  world.pass(1s);
  world.freeze(world.busy_instance());
  world.pass(170s);
  EXPECT_FALSE(client.closed()) << "a tool call is composed in silence";
  world.pass(20s);
  EXPECT_TRUE(client.reply().complete);
  EXPECT_NE(read_native(client.reply().body).error, "");
  EXPECT_EQ(outcome(world), "broken");
  world.expect_nothing_left();
}

TEST(Failure, AFirstTokenThatNeverComesIsATimeout) {
  WorldOptions options{.instances = 1};
  options.gateway.deadlines.first_token = 5s;
  options.gateway.deadlines.document = 5s;
  World world(options);
  ASSERT_TRUE(world.instance(0).inject(R"({"kind":"hang"})"));
  const Instant asked = world.now();
  Client& client = world.chat();
  world.pass(6s);
  EXPECT_EQ(client.reply().status, 504);
  EXPECT_LT(client.last_byte() - asked, 5100ms);
  world.expect_nothing_left();
}

TEST(Failure, ALongDocumentThatIsCutEndsInAReset) {
  for (std::string_view version : {"HTTP/1.0", "HTTP/1.1"}) {
    WorldOptions options{.instances = 1};
    options.gateway.limits.document_bytes = 50;
    World world(options);
    ASSERT_TRUE(world.instance(0).inject(R"({"kind":"cut_raw"})"));
    const std::string body = World::chat_body(50, "hi", "\"stream\":false,");
    Client& client =
        world.ask("POST /api/chat " + std::string(version) +
                  "\r\nHost: localhost\r\nContent-Length: " + std::to_string(body.size()) +
                  "\r\n\r\n" + body);
    world.closed(client);
    EXPECT_TRUE(client.reset()) << version << ": nobody may take it for the whole";
    EXPECT_FALSE(client.ended());
    EXPECT_FALSE(client.reply().complete);
    world.expect_nothing_left();
  }
}

TEST(Failure, ALongDocumentIsPassedOnWhole) {
  WorldOptions options{.instances = 1, .network = {.split = simnet::Split::kRandom}};
  options.gateway.limits.document_bytes = 50;
  World world(options);
  Client& client = world.post("/api/chat", World::chat_body(2000, "hi", "\"stream\":false,"));
  const Reply reply = world.done(client).reply();
  EXPECT_TRUE(reply.complete);
  EXPECT_EQ(json_text(reply.body, "message/content"), world.text(2000));
  world.expect_nothing_left();
}

TEST(Failure, ACatalogueAskedForBeforeTheQuestionDoesNotAnswerIt) {
  World world({.instances = 1});
  world.pass(900ms);
  world.freeze(0);
  world.pass(1300ms);  // the periodic check is under way, unanswered
  world.network().fault_next(world.at(0),
                             {simnet::Fault::Kind::kReset, simnet::Towards::kClient, 0});
  Client& client = world.post("/api/chat", R"({"model":"pulled-just-now","messages":[]})");
  world.pass(10ms);
  world.thaw(0);
  EXPECT_EQ(world.done(client).reply().status, 503) << "its own refresh failed";
  world.expect_nothing_left();
}

// --- drover's own shortages ---

TEST(OwnFault, ADescriptorShortageIsNotNowAndBlamesNobody) {
  World world;
  for (std::uint32_t i = 0; i < 2; ++i) world.network().starve(world.at(i));
  for (int i = 0; i < 5; ++i) {
    const Reply reply = world.done(world.chat()).reply();
    EXPECT_EQ(reply.status, 503) << reply.body;
    EXPECT_NE(reply.field("retry-after"), "");
    EXPECT_NE(reply.body.find("drover has no room"), std::string::npos) << reply.body;
  }
  world.pass(30s);  // many checks that could not be made
  for (std::uint32_t i = 0; i < 2; ++i) {
    EXPECT_EQ(world.view(i).health, core::HealthState::kUp);
    EXPECT_EQ(world.view(i).failed, 0U);
  }
  EXPECT_EQ(world.metrics().retries(), 0U) << "a retry would want one more";
  for (std::uint32_t i = 0; i < 2; ++i) world.network().feed(world.at(i));
  expect_served(world, world.done(world.chat()).reply());
  world.expect_nothing_left();
}

// How many kept bodies lie in files.
std::size_t kept_files(const std::string& directory) {
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    const std::string target = std::filesystem::read_symlink(entry.path(), gone).string();
    count += target.starts_with(directory) && target.find("(deleted)") != std::string::npos;
  }
  return count;
}

TEST(OwnFault, AKeptBodyIsLetGoWithTheFirstContentByte) {
  WorldOptions options{.instances = 1};
  options.gateway.limits.spill_bytes = 100;
  options.gateway.limits.body_memory_bytes = 0;
  options.gateway.limits.spill_dir = std::filesystem::canonical(::testing::TempDir()).string();
  options.fake.parallel = 3;
  World world(options);
  std::vector<Client*> clients;
  for (int i = 0; i < 3; ++i) clients.push_back(&world.chat(1000, std::string(500, 'q')));
  world.pass(1ms);
  EXPECT_EQ(kept_files(options.gateway.limits.spill_dir), 3U);
  world.pass(5s);
  for (const Client* client : clients) {
    ASSERT_NE(client->raw(), "");
    ASSERT_FALSE(client->reply().complete);
  }
  EXPECT_EQ(kept_files(options.gateway.limits.spill_dir), 0U) << "while the answers go on";
  for (Client* client : clients) EXPECT_EQ(world.done(*client).reply().status, 200);
  world.expect_nothing_left();
}

// Empties the file of a kept body behind drover's back.
bool spoil_kept_body(const std::string& directory) {
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    const std::string target = std::filesystem::read_symlink(entry.path(), gone).string();
    if (!target.starts_with(directory) || target.find("(deleted)") == std::string::npos) continue;
    return ::ftruncate(std::stoi(entry.path().filename().string()), 0) == 0;
  }
  return false;
}

TEST(OwnFault, AKeptBodyThatCannotBeReadBackIsOursAndBlamesNobody) {
  WorldOptions options;
  options.gateway.limits.spill_bytes = 1000;
  options.gateway.limits.body_memory_bytes = 0;
  options.gateway.limits.spill_dir = std::filesystem::canonical(::testing::TempDir()).string();
  World world(options);
  inject_everywhere(world, 2, R"({"kind":"hang"})");
  Client& client = world.chat(4, std::string(20'000, 'q'));
  world.pass(100ms);
  ASSERT_TRUE(spoil_kept_body(options.gateway.limits.spill_dir));
  const std::uint32_t victim = world.busy_instance();
  world.kill(victim);
  EXPECT_EQ(world.done(client).reply().status, 500) << client.raw();
  EXPECT_EQ(world.view(1 - victim).failed, 0U);
  world.expect_nothing_left();
}

// --- slow clients ---

TEST(SlowClient, ItSlowsItsInstanceInsteadOfFillingMemory) {
  World world({.instances = 1, .fake = {.token_time = 10us}});
  Client& client = world.connect();
  client.stop_reading();
  client.say(World::request("POST", "/api/chat", World::chat_body(20'000)));
  world.pass(20s);
  const std::uint64_t stalled = world.instance(0).counts().tokens;
  EXPECT_LT(stalled, 4000U) << "some 100 bytes each, three buffers of 64 KiB";
  world.pass(20s);
  EXPECT_EQ(world.instance(0).counts().tokens, stalled);
  client.go_on_reading();
  world.done(client);
  EXPECT_EQ(read_native(client.reply().body).text, world.text(20'000));
  EXPECT_TRUE(client.reply().complete);
  world.expect_nothing_left();
}

TEST(SlowClient, OneThatTakesNothingIsLetGo) {
  World world({.instances = 1, .fake = {.token_time = 10us}});
  Client& client = world.connect();
  client.stop_reading();
  client.say(World::request("POST", "/api/chat", World::chat_body(20'000)));
  world.pass(70s);
  EXPECT_EQ(world.in_flight(), 0U);
  EXPECT_EQ(world.gateway().open_connections(), 0U);
  client.go_on_reading();
  world.closed(client);
  EXPECT_TRUE(client.reset());
  EXPECT_FALSE(client.reply().complete);
  world.expect_nothing_left();
}

}  // namespace
}  // namespace drover::simtest
