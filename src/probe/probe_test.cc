#include "probe/probe.h"

#include <gtest/gtest.h>

#include <array>
#include <map>
#include <optional>

#include "probe/http_get.h"
#include "simnet/table_resolver.h"
#include "simnet/virtual_loop.h"

namespace drover::probe {
namespace {

using namespace std::chrono_literals;
using core::HealthState;

constexpr std::string_view kTags = R"({"models":[{"name":"b:latest"},{"name":"a:latest"}]})";
constexpr std::string_view kPs = R"({"models":[{"name":"a:latest"}]})";

std::string whole(std::string_view body, int status = 200) {
  return "HTTP/1.1 " + std::to_string(status) +
         " X\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}

// An instance by script: for each path the bytes that it answers; silent where there is no entry.
struct Scripted {
  std::map<std::string, std::string, std::less<>> answers;
  bool closes = false;  // behind the answer
  int asked = 0;
  std::vector<std::string> requests;  // as they came
};

net::Task<void> answer_one(std::unique_ptr<net::Stream> stream, Scripted& scripted) {
  std::string request;
  while (request.find("\r\n\r\n") == std::string::npos) {
    (void)co_await stream->readable(kNever);
    const net::Arrived got = stream->receive();
    if (got.state == net::Io::State::kWouldBlock) continue;
    if (got.state != net::Io::State::kMoved) co_return;
    request.append(got.bytes);
  }
  ++scripted.asked;
  scripted.requests.push_back(request);
  const std::size_t at = request.find(' ') + 1;
  const std::string path = request.substr(at, request.find(' ', at) - at);
  const auto found = scripted.answers.find(path);
  if (found != scripted.answers.end()) {
    const std::string bytes = found->second;
    const std::array<std::string_view, 1> parts = {bytes};
    (void)co_await net::write_all(*stream, parts, 1h, nullptr);
    if (scripted.closes) stream->finish_writing();
  }
  while (!stream->hung_up()) {
    (void)co_await stream->readable(kNever);
    const net::Io::State state = stream->receive().state;
    if (state == net::Io::State::kEnd || state == net::Io::State::kFailed) co_return;
  }
}

net::Task<void> accept_all(net::Loop& loop, std::unique_ptr<net::Listener> listener,
                           Scripted& scripted) {
  for (;;) {
    auto stream = co_await listener->accept(nullptr);
    if (!stream.ok()) co_return;
    loop.spawn(answer_one(std::move(*stream), scripted));
  }
}

net::Task<void> get_into(net::Loop& loop, net::Resolver& resolver, net::HostPort at,
                         Instant deadline, net::Cancel* cancel,
                         std::optional<Result<GetAnswer>>& out) {
  Result<GetAnswer> answer =
      co_await http_get(loop, resolver, std::move(at), "/x", deadline, cancel);
  out.emplace(std::move(answer));
}

class Quiet final : public Log {
 public:
  void write(LogLevel, std::string_view, std::span<const LogField>) override {}
};

const net::Endpoint kAt = *net::Endpoint::parse("10.0.0.1:11434");

class ProbeTest : public ::testing::Test {
 protected:
  explicit ProbeTest(simnet::NetworkOptions options = {}) : loop(options), resolver(loop) {}
  void TearDown() override { loop.abandon(); }
  void listen() {
    auto listener = loop.listen(kAt, {});
    loop.spawn(accept_all(loop, std::move(listener).value(), scripted));
  }
  Result<GetAnswer> get(Duration time = 2s, net::Cancel* cancel = nullptr,
                        std::string host = "10.0.0.1") {
    std::optional<Result<GetAnswer>> out;
    loop.spawn(get_into(loop, resolver, {std::move(host), 11434}, loop.now() + time, cancel, out));
    loop.run();
    return std::move(*out);
  }
  ErrorKind kind(std::string_view answer) {
    scripted.answers["/x"] = answer;
    scripted.closes = true;
    const Result<GetAnswer> got = get();
    return got.ok() ? ErrorKind::kConfig : got.error().kind;
  }

  simnet::VirtualLoop loop;
  simnet::TableResolver resolver;
  Scripted scripted;
};

class SplitProbeTest : public ProbeTest {
 protected:
  SplitProbeTest() : ProbeTest({.split = simnet::Split::kBytes}) {}
};

TEST_F(ProbeTest, GetReadsEveryFraming) {
  listen();
  for (const std::string& answer :
       {whole("hello"),
        std::string("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n"
                    "0\r\n\r\n"),
        std::string("HTTP/1.0 200 OK\r\n\r\nhello")}) {
    scripted.answers["/x"] = answer;
    scripted.closes = answer.starts_with("HTTP/1.0");
    const Result<GetAnswer> got = get();
    ASSERT_TRUE(got.ok()) << answer;
    EXPECT_EQ(got->status, 200);
    EXPECT_EQ(got->body, "hello");
  }
}

TEST_F(SplitProbeTest, GetReadsALongAnswerInSingleBytes) {
  listen();
  const std::string body(20'000, 'x');
  scripted.answers["/x"] = whole(body);
  const Result<GetAnswer> got = get();
  ASSERT_TRUE(got.ok());
  EXPECT_EQ(got->body, body);
}

TEST_F(ProbeTest, GetSaysWhatWentWrong) {
  EXPECT_EQ(get().error().kind, ErrorKind::kRefused);
  listen();
  EXPECT_EQ(kind(""), ErrorKind::kClosed);
  EXPECT_EQ(kind("HTTP/1.1 200 OK\r\nContent-Le"), ErrorKind::kClosed);
  EXPECT_EQ(kind("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"), ErrorKind::kUpstream);
  EXPECT_EQ(kind("SSH-2.0-OpenSSH_9.2\r\n"), ErrorKind::kUpstream);
  EXPECT_EQ(kind("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
            ErrorKind::kUpstream);
}

TEST_F(ProbeTest, GetHasOneDeadlineForEverything) {
  listen();
  const Instant before = loop.now();
  EXPECT_EQ(get(2s).error().kind, ErrorKind::kTimeout);
  EXPECT_LT(loop.now() - before, 2s + 1ms);
  loop.network().unplug(kAt);
  EXPECT_EQ(get(2s).error().kind, ErrorKind::kTimeout);
}

TEST_F(ProbeTest, GetIsCalledOff) {
  listen();
  net::Cancel cancel;
  loop.schedule(loop.now() + 1s, [&] { cancel.trigger(net::CancelReason::kShutdown); });
  EXPECT_EQ(get(10s, &cancel).error().kind, ErrorKind::kCancelled);
}

TEST_F(ProbeTest, GetTriesEveryAddressOfAName) {
  listen();
  scripted.answers["/x"] = whole("hello");
  resolver.set("ollama", {"10.0.0.9", "10.0.0.1"});
  EXPECT_TRUE(get(2s, nullptr, "ollama").ok());
  resolver.fail("ollama");
  EXPECT_EQ(get(2s, nullptr, "ollama").error().kind, ErrorKind::kResolve);
}

// A probe of one instance and the engine that it tells.
class ProbeRounds : public ProbeTest {
 protected:
  void start() {
    engine.emplace(loop, core::Settings{},
                   std::vector<core::BackendSpec>{{BackendId{0}, "gpu0", "http://gpu0"}}, log);
    probe.emplace(loop, resolver, *engine, ProbeSettings{},
                  std::vector<ProbeTarget>{{BackendId{0}, {"10.0.0.1", 11434}}});
    engine->on_refresh([this] { probe->refresh(); });
    probe->start();
  }
  void serve() {
    scripted.answers = {{"/api/tags", whole(kTags)},
                        {"/api/ps", whole(kPs)},
                        {"/api/version", whole(R"({"version":"0.9.0"})")}};
    listen();
  }
  core::BackendView view() {
    const auto fleet = engine->view();
    return fleet->backends[0];
  }
  void TearDown() override {
    loop.abandon();
    probe.reset();
    engine.reset();
  }

  Quiet log;
  std::optional<engine::Engine> engine;
  std::optional<Probe> probe;
};

TEST_F(ProbeRounds, AnInstanceIsKnownAtOnce) {
  serve();
  start();
  loop.run_for(100ms);
  EXPECT_EQ(view().health, HealthState::kUp);
  EXPECT_EQ(view().version, "0.9.0");
  ASSERT_TRUE(view().catalogue);
  EXPECT_EQ(view().catalogue->size(), 2U);
  ASSERT_TRUE(view().residency);
  EXPECT_EQ(view().residency->size(), 1U);
}

TEST_F(ProbeRounds, ARefusedConnectionIsBelievedAtOnce) {
  start();
  loop.run_for(100ms);
  EXPECT_EQ(view().health, HealthState::kDown);
}

TEST_F(ProbeRounds, APageThatIsNoCatalogueIsNoInstance) {
  scripted.answers = {{"/api/tags", whole("<html>")}, {"/api/ps", whole("x", 404)}};
  listen();
  start();
  loop.run_for(10s);
  EXPECT_NE(view().health, HealthState::kUp);
  EXPECT_FALSE(view().catalogue);
}

TEST_F(ProbeRounds, AnInstanceWithoutPsStaysUpWithItsLoadUnknown) {
  serve();
  scripted.answers["/api/ps"] = whole("404 page not found", 404);
  start();
  loop.run_for(5min);
  EXPECT_EQ(view().health, HealthState::kUp);
  EXPECT_FALSE(view().residency);
}

TEST_F(ProbeRounds, SilenceOnPsAloneTakesAnInstanceOut) {
  serve();
  start();
  loop.run_for(5s);
  scripted.answers.erase("/api/ps");
  loop.run_for(60s);
  EXPECT_EQ(view().health, HealthState::kDown);
  scripted.answers["/api/ps"] = whole(kPs);
  loop.run_for(60s);
  EXPECT_NE(view().health, HealthState::kDown);
}

// Ollama holds /api/ps back until the memory of an unloaded model is free: all who ask meanwhile
// miss the same answer.
TEST_F(ProbeRounds, LooksBehindUnloadsMissNothingThatARoundDoesNotMiss) {
  serve();
  scripted.answers["/api/generate"] = whole("{}");
  start();
  loop.run_for(3s);
  const Instant up_since = view().since;
  scripted.answers.erase("/api/ps");
  for (const char* model : {"a", "b", "c"}) {
    probe->unload({BackendId{0}, ModelName::canonical(model)});
    probe->load({BackendId{0}, ModelName::canonical(model)});
  }
  loop.spawn(probe->look_again());
  loop.run_for(8s);
  scripted.answers["/api/ps"] = whole(kPs);
  loop.run_for(4s);
  EXPECT_EQ(view().health, HealthState::kUp);
  EXPECT_EQ(view().since, up_since);
}

TEST_F(ProbeRounds, AFrozenInstanceIsMissedAndComesBack) {
  serve();
  start();
  loop.run_for(1s);
  loop.network().freeze(kAt);
  loop.run_for(12s);
  EXPECT_EQ(view().health, HealthState::kDown);
  loop.network().thaw(kAt);
  loop.run_for(12s);
  EXPECT_NE(view().health, HealthState::kDown);
}

TEST_F(ProbeRounds, ANewVersionIsLearnedAfterARestart) {
  serve();
  start();
  loop.run_for(10s);
  loop.network().kill(kAt);
  loop.run_for(5s);
  serve();
  scripted.answers["/api/version"] = whole(R"({"version":"0.10.0"})");
  loop.run_for(10s);
  EXPECT_EQ(view().version, "0.10.0");
}

TEST_F(ProbeRounds, ACanaryNamesNothingThatWouldLoadTheModelAnew) {
  serve();
  start();
  loop.run_for(100ms);
  scripted.requests.clear();
  probe->canary({BackendId{0}, ModelName::canonical("m"), std::nullopt});
  probe->canary({BackendId{0}, ModelName::canonical("m"), 8192});
  loop.run_for(1s);
  ASSERT_EQ(scripted.requests.size(), 2U);
  EXPECT_TRUE(scripted.requests[0].starts_with("POST /api/generate HTTP/1.1\r\n"));
  EXPECT_TRUE(scripted.requests[0].ends_with(
      R"({"model":"m:latest","prompt":"1","stream":false,"options":{"num_predict":1}})"))
      << scripted.requests[0];
  EXPECT_TRUE(scripted.requests[1].ends_with(R"("options":{"num_predict":1,"num_ctx":8192}})"))
      << scripted.requests[1];
}

TEST_F(ProbeRounds, AnUnloadIsFollowedByALookAtWhatIsLoaded) {
  serve();
  scripted.answers["/api/generate"] = whole("{}");
  start();
  loop.run_for(100ms);
  scripted.requests.clear();
  probe->unload({BackendId{0}, ModelName::canonical("m")});
  loop.run_for(100ms);
  ASSERT_EQ(scripted.requests.size(), 2U);
  EXPECT_TRUE(
      scripted.requests[0].ends_with(R"({"model":"m:latest","keep_alive":0,"stream":false})"))
      << scripted.requests[0];
  EXPECT_TRUE(scripted.requests[1].starts_with("GET /api/ps "));
}

TEST_F(ProbeRounds, NothingIsAskedAfterStop) {
  serve();
  start();
  loop.run_for(10s);
  EXPECT_GT(scripted.asked, 8);
  probe->stop();
  loop.run_for(1s);
  const int before = scripted.asked;
  loop.run_for(1min);
  EXPECT_EQ(scripted.asked, before);
}

}  // namespace
}  // namespace drover::probe
