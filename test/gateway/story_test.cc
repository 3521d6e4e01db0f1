// How one request goes when all is well, whatever the client speaks, and who notices when it
// leaves.

#include <algorithm>

#include "gateway/sim_world.h"

namespace drover::simtest {
namespace {

// A policy that learns wants to know what was read and written; the client hears what it asked for.
TEST(Story, UsageOfAStreamIsAskedForInTheClientsPlace) {
  WorldOptions options;
  options.gateway.wants_usage = true;
  World learns(std::move(options));
  World plain;
  const std::string body =
      R"({"model":"llama3.2","stream":true,"messages":[{"role":"user","content":"hi"}],"max_tokens":4)";
  const std::string wish = R"(,"stream_options":{"include_usage":true}})";
  // Ids and times differ between two answers.
  const auto records = [](World& world, const std::string& request) {
    const std::string answer = world.done(world.post("/v1/chat/completions", request)).reply().body;
    return std::pair(std::count(answer.begin(), answer.end(), '\n'),
                     answer.find("\"usage\":{") != std::string::npos);
  };
  EXPECT_EQ(records(learns, body + "}"), records(plain, body + "}"));
  EXPECT_FALSE(records(learns, body + "}").second);
  EXPECT_EQ(records(learns, body + wish), records(plain, body + wish));
  EXPECT_TRUE(records(learns, body + wish).second);
  EXPECT_EQ(learns.log().requests[0].at("output_tokens"), "4");
  EXPECT_EQ(plain.log().requests[0].at("output_tokens"), "0");
  learns.expect_nothing_left();
}

TEST(Story, AStreamIsServedWhole) {
  World world;
  const Reply reply = world.done(world.chat(6)).reply();
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.type(), "application/x-ndjson");
  EXPECT_TRUE(reply.chunked);
  EXPECT_TRUE(reply.complete);
  const NativeText native = read_native(reply.body);
  EXPECT_EQ(native.text, world.text(6));
  EXPECT_TRUE(native.done);
  EXPECT_TRUE(native.well_formed);
  ASSERT_EQ(world.log().requests.size(), 1U);
  EXPECT_EQ(world.log().requests[0].at("outcome"), "served");
  EXPECT_EQ(world.log().requests[0].at("output_tokens"), "6");
  world.expect_nothing_left();
}

struct Route {
  std::string_view path;
  std::string_view body;
  std::string_view type;
  std::string_view end;  // of the body
};

constexpr Route kRoutes[] = {
    {"/api/generate", R"({"model":"llama3.2","prompt":"hi"})", "application/x-ndjson", "}\n"},
    {"/api/generate", R"({"model":"llama3.2","prompt":"hi","stream":false})",
     "application/json; charset=utf-8", "}"},
    {"/api/embed", R"({"model":"nomic-embed-text","input":"hi"})",
     "application/json; charset=utf-8", "}"},
    {"/api/show", R"({"model":"llama3.2"})", "application/json; charset=utf-8", "}"},
    {"/v1/chat/completions",
     R"({"model":"llama3.2","stream":true,"messages":[{"role":"user","content":"hi"}]})",
     "text/event-stream", "data: [DONE]\n\n"},
    {"/v1/chat/completions", R"({"model":"llama3.2","messages":[{"role":"user","content":"hi"}]})",
     "application/json; charset=utf-8", "}"},
    {"/v1/responses", R"({"model":"llama3.2","stream":true,"input":"hi"})", "text/event-stream",
     "\n\n"},
    {"/v1/messages",
     R"({"model":"llama3.2","max_tokens":5,"stream":true,)"
     R"("messages":[{"role":"user","content":"hi"}]})",
     "text/event-stream", "\n\n"},
};

TEST(Story, EveryDialectIsServedOnOneConnection) {
  World world;
  Client& client = world.connect();
  std::size_t asked = 0;
  for (const Route& route : kRoutes) {
    client.say(World::request("POST", route.path, route.body));
    world.done(client, ++asked);
    ASSERT_EQ(client.replies().size(), asked) << route.path;
    const Reply reply = client.replies().back();
    EXPECT_EQ(reply.status, 200) << route.path << reply.body;
    EXPECT_TRUE(reply.type().starts_with(route.type)) << route.path << " " << reply.type();
    EXPECT_TRUE(reply.body.ends_with(route.end)) << route.path << reply.body;
    EXPECT_FALSE(reply.field("x-request-id").empty());
    EXPECT_TRUE(reply.field("x-drover-backend").starts_with("gpu"));
  }
  EXPECT_FALSE(client.closed());
  world.expect_nothing_left();
}

TEST(Story, OneUpstreamConnectionServesManyRequests) {
  World world({.instances = 1});
  world.stop_probe();
  world.pass(1s);
  const std::size_t before = world.network().connects(world.at(0));
  for (const Route& route : kRoutes) world.done(world.post(route.path, route.body));
  EXPECT_EQ(world.network().connects(world.at(0)) - before, 1U);
}

TEST(Story, SingleByteSegmentsChangeNothing) {
  World world({.network = {.split = simnet::Split::kBytes}});
  const Reply reply = world.done(world.chat(10)).reply();
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(read_native(reply.body).text, world.text(10));
  EXPECT_TRUE(read_native(reply.body).done);
  world.expect_nothing_left();
}

TEST(Story, RandomSegmentsChangeNothing) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    World world({.network = {.seed = seed, .jitter = 1ms, .split = simnet::Split::kRandom}});
    Client& first = world.chat(20, "one");
    Client& second = world.chat(30, "two");
    EXPECT_EQ(read_native(world.done(first).reply().body).text, world.text(20, "one"));
    EXPECT_EQ(read_native(world.done(second).reply().body).text, world.text(30, "two"));
  }
}

TEST(Story, PipelinedRequestsAreAnsweredInOrder) {
  World world({.network = {.split = simnet::Split::kRandom}});
  std::string all;
  for (int i = 1; i <= 20; ++i) {
    all += i % 4 == 0 ? World::request("GET", "/nowhere", "")
                      : World::request("POST", "/api/chat", World::chat_body(i));
  }
  Client& client = world.ask(all);
  world.done(client, 20);
  const std::vector<Reply> replies = client.replies();
  ASSERT_EQ(replies.size(), 20U);
  for (int i = 1; i <= 20; ++i) {
    const Reply& reply = replies[static_cast<std::size_t>(i - 1)];
    EXPECT_EQ(reply.status, i % 4 == 0 ? 404 : 200);
    if (i % 4 != 0) {
      EXPECT_EQ(read_native(reply.body).text, world.text(i));
    }
  }
  EXPECT_FALSE(client.closed());
  world.expect_nothing_left();
}

// A frame of one raw block, as RFC 8878 has it; of at most 255 bytes.
std::string zstd_frame(std::string_view text) {
  const std::size_t header = text.size() << 3U | 1U;
  std::string frame = "\x28\xb5\x2f\xfd\x20";
  for (const std::size_t byte : {text.size(), header & 0xffU, header >> 8U, header >> 16U}) {
    frame += static_cast<char>(byte);
  }
  return frame.append(text);
}

// What has arrived is read where the loop received it, and the loop receives for everybody: what
// came with a body, and belongs to the next request, must outlive what others send meanwhile.
TEST(Story, TheRequestThatCameWithABodyIsNotLost) {
  const std::string chat = World::chat_body(6);
  const std::string openai = R"({"model":"llama3.2","messages":[{"role":"user","content":"hi"}]})";
  const std::string packed = zstd_frame(openai);
  const auto sized = [](std::string_view path, std::string_view field, std::string_view body) {
    return fmt::format("POST {} HTTP/1.1\r\nHost: localhost\r\n{}\r\nContent-Length: {}\r\n\r\n{}",
                       path, field, body.size(), body);
  };
  const std::string firsts[] = {
      sized("/api/chat", "X: y", chat),
      sized("/api/chat", "Expect: 100-continue", chat),
      fmt::format("POST /api/chat HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
                  "5\r\n{}\r\n{:x}\r\n{}\r\n0\r\nX: y\r\n\r\n",
                  chat.substr(0, 5), chat.size() - 5, chat.substr(5)),
      sized("/v1/chat/completions", "Content-Encoding: zstd", packed),
      sized("/api/blobs/sha256:" + std::string(64, 'a'), "X: y", std::string(3000, 'b')),
  };
  for (const std::string& first : firsts) {
    SCOPED_TRACE(first.substr(0, 100));
    World world;
    Client& client = world.ask(first + World::request("POST", "/api/chat", World::chat_body(7)));
    std::vector<Client*> others;
    for (int i = 0; i < 5; ++i) {
      world.pass(1ms);
      others.push_back(&world.chat(8, std::string(2000, 'o')));
    }
    world.done(client, 2);
    const std::vector<Reply> replies = client.replies();
    ASSERT_EQ(replies.size(), 2U);
    EXPECT_EQ(replies[0].status, first.find("/api/blobs/") == std::string::npos ? 200 : 201);
    EXPECT_EQ(read_native(replies[1].body).text, world.text(7));
    for (Client* other : others) EXPECT_EQ(world.done(*other).reply().status, 200);
    world.expect_nothing_left();
  }
}

TEST(Story, ARefusalByTheHeadAloneIsAnsweredOnce) {
  World world;
  for (std::string_view request :
       {"GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "DELETE /api/chat HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /api/tags HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.com\r\n\r\n"}) {
    Client& client = world.ask(request);
    world.pass(1s);
    ASSERT_EQ(client.replies().size(), 1U) << request;
    EXPECT_GE(client.reply().status, 403);
    client.say(World::request("GET", "/", ""));
    world.pass(1s);
    ASSERT_EQ(client.replies().size(), 2U) << "the connection goes on";
    EXPECT_EQ(client.replies()[1].status, 200);
  }
  world.expect_nothing_left();
}

TEST(Story, AWrongMethodIsToldTheRightOne) {
  World world;
  EXPECT_EQ(world.done(world.get("/api/chat")).reply().field("allow"), "POST");
  EXPECT_EQ(world.done(world.post("/api/tags", "{}")).reply().field("allow"), "GET, HEAD");
  EXPECT_EQ(world.done(world.post("/api/tags", "{}")).reply().status, 405);
}

TEST(Story, ExpectContinueIsAnsweredBeforeTheBodyComes) {
  World world;
  const std::string body = World::chat_body(3);
  Client& client = world.ask(
      "POST /api/chat HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue"
      "\r\nContent-Length: " +
      std::to_string(body.size()) + "\r\n\r\n");
  world.pass(1s);
  EXPECT_EQ(client.raw(), "HTTP/1.1 100 Continue\r\n\r\n");
  client.say(body);
  EXPECT_EQ(world.done(client).reply().status, 200);
  EXPECT_TRUE(client.reply().complete);
  world.expect_nothing_left();
}

TEST(Story, ExpectContinueIsRefusedBeforeTheBodyComes) {
  World world;
  Client& client = world.ask(
      "POST /nowhere HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
      "Content-Length: 10\r\n\r\n");
  world.done(client);
  EXPECT_EQ(client.reply().status, 404);
  EXPECT_TRUE(client.raw().starts_with("HTTP/1.1 404"));
  EXPECT_EQ(client.reply().field("connection"), "close");
}

TEST(Story, Http10GetsABareStreamThatEndsByTheClose) {
  World world;
  const std::string body = World::chat_body(5);
  Client& client =
      world.ask("POST /api/chat HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: " +
                std::to_string(body.size()) + "\r\n\r\n" + body);
  world.closed(client);
  EXPECT_TRUE(client.ended());
  EXPECT_FALSE(client.reply().chunked);
  EXPECT_EQ(client.reply().field("connection"), "close");
  EXPECT_EQ(read_native(client.reply().body).text, world.text(5));
  EXPECT_TRUE(read_native(client.reply().body).done);
  world.expect_nothing_left();
}

TEST(Story, Http10StaysOpenBehindADocumentWhenAsked) {
  World world;
  Client& client = world.ask("GET /api/tags HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  world.done(client);
  EXPECT_EQ(client.reply().field("connection"), "keep-alive");
  client.say("GET /api/tags HTTP/1.0\r\n\r\n");
  world.closed(client);
  ASSERT_EQ(client.replies().size(), 2U);
  EXPECT_EQ(client.replies()[1].field("connection"), "close");
}

TEST(Story, HeadHasTheHeadOfGetAndNoBody) {
  World world;
  for (std::string_view path : {"/", "/api/tags", "/api/version"}) {
    const Reply get = world.done(world.get(path)).reply();
    Client& client = world.ask(World::request("HEAD", path, ""));
    world.pass(1s);
    const Reply head = client.reply(true);
    EXPECT_EQ(head.status, 200) << path;
    EXPECT_EQ(head.field("content-length"), std::to_string(get.body.size())) << path;
    EXPECT_TRUE(client.raw().ends_with("\r\n\r\n"));
  }
  Client& missing = world.ask(World::request("HEAD", "/nowhere", ""));
  world.pass(1s);
  EXPECT_EQ(missing.reply(true).status, 404);
  EXPECT_TRUE(missing.raw().ends_with("\r\n\r\n"));
}

TEST(Story, ABodyBehindAGetReachesNoInstance) {
  World world({.instances = 1});
  const std::string hidden =
      "POST /api/copy HTTP/1.1\r\nHost: localhost\r\nContent-Length: 49\r\n\r\n"
      R"({"source":"llama3.2","destination":"smuggled:1b"})";
  for (const std::string& framing :
       {"Content-Length: " + std::to_string(hidden.size()) + "\r\n\r\n" + hidden,
        "Transfer-Encoding: chunked\r\n\r\n74\r\n" + hidden + "\r\n0\r\n\r\n"}) {
    Client& client = world.ask("GET /v1/models/llama3.2 HTTP/1.1\r\nHost: localhost\r\n" + framing);
    world.pass(10s);
    ASSERT_EQ(client.replies().size(), 1U);
    EXPECT_EQ(client.reply().status, 200);
    EXPECT_EQ(client.reply().field("connection"), "close");
  }
  EXPECT_EQ(world.done(world.get("/api/tags")).reply().body.find("smuggled"), std::string::npos);
  EXPECT_EQ(world.instance(0).state_json().find("/api/copy"), std::string::npos);
}

TEST(Story, ALengthOfZeroIsNoBody) {
  World world;
  Client& client = world.ask("GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
  world.done(client);
  EXPECT_EQ(client.reply().field("connection"), "") << "there is nothing to get out of the way";
  client.say(World::request("GET", "/", ""));
  world.done(client, 2);
  EXPECT_EQ(client.replies().size(), 2U);
  world.expect_nothing_left();
}

TEST(Story, OptionsOfTheWholeServerAreAnswered) {
  World world;
  Client& client = world.ask("OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n");
  world.pass(1s);
  EXPECT_EQ(client.reply().status, 204);
  EXPECT_EQ(client.reply().field("allow"), "GET, HEAD, POST, DELETE, OPTIONS");
  EXPECT_EQ(world.requests_seen(), 0U);
}

TEST(Story, APreflightIsAnsweredWithoutABody) {
  World world;
  Client& client = world.ask(
      "OPTIONS /api/chat HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost:3000\r\n"
      "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: "
      "content-type\r\n\r\n");
  world.pass(1s);
  const Reply reply = client.reply();
  EXPECT_EQ(reply.status, 204);
  EXPECT_EQ(reply.field("content-length"), "");
  EXPECT_EQ(reply.field("access-control-allow-origin"), "http://localhost:3000");
  EXPECT_EQ(reply.field("access-control-allow-headers"), "content-type");
  client.say(World::request("GET", "/", ""));
  world.pass(1s);
  EXPECT_EQ(client.replies().size(), 2U);
}

TEST(Story, FieldsOfTheHopAndOfThePersonStayHere) {
  World world({.instances = 1});
  world.done(world.ask(World::request(
      "POST", "/api/chat", World::chat_body(2),
      "Authorization: Bearer secret-1\r\nCookie: secret-2\r\nConnection: x-one\r\n"
      "Connection: X-Two\r\nX-One: secret-3\r\nX-Two: secret-4\r\nX-Drover-Explain: secret-5\r\n"
      "Origin: http://localhost\r\nX-Forwarded-For: secret-6\r\nX-Request-ID: my-id\r\n"
      "X-Forwarded-Port: secret-7\r\nx-forwarded-anything: secret-8\r\nX-Kept: yes\r\n")));
  const std::string state = world.instance(0).state_json();
  EXPECT_EQ(state.find("secret"), std::string::npos) << state;
  EXPECT_NE(state.find("\"x-kept\":\"yes\""), std::string::npos) << state;
  EXPECT_NE(state.find("\"x-request-id\":\"my-id\""), std::string::npos) << state;
}

TEST(Story, TheDecisionIsExplainedToThoseWhoAsk) {
  World world;
  const Reply reply = world
                          .done(world.ask(World::request("POST", "/api/chat", World::chat_body(2),
                                                         "X-Drover-Explain: 1\r\n")))
                          .reply();
  EXPECT_NE(reply.field("x-drover-why").find("least_loaded"), std::string::npos);
  EXPECT_EQ(world.done(world.chat(2)).reply().field("x-drover-why"), "");
}

// --- leaving ---

struct Leaving {
  World world;
  explicit Leaving(fake::FakeOptions options = {}) : world({.instances = 1, .fake = options}) {}
  void expect_cancelled(std::string_view phase) {
    world.pass(1s);
    EXPECT_EQ(world.instance(0).counts().cancelled, 1U);
    const std::string state = world.instance(0).state_json();
    EXPECT_NE(state.find("\"phase\":\"" + std::string(phase) + "\""), std::string::npos) << state;
    EXPECT_EQ(world.log().requests.at(0).at("outcome"), "client_gone");
    EXPECT_EQ(world.view(0).failed, 0U) << "which is no fault of the instance";
    world.expect_nothing_left();
  }
};

TEST(Leaving, AClientThatLeavesWhileAModelLoadsIsSeen) {
  Leaving test;
  Client& client = test.world.chat();
  test.world.pass(100ms);
  client.leave();
  test.expect_cancelled("loading");
}

TEST(Leaving, AClientThatLeavesWhileItWaitsForASlotIsSeen) {
  Leaving test;
  Client& first = test.world.chat(200);
  test.world.pass(1s);
  Client& second = test.world.chat();
  test.world.pass(200ms);
  second.leave();
  test.expect_cancelled("waiting");
  EXPECT_FALSE(first.closed());
}

TEST(Leaving, AClientThatLeavesDuringPrefillIsSeen) {
  Leaving test({.prefill_per_kb = 100s});
  Client& client = test.world.chat(4, std::string(2000, 'x'));
  test.world.pass(5s);
  client.leave();
  test.expect_cancelled("prefill");
}

TEST(Leaving, AClientThatLeavesInMidStreamIsSeen) {
  Leaving test;
  Client& client = test.world.chat(1000);
  test.world.pass(1s);
  EXPECT_GT(read_native(client.reply().body).records, 10U);
  client.leave();
  test.expect_cancelled("generating");
}

TEST(Leaving, AClientThatOnlyFinishesItsSideHasLeft) {
  Leaving test;
  Client& client = test.world.chat(1000);
  test.world.pass(1s);
  client.finish();
  test.expect_cancelled("generating");
}

TEST(Leaving, AClientThatLeavesBehindTheFinalRecordWasServed) {
  World world({.instances = 1, .network = {.split = simnet::Split::kBytes}});
  Client& client = world.chat(2);
  while (client.raw().find("\"done\":true") == std::string::npos ||
         !client.raw().ends_with("}\n\r\n")) {
    world.pass(1us);
  }
  ASSERT_FALSE(client.reply().complete) << "the last chunk is still due";
  client.leave();
  world.pass(1s);
  EXPECT_EQ(world.log().requests.at(0).at("outcome"), "served");
  EXPECT_EQ(world.view(0).served, 1U);
  world.expect_nothing_left();
}

}  // namespace
}  // namespace drover::simtest
