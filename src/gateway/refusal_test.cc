#include "gateway/refusal.h"

#include <gtest/gtest.h>

#include <memory>

#include "net/testing.h"
#include "wire/document.h"
#include "wire/stream_watch.h"

namespace drover::gateway {
namespace {

using namespace std::chrono_literals;
using net::testing::ManualLoop;
using net::testing::ManualStream;

struct Row {
  ErrorKind kind;
  int status;
  bool closes;
};

constexpr Row kTable[] = {
    {ErrorKind::kMalformed, 400, true},    {ErrorKind::kTooLarge, 413, true},
    {ErrorKind::kHeadTooLarge, 431, true}, {ErrorKind::kTargetTooLong, 414, true},
    {ErrorKind::kSlow, 408, true},         {ErrorKind::kUnsupported, 501, true},
    {ErrorKind::kMediaType, 415, true},    {ErrorKind::kExpectation, 417, true},
    {ErrorKind::kMisdirected, 421, true},  {ErrorKind::kForbidden, 403, false},
    {ErrorKind::kNotFound, 404, false},    {ErrorKind::kMethodNotAllowed, 405, false},
    {ErrorKind::kNoSuchModel, 404, false}, {ErrorKind::kUnavailable, 503, false},
    {ErrorKind::kBusy, 503, false},        {ErrorKind::kUpstream, 502, false},
    {ErrorKind::kTimeout, 504, false},     {ErrorKind::kRefused, 502, false},
    {ErrorKind::kClosed, 502, false},      {ErrorKind::kCancelled, 499, false},
    {ErrorKind::kResolve, 502, false},     {ErrorKind::kSystem, 500, false},
    {ErrorKind::kConfig, 500, false},      {ErrorKind::kTooBig, 503, false},
    {ErrorKind::kHttpVersion, 505, true},
};

struct Refused {
  explicit Refused(Dialect dialect) : exchange(limits, loop.now()) {
    exchange.dialect = dialect;
    exchange.id_text = "id-1";
    auto made = std::make_unique<ManualStream>(loop);
    stream = made.get();
    client = std::make_unique<Client>(std::move(made));
  }
  void say(ErrorKind kind, std::string message, std::optional<Duration> again = {}) {
    net::testing::run_to_end(
        loop, refuse(*client, exchange, {kind, Origin::kSelf, Retry::kNever, std::move(message)},
                     again, 1s, nullptr));
  }
  std::string body() const { return stream->written.substr(stream->written.find("\r\n\r\n") + 4); }
  bool has(std::string_view field) const {
    return stream->written.find(std::string(field) + "\r\n") != std::string::npos;
  }

  ManualLoop loop;
  Limits limits;
  Exchange exchange;
  ManualStream* stream = nullptr;
  std::unique_ptr<Client> client;
};

TEST(Refusal, EveryKindHasItsStatusAndABodyThatParsesInEveryDialect) {
  for (const Row& row : kTable) {
    EXPECT_EQ(status_of(row.kind), row.status);
    for (const Dialect dialect : {Dialect::kNative, Dialect::kOpenAi, Dialect::kAnthropic}) {
      Refused refused(dialect);
      refused.say(row.kind, "quote \" back\\slash \x01 \xff \xC3\xA9");
      const std::string status = "HTTP/1.1 " + std::to_string(row.status) + " ";
      EXPECT_TRUE(refused.stream->written.starts_with(status)) << to_string(row.kind);
      const wire::DocumentFacts facts = wire::read_document(refused.body());
      EXPECT_TRUE(facts.valid) << refused.body();
      EXPECT_TRUE(facts.has_error) << refused.body();
      EXPECT_NE(facts.error.find("quote"), std::string::npos);
      EXPECT_TRUE(refused.has("X-Request-ID: id-1"));
      EXPECT_EQ(refused.client->keep_alive(), !row.closes) << to_string(row.kind);
      EXPECT_EQ(refused.has("Connection: close"), row.closes) << to_string(row.kind);
      EXPECT_EQ(refused.exchange.record.status, row.status);
    }
  }
}

TEST(Refusal, DialectsKeepTheirShapes) {
  Refused native(Dialect::kNative);
  native.say(ErrorKind::kNotFound, "no");
  EXPECT_EQ(native.body(), R"({"error":"no"})");
  Refused openai(Dialect::kOpenAi);
  openai.say(ErrorKind::kNotFound, "no");
  EXPECT_TRUE(openai.body().starts_with(R"({"error":{"message":"no","type":)"));
  Refused anthropic(Dialect::kAnthropic);
  anthropic.say(ErrorKind::kNotFound, "no");
  EXPECT_TRUE(anthropic.body().starts_with(R"({"type":"error","error":{"type":)"));
}

TEST(Refusal, TheTimeToComeBackIsRoundedUpToWholeSeconds) {
  struct {
    Duration wait;
    std::string_view field;
  } const rows[] = {{0s, "Retry-After: 1"},
                    {1ms, "Retry-After: 1"},
                    {1s, "Retry-After: 1"},
                    {1001ms, "Retry-After: 2"},
                    {60s, "Retry-After: 60"}};
  for (const auto& row : rows) {
    Refused refused(Dialect::kNative);
    refused.say(ErrorKind::kUnavailable, "later", row.wait);
    EXPECT_TRUE(refused.has(row.field)) << row.field;
  }
}

TEST(Refusal, NotNowAlwaysSaysWhen) {
  Refused refused(Dialect::kNative);
  refused.say(ErrorKind::kUnavailable, "the disk is full");
  EXPECT_TRUE(refused.has("Retry-After: 1"));
  Refused never(Dialect::kNative);
  never.say(ErrorKind::kNoSuchModel, "model 'x' not found");
  EXPECT_EQ(never.stream->written.find("Retry-After"), std::string::npos);
}

TEST(Refusal, SpentRetriesTellClientsNotToTryAgain) {
  for (const Row& row : kTable) {
    Refused refused(Dialect::kOpenAi);
    refused.say(row.kind, "x");
    const bool final = row.status == 502 || row.kind == ErrorKind::kTooBig;
    EXPECT_EQ(refused.has("x-should-retry: false"), final) << to_string(row.kind);
  }
}

TEST(Refusal, InstancesThatFailedAreToldFromRefusals) {
  for (const Row& row : kTable) {
    Refused refused(Dialect::kNative);
    refused.say(row.kind, "x");
    const bool failed = row.kind == ErrorKind::kUpstream || row.kind == ErrorKind::kTimeout;
    EXPECT_EQ(refused.exchange.record.outcome,
              failed ? engine::Outcome::kFailed : engine::Outcome::kRefused);
    EXPECT_EQ(refused.exchange.record.reason, to_string(row.kind));
  }
}

TEST(Refusal, AnUnreadBodyEndsTheConnection) {
  Refused refused(Dialect::kNative);
  refused.exchange.body_unread = true;
  refused.say(ErrorKind::kNotFound, "x");
  EXPECT_FALSE(refused.client->keep_alive());
  EXPECT_TRUE(refused.has("Connection: close"));
}

TEST(Refusal, TheReasonIsToldToThoseWhoAsk) {
  Refused refused(Dialect::kNative);
  refused.exchange.why = "least_loaded; gpu0: down";
  refused.say(ErrorKind::kUnavailable, "x");
  EXPECT_FALSE(refused.has("X-Drover-Why: least_loaded; gpu0: down"));
  Refused asked(Dialect::kNative);
  asked.exchange.why = "least_loaded; gpu0: down";
  asked.exchange.explain = true;
  asked.say(ErrorKind::kUnavailable, "x");
  EXPECT_TRUE(asked.has("X-Drover-Why: least_loaded; gpu0: down"));
}

TEST(Refusal, AClientThatIsGoneIsCountedAsGone) {
  Refused refused(Dialect::kNative);
  refused.stream->room = -1;
  refused.say(ErrorKind::kNotFound, "x");
  EXPECT_EQ(refused.exchange.record.outcome, engine::Outcome::kClientGone);
  EXPECT_EQ(refused.exchange.record.status, 0);
  EXPECT_FALSE(refused.client->keep_alive());
}

}  // namespace
}  // namespace drover::gateway
