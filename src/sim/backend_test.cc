#include "sim/backend.h"

#include <gtest/gtest.h>

namespace drover::sim {
namespace {

using namespace std::chrono_literals;
using Kind = Notice::Kind;

// One GPU of 24 GB; three models of which any two fit: "a", "b", "c", of 9.8 GB each.
class OllamaTest : public ::testing::Test {
 protected:
  OllamaTest() {
    fleet_.gpus = {gpu_kind("rtx4090")};
    fleet_.hosts = {0};
    for (const char* name : {"a", "b", "c"}) {
      Model model;
      model.name = name;
      model.file_gb = 5;
      model.slots = 2;
      model.num_ctx = 16384;
      fleet_.models.push_back(model);
    }
    fleet_.page_cache_gb = 0;  // each load comes from the disk: 2 s and 1.5 s
    jobs_.reserve(1000);
  }
  JobIndex job(ModelIndex model, std::uint32_t output = 100) {
    Job job;
    job.model = model;
    job.prompt = 100;
    job.output = output;
    job.session = static_cast<std::uint32_t>(jobs_.size());
    jobs_.push_back(job);
    return static_cast<JobIndex>(jobs_.size() - 1);
  }
  void begin() { ollama_.emplace(fleet_, jobs_, host_, 0); }
  JobIndex send(JobIndex job) {
    ollama_->submit(job, now_);
    collect();
    return job;
  }
  void pass(Duration time) {
    const Instant until = now_ + time;
    for (;;) {
      const Instant next = std::min(ollama_->next_due(), host_.next_due());
      if (next > until) break;
      now_ = std::max(now_, next);
      for (const InstanceIndex each : host_.finished(now_)) {
        EXPECT_EQ(each, 0U);
        ollama_->advance(now_);
        ollama_->read_done(now_);
      }
      ollama_->advance(now_);
      collect();
    }
    now_ = until;
    ollama_->advance(now_);
    collect();
  }
  void collect() {
    for (const Notice& notice : ollama_->take_notices()) {
      if (notice.kind == Kind::kFirstToken) first_[notice.job] = now_;
      if (notice.kind == Kind::kDone) done_[notice.job] = now_;
      if (notice.kind == Kind::kBusy) ++busy_;
      if (notice.kind == Kind::kFailed) failed_[notice.job] = now_;
      if (notice.kind == Kind::kLoadFailed) ++failed_loads_;
      cached_[notice.job] = notice.cached;
    }
  }
  bool is_done(JobIndex job) const { return done_.contains(job); }
  bool is_loaded(ModelIndex model) const { return ollama_->ready_runner(model) != nullptr; }

  Fleet fleet_;
  std::vector<Job> jobs_;
  Host host_{fleet_};
  std::optional<SimBackend> ollama_;
  Instant now_{};
  std::map<JobIndex, Instant> first_, done_, failed_;
  std::map<JobIndex, std::uint32_t> cached_;
  int busy_ = 0;
  int failed_loads_ = 0;
};

TEST_F(OllamaTest, ALoadTakesReadingAndStarting) {
  const JobIndex one = job(0);
  begin();
  send(one);
  pass(3490ms);
  EXPECT_FALSE(is_loaded(0));
  pass(20ms);
  EXPECT_TRUE(is_loaded(0));
  pass(10s);
  const Pace pace = fleet_.pace(0, 0);
  const double expected = 3.5 + pace.prefill(100, 0) + 99 * pace.step(1, 150);
  EXPECT_NEAR(to_seconds(done_[one].time_since_epoch()), expected, 1e-3);
}

TEST_F(OllamaTest, WaitsForASlotOfALoadedModelWithoutBound) {
  fleet_.max_queue = 1;
  std::vector<JobIndex> all;
  for (int i = 0; i < 100; ++i) all.push_back(job(0));
  begin();
  send(all[0]);
  pass(4s);
  for (int i = 1; i < 100; ++i) send(all[static_cast<std::size_t>(i)]);
  EXPECT_EQ(busy_, 0);
  pass(600s);
  EXPECT_EQ(done_.size(), 100U);
}

TEST_F(OllamaTest, SaysBusyWhenTooManyWaitForLoads) {
  fleet_.max_queue = 2;
  const JobIndex a = job(0), b = job(1), c = job(2);
  begin();
  send(a);
  send(b);
  send(c);
  EXPECT_EQ(busy_, 1);
}

TEST_F(OllamaTest, TheFirstInLineBlocksOtherLoadsWhileAVictimDrains) {
  const JobIndex long_a = job(0, 5000), long_b = job(1, 6000), c = job(2), b_again = job(1);
  begin();
  send(long_a);
  send(long_b);
  pass(8s);
  ASSERT_TRUE(is_loaded(0) && is_loaded(1));
  send(c);  // no room: a is asked to leave, and does not until it has finished
  pass(5s);
  EXPECT_FALSE(is_loaded(2));
  send(b_again);  // loaded: goes past the line
  pass(5s);
  EXPECT_TRUE(is_done(b_again));
  EXPECT_FALSE(is_done(c));
  pass(600s);
  EXPECT_TRUE(is_done(c));
  EXPECT_GT(first_[c], done_[long_a]);
}

TEST_F(OllamaTest, AnIdleModelGoesBeforeABusyOne) {
  const JobIndex a = job(0, 5000), b = job(1), c = job(2);
  begin();
  send(a);
  send(b);
  pass(15s);
  ASSERT_TRUE(is_done(b) && !is_done(a));
  send(c);
  pass(6s);
  EXPECT_TRUE(is_loaded(0) && is_loaded(2) && !is_loaded(1));
}

TEST_F(OllamaTest, OfIdleModelsTheFirstByNameGoes) {
  const JobIndex b = job(1), a = job(0), c = job(2);
  begin();
  send(b);
  pass(20s);
  send(a);  // used later than b
  pass(20s);
  send(c);
  pass(6s);
  EXPECT_TRUE(is_loaded(1) && is_loaded(2) && !is_loaded(0));
}

TEST_F(OllamaTest, ABusyVictimTakesNewRequestsAndStays) {
  const JobIndex a = job(0, 1000), b = job(1, 9000), c = job(2);
  std::vector<JobIndex> more;
  for (int i = 0; i < 20; ++i) more.push_back(job(0, 1000));
  begin();
  send(a);
  send(b);
  pass(8s);
  send(c);
  for (const JobIndex each : more) {
    send(each);
    pass(2s);
  }
  EXPECT_FALSE(first_.contains(c));
}

TEST_F(OllamaTest, ARequestWithKeepAliveSavesAVictim) {
  const JobIndex a = job(0, 1000), b = job(1, 9000), c = job(2), saves = job(0, 1000);
  jobs_[saves].keep_alive = true;
  begin();
  send(a);
  send(b);
  pass(8s);
  send(c);
  send(saves);
  pass(60s);
  ASSERT_TRUE(is_done(a) && is_done(saves) && !is_done(b));
  EXPECT_TRUE(is_loaded(0));  // idle, and the first in line waits for it all the same
  EXPECT_FALSE(first_.contains(c));
}

TEST_F(OllamaTest, OtherOptionsMeanAReload) {
  const JobIndex one = job(0), two = job(0);
  jobs_[two].num_ctx = 2048;
  begin();
  send(one);
  pass(20s);
  send(two);
  pass(20s);
  EXPECT_TRUE(is_done(two));
  EXPECT_EQ(ollama_->totals().loads, 2U);
  EXPECT_EQ(ollama_->totals().unloads, 1U);
}

TEST_F(OllamaTest, AModelThatIsNotUsedLeavesAfterItsKeepAlive) {
  const JobIndex one = job(0);
  begin();
  send(one);
  pass(290s);
  EXPECT_TRUE(is_loaded(0));
  pass(30s);
  EXPECT_FALSE(is_loaded(0));
}

TEST_F(OllamaTest, KnowsTheBeginningOfAConversationUntilTheModelIsUnloaded) {
  const JobIndex one = job(0), two = job(0), three = job(0);
  for (const JobIndex next : {two, three}) {
    jobs_[next].session = jobs_[one].session;
    jobs_[next].history = 200;
    jobs_[next].prompt = 300;
  }
  begin();
  send(one);
  pass(20s);
  send(two);
  pass(20s);
  EXPECT_EQ(cached_[two], 200U);
  ollama_->unload(0, now_);
  pass(20s);
  send(three);
  pass(20s);
  EXPECT_EQ(cached_[three], 0U);
}

TEST_F(OllamaTest, ACancelledRequestGivesItsSlotBack) {
  const JobIndex one = job(0, 50'000), two = job(0, 50'000), three = job(0);
  begin();
  send(one);
  send(two);
  pass(5s);
  send(three);
  pass(5s);
  EXPECT_FALSE(first_.contains(three));
  ollama_->cancel(one, now_);
  pass(5s);
  EXPECT_TRUE(is_done(three));
  EXPECT_FALSE(is_done(one));
}

TEST_F(OllamaTest, ALoadThatRunsOutOfMemoryFailsForEachWhoWantsIt) {
  const JobIndex one = job(0), two = job(0), later = job(0);
  begin();
  ollama_->fail_loads_until(now_ + 10s);
  send(one);
  send(two);
  ollama_->load(1, now_);
  pass(1510ms);
  EXPECT_TRUE(failed_.contains(one) && !failed_.contains(two));
  pass(1500ms);
  EXPECT_TRUE(failed_.contains(two));
  EXPECT_EQ(failed_loads_, 0);
  pass(1500ms);
  EXPECT_EQ(failed_loads_, 1);
  EXPECT_EQ(ollama_->totals().failed_loads, 3U);
  EXPECT_EQ(ollama_->totals().loads, 0U);
  EXPECT_TRUE(ollama_->runners().empty());
  pass(10s);
  send(later);
  pass(20s);
  EXPECT_TRUE(is_done(later));
}

TEST_F(OllamaTest, ALoadThatRunsOutOfMemorySendsAllOthersAwayAndIsTriedOnceMore) {
  const JobIndex idle = job(0), busy = job(1, 1000), wants = job(2);
  fleet_.gpus[0].memory_gb = 80;
  begin();
  send(idle);
  send(busy);
  pass(9s);
  ASSERT_TRUE(is_done(idle) && is_loaded(0) && is_loaded(1));
  ollama_->fail_loads_until(now_ + 100s);
  send(wants);
  pass(3s);
  EXPECT_FALSE(is_loaded(0));
  EXPECT_TRUE(is_loaded(1));  // until its answer is written
  EXPECT_FALSE(failed_.contains(wants));
  pass(60s);
  EXPECT_TRUE(is_done(busy) && !is_loaded(1));
  ASSERT_TRUE(failed_.contains(wants));
  EXPECT_GT(failed_[wants], done_[busy]);
  EXPECT_EQ(ollama_->totals().failed_loads, 2U);
  EXPECT_EQ(ollama_->pending(), 0U);
}

TEST_F(OllamaTest, WhoLeftBeforeItsLoadFailedIsNotTold) {
  const JobIndex one = job(0), two = job(1);
  begin();
  ollama_->fail_loads_until(now_ + 1s);
  send(one);
  send(two);
  ollama_->cancel(one, now_);
  pass(20s);
  EXPECT_FALSE(failed_.contains(one));
  EXPECT_TRUE(is_done(two));
}

TEST_F(OllamaTest, CountsWhatStrangersTakeBesideTheRest) {
  const JobIndex own = job(0), stranger = job(1, 400);
  ollama_.emplace(fleet_, jobs_, host_, 0, stranger);
  send(own);
  pass(20s);
  const BackendTotals before = ollama_->totals();
  EXPECT_EQ(before.stranger_slot_s, 0);
  send(stranger);
  pass(60s);
  ASSERT_TRUE(is_done(own) && is_done(stranger));
  const BackendTotals& after = ollama_->totals();
  EXPECT_GT(after.stranger_slot_s, 1);
  EXPECT_EQ(after.stranger_loads, 1U);
  EXPECT_EQ(after.slot_s, before.slot_s);
  EXPECT_EQ(after.busy_s, before.busy_s);
  EXPECT_EQ(after.loading_s, before.loading_s);
  EXPECT_EQ(after.loads, 1U);
  EXPECT_EQ(after.loaded_gb, before.loaded_gb);
}

TEST(Host, LoadsAtTheSameTimeShareTheDisk) {
  const Fleet fleet = mixed_fleet(0.9);
  Host host(fleet);
  host.begin(0, 2.5, Instant{});
  host.begin(1, 5.0, Instant{});
  EXPECT_NEAR(to_seconds(host.next_due().time_since_epoch()), 2, 1e-6);
  EXPECT_EQ(host.finished(host.next_due()), std::vector<InstanceIndex>{0});
  EXPECT_NEAR(to_seconds(host.next_due().time_since_epoch()), 3, 1e-6);
}

TEST(PrefixStore, ForgetsTheConversationUsedLongestAgo) {
  PrefixStore store(1000);
  Job one{.session = 1, .prompt = 300, .output = 100};
  Job two{.session = 2, .prompt = 300, .output = 100};
  store.remember(one);
  store.remember(two);
  store.remember(one);
  store.remember({.session = 3, .prompt = 300, .output = 100});
  one.history = two.history = 400;
  one.prompt = two.prompt = 500;
  EXPECT_EQ(store.cached(one), 400U);
  EXPECT_EQ(store.cached(two), 0U);
  EXPECT_LE(store.tokens(), store.capacity());
}

TEST(PrefixStore, AnyConversationOfAnAgentHasItsSystemPrompt) {
  PrefixStore store(10'000);
  store.remember({.session = 1, .prompt = 4200, .shared = 4096, .output = 10});
  EXPECT_EQ(store.cached({.session = 2, .prompt = 4300, .shared = 4096}), 4096U);
}

}  // namespace
}  // namespace drover::sim
