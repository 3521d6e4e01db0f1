// A seed is a whole afternoon: clients of every manner, instances that die, freeze and misbehave, a
// network that cuts everything anywhere. What must hold whatever happens is checked for each.
//
// DROVER_LONG=1 runs twenty times as many; DROVER_SEED=n runs that one alone.

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <map>

#include "base/rng.h"
#include "gateway/sim_world.h"

namespace drover::simtest {
namespace {

#ifdef __SANITIZE_THREAD__
constexpr std::uint64_t kSeeds = 200;  // each takes many times as long
#else
constexpr std::uint64_t kSeeds = 1000;
#endif
constexpr std::uint64_t kLongFactor = 20;
constexpr std::uint32_t kInstances = 3;
constexpr int kMostQuestions = 3;

constexpr std::string_view kFaults[] = {
    R"({"kind":"reset"})",
    R"({"kind":"hang","ms":3000})",
    R"({"kind":"hang"})",
    R"({"kind":"error500","variant":"runner_stopped"})",
    R"({"kind":"error500","variant":"no_slots"})",
    R"({"kind":"busy"})",
    R"({"kind":"html"})",
    R"({"kind":"html","match":"inference"})",
    R"({"kind":"bad_http","variant":"cl_te"})",
    R"({"kind":"bad_http","variant":"half_head"})",
    R"({"kind":"bad_http","variant":"short_body"})",
    R"({"kind":"bad_http","variant":"bad_chunk"})",
    R"({"kind":"bad_http","variant":"101"})",
    R"({"kind":"reset_mid"})",
    R"({"kind":"reset_mid","after_tokens":0})",
    R"({"kind":"hang_mid","ms":5000})",
    R"({"kind":"hang_mid"})",
    R"({"kind":"error_mid"})",
    R"({"kind":"error_mid","after_tokens":0})",
    R"({"kind":"cut"})",
    R"({"kind":"cut_raw"})",
    R"({"kind":"missing_done"})",
    R"({"kind":"slow_tokens","ms":700})",
    R"({"kind":"slow_load","ms":8000})",
    R"({"kind":"wedge_ps"})",
    R"({"kind":"refuse","ms":4000})",
    R"({"kind":"crash","ms":2000})",
};

enum class Manner { kPatient, kLeaves, kSlow, kFinishes };

struct Question {
  std::string text;
  int tokens = 0;
  bool streams = true;
};

struct Asked {
  Client* client = nullptr;
  std::vector<Question> questions;  // one behind the other
  Manner manner = Manner::kPatient;
};

class Afternoon {
 public:
  explicit Afternoon(std::uint64_t seed) : rng_(seed), world_(options(seed)) {}

  // Counts how requests ended, so that a seed which tests nothing shows.
  void pass(std::map<std::string, int>& tally) {
    world_.pass(1s);
    for (int i = 0; i < 60; ++i) {
      step();
      world_.pass(std::chrono::microseconds(rng_.below(400'000)));
    }
    for (std::uint32_t i = 0; i < kInstances; ++i) {
      world_.thaw(i);
      world_.instance(i).clear_faults();
    }
    for (const Asked& asked : asked_) asked.client->go_on_reading();
    // Longer than three tries that end at their deadlines. Nobody is checked meanwhile: that would
    // be most of the work.
    world_.stop_probe();
    world_.pass(90s * kMostQuestions);
    for (const Asked& asked : asked_) check(asked);
    for (const Lines::Line& line : world_.log().requests) ++tally[line.at("outcome")];
    world_.expect_nothing_left();
  }

 private:
  static WorldOptions options(std::uint64_t seed) {
    Rng rng(seed * 7919 + 1);
    WorldOptions options{.instances = kInstances};
    options.network.seed = seed;
    options.network.split = rng.below(3) == 0 ? simnet::Split::kWhole : simnet::Split::kRandom;
    options.network.jitter = std::chrono::microseconds(rng.below(2000));
    options.fake.token_time = std::chrono::microseconds(1 + rng.below(20'000));
    options.fake.parallel = static_cast<int>(1 + rng.below(4));
    options.core.seed = seed;
    constexpr core::PolicyName kPolicies[] = {core::PolicyName::kRoundRobin,
                                              core::PolicyName::kLeastLoaded,
                                              core::PolicyName::kExpectedCompletion};
    options.core.queue_wait =
        20s;  // in the end the probe is stopped, and nothing is loaded any more
    options.core.policy = kPolicies[rng.below(std::size(kPolicies))];
    options.gateway.limits.spill_bytes = 2000;
    options.gateway.limits.body_memory_bytes = 20'000;  // for some of them
    options.gateway.limits.spill_dir = ::testing::TempDir();
    options.gateway.limits.document_bytes = rng.below(2) == 0 ? 200 : 4 * 1024 * 1024;
    options.gateway.limits.first_record_bytes = rng.below(2) == 0 ? 20 : 64 * 1024;
    options.gateway.deadlines.first_token = 20s;
    options.gateway.deadlines.document = 20s;
    options.gateway.deadlines.token_gap = 10s;
    options.gateway.deadlines.write_stall = 5s;
    options.probe.seed = seed;
    return options;
  }

  std::uint32_t some_instance() { return static_cast<std::uint32_t>(rng_.below(kInstances)); }

  void step() {
    const std::uint64_t dice = rng_.below(20);
    if (dice < 12) return ask();
    if (dice < 16) {
      world_.instance(some_instance()).inject(std::string(kFaults[rng_.below(std::size(kFaults))]));
    } else if (dice < 17) {
      world_.restart(some_instance());
    } else if (dice < 18) {
      world_.freeze(some_instance());
    } else if (dice < 19) {
      for (std::uint32_t i = 0; i < kInstances; ++i) world_.thaw(i);
    } else {
      leave_somewhere();
    }
  }

  Question some_question() {
    Question question;
    question.tokens = static_cast<int>(1 + rng_.below(60));
    question.text = std::string(1 + rng_.below(rng_.below(8) == 0 ? 5000 : 20), 'q');
    question.streams = rng_.below(4) != 0;
    return question;
  }

  // Its body has a length, or comes in chunks.
  std::string request_of(const Question& question) {
    const std::string_view more = question.streams ? "" : "\"stream\":false,";
    const std::string body = World::chat_body(question.tokens, question.text, more);
    if (rng_.below(3) != 0) return World::request("POST", "/api/chat", body);
    const std::size_t cut = 1 + rng_.below(body.size() - 1);
    return fmt::format(
        "POST /api/chat HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        "{:x}\r\n{}\r\n{:x};a=b\r\n{}\r\n0\r\nT: u\r\n\r\n",
        cut, body.substr(0, cut), body.size() - cut, body.substr(cut));
  }

  void ask() {
    Asked asked;
    // Sometimes more than one at once.
    const std::uint64_t count = rng_.below(4) == 0 ? 2 + rng_.below(kMostQuestions - 1) : 1;
    std::string request;
    for (std::uint64_t i = 0; i < count; ++i) {
      asked.questions.push_back(some_question());
      request += request_of(asked.questions.back());
    }
    asked.manner = static_cast<Manner>(rng_.below(10) < 6 ? 0 : rng_.below(4));
    asked.client = &world_.connect();
    if (asked.manner == Manner::kSlow) asked.client->stop_reading();
    // Sometimes in two parts.
    const std::size_t cut = rng_.below(3) == 0 ? rng_.below(request.size()) : request.size();
    asked.client->say(request.substr(0, cut));
    if (cut < request.size()) world_.pass(std::chrono::milliseconds(rng_.below(3000)));
    asked.client->say(request.substr(cut));
    asked_.push_back(std::move(asked));
  }

  void leave_somewhere() {
    if (asked_.empty()) return;
    // One of the last, which may still be under way.
    const std::size_t back = 1 + rng_.below(std::min<std::size_t>(asked_.size(), 6));
    const Asked& asked = asked_[asked_.size() - back];
    if (asked.manner == Manner::kLeaves) asked.client->leave();
    if (asked.manner == Manner::kFinishes) asked.client->finish();
  }

  void check(const Asked& asked) {
    const std::vector<Reply> replies = asked.client->replies();
    EXPECT_FALSE(asked.client->malformed()) << asked.client->raw();
    EXPECT_LE(replies.size(), asked.questions.size());
    if (asked.manner == Manner::kLeaves || asked.manner == Manner::kFinishes) return;
    ASSERT_FALSE(replies.empty()) << "no answer at all";
    for (std::size_t i = 0; i < replies.size(); ++i) {
      check(*asked.client, asked.questions[i], replies[i]);
    }
    // Only the end of the connection excuses drover from the others.
    if (replies.size() < asked.questions.size()) {
      EXPECT_TRUE(asked.client->closed()) << asked.client->raw();
    }
  }

  void check(const Client& client, const Question& question, const Reply& reply) {
    if (reply.status != 200) return check_refusal(reply);
    const std::string whole = world_.text(question.tokens, question.text);
    if (question.streams) return check_stream(client, reply, whole);
    // A long document may be cut, but never so that it looks whole.
    if (!reply.complete) {
      EXPECT_TRUE(client.reset()) << client.raw();
      return;
    }
    EXPECT_EQ(json_text(reply.body, "message/content"), whole);
  }

  void check_refusal(const Reply& reply) {
    EXPECT_TRUE(reply.status == 502 || reply.status == 503 || reply.status == 504 ||
                reply.status == 500)
        << reply.status;
    EXPECT_TRUE(reply.complete);
    EXPECT_NE(json_text(reply.body, "error"), "") << reply.body;
    if (reply.status == 502) {
      EXPECT_EQ(reply.field("x-should-retry"), "false");
    }
    if (reply.status == 503) {
      EXPECT_NE(reply.field("retry-after"), "");
    }
  }

  void check_stream(const Client& client, const Reply& reply, const std::string& whole) {
    const NativeText native = read_native(reply.body);
    EXPECT_TRUE(reply.complete) << client.raw();
    if (native.done) {
      EXPECT_EQ(native.text, whole);
      EXPECT_EQ(native.error, "");
      EXPECT_TRUE(native.well_formed);
      return;
    }
    EXPECT_NE(native.error, "") << "it ends without a word: " << reply.body;
    EXPECT_TRUE(whole.starts_with(native.text)) << native.text;
    EXPECT_EQ(reply.body.find("\"done\":true"), std::string::npos);
    EXPECT_TRUE(reply.body.ends_with("}\n"));
  }

  Rng rng_;
  World world_;
  std::vector<Asked> asked_;
};

std::uint64_t number_from(const char* name) {
  const char* text = std::getenv(name);
  return text == nullptr ? 0 : std::strtoull(text, nullptr, 10);
}

TEST(RandomAfternoons, KeepEveryPromise) {
  const std::uint64_t only = number_from("DROVER_SEED");
  const std::uint64_t count = number_from("DROVER_LONG") != 0 ? kSeeds * kLongFactor : kSeeds;
  const std::uint64_t first = only != 0 ? only : 1;
  const std::uint64_t last = only != 0 ? only : count;
  std::map<std::string, int> tally;
  for (std::uint64_t seed = first; seed <= last; ++seed) {
    SCOPED_TRACE(::testing::Message() << "seed " << seed << ", alone with DROVER_SEED=" << seed);
    Afternoon(seed).pass(tally);
    if (::testing::Test::HasFailure()) return;
  }
  if (only != 0) return;
  for (const char* outcome : {"served", "broken", "failed", "refused", "client_gone"}) {
    EXPECT_GT(tally[outcome], 0) << outcome;
  }
}

}  // namespace
}  // namespace drover::simtest
