// Instances that are broken or hostile, by the numbers U1 to U17 of README.md in this folder: each
// case is the exact bytes that an instance sends, in every shape of answer in which it makes sense,
// and what the client, the connection and the instance's health make of it.
//
//   gateway_sim_test --gtest_filter='Hostile*'

#include <fmt/format.h>

#include <functional>
#include <optional>

#include "gateway/sim_scripted.h"
#include "wire/http_body.h"

namespace drover::simtest {
namespace {

using namespace std::string_literals;

// One way to be asked and to answer.
struct Shape {
  std::string_view name;
  std::string_view path;
  std::string_view question;
  std::string_view type;
  std::string_view begin;  // of the answer: a whole record of a stream
  std::string_view end;    // what makes it whole
};

constexpr Shape kDocument = {
    "document",
    "/api/chat",
    R"({"model":"llama3.2","stream":false,"messages":[{"role":"user","content":"hi"}]})",
    "application/json",
    R"({"message":{"role":"assistant","content":"said"},)",
    R"("done":true})"};
constexpr Shape kNdjson = {
    "ndjson",
    "/api/chat",
    R"({"model":"llama3.2","messages":[{"role":"user","content":"hi"}]})",
    "application/x-ndjson",
    "{\"message\":{\"role\":\"assistant\",\"content\":\"said\"},\"done\":false}\n",
    "{\"message\":{\"role\":\"assistant\",\"content\":\"\"},\"done\":true}\n"};
constexpr Shape kSse = {
    "sse",
    "/v1/chat/completions",
    R"({"model":"llama3.2","stream":true,"messages":[{"role":"user","content":"hi"}]})",
    "text/event-stream",
    "data: {\"choices\":[{\"delta\":{\"content\":\"said\"}}]}\n\n",
    "data: [DONE]\n\n"};
constexpr Shape kAnthropic = {
    "messages",
    "/v1/messages",
    R"({"model":"llama3.2","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"hi"}]})",
    "text/event-stream",
    "event: content_block_delta\n"
    "data: {\"type\":\"content_block_delta\",\"delta\":{\"text\":\"said\"}}\n\n",
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"};
constexpr Shape kResponses = {
    "responses",
    "/v1/responses",
    R"({"model":"llama3.2","stream":true,"input":"hi"})",
    "text/event-stream",
    "event: response.output_text.delta\n"
    "data: {\"type\":\"response.output_text.delta\",\"delta\":\"said\"}\n\n",
    "event: response.completed\ndata: {\"type\":\"response.completed\"}\n\n"};
constexpr const Shape* kShapes[] = {&kDocument, &kNdjson, &kSse, &kAnthropic, &kResponses};

std::string whole(const Shape& shape) { return std::string(shape.begin) + std::string(shape.end); }

std::string head(const Shape& shape, std::string_view fields,
                 std::string_view line = "HTTP/1.1 200 OK") {
  return fmt::format("{}\r\nContent-Type: {}\r\n{}\r\n", line, shape.type, fields);
}

std::string with_length(const Shape& shape, std::string_view body, std::string_view fields = "") {
  return head(shape, fmt::format("Content-Length: {}\r\n{}", body.size(), fields)) +
         std::string(body);
}

std::string chunk(std::string_view data) {
  return fmt::format("{:x}\r\n{}\r\n", data.size(), data);
}

std::string chunked(const Shape& shape, std::string_view fields = "") {
  return head(shape, fmt::format("Transfer-Encoding: chunked\r\n{}", fields)) + chunk(shape.begin) +
         chunk(shape.end) + std::string(wire::kLastChunk);
}

// What the client is told.
enum class Seen : std::uint8_t {
  kAnswer,  // the instance's, byte for byte
  kHidden,  // nothing of it: 502, or another instance's answer
  kBroken,  // of a stream, what came and then an error record; of a document, nothing
};
enum class Kept : std::uint8_t { kNo, kYes };

struct Case {
  std::string_view name;
  std::function<Script(const Shape&)> script;
  Seen seen = Seen::kHidden;
  Kept kept = Kept::kNo;
  bool streams_only = false;
};

Script informational(const Shape& shape, int times) {
  std::string bytes;
  for (int i = 0; i < times; ++i) bytes += "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n";
  return {bytes + with_length(shape, whole(shape))};
}

Script only(std::string bytes) { return {std::move(bytes), Then::kEnd}; }

std::vector<Case> framing_cases() {
  return {
      {"sound", [](const Shape& s) { return Script{chunked(s)}; }, Seen::kAnswer, Kept::kYes},
      {"U1 a length and chunks",
       [](const Shape& s) { return Script{chunked(s, "Content-Length: 5\r\n")}; }},
      {"U2 chunks from HTTP/1.0",
       [](const Shape& s) {
         return Script{head(s, "Transfer-Encoding: chunked\r\n", "HTTP/1.0 200 OK") +
                       chunk(whole(s)) + std::string(wire::kLastChunk)};
       }},
      {"U3 two lengths",
       [](const Shape& s) { return Script{with_length(s, whole(s), "Content-Length: 3\r\n")}; }},
      {"U4 a short body",
       [](const Shape& s) {
         return only(head(s, "Content-Length: 100000\r\n") + std::string(s.begin));
       },
       Seen::kBroken},
      {"U4 a short body and a reset",
       [](const Shape& s) {
         return Script{head(s, "Content-Length: 100000\r\n") + std::string(s.begin), Then::kReset};
       },
       Seen::kBroken},
      {"U5 no last chunk",
       [](const Shape& s) {
         return only(head(s, "Transfer-Encoding: chunked\r\n") + chunk(s.begin));
       },
       Seen::kBroken},
      {"U5 a chunk that is cut",
       [](const Shape& s) {
         return only(head(s, "Transfer-Encoding: chunked\r\n") + chunk(s.begin) + "ffff\r\n{");
       },
       Seen::kBroken},
      {"U5 a last chunk behind half of the answer",
       [](const Shape& s) {
         return Script{head(s, "Transfer-Encoding: chunked\r\n") + chunk(s.begin) +
                       std::string(wire::kLastChunk)};
       },
       Seen::kBroken, Kept::kNo, true},
      {"U6 a whole answer behind the answer",
       [](const Shape& s) { return Script{chunked(s) + with_length(kDocument, "{}")}; },
       Seen::kAnswer},
      {"U6 a byte behind the answer",
       [](const Shape& s) { return Script{with_length(s, whole(s)) + "\n"}; }, Seen::kAnswer},
      {"U6 a whole answer, later",
       [](const Shape& s) { return Script{chunked(s), Then::kKeep, with_length(kDocument, "{}")}; },
       Seen::kAnswer},
  };
}

std::vector<Case> head_cases() {
  std::vector<Case> all = {
      {"U7 eight interim answers", [](const Shape& s) { return informational(s, 8); },
       Seen::kAnswer, Kept::kYes},
      {"U7 nine interim answers", [](const Shape& s) { return informational(s, 9); }},
      {"U7 a hundred thousand interim answers",
       [](const Shape& s) { return informational(s, 100'000); }},
      {"U8 another protocol",
       [](const Shape&) {
         return Script{
             "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
             "Connection: Upgrade\r\n\r\n"};
       }},
      {"U9 a field of 200 kB",
       [](const Shape& s) {
         return Script{with_length(s, whole(s), "X: " + std::string(200'000, 'x') + "\r\n")};
       }},
      {"U9 ten thousand fields",
       [](const Shape& s) {
         std::string fields;
         for (int i = 0; i < 10'000; ++i) fields += "X: y\r\n";
         return Script{with_length(s, whole(s), fields)};
       }},
      {"U12 a refusal on the head, and a reset",
       [](const Shape&) {
         return Script{"HTTP/1.1 100 Continue\r\n\r\n", Then::kReset, {}, true};
       }},
      {"U13 gzip that nobody asked for",
       [](const Shape& s) {
         return Script{with_length(s, "\x1f\x8b\x08\x00\x00\x00"s, "Content-Encoding: gzip\r\n")};
       }},
      {"U13 a coding that is none",
       [](const Shape& s) { return Script{chunked(s, "Content-Encoding: identity\r\n")}; },
       Seen::kAnswer, Kept::kYes},
      {"U14 a page",
       [](const Shape&) {
         return Script{
             "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n"
             "<html>"};
       },
       Seen::kHidden, Kept::kYes},
      {"U14 a redirect to a page",
       [](const Shape&) {
         return Script{
             "HTTP/1.1 302 Found\r\nLocation: http://portal.example/\r\n"
             "Content-Length: 0\r\n\r\n"};
       }},
  };
  for (const std::string_view line :
       {"HTTP/1.1 20 OK", "HTTP/1.1 999 OK", "HTTP/2 200", "HTTP/1.1\t200 OK", "ICY 200 OK",
        "SSH-2.0-OpenSSH_9.2", "", "HTTP/1.1 200 O\x01K"}) {
    all.push_back({"U10 a bad status line", [line](const Shape& s) {
                     return only(head(s, "Content-Length: 2\r\n", line) + "{}");
                   }});
  }
  for (const std::string_view line : {"HTTP/1.1 204 No Content", "HTTP/1.1 304 Not Modified"}) {
    all.push_back({"U11 a body where none can be", [line](const Shape& s) {
                     const std::string length =
                         fmt::format("Content-Length: {}\r\n", whole(s).size());
                     return Script{head(s, length, line) + whole(s)};
                   }});
  }
  return all;
}

// --- the test of one case ---

Client& ask(World& world, const Shape& shape) { return world.post(shape.path, shape.question); }

// The client of a lone instance that does `each`.
void expect_seen(World& world, const Shape& shape, const Case& each, Client& client) {
  const Reply reply = client.reply();
  EXPECT_FALSE(client.malformed()) << client.raw();
  EXPECT_TRUE(reply.complete) << client.raw();
  if (each.seen == Seen::kAnswer) {
    EXPECT_EQ(reply.status, 200);
    EXPECT_EQ(reply.body, whole(shape));
    EXPECT_EQ(world.view(0).failed, 0U);
    return;
  }
  EXPECT_GE(world.view(0).failed, 1U) << "it counts against the instance";
  const bool streams = &shape != &kDocument;
  if (each.seen == Seen::kBroken && streams) {
    EXPECT_EQ(reply.status, 200);
    EXPECT_TRUE(reply.body.starts_with(shape.begin)) << reply.body;
    EXPECT_NE(reply.body.find("\"error\":"), std::string::npos) << reply.body;
    EXPECT_EQ(reply.body.find(shape.end), std::string::npos) << "an end that was none";
    EXPECT_TRUE(world.closed(client).ended());
    return;
  }
  EXPECT_EQ(reply.status, 502) << client.raw();
  EXPECT_NE(reply.body.find("\"error\""), std::string::npos);
  EXPECT_EQ(reply.body.find("said"), std::string::npos);
}

void lone_instance(const Shape& shape, const Case& each) {
  WorldOptions options{.instances = 1};
  World world(options);
  Scripted hostile(world, 0, each.script(shape));
  Client& first = world.done(ask(world, shape));
  world.pass(20ms);
  expect_seen(world, shape, each, first);
  EXPECT_EQ(world.in_flight(), 0U);
  // Bytes that come later spoil a connection that is kept already: it is closed when it is wanted.
  const bool still_open = each.kept == Kept::kYes || !each.script(shape).later.empty();
  EXPECT_EQ(hostile.open(), still_open ? 1U : 0U) << "the connection";

  // The next user gets what was said to them, on a connection that nobody spoiled.
  const std::size_t before = hostile.connections();
  hostile.answer_with({chunked(shape)});
  // An instance that failed comes back on probation.
  world.pass(each.seen == Seen::kAnswer ? 1s : 30s);
  const Reply next = world.done(ask(world, shape)).reply();
  EXPECT_EQ(next.status, 200) << next.body;
  EXPECT_EQ(next.body, whole(shape));
  EXPECT_EQ(hostile.connections(), before + (each.kept == Kept::kYes ? 0 : 1));
  hostile.stop();
  world.expect_nothing_left();
}

// With another instance to turn to, clients see nothing of what could be hidden.
void beside_a_sound_one(const Shape& shape, const Case& each) {
  WorldOptions options{.instances = 2};
  World world(options);
  Scripted hostile(world, 0, each.script(shape));
  Scripted sound(world, 1, {chunked(shape)});
  for (int i = 0; i < 8 && hostile.connections() == 0; ++i) {
    Client& a = ask(world, shape);
    Client& b = ask(world, shape);
    for (Client* client : {&a, &b}) {
      const Reply reply = world.done(*client).reply();
      EXPECT_EQ(reply.status, 200) << reply.body;
      EXPECT_EQ(reply.body, whole(shape));
    }
  }
  EXPECT_GE(hostile.connections(), 1U) << "it was never asked";
  hostile.stop();
  sound.stop();
  world.expect_nothing_left();
}

void run_all(const std::vector<Case>& cases) {
  for (const Case& each : cases) {
    for (const Shape* shape : kShapes) {
      if (each.streams_only && shape == &kDocument) continue;
      SCOPED_TRACE(fmt::format("{}, {}", each.name, shape->name));
      lone_instance(*shape, each);
      const bool shows = each.seen == Seen::kBroken && shape != &kDocument;
      if (!shows) beside_a_sound_one(*shape, each);
    }
  }
}

TEST(Hostile, BrokenFramingNeverBecomesACleanAnswer) { run_all(framing_cases()); }

TEST(Hostile, BrokenHeadsNeverReachTheClient) { run_all(head_cases()); }

// U5, the other way round: the record that says "done" arrived, and the framing behind it did not.
TEST(Hostile, AWholeStreamWithoutItsLastChunkIsServedAndItsConnectionIsNot) {
  for (const Shape* shape : {&kNdjson, &kSse}) {
    SCOPED_TRACE(shape->name);
    std::string bytes = chunked(*shape);
    bytes.resize(bytes.size() - wire::kLastChunk.size());
    lone_instance(*shape, {"U5", [bytes](const Shape&) { return only(bytes); }, Seen::kAnswer});
  }
}

// A document too long to be held back: its client is cut off, and sees no end.
TEST(Hostile, ALongDocumentWithoutItsEndIsAnAbort) {
  const std::string some(5'000'000, 'x');
  const std::string text = R"({"done":true,"response":")" + some;
  for (const Script& script :
       {only(head(kDocument, "Content-Length: 9000000\r\n") + text),
        only(head(kDocument, "Transfer-Encoding: chunked\r\n") + chunk(text)),
        only(head(kDocument, "Transfer-Encoding: chunked\r\n") + chunk(text) + "zz\r\n")}) {
    World world({.instances = 1});
    Scripted hostile(world, 0, script);
    Client& client = world.closed(ask(world, kDocument));
    EXPECT_TRUE(client.reset());
    EXPECT_FALSE(client.reply().complete);
    EXPECT_EQ(client.reply().status, 200);
    EXPECT_EQ(world.view(0).failed, 1U);
    hostile.stop();
    world.expect_nothing_left();
  }
}

TEST(Hostile, ALongPageIsNoLongDocument) {
  World world({.instances = 1});
  const std::string page(5'000'000, 'x');
  Scripted hostile(world, 0,
                   {fmt::format("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
                                "Content-Length: {}\r\n\r\n{}",
                                page.size(), page)});
  EXPECT_EQ(world.done(ask(world, kDocument)).reply().status, 502);
  EXPECT_EQ(hostile.open(), 0U);
  hostile.stop();
  world.expect_nothing_left();
}

// U12: what is left of the request might be read as the next one on that connection.
TEST(Hostile, WhoAnswersBeforeItWasAskedIsHeardAndNotAskedThereAgain) {
  World world({.instances = 1});
  const std::string question = World::chat_body(4, std::string(900'000, 'q'), "\"stream\":false,");
  Scripted hostile(world, 0, {with_length(kDocument, whole(kDocument)), Then::kKeep, {}, true});
  Client& client = world.done(world.post("/api/chat", question));
  world.pass(100ms);
  EXPECT_EQ(client.reply().status, 200);
  EXPECT_EQ(client.reply().body, whole(kDocument));
  EXPECT_EQ(hostile.open(), 0U);
  ASSERT_EQ(hostile.received().size(), 1U);
  EXPECT_TRUE(hostile.received()[0].ends_with(question)) << "it was sent whole all the same";
  hostile.stop();
  world.expect_nothing_left();
}

TEST(Hostile, ACaptivePortalIsNotHealthyAndTheFleetSaysWhy) {
  const std::string page = "<html>Please log in</html>";
  for (const std::string& tags :
       {fmt::format("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\r\n{}",
                    page.size(), page),
        "HTTP/1.1 302 Found\r\nLocation: http://portal.example/\r\nContent-Length: 0\r\n\r\n"s}) {
    World world({.instances = 1});
    Scripted hostile(world, 0, {}, Script{tags});
    world.pass(30s);
    EXPECT_NE(world.view(0).health, core::HealthState::kUp);
    const std::string reason = world.view(0).reason;
    const bool said = reason.find("not valid JSON") != std::string::npos ||
                      reason.find("status 302") != std::string::npos;
    EXPECT_TRUE(said) << reason;
    EXPECT_GE(world.done(ask(world, kNdjson)).reply().status, 503);
    EXPECT_TRUE(hostile.received().empty());
    hostile.stop();
    world.expect_nothing_left();
  }
}

std::vector<Case> all_cases() {
  std::vector<Case> cases = framing_cases();
  for (Case& each : head_cases()) cases.push_back(std::move(each));
  return cases;
}

// What drover asks for itself comes over the same wire, and is read as strictly.
TEST(Hostile, AnswersToChecksAreHeldToTheSame) {
  constexpr Shape kChecks = {"checks", "/api/tags", "", "application/json", R"({"models":[)", "]}"};
  for (const Case& each : all_cases()) {
    if (each.streams_only) continue;
    SCOPED_TRACE(each.name);
    World world({.instances = 1});
    Scripted hostile(world, 0, {}, each.script(kChecks));
    world.pass(30s);
    const bool healthy = world.view(0).health == core::HealthState::kUp;
    EXPECT_EQ(healthy, each.seen == Seen::kAnswer) << world.view(0).reason;
    hostile.stop();
    world.expect_nothing_left();
  }
}

// So is what only one instance can answer, and is passed on.
TEST(Hostile, AnswersAboutTheAccountAreHeldToTheSame) {
  constexpr Shape kAccount = {"account",          "/api/me",     "{}",
                              "application/json", R"({"name":)", R"("said"})"};
  for (const Case& each : all_cases()) {
    // Another status than 200, a page and what is coded are the instance's own affair here.
    const std::string number(each.name.substr(0, 3));
    if (each.streams_only || number == "U11" || number == "U13" || number == "U14") continue;
    SCOPED_TRACE(each.name);
    WorldOptions options{.instances = 1};
    options.gateway.identity = BackendId{0};
    World world(std::move(options));
    Scripted hostile(world, 0, each.script(kAccount));
    const Reply reply = world.done(ask(world, kAccount)).reply();
    const bool passed_on = each.seen == Seen::kAnswer;
    EXPECT_TRUE(reply.complete);
    EXPECT_EQ(reply.status, passed_on ? 200 : 503) << reply.body;
    EXPECT_EQ(reply.body.find("said") != std::string::npos, passed_on) << reply.body;
    hostile.stop();
    world.expect_nothing_left();
  }
}

TEST(Hostile, AnAnswerAboutTheAccountHasABound) {
  WorldOptions options{.instances = 1};
  options.gateway.identity = BackendId{0};
  options.gateway.limits.document_bytes = 1000;
  World world(std::move(options));
  Scripted hostile(world, 0, {with_length(kDocument, std::string(1001, ' '))});
  const Reply reply = world.done(world.post("/api/me", "{}")).reply();
  EXPECT_EQ(reply.status, 503);
  EXPECT_NE(reply.body.find("its answer is too long"), std::string::npos) << reply.body;
  hostile.answer_with({with_length(kDocument, std::string(1000, ' '))});
  EXPECT_EQ(world.done(world.post("/api/me", "{}")).reply().body.size(), 1000U);
  hostile.stop();
  world.expect_nothing_left();
}

// U15
TEST(Hostile, RecordsThatAreCutAnywhereArriveAsTheyWere) {
  for (const simnet::Split split : {simnet::Split::kBytes, simnet::Split::kRandom}) {
    for (Shape shape : {kNdjson, kSse, kDocument}) {
      SCOPED_TRACE(shape.name);
      std::string begin(shape.begin);
      begin.replace(begin.find("said"), 4, "Gr\xC3\xBC\xC3\x9F\x65 \xF0\x9F\x98\x80 \\ud83d");
      shape.begin = begin;
      World world({.instances = 1, .network = {.split = split}});
      Scripted hostile(world, 0, {chunked(shape)});
      const Reply reply = world.done(ask(world, shape)).reply();
      EXPECT_EQ(reply.body, whole(shape));
      EXPECT_TRUE(reply.complete);
      hostile.stop();
      world.expect_nothing_left();
    }
  }
}

TEST(Hostile, ARecordOfNineMegabytesArrivesAsItWas) {
  for (Shape shape : {kNdjson, kSse, kDocument}) {
    SCOPED_TRACE(shape.name);
    std::string begin(shape.begin);
    begin.replace(begin.find("said"), 4, std::string(9'000'000, 'x'));
    shape.begin = begin;
    World world({.instances = 1});
    Scripted hostile(world, 0, {chunked(shape)});
    const Reply reply = world.done(ask(world, shape)).reply();
    EXPECT_TRUE(reply.complete);
    EXPECT_TRUE(reply.body == whole(shape)) << reply.body.size();
    EXPECT_EQ(world.view(0).failed, 0U);
    hostile.stop();
    world.expect_nothing_left();
  }
}

// U16
TEST(Hostile, AnErrorRecordInMidStreamIsPassedOnAndCountsAsAFailure) {
  const std::string ndjson = "{\"error\":\"CUDA error\"}\n";
  const std::string sse = "data: {\"error\":{\"message\":\"CUDA error\"}}\n\n";
  for (const Shape* shape : {&kNdjson, &kSse}) {
    SCOPED_TRACE(shape->name);
    const std::string record = shape == &kNdjson ? ndjson : sse;
    const std::string stream = head(*shape, "Transfer-Encoding: chunked\r\n");
    World world({.instances = 1});
    Scripted hostile(
        world, 0,
        {stream + chunk(shape->begin), Then::kKeep, chunk(record) + std::string(wire::kLastChunk)});
    const Reply reply = world.done(ask(world, *shape)).reply();
    EXPECT_EQ(reply.body, std::string(shape->begin) + record) << "and nothing that ends it well";
    EXPECT_EQ(world.view(0).failed, 1U);
    EXPECT_EQ(world.log().requests.at(0).at("outcome"), "broken");

    hostile.answer_with({stream + chunk(record) + std::string(wire::kLastChunk)});
    world.pass(30s);
    EXPECT_EQ(world.done(ask(world, *shape)).reply().status, 502) << "before content: no answer";
    hostile.stop();
    world.expect_nothing_left();
  }
}

// U17
TEST(Hostile, OnlyTheTypeOfAnAnswerIsTakenFromItsFields) {
  const std::string fields =
      "Location: http://evil.example/\r\nSet-Cookie: a=b\r\nAlt-Svc: h3=\":443\"\r\n"
      "Connection: X-Private\r\nX-Private: 1\r\nKeep-Alive: timeout=5\r\nUpgrade: h2c\r\n"
      "Proxy-Authenticate: Basic\r\nTrailer: X\r\nRefresh: 0; url=http://evil.example/\r\n"
      "Access-Control-Allow-Origin: *\r\nStrict-Transport-Security: max-age=1\r\n"
      "Server: evil\r\nX-Request-ID: evil\r\nX-Drover-Backend: evil\r\n";
  for (const Shape* shape : kShapes) {
    SCOPED_TRACE(shape->name);
    World world({.instances = 1});
    Scripted hostile(world, 0, {chunked(*shape, fields)});
    const Reply reply = world.done(ask(world, *shape)).reply();
    EXPECT_EQ(reply.body, whole(*shape));
    for (const auto& [name, value] : reply.fields) {
      const bool ours = name == "content-type" || name == "x-request-id" ||
                        name == "x-drover-backend" || name == "content-length" ||
                        name == "transfer-encoding" || name == "date";
      EXPECT_TRUE(ours) << name;
      EXPECT_EQ(value.find("evil"), std::string::npos) << name;
    }
    hostile.stop();
    world.expect_nothing_left();
  }
}

}  // namespace
}  // namespace drover::simtest
