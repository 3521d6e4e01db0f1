// The JSON traps (J1 to J24) through the whole gateway: what the client is told, and which bytes an
// instance gets. The table of bodies is wire/json_trap_table.h.
//
//   gateway_sim_test --gtest_filter='JsonTraps*'

#include <fmt/format.h>

#include "gateway/sim_scripted.h"
#include "wire/json_trap_table.h"

namespace drover::simtest {
namespace {

using namespace std::string_literals;

std::string sound_answer() {
  const std::string body = R"({"done":true})";
  return fmt::format(
      "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{}",
      body.size(), body);
}

// With no rule that changes load-time options: a trap is one of JSON.
WorldOptions as_sent() {
  WorldOptions options;
  options.instances = 1;
  options.core.variants.rule = core::OptionsRule::kPass;
  return options;
}

// A fleet of one instance that keeps what it gets.
struct Trapped {
  World world{as_sent()};
  Scripted instance{world, 0, {sound_answer()}};

  ~Trapped() {
    instance.stop();
    world.expect_nothing_left();
  }
  Reply post(std::string_view path, std::string_view body, std::string_view fields = "") {
    Client& client = world.ask(World::request("POST", path, body, fields));
    world.pass(100ms);
    return client.reply();
  }
  // The body of the only request that arrived; empty when none did.
  std::string arrived() const {
    if (instance.received().empty()) return {};
    EXPECT_EQ(instance.received().size(), 1U);
    const std::string& text = instance.received().front();
    return text.substr(text.find("\r\n\r\n") + 4);
  }
};

void expect_refused(Trapped& fleet, const Reply& reply, int status) {
  EXPECT_EQ(reply.status, status) << reply.body;
  EXPECT_TRUE(is_json(reply.body)) << reply.body;
  EXPECT_TRUE(fleet.instance.received().empty()) << "nothing of it may reach an instance";
}

TEST(JsonTraps, RefusedBeforeAByteGoesOnOrForwardedWithOneSpelling) {
  for (const wire::JsonTrap& trap : wire::json_traps()) {
    SCOPED_TRACE(trap.name);
    Trapped fleet;
    const Reply reply = fleet.post("/api/chat", trap.body);
    if (!trap.refusal.empty()) {
      expect_refused(fleet, reply, 400);
      EXPECT_NE(json_text(reply.body, "error").find(trap.refusal), std::string::npos) << reply.body;
      continue;
    }
    EXPECT_EQ(reply.status, 200) << reply.body;
    EXPECT_EQ(fleet.arrived(), trap.forwarded.empty() ? trap.body : trap.forwarded);
  }
}

// J8, the value that counts as none.
TEST(JsonTraps, AModelThatIsNullIsNoModel) {
  for (const char* body : {R"({"model":null})", R"({"model":""})", "{}"}) {
    Trapped fleet;
    const Reply reply = fleet.post("/api/chat", body);
    expect_refused(fleet, reply, 400);
    EXPECT_EQ(json_text(reply.body, "error"), "model is required");
  }
}

// J14: Ollama does not look at Content-Type, and `curl -d` sends that of a form. A page of another
// site could send these without asking first, but not without its Origin, and that is refused.
TEST(JsonTraps, TheContentTypeIsNotLookedAtAndTheOriginIs) {
  const std::string body = R"({"model":"llama3.2"})";
  for (const std::string_view type : {"text/plain", "application/x-www-form-urlencoded",
                                      "multipart/form-data; boundary=b", "application/xml", ""}) {
    SCOPED_TRACE(type);
    const std::string field = type.empty() ? ""s : fmt::format("Content-Type: {}\r\n", type);
    Trapped plain;
    EXPECT_EQ(plain.post("/api/chat", body, field).status, 200);
    EXPECT_EQ(plain.arrived(), body);
    for (const std::string_view origin : {"https://evil.example", "null"}) {
      Trapped page;
      const Reply reply =
          page.post("/api/chat", body, field + fmt::format("Origin: {}\r\n", origin));
      expect_refused(page, reply, 403);
    }
  }
}

// J15
TEST(JsonTraps, ACompressedBodyIs415) {
  const std::string gzip = "\x1f\x8b\x08\0\0\0\0\0"s;
  for (const std::string_view fields :
       {"Content-Encoding: gzip\r\n", "Content-Encoding: br\r\n", "content-encoding: deflate\r\n",
        "Content-Encoding: gzip, identity\r\n", "Content-Encoding:\r\n",
        "Content-Encoding: identity\r\nContent-Encoding: gzip\r\n"}) {
    SCOPED_TRACE(fields);
    for (const std::string_view path : {"/api/chat", "/v1/responses", "/v1/audio/transcriptions"}) {
      Trapped fleet;
      const Reply reply = fleet.post(path, gzip, fields);
      EXPECT_EQ(reply.status, 415) << reply.body;
      EXPECT_TRUE(fleet.instance.received().empty());
    }
  }
  Trapped plain;
  EXPECT_EQ(
      plain.post("/api/chat", R"({"model":"llama3.2"})", "Content-Encoding: Identity\r\n").status,
      200);
}

// J16
TEST(JsonTraps, AFormIsReadWhereFormsBelongAndNowhereElse) {
  const std::string form =
      "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nllama3.2\r\n--b--\r\n";
  const std::string type = "Content-Type: multipart/form-data; boundary=b\r\n";
  Trapped right;
  EXPECT_EQ(right.post("/v1/audio/transcriptions", form, type).status, 200);
  EXPECT_EQ(right.arrived(), form);
  for (const std::string_view path : {"/api/chat", "/api/generate", "/v1/embeddings",
                                      "/v1/chat/completions", "/v1/messages", "/v1/responses"}) {
    Trapped wrong;
    expect_refused(wrong, wrong.post(path, form, type), 400);
  }
  Trapped json;
  expect_refused(json, json.post("/v1/audio/transcriptions", R"({"model":"llama3.2"})", type), 400);
}

TEST(JsonTraps, AFormIsCutWhereItsContentTypeSays) {
  const std::string inner =
      "\r\n--c\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nother\r\n--c--\r\n";
  const std::string form = "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nllama3.2" +
                           std::string("\r\n--b--\r\n") + inner;
  for (const std::string_view type :
       {"Content-Type: multipart/form-data; boundary=c\r\n", "Content-Type: text/plain\r\n", "",
        "Content-Type: multipart/form-data; boundary=b\r\n"
        "Content-Type: multipart/form-data; boundary=c\r\n"}) {
    Trapped fleet;
    expect_refused(fleet, fleet.post("/v1/audio/transcriptions", form, type), 400);
  }
}

// J17: a name is looked up, never followed: what no catalogue has reaches no instance.
TEST(JsonTraps, ANameThatNoInstanceHasIsNotPassedOn) {
  for (const std::string_view name :
       {"evil.example/ns/llama3.2", "evil.example:80/ns/llama3.2:latest", "../../etc/passwd",
        "llama3.2/..", "llama3.2@sha256:00", "llama3.2-cloud", "%6clama3.2", "llama3.2%00",
        "llama3.2\\u0000", "\\u001b[31mllama3.2", "llama3.2:latest:x", "http://evil.example/x",
        "llama3\xE2\x80\x8B.2"}) {
    SCOPED_TRACE(name);
    Trapped fleet;
    const Reply reply = fleet.post("/api/chat", fmt::format(R"({{"model":"{}"}})", name));
    expect_refused(fleet, reply, 404);
    for (const char c : reply.body) EXPECT_GE(static_cast<unsigned char>(c), 0x20U);
  }
}

// J22: drover opens connections to its instances and to nobody else.
TEST(JsonTraps, AnAddressInABodyIsTextToDrover) {
  Trapped fleet;
  auto elsewhere = fleet.world.loop().listen(*net::Endpoint::parse("10.9.9.9:80"), {});
  const std::string body = R"({"model":"llama3.2","images":["http://10.9.9.9/x"],)"
                           R"("messages":[{"role":"user","content":[{"type":"image_url",)"
                           R"("image_url":{"url":"http://10.9.9.9/x"}}]}]})";
  for (const std::string_view path : {"/api/chat", "/v1/chat/completions"}) {
    EXPECT_EQ(fleet.post(path, body).status, 200);
  }
  ASSERT_EQ(fleet.instance.received().size(), 2U);
  for (const std::string& text : fleet.instance.received()) EXPECT_TRUE(text.ends_with(body));
  EXPECT_EQ(fleet.world.network().connects(*net::Endpoint::parse("10.9.9.9:80")), 0U);
}

// J24: how large is told by the limit, whatever the body is made of; that memory stays flat is
// shown with the real daemon (test/e2e/test_memory.py).
TEST(JsonTraps, OneLongStringIs413AtTheLimit) {
  WorldOptions options{.instances = 1};
  options.gateway.limits.body_bytes = 1'000'000;
  World world(options);
  Client& client = world.connect();
  client.say("POST /api/chat HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n");
  client.say("a\r\n{\"prompt\":\r\n1\r\n\"\r\n");
  for (int i = 0; i < 200 && client.replies().empty(); ++i) {
    client.say("100000\r\n" + std::string(0x100000, 'x') + "\r\n");
    world.pass(10ms);
  }
  EXPECT_EQ(client.reply().status, 413);
  EXPECT_EQ(world.requests_seen(), 0U);
  world.expect_nothing_left();
}

}  // namespace
}  // namespace drover::simtest
