// Bounds: how much and how slowly a client may send, and how many may come.

#include "gateway/sim_world.h"

namespace drover::simtest {
namespace {

constexpr std::string_view kHead = "POST /api/chat HTTP/1.1\r\nHost: localhost\r\n";

void expect_refused(World& world, Client& client, int status) {
  world.closed(client);
  ASSERT_EQ(client.replies().size(), 1U);
  EXPECT_EQ(client.reply().status, status) << client.raw();
  EXPECT_EQ(client.reply().field("connection"), "close");
  EXPECT_TRUE(is_json(client.reply().body)) << client.reply().body;
  EXPECT_TRUE(client.ended());
  EXPECT_FALSE(client.malformed());
  EXPECT_EQ(world.requests_seen(), 0U);
}

// --- sizes ---

TEST(Limits, ABodyThatSaysItIsTooLongIsRefusedUnread) {
  WorldOptions options{.instances = 1};
  options.gateway.limits.body_bytes = 1000;
  World world(options);
  Client& client = world.ask(std::string(kHead) + "Content-Length: 1001\r\n\r\n");
  expect_refused(world, client, 413);
  world.expect_nothing_left();
}

TEST(Limits, ABodyOfAllowedSizeIsServed) {
  const std::string body = World::chat_body(2, std::string(500, 'x'));
  WorldOptions options{.instances = 1};
  options.gateway.limits.body_bytes = body.size();
  World world(options);
  EXPECT_EQ(world.done(world.post("/api/chat", body)).reply().status, 200);
  Client& client = world.post("/api/chat", body + " ");
  EXPECT_EQ(world.closed(client).reply().status, 413);
}

TEST(Limits, AChunkedBodyIsRefusedWhereItGetsTooLong) {
  WorldOptions options{.instances = 1};
  options.gateway.limits.body_bytes = 1000;
  World world(options);
  Client& client = world.ask(std::string(kHead) + "Transfer-Encoding: chunked\r\n\r\n");
  std::string body = World::chat_body(2, std::string(3000, 'x'));
  for (std::size_t at = 0; at < body.size(); at += 100) {
    const std::string piece = body.substr(at, 100);
    client.say("64\r\n" + piece + std::string(100 - piece.size(), ' ') + "\r\n");
    world.pass(1ms);
  }
  expect_refused(world, client, 413);
  world.expect_nothing_left();
}

TEST(Limits, ABodyBeyondMemoryIsSpilledAndArrivesWhole) {
  WorldOptions options{.instances = 2, .network = {.split = simnet::Split::kRandom}};
  options.gateway.limits.spill_bytes = 1000;
  options.gateway.limits.body_memory_bytes = 0;
  options.gateway.limits.spill_dir = ::testing::TempDir();
  World world(options);
  const std::string question(200'000, 'q');
  ASSERT_TRUE(world.instance(0).inject(R"({"kind":"error500","variant":"oom"})"));
  Client& first = world.chat(3, question);
  Client& second = world.chat(3, question);
  EXPECT_EQ(read_native(world.done(first).reply().body).text, world.text(3, question));
  EXPECT_EQ(read_native(world.done(second).reply().body).text, world.text(3, question));
  EXPECT_EQ(world.metrics().retries(), 1U) << "a retry sends it from the file again";
  world.expect_nothing_left();
}

TEST(Limits, ABodyThatCannotBeKeptIsNotNow) {
  WorldOptions options{.instances = 1};
  options.gateway.limits.spill_bytes = 100;
  options.gateway.limits.body_memory_bytes = 0;
  options.gateway.limits.spill_dir = "/nowhere/at/all";
  World world(options);
  Client& client = world.chat(3, std::string(1000, 'x'));
  world.closed(client);
  EXPECT_EQ(client.reply().status, 503);
  EXPECT_NE(client.reply().field("retry-after"), "");
  EXPECT_EQ(world.view(0).failed, 0U);
}

// One frame with one block that is stored as it is, which the format allows.
std::string zstd_of(std::string_view text) {
  const auto size = static_cast<std::uint32_t>(text.size());
  const std::uint32_t block = size << 3U | 1U;
  std::string out = "\x28\xB5\x2F\xFD\x20";
  out += static_cast<char>(size);
  for (int shift = 0; shift < 24; shift += 8) out += static_cast<char>(block >> shift & 0xFFU);
  return out + std::string(text);
}

TEST(Limits, ZstdBodiesAreDecodedOnV1RoutesOnly) {
  World world({.instances = 1});
  const std::string body =
      R"({"model":"llama3.2","messages":[{"role":"user","content":"hi"}],"max_tokens":4})";
  const auto send = [&world](std::string_view path, const std::string& bytes) {
    return world.done(world.ask(World::request("POST", path, bytes, "Content-Encoding: zstd\r\n")))
        .reply();
  };
  const Reply plain = world.done(world.post("/v1/chat/completions", body)).reply();
  const Reply packed = send("/v1/chat/completions", zstd_of(body));
  EXPECT_EQ(packed.status, 200) << packed.body;
  EXPECT_EQ(json_text(packed.body, "model"), json_text(plain.body, "model"));
  EXPECT_EQ(send("/v1/messages", zstd_of(body)).status, 200);
  EXPECT_EQ(send("/api/chat", zstd_of(body)).status, 415);
  EXPECT_EQ(send("/v1/chat/completions", body).status, 400);
  EXPECT_EQ(send("/v1/chat/completions", zstd_of(body).substr(0, 50)).status, 400);
  // What it says counts, and not how: duplicate keys, and the limit on what comes out of it.
  EXPECT_EQ(send("/v1/chat/completions", zstd_of(R"({"model":"a","model":"b"})")).status, 400);
  world.expect_nothing_left();
}

// The beginning of a frame that needs a window of 8 MiB, and of a body that goes on.
std::string with_window() {
  return "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Encoding: zstd\r\n"
         "Transfer-Encoding: chunked\r\n\r\n" +
         std::string("a\r\n\x28\xB5\x2F\xFD\x00\x68\x08\x00\x00{\r\n", 15);
}

TEST(Limits, TheWindowsOfCompressedBodiesShareTheRoomOfLargeOnes) {
  WorldOptions options{.instances = 1};
  options.gateway.limits.body_memory_bytes = 20 * 1024 * 1024;
  World world(std::move(options));
  Client& first = world.ask(with_window());
  world.ask(with_window());
  world.pass(1s);
  EXPECT_GE(world.metrics().body_memory_bytes.value(), 16 * 1024 * 1024);
  const Reply refused = world.done(world.ask(with_window())).reply();
  EXPECT_EQ(refused.status, 503);
  EXPECT_NE(refused.field("retry-after"), "");
  EXPECT_NE(json_text(refused.body, "error/message").find("limits.body_memory"), std::string::npos);
  first.leave();
  world.pass(1s);
  Client& later = world.ask(with_window());
  world.pass(1s);
  EXPECT_FALSE(later.closed());
  world.expect_nothing_left();
  EXPECT_EQ(world.metrics().body_memory_bytes.value(), 0);
}

TEST(Limits, HeadsOutOfBoundsHaveTheirStatus) {
  World world({.instances = 1});
  std::string many(kHead);
  for (int i = 0; i < 200; ++i) many += "X-Field: y\r\n";
  const std::pair<std::string, int> rows[] = {
      {"GET /" + std::string(9000, 'x') + " HTTP/1.1\r\nHost: localhost\r\n\r\n", 414},
      {std::string(kHead) + "X-Long: " + std::string(70'000, 'x') + "\r\n\r\n", 431},
      {many + "\r\n", 431},
      {std::string(kHead) + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
      {"\x16\x03\x01 no HTTP\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\n\r\n", 400},
      {"GET / HTTP/2.0\r\nHost: localhost\r\n\r\n", 505},
      {"GET / HTTP/1.1\r\nHost: evil.com\r\n\r\n", 421},
      {std::string(kHead) + "Expect: miracles\r\nContent-Length: 1\r\n\r\n", 417},
      {std::string(kHead) + "Content-Encoding: zstd\r\nContent-Length: 1\r\n\r\n", 415},
      {std::string(kHead) + "Content-Encoding: gzip\r\nContent-Length: 1\r\n\r\n", 415},
      {std::string(kHead) + "Content-Length: 2\r\n\r\n{]", 400},
      {std::string(kHead) + "Content-Length: 2\r\n\r\n{}", 400},
      {std::string(kHead) + "\r\n", 400},
  };
  for (const auto& [request, status] : rows) {
    SCOPED_TRACE(request.substr(0, 200));
    expect_refused(world, world.ask(request), status);
  }
  world.expect_nothing_left();
}

TEST(Limits, TenMegabytesOfEmptyLinesAreRefusedAtTheSecond) {
  World world({.instances = 1});
  std::string empty_lines;
  for (int i = 0; i < 5'000'000; ++i) empty_lines += "\r\n";
  const Instant begun = world.now();
  Client& client = world.ask(empty_lines);
  expect_refused(world, client, 400);
  EXPECT_LT(client.last_byte() - begun, 1s) << "and not when all of it had come";
  world.expect_nothing_left();
}

TEST(Limits, BrokenFramingCountsAsMalformedAndBrokenJsonDoesNot) {
  World world({.instances = 1});
  const auto counted = [&](std::string_view body) {
    world.closed(
        world.ask(std::string(kHead) + "Transfer-Encoding: chunked\r\n\r\n" + std::string(body)));
    const auto& malformed = world.metrics().malformed();
    const auto found = malformed.find("malformed");
    return found == malformed.end() ? 0U : found->second;
  };
  EXPECT_EQ(counted("2\r\n{]\r\n0\r\n\r\n"), 0U);
  EXPECT_EQ(counted("0x2\r\n{}\r\n0\r\n\r\n"), 1U);
  EXPECT_EQ(counted("2\r\n{}\n0\r\n\r\n"), 2U);
  EXPECT_EQ(world.metrics().refusals().at("malformed"), 3U);
  Client& cut = world.ask(std::string(kHead) + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n");
  cut.finish();
  expect_refused(world, cut, 400);
  EXPECT_EQ(world.metrics().malformed().at("malformed"), 3U);
}

TEST(Limits, ABrokenHeadIsAnsweredInTheDialectOfItsPath) {
  World world({.instances = 1});
  const std::string broken = " HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: x, y\r\n\r\n";
  const auto body = [&](std::string_view line) {
    return world.closed(world.ask(std::string(line) + broken)).reply().body;
  };
  EXPECT_NE(json_text(body("POST /v1/chat/completions"), "error/type"), "");
  EXPECT_EQ(json_text(body("POST /v1/messages?beta=true"), "type"), "error");
  EXPECT_NE(json_text(body("POST /api/chat"), "error"), "");
}

TEST(Limits, ABrokenHeadBehindAHeadRequestIsAnsweredWithABody) {
  World world({.instances = 1});
  Client& client = world.ask("HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\nnonsense\r\n\r\n");
  world.closed(client);
  const std::vector<Reply> replies = client.replies({true, false});
  ASSERT_EQ(replies.size(), 2U);
  EXPECT_EQ(replies[1].status, 400);
  EXPECT_TRUE(is_json(replies[1].body));
}

// --- time ---

TEST(Deadlines, ASlowHeadIsToldSo) {
  World world({.instances = 1});
  const Instant begun = world.now();
  Client& client = world.connect();
  for (const char c : std::string("POST /api/chat HTTP/1.1\r\nHost:")) {
    client.say(std::string(1, c));
    world.pass(1s);
  }
  expect_refused(world, client, 408);
  EXPECT_LT(client.last_byte() - begun, 11s);
  world.expect_nothing_left();
}

TEST(Deadlines, ASlowBodyIsToldSo) {
  World world({.instances = 1});
  Client& client = world.ask(std::string(kHead) + "Content-Length: 100000\r\n\r\n{\"prompt\":\"");
  for (int i = 0; i < 40; ++i) {
    client.say("x");
    world.pass(1s);
  }
  expect_refused(world, client, 408);
  world.expect_nothing_left();
}

TEST(Deadlines, ASlowLinkIsNotASlowBody) {
  World world({.instances = 1});
  const std::string question(30'000, 'q');
  const std::string body = World::chat_body(2, question);
  Client& client =
      world.ask(std::string(kHead) + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n");
  for (std::size_t at = 0; at < body.size(); at += 150) {
    client.say(body.substr(at, 150));
    world.pass(1s);
  }
  EXPECT_EQ(read_native(world.done(client).reply().body).text, world.text(2, question));
}

TEST(Deadlines, ABodyThatEndsEarlyIsToldSo) {
  World world({.instances = 1});
  Client& client = world.ask(std::string(kHead) + "Content-Length: 100\r\n\r\n{\"model\":");
  client.finish();
  expect_refused(world, client, 400);
}

TEST(Deadlines, AnIdleConnectionIsClosedWithoutAWord) {
  World world({.instances = 1});
  Client& client = world.get("/");
  world.pass(119s);
  EXPECT_FALSE(client.closed());
  world.pass(2s);
  EXPECT_TRUE(client.ended());
  EXPECT_EQ(client.replies().size(), 1U);
  Client& silent = world.connect();
  world.pass(121s);
  EXPECT_TRUE(silent.ended());
  EXPECT_EQ(silent.raw(), "");
  world.expect_nothing_left();
}

TEST(Deadlines, ARefusedUploadIsReadToItsEndSoThatTheAnswerArrives) {
  World world({.instances = 1});
  Client& client = world.ask(
      "POST /nowhere HTTP/1.1\r\nHost: localhost\r\n"
      "Content-Length: 1000000\r\n\r\n");
  for (int i = 0; i < 10; ++i) {
    client.say(std::string(100'000, 'x'));
    world.pass(100ms);
  }
  world.closed(client);
  EXPECT_TRUE(client.ended()) << "and is not reset";
  EXPECT_EQ(client.reply().status, 404);
  world.expect_nothing_left();
}

// --- connections ---

WorldOptions three_connections() {
  WorldOptions options{.instances = 1};
  options.gateway.limits.connections = 3;
  return options;
}

TEST(Connections, TheLongestIdleGivesWay) {
  World world(three_connections());
  Client& a = world.get("/");
  world.pass(1s);
  Client& b = world.get("/");
  world.pass(1s);
  Client& c = world.get("/");
  world.pass(1s);
  a.say(World::request("GET", "/", ""));
  world.pass(1s);
  Client& d = world.get("/");
  world.pass(1s);
  EXPECT_FALSE(a.closed()) << "which was used again";
  EXPECT_TRUE(b.closed());
  EXPECT_FALSE(c.closed());
  EXPECT_EQ(d.reply().status, 200);
  EXPECT_EQ(world.gateway().open_connections(), 3U);
  EXPECT_EQ(world.metrics().connections_evicted.value(), 1U);
  world.expect_nothing_left();
}

TEST(Connections, ABurstDoesNotGetPastTheLimit) {
  World world(three_connections());
  std::vector<Client*> all;
  for (int i = 0; i < 50; ++i) all.push_back(&world.get("/"));
  for (int i = 0; i < 20; ++i) {
    world.pass(20us);
    EXPECT_LE(world.gateway().open_connections(), 6U) << "three, and three that give way";
  }
  world.pass(1s);
  EXPECT_LE(world.gateway().open_connections(), 3U);
  std::size_t answered = 0;
  for (const Client* client : all) answered += client->reply().status == 200 ? 1 : 0;
  EXPECT_GE(answered, 3U);
  world.expect_nothing_left();
}

TEST(Connections, WhenAllAreAtWorkTheNextOneIsTurnedAway) {
  World world(three_connections());
  Client* busy[] = {&world.chat(100), &world.chat(100), &world.chat(100)};
  world.pass(500ms);
  Client& late = world.chat();
  world.pass(100ms);
  EXPECT_TRUE(late.ended()) << "and is not reset, though its request was never read";
  EXPECT_EQ(late.reply().status, 503);
  EXPECT_TRUE(late.reply().complete);
  EXPECT_TRUE(is_json(late.reply().body));
  EXPECT_EQ(world.metrics().malformed().at("connection_limit"), 1U);
  for (Client* client : busy) EXPECT_EQ(world.done(*client).reply().status, 200);
  EXPECT_EQ(world.done(world.get("/")).reply().status, 200);
  world.expect_nothing_left();
}

}  // namespace
}  // namespace drover::simtest
