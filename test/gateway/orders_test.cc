// Changes of models for the whole fleet: what clients hear, and what is in which store afterwards.

#include <fmt/format.h>

#include <algorithm>

#include "gateway/sim_world.h"
#include "jobs/journal.h"

namespace drover::simtest {
namespace {

fake::FakeModel named(std::string name) { return {.name = std::move(name)}; }

// Three instances, each with its own store and the same model.
WorldOptions three() {
  WorldOptions options;
  options.instances = 3;
  options.fake.models = {named("base:latest")};
  return options;
}

// The same, with changes that take seconds.
WorldOptions slow() {
  WorldOptions options = three();
  options.fake.token_time = 1s;
  return options;
}

std::vector<std::string> lines_of(const Reply& reply) {
  std::vector<std::string> lines;
  std::size_t at = 0;
  while (at < reply.body.size()) {
    const std::size_t end = reply.body.find('\n', at);
    lines.push_back(reply.body.substr(at, end - at));
    at = end == std::string::npos ? reply.body.size() : end + 1;
  }
  return lines;
}

// What an instance itself says of its store.
std::string tags_of(World& world, std::uint32_t instance) {
  Client& client = world.ask_instance(instance, World::request("GET", "/api/tags", {}));
  world.done(client);
  const std::string body = client.reply().body;
  client.leave();
  return body;
}

bool has(World& world, std::uint32_t instance, std::string_view model) {
  return tags_of(world, instance).find(fmt::format("\"name\":\"{}\"", model)) != std::string::npos;
}

std::string holders(World& world, std::string_view model) {
  std::string found;
  for (std::uint32_t i = 0; i < 3; ++i) found += has(world, i, model) ? 'x' : '-';
  return found;
}

std::uint64_t number_of(const std::string& line, std::string_view key) {
  const std::size_t at = line.find(fmt::format("\"{}\":", key));
  return at == std::string::npos ? 0 : std::stoull(line.substr(at + key.size() + 3));
}

constexpr std::string_view kSuccess = R"({"status":"success"})";

TEST(Pull, GoesToEveryStoreAndEndsInOneSuccess) {
  World world(three());
  const Reply reply = world.done(world.post("/api/pull", R"({"model":"new"})")).reply();
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.type(), "application/x-ndjson");
  const std::vector<std::string> lines = lines_of(reply);
  EXPECT_EQ(lines.front(), R"({"status":"pulling manifest"})");
  EXPECT_EQ(lines.back(), kSuccess);
  EXPECT_EQ(std::count(lines.begin(), lines.end(), kSuccess), 1);
  EXPECT_EQ(std::count(lines.begin(), lines.end(), R"({"status":"writing manifest"})"), 1);
  std::uint64_t before = 0;
  for (const std::string& line : lines) {
    if (line.find("digest\":") == std::string::npos) continue;
    EXPECT_EQ(number_of(line, "total"), 6'000'000'000U) << line;
    EXPECT_GE(number_of(line, "completed"), before) << line;
    before = number_of(line, "completed");
  }
  EXPECT_EQ(before, 6'000'000'000U);
  EXPECT_EQ(holders(world, "new:latest"), "xxx");
  EXPECT_EQ(world.metrics().jobs().at({"pull", "done"}), 1U);
  world.expect_nothing_left();
}

TEST(Pull, ListsAreTrueAtItsEnd) {
  World world(three());
  world.done(world.post("/api/pull", R"({"model":"new","stream":false})"));
  EXPECT_NE(world.done(world.get("/api/tags")).reply().body.find("new:latest"), std::string::npos);
  const Reply show = world.done(world.post("/api/show", R"({"model":"new"})")).reply();
  EXPECT_EQ(show.status, 200);
}

TEST(Pull, WithoutAStreamItIsOneDocument) {
  World world(three());
  const Reply reply =
      world.done(world.post("/api/pull", R"({"name":"new","stream":false})")).reply();
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.type(), "application/json");
  EXPECT_EQ(reply.body, kSuccess);
  EXPECT_FALSE(reply.chunked);
}

TEST(Pull, OfWhatExistsNowhereIsOllamasOwnError) {
  World world(three());
  const Reply reply = world.done(world.post("/api/pull", R"({"model":"missing"})")).reply();
  EXPECT_EQ(lines_of(reply),
            (std::vector<std::string>{R"({"status":"pulling manifest"})",
                                      R"({"error":"pull model manifest: file does not exist"})"}));
  const Reply whole =
      world.done(world.post("/api/pull", R"({"model":"missing","stream":false})")).reply();
  EXPECT_EQ(whole.status, 500);
  EXPECT_EQ(whole.body, R"({"error":"pull model manifest: file does not exist"})");
  EXPECT_EQ(world.metrics().jobs().at({"pull", "failed"}), 2U);
}

TEST(Pull, AFullDiskIsToldByStoreAndARepeatMendsIt) {
  World world(three());
  ASSERT_TRUE(world.instance(1).inject(R"({"kind":"error_mid","match":"/api/pull"})"));
  const std::vector<std::string> lines =
      lines_of(world.done(world.post("/api/pull", R"({"model":"new"})")).reply());
  EXPECT_EQ(lines.back(),
            R"({"error":"pull of model 'new' is not complete: store s1: write blobs/sha256-0: no )"
            R"(space left on device; done in s0, s2; the same again mends it"})");
  EXPECT_EQ(std::count(lines.begin(), lines.end(), kSuccess), 0);
  EXPECT_EQ(holders(world, "new:latest"), "x-x");
  EXPECT_EQ(world.metrics().jobs().at({"pull", "partial"}), 1U);
  world.done(world.post("/api/pull", R"({"model":"new"})"));
  EXPECT_EQ(holders(world, "new:latest"), "xxx");
  world.expect_nothing_left();
}

TEST(Pull, ThatWasCutByADeathGoesOnInTheNextDrover) {
  std::string journal;
  WorldOptions options = slow();
  options.jobs.keep = [&journal](std::string text) { journal = std::move(text); };
  {
    World world(options);
    world.post("/api/pull", R"({"model":"new"})");
    world.pass(2500ms);
    EXPECT_EQ(holders(world, "new:latest"), "---");
  }
  options.jobs.left = *jobs::read_journal(journal);
  ASSERT_EQ(options.jobs.left.size(), 1U);
  options.starts_frozen = true;
  World world(options);
  world.pass(30s);
  EXPECT_EQ(jobs::read_journal(journal)->size(), 1U) << "it is not forgotten while it waits";
  for (std::uint32_t i = 0; i < 3; ++i) world.thaw(i);
  world.pass(5s);
  // Who asks for the same joins it.
  const Reply reply = world.done(world.post("/api/pull", R"({"model":"new"})")).reply();
  EXPECT_EQ(lines_of(reply).back(), kSuccess);
  EXPECT_EQ(holders(world, "new:latest"), "xxx");
  EXPECT_EQ(std::ranges::count(world.log().events, "model order goes on"), 1);
  EXPECT_EQ(world.metrics().jobs().at({"pull", "done"}), 1U);
  EXPECT_TRUE(jobs::read_journal(journal)->empty());
  world.expect_nothing_left();
}

TEST(Pull, ThatIsLeftOverBeginsWithWhoAsksForItAndOutlivesHim) {
  std::string journal;
  WorldOptions options = slow();
  options.jobs.keep = [&journal](std::string text) { journal = std::move(text); };
  const jobs::Order left{.verb = jobs::Verb::kPull,
                         .path = "/api/pull",
                         .body = R"({"model":"new","stream":true})",
                         .model = ModelName::canonical("new"),
                         .shown = "new"};
  jobs::Order other = left;
  other.model = ModelName::canonical("other");
  other.body = R"({"model":"other","stream":true})";
  options.jobs.left = {left, other};
  options.starts_frozen = true;
  World world(options);
  world.thaw(0);
  world.thaw(1);
  world.pass(5s);
  Client& client = world.post("/api/pull", R"({"model":"new"})");
  world.pass(1500ms);
  EXPECT_EQ(jobs::read_journal(journal)->size(), 2U) << journal;
  client.leave();
  world.pass(30s);
  EXPECT_TRUE(has(world, 0, "new:latest") && has(world, 1, "new:latest"));
  world.thaw(2);
  world.pass(1min);
  EXPECT_EQ(holders(world, "other:latest"), "xxx");
  EXPECT_EQ(std::ranges::count(world.log().events, "model order goes on"), 1);
  EXPECT_TRUE(jobs::read_journal(journal)->empty());
}

std::string loaded_on(World& world, std::string_view model) {
  std::string found;
  for (std::uint32_t i = 0; i < 3; ++i) {
    const auto residency = world.view(i).residency;
    const bool has = std::ranges::any_of(*residency, [&](const LoadedModel& each) {
      return each.name == ModelName::canonical(model);
    });
    found += has ? 'x' : '-';
  }
  return found;
}

TEST(Wanted, IsFetchedAndLoadedAndMendedWhenItGoesAway) {
  WorldOptions options = three();
  jobs::Wanted wanted{"new", ModelName::canonical("new"), 2, 1, {BackendId{1}}};
  options.jobs.wanted = {wanted};
  World world(std::move(options));
  world.pass(5min);
  EXPECT_EQ(std::ranges::count(holders(world, "new:latest"), 'x'), 2);
  EXPECT_EQ(world.metrics().jobs().at({"pull", "done"}), 1U);
  EXPECT_EQ(loaded_on(world, "new"), holders(world, "new:latest")[1] == 'x' ? "-x-" : "x--");
  // A pull by a client goes to as many stores and to no more.
  world.done(world.post("/api/pull", R"({"model":"new"})"));
  EXPECT_EQ(std::ranges::count(holders(world, "new:latest"), 'x'), 2);
  // It stays loaded long after it was last asked for.
  world.pass(1h);
  EXPECT_EQ(std::ranges::count(loaded_on(world, "new"), 'x'), 1);
  world.done(world.remove(R"({"model":"new"})"));
  EXPECT_EQ(holders(world, "new:latest"), "---");
  world.pass(1h);
  EXPECT_EQ(std::ranges::count(holders(world, "new:latest"), 'x'), 2);
  EXPECT_NE(world.admin("GET", "/api/v1/models").body.find(R"("stores":{"wanted":2,"have":2})"),
            std::string::npos);
}

TEST(Wanted, ALoadIsOneOfThePlansAndStays) {
  WorldOptions options = three();
  options.core.policy = core::PolicyName::kExpectedCompletion;
  options.jobs.wanted = {{"base", ModelName::canonical("base"), {}, 2, {}}};
  World world(std::move(options));
  world.pass(30s);
  EXPECT_EQ(std::ranges::count(loaded_on(world, "base"), 'x'), 2);
  std::uint64_t counted = 0;
  for (const auto& [key, count] : world.metrics().loads()) {
    EXPECT_EQ(key.second, "wanted");
    counted += count;
  }
  EXPECT_EQ(counted, 2U);
  world.pass(1h);
  EXPECT_EQ(std::ranges::count(loaded_on(world, "base"), 'x'), 2);
}

// Looked for every ten seconds, and loaded within forty: once.
TEST(Wanted, ALoadThatTakesLongIsNotOrderedElsewhereMeanwhile) {
  for (const auto policy :
       {core::PolicyName::kLeastLoaded, core::PolicyName::kExpectedCompletion}) {
    WorldOptions options = three();
    options.core.policy = policy;
    options.fake.load_time = 40s;
    options.jobs.wanted = {{"base", ModelName::canonical("base"), {}, 1, {}}};
    World world(std::move(options));
    world.pass(10min);
    EXPECT_EQ(std::ranges::count(loaded_on(world, "base"), 'x'), 1);
  }
}

// Not refused, which would count as a load that failed and hold up the next one.
TEST(Wanted, ALoadWaitsWhileTooManyOrdersAreUnderWay) {
  WorldOptions options = slow();
  options.core.policy = core::PolicyName::kExpectedCompletion;
  options.jobs.orders = 1;
  options.jobs.wanted = {{"base", ModelName::canonical("base"), {}, 1, {}}};
  options.jobs.wanted_interval = 1s;
  World world(std::move(options));
  Client& pull = world.post("/api/pull", R"({"model":"new"})");
  world.pass(100ms);
  world.done(pull);
  EXPECT_EQ(loaded_on(world, "base"), "---");
  EXPECT_TRUE(world.metrics().loads().empty());
  world.pass(5s);
  EXPECT_EQ(std::ranges::count(loaded_on(world, "base"), 'x'), 1);
}

TEST(Wanted, WhatCannotBeFetchedIsTriedLessAndLess) {
  WorldOptions options = three();
  options.jobs.wanted = {{"missing", ModelName::canonical("missing"), 3, 0, {}}};
  World world(std::move(options));
  world.pass(6h);
  const std::uint64_t tries = world.metrics().jobs().at({"pull", "failed"});
  EXPECT_GE(tries, 6U);
  EXPECT_LE(tries, 14U);
}

TEST(Pull, ThatNobodyWantsAnyMoreIsNotGoneOnWith) {
  std::string journal;
  WorldOptions options = slow();
  options.jobs.keep = [&journal](std::string text) { journal = std::move(text); };
  World world(options);
  Client& client = world.post("/api/pull", R"({"model":"new"})");
  world.pass(2500ms);
  EXPECT_EQ(jobs::read_journal(journal)->size(), 1U);
  client.leave();
  world.pass(1s);
  EXPECT_TRUE(jobs::read_journal(journal)->empty());
}

TEST(Pull, ASecondClientJoinsTheFirst) {
  World world(slow());
  Client& first = world.post("/api/pull", R"({"model":"new"})");
  world.pass(2500ms);
  Client& second = world.post("/api/pull", R"({"model":"NEW:latest"})");
  Client& third = world.post("/api/pull", R"({"model":"library/new","stream":false})");
  world.done(second);
  world.done(first);
  world.done(third);
  for (std::uint32_t i = 0; i < 3; ++i) {
    EXPECT_NE(world.instance(i).state_json().find(R"("/api/pull":1)"), std::string::npos) << i;
  }
  EXPECT_EQ(lines_of(second.reply()).front(), R"({"status":"pulling manifest"})");
  EXPECT_EQ(lines_of(second.reply()).back(), kSuccess);
  EXPECT_EQ(third.reply().body, kSuccess);
  EXPECT_EQ(lines_of(first.reply()).back(), kSuccess);
  world.expect_nothing_left();
}

TEST(Pull, OneThatLeavesDoesNotMatterToTheOthersTheLastOneEndsIt) {
  World world(slow());
  Client& first = world.post("/api/pull", R"({"model":"new"})");
  world.pass(1500ms);
  Client& second = world.post("/api/pull", R"({"model":"new"})");
  world.pass(100ms);
  first.leave();
  world.done(second);
  EXPECT_EQ(lines_of(second.reply()).back(), kSuccess);
  EXPECT_EQ(holders(world, "new:latest"), "xxx");

  Client& alone = world.post("/api/pull", R"({"model":"other"})");
  world.pass(2500ms);
  alone.leave();
  world.pass(30s);
  EXPECT_EQ(holders(world, "other:latest"), "---");
  EXPECT_EQ(world.metrics().jobs().at({"pull", "cancelled"}), 1U);
  EXPECT_EQ(world.metrics().jobs_active.value(), 0);
  world.expect_nothing_left();
}

TEST(Pull, AnInstanceThatDiesFailsItsStoreOnly) {
  World world(slow());
  Client& client = world.post("/api/pull", R"({"model":"new"})");
  world.pass(2500ms);
  world.kill(2);
  world.done(client);
  const std::string last = lines_of(client.reply()).back();
  EXPECT_NE(last.find("store s2: gpu2: "), std::string::npos) << last;
  EXPECT_NE(last.find("done in s0, s1"), std::string::npos) << last;
  world.expect_nothing_left();
}

TEST(Pull, AFrozenInstanceIsNotWaitedForLongerThanItsHealth) {
  World world(slow());
  Client& client = world.post("/api/pull", R"({"model":"new"})");
  world.pass(2500ms);
  world.freeze(1);
  const Instant before = world.now();
  world.done(client);
  EXPECT_LT(world.now() - before, 60s);
  EXPECT_NE(lines_of(client.reply()).back().find("store s1: gpu1: went down"), std::string::npos)
      << client.reply().body;
}

// The instances of a store share its directory, so one of them writes.
TEST(Pull, OfASharedStoreIsDoneOnceAndTakenOverWhenItsWriterDies) {
  WorldOptions options = three();
  options.stores = {{0, 1}, {2}};
  options.fake.token_time = 1s;
  World world(std::move(options));
  Client& client = world.post("/api/pull", R"({"model":"new"})");
  world.pass(2500ms);
  EXPECT_EQ(world.instance(1).state_json().find("/api/pull"), std::string::npos);
  world.kill(0);
  world.done(client);
  EXPECT_EQ(lines_of(client.reply()).back(), kSuccess);
  EXPECT_TRUE(has(world, 1, "new:latest"));
}

TEST(Pull, WithNobodyThereIsA503) {
  World world(three());
  for (std::uint32_t i = 0; i < 3; ++i) world.kill(i);
  world.pass(10s);
  const Reply reply =
      world.done(world.post("/api/pull", R"({"model":"new","stream":false})")).reply();
  EXPECT_EQ(reply.status, 503);
  EXPECT_NE(reply.field("retry-after"), "");
  EXPECT_NE(json_text(reply.body, "error").find("store s0: gpu0 is not there"), std::string::npos)
      << reply.body;
}

TEST(Pull, TheNumberOfOrdersIsBounded) {
  WorldOptions options = slow();
  options.jobs.orders = 2;
  options.jobs.watchers = 2;
  World world(std::move(options));
  Client& a = world.post("/api/pull", R"({"model":"a"})");
  Client& b = world.post("/api/pull", R"({"model":"b"})");
  world.pass(100ms);
  const Reply more = world.done(world.post("/api/pull", R"({"model":"c"})")).reply();
  EXPECT_EQ(more.status, 503);
  EXPECT_EQ(more.field("retry-after"), "5");
  Client& joined = world.post("/api/pull", R"({"model":"a"})");
  world.pass(100ms);
  EXPECT_EQ(world.done(world.post("/api/pull", R"({"model":"a"})")).reply().status, 503);
  for (Client* each : {&a, &b, &joined}) {
    EXPECT_EQ(lines_of(world.done(*each).reply()).back(), kSuccess);
  }
  world.expect_nothing_left();
}

TEST(Pull, AClientThatReadsNothingCostsABoundAndHoldsUpNobody) {
  World world(slow());
  Client& idle = world.post("/api/pull", R"({"model":"new"})");
  idle.stop_reading();
  Client& reader = world.post("/api/pull", R"({"model":"new"})");
  world.done(reader);
  EXPECT_EQ(lines_of(reader.reply()).back(), kSuccess);
  world.expect_nothing_left();
}

TEST(Delete, TakesItOutOfMemoryThenOffEveryStoreThatHasIt) {
  WorldOptions options = three();
  options.models[1] = {named("other:latest")};
  World world(std::move(options));
  world.done(world.post("/api/generate", R"({"model":"base","prompt":"hi","stream":false})"));
  world.pass(3s);
  ASSERT_NE(world.done(world.get("/api/ps")).reply().body.find("base"), std::string::npos);
  const Reply reply = world.done(world.remove(R"({"model":"base"})")).reply();
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.body, "");
  EXPECT_EQ(holders(world, "base:latest"), "---");
  EXPECT_EQ(world.done(world.get("/api/ps")).reply().body, R"({"models":[]})");
  EXPECT_EQ(world.done(world.get("/api/tags")).reply().body.find("base"), std::string::npos);
  EXPECT_EQ(world.metrics().jobs().at({"delete", "done"}), 1U);
  world.expect_nothing_left();
}

TEST(Delete, OfWhatNobodyHasIsOllamas404) {
  World world(three());
  const Reply reply = world.done(world.remove(R"({"model":"nosuch"})")).reply();
  EXPECT_EQ(reply.status, 404);
  EXPECT_EQ(reply.body, R"({"error":"model 'nosuch' not found"})");
}

TEST(Delete, AFailingStoreIsNamedAndARepeatMendsIt) {
  World world(three());
  ASSERT_TRUE(world.instance(2).inject(
      R"({"kind":"error500","match":"/api/delete","text":"remove manifests: read-only file system"})"));
  const Reply reply = world.done(world.remove(R"({"model":"base"})")).reply();
  EXPECT_EQ(reply.status, 500);
  EXPECT_EQ(json_text(reply.body, "error"),
            "delete of model 'base' is not complete: store s2: remove manifests: read-only file "
            "system; done in s0, s1; the same again mends it");
  EXPECT_EQ(holders(world, "base:latest"), "--x");
  EXPECT_EQ(world.done(world.remove(R"({"model":"base"})")).reply().status, 200);
  EXPECT_EQ(holders(world, "base:latest"), "---");
}

TEST(Delete, AStoreThatIsAwayAndHadItIsNotForgotten) {
  WorldOptions options = three();
  options.models[2] = {named("other:latest")};
  World world(std::move(options));
  world.kill(1);
  world.kill(2);
  world.pass(10s);
  const Reply reply = world.done(world.remove(R"({"model":"base"})")).reply();
  EXPECT_EQ(reply.status, 500);
  const std::string error = json_text(reply.body, "error");
  EXPECT_NE(error.find("store s1: gpu1 is not there"), std::string::npos) << error;
  EXPECT_EQ(error.find("s2"), std::string::npos) << "it had nothing of it: " << error;
}

TEST(Delete, IsCarriedToItsEndThoughItsClientLeaves) {
  World world(three());
  ASSERT_TRUE(world.instance(1).inject(R"({"kind":"hang","ms":2000,"match":"/api/delete"})"));
  Client& client = world.remove(R"({"model":"base"})");
  world.pass(1s);
  client.leave();
  world.pass(5s);
  EXPECT_EQ(holders(world, "base:latest"), "---");
  world.expect_nothing_left();
}

TEST(Copy, IsMadeWhereverTheSourceIs) {
  WorldOptions options = three();
  options.models[1] = {named("other:latest")};
  World world(std::move(options));
  const Reply reply =
      world.done(world.post("/api/copy", R"({"source":"base","destination":"twin"})")).reply();
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.body, "");
  EXPECT_EQ(holders(world, "twin:latest"), "x-x");
  const Reply none =
      world.done(world.post("/api/copy", R"({"source":"nosuch","destination":"t"})")).reply();
  EXPECT_EQ(none.status, 404);
  EXPECT_EQ(json_text(none.body, "error"), "model \"nosuch\" not found");
}

TEST(Push, GoesFromOneStoreThatHasIt) {
  WorldOptions options = three();
  options.models[0] = {named("other:latest")};
  World world(std::move(options));
  const std::vector<std::string> lines =
      lines_of(world.done(world.post("/api/push", R"({"model":"base"})")).reply());
  EXPECT_EQ(lines.front(), R"({"status":"retrieving manifest"})");
  EXPECT_EQ(lines.back(), kSuccess);
  EXPECT_EQ(world.instance(0).state_json().find("/api/push"), std::string::npos);
  EXPECT_NE(world.instance(1).state_json().find(R"("/api/push":1)"), std::string::npos);
  EXPECT_EQ(world.instance(2).state_json().find("/api/push"), std::string::npos);
  const Reply none =
      world.done(world.post("/api/push", R"({"model":"nosuch","stream":false})")).reply();
  EXPECT_EQ(none.status, 500);
  EXPECT_EQ(json_text(none.body, "error"), "couldn't retrieve manifest: not found");
  world.expect_nothing_left();
}

// --- create, and the blobs that it is made from ---

const std::string kDigest = "sha256:" + std::string(64, 'a');

std::string upload(std::string_view digest, std::string_view body) {
  return World::request("POST", fmt::format("/api/blobs/{}", digest), body);
}

TEST(Create, WithBlobsGoesToEveryStore) {
  World world(three());
  const Reply blob = world.done(world.ask(upload(kDigest, std::string(300'000, 'x')))).reply();
  EXPECT_EQ(blob.status, 201);
  EXPECT_EQ(blob.body, "");
  for (std::uint32_t i = 0; i < 3; ++i) {
    EXPECT_NE(world.instance(i).state_json().find(R"("body_bytes":300000)"), std::string::npos);
  }
  const std::string body = fmt::format(R"({{"model":"mine","files":{{"m.gguf":"{}"}}}})", kDigest);
  const std::vector<std::string> lines =
      lines_of(world.done(world.post("/api/create", body)).reply());
  EXPECT_EQ(lines,
            (std::vector<std::string>{R"({"status":"parsing GGUF"})",
                                      R"({"status":"writing manifest"})", std::string(kSuccess)}));
  EXPECT_EQ(holders(world, "mine:latest"), "xxx");
  world.expect_nothing_left();
}

TEST(Create, FromAModelGoesWhereThatModelIs) {
  WorldOptions options = three();
  options.models[1] = {named("other:latest")};
  World world(std::move(options));
  const Reply reply =
      world.done(world.post("/api/create", R"({"model":"m","from":"base","stream":false})"))
          .reply();
  EXPECT_EQ(reply.body, kSuccess);
  EXPECT_EQ(holders(world, "m:latest"), "x-x");
}

TEST(Create, AFailingStoreIsNamedAndARepeatMendsIt) {
  World world(three());
  ASSERT_TRUE(world.instance(0).inject(R"({"kind":"error_mid","match":"/api/create"})"));
  ASSERT_TRUE(world.instance(0).inject(
      R"({"kind":"error500","match":"/api/create","text":"no space left on device"})"));
  const Reply reply =
      world.done(world.post("/api/create", R"({"model":"m","from":"base","stream":false})"))
          .reply();
  EXPECT_EQ(reply.status, 500);
  EXPECT_EQ(json_text(reply.body, "error"),
            "create of model 'm' is not complete: store s0: no space left on device; done in s1, "
            "s2; the same again mends it");
  world.instance(0).clear_faults();
  world.done(world.post("/api/create", R"({"model":"m","from":"base"})"));
  EXPECT_EQ(holders(world, "m:latest"), "xxx");
}

TEST(Blob, InChunksAndAgain) {
  World world(three());
  const std::string head = fmt::format(
      "POST /api/blobs/{} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n",
      kDigest);
  Client& client = world.ask(head);
  for (int i = 0; i < 10; ++i) {
    client.say("3e8\r\n" + std::string(1000, 'y') + "\r\n");
    world.pass(10ms);
  }
  client.say("0\r\n\r\n");
  EXPECT_EQ(world.done(client).reply().status, 201);
  EXPECT_NE(world.instance(2).state_json().find(R"("body_bytes":10000)"), std::string::npos);
  // The connection goes on, and what is there already is a 200.
  client.say(upload(kDigest, "again"));
  EXPECT_EQ(world.done(client, 2).replies()[1].status, 200);
  world.expect_nothing_left();
}

TEST(Blob, IsThereWhenEveryStoreHasIt) {
  World world(three());
  const auto look = [&] {
    Client& client = world.ask(World::request("HEAD", "/api/blobs/" + kDigest, {}));
    world.pass(1s);
    return client.reply(true).status;
  };
  EXPECT_EQ(look(), 404);
  world.done(world.ask_instance(0, upload(kDigest, "x")));
  EXPECT_EQ(look(), 404);
  world.done(world.ask(upload(kDigest, "x")));
  EXPECT_EQ(look(), 200);
  world.expect_nothing_left();
}

TEST(Blob, AStoreThatFailsIsNamedAndTheOthersHaveIt) {
  World world(three());
  ASSERT_TRUE(world.instance(1).inject(R"({"kind":"reset","match":"/api/blobs"})"));
  const Reply reply = world.done(world.ask(upload(kDigest, std::string(200'000, 'x')))).reply();
  EXPECT_EQ(reply.status, 500);
  const std::string error = json_text(reply.body, "error");
  EXPECT_NE(error.find("upload of blob 'sha256:aaa"), std::string::npos) << error;
  EXPECT_NE(error.find("store s1: "), std::string::npos) << error;
  EXPECT_NE(error.find("done in s0, s2"), std::string::npos) << error;
  EXPECT_EQ(world.done(world.ask(upload(kDigest, "x"))).reply().status, 201);
  world.expect_nothing_left();
}

TEST(Blob, AClientThatLeavesLeavesNothingBehind) {
  World world(three());
  Client& client = world.ask(fmt::format(
      "POST /api/blobs/{} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\nabc",
      kDigest));
  world.pass(1s);
  client.leave();
  world.pass(1s);
  Client& head = world.ask(World::request("HEAD", "/api/blobs/" + kDigest, {}));
  world.pass(1s);
  EXPECT_EQ(head.reply(true).status, 404);
  world.expect_nothing_left();
}

TEST(Blob, IsNamedByADigest) {
  World world(three());
  for (const std::string& name : {std::string("x"), "sha256:" + std::string(63, 'a'),
                                  "md5:" + std::string(64, 'a'), std::string("sha256:..%2f")}) {
    const int status = world.done(world.ask(upload(name, "x"))).reply().status;
    EXPECT_TRUE(status == 400 || status == 404) << name << status;
  }
  EXPECT_EQ(world.instance(0).state_json().find("/api/blobs"), std::string::npos);
}

// --- what one of several can not know ---

constexpr std::string_view kStop = R"({"model":"base","keep_alive":0})";

TEST(Stop, ReachesEveryInstanceThatHasItLoaded) {
  World world(three());
  for (std::uint32_t i = 0; i < 3; ++i) {
    world.done(
        world.ask_instance(i, World::request("POST", "/api/generate",
                                             R"({"model":"base","prompt":"hi","stream":false})")));
  }
  world.pass(3s);
  const Reply reply = world.done(world.post("/api/generate", kStop)).reply();
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(json_text(reply.body, "done_reason"), "unload");
  EXPECT_EQ(reply.type(), "application/json; charset=utf-8");
  EXPECT_EQ(world.done(world.get("/api/ps")).reply().body, R"({"models":[]})");
  world.expect_nothing_left();
}

TEST(Stop, OfAChatToo) {
  World world(three());
  world.done(world.post("/api/generate", R"({"model":"base","prompt":"hi","stream":false})"));
  const Reply reply =
      world.done(world.post("/api/chat", R"({"model":"base","messages":[],"keep_alive":"0s"})"))
          .reply();
  EXPECT_EQ(json_text(reply.body, "done_reason"), "unload");
  EXPECT_EQ(world.done(world.get("/api/ps")).reply().body, R"({"models":[]})");
}

TEST(Stop, OfWhatNobodyHasIsA404) {
  World world(three());
  const Reply reply =
      world.done(world.post("/api/generate", R"({"model":"nosuch","keep_alive":0})")).reply();
  EXPECT_EQ(reply.status, 404);
  EXPECT_EQ(json_text(reply.body, "error"), "model 'nosuch' not found");
}

TEST(Stop, DoesNotWaitForAPull) {
  WorldOptions options = three();
  options.fake.token_time = 10s;
  World world(std::move(options));
  Client& pull = world.post("/api/pull", R"({"model":"base"})");
  world.pass(1s);
  const Instant before = world.now();
  EXPECT_EQ(world.done(world.post("/api/generate", kStop)).reply().status, 200);
  EXPECT_LT(world.now() - before, 5s);
  EXPECT_FALSE(pull.reply().complete);
}

// --- who may ---

TEST(Scope, FromOutsideModelsAreUsedAndNotChanged) {
  WorldOptions options = three();
  options.listen = "10.0.0.99:11434";
  World world(std::move(options));
  const Reply reply = world.done(world.post("/api/pull", R"({"model":"new"})")).reply();
  EXPECT_EQ(reply.status, 403);
  EXPECT_NE(json_text(reply.body, "error").find("trust: ["), std::string::npos) << reply.body;
  EXPECT_EQ(world.done(world.remove(R"({"model":"base"})")).reply().status, 403);
  EXPECT_EQ(world.done(world.ask(upload(kDigest, "x"))).reply().status, 403);
  EXPECT_EQ(world.done(world.get("/api/tags")).reply().status, 200);
  EXPECT_EQ(world.done(world.post("/api/generate", kStop)).reply().status, 200);
  EXPECT_EQ(holders(world, "base:latest"), "xxx");
}

TEST(Scope, OfATrustedNetworkTheyMayBe) {
  WorldOptions options = three();
  options.listen = "10.0.0.99:11434";
  options.gateway.access.trust.push_back(net::Network::parse("0.0.0.0/0").value());
  World world(std::move(options));
  EXPECT_EQ(world.done(world.remove(R"({"model":"base"})")).reply().status, 200);
}

// --- bad input ---

TEST(Orders, BadInputIsRefusedBeforeAnybodyHearsOfIt) {
  World world(three());
  for (const auto& [path, body] : std::initializer_list<std::pair<const char*, const char*>>{
           {"/api/pull", ""},
           {"/api/pull", "{"},
           {"/api/pull", R"({"model":1})"},
           {"/api/pull", R"({"model":"a","model":"b"})"},
           {"/api/copy", R"({"source":["a"],"destination":"b"})"}}) {
    const Reply reply = world.done(world.post(path, body)).reply();
    EXPECT_EQ(reply.status, 400) << path << body;
    EXPECT_NE(json_text(reply.body, "error"), "") << path << body;
  }
  EXPECT_EQ(world.instance(0).state_json().find("/api/pull"), std::string::npos);
  EXPECT_EQ(world.done(world.get("/api/pull")).reply().status, 405);
  EXPECT_EQ(world.done(world.get("/api/delete")).reply().field("allow"), "DELETE");
}

TEST(Orders, WhoShutsDownSaysSo) {
  WorldOptions options = three();
  options.fake.token_time = 10s;
  World world(std::move(options));
  Client& pull = world.post("/api/pull", R"({"model":"new"})");
  world.pass(15s);
  world.gateway().drain([] {});
  world.gateway().cut();
  world.closed(pull);
  EXPECT_EQ(lines_of(pull.reply()).back(), R"({"error":"the server is shutting down"})");
}

}  // namespace
}  // namespace drover::simtest
