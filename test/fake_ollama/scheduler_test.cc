// The two queues, loads, memory, and clients that leave: asked over HTTP, as a balancer would.

#include "fake_ollama/test_client.h"

namespace drover::fake {
namespace {

FakeOptions two_models_one_fits() {
  FakeOptions options;
  options.models = {{.name = "a:latest", .bytes = 10'000'000'000},
                    {.name = "b:latest", .bytes = 10'000'000'000},
                    {.name = "c:latest", .bytes = 4'000'000'000}};
  options.vram_bytes = 16'000'000'000;
  return options;
}

class Scheduler : public FakeOllamaTest {};

TEST_F(Scheduler, AColdModelIsLoadedOnceForManyRequests) {
  start();
  Reply& first = chat();
  Reply& second = chat();
  loop.run();
  EXPECT_EQ(first.status, 200);
  EXPECT_EQ(second.status, 200);
  EXPECT_EQ(fake->counts().loads, 1u);
  EXPECT_GE(first.first - first.begun, 300ms);
}

TEST_F(Scheduler, OneSlotServesInOrder) {
  start();
  done(chat());
  Reply& first = chat();
  Reply& second = chat();
  loop.run_for(15ms);
  EXPECT_EQ(fake->counts().running, 1u);
  EXPECT_EQ(fake->counts().waiting, 1u);
  loop.run();
  EXPECT_GE(second.first, first.last);
  EXPECT_EQ(fake->counts().most_running, 1u);
}

TEST_F(Scheduler, ParallelSlotsServeAtTheSameTime) {
  FakeOptions options;
  options.parallel = 3;
  start(options);
  done(chat());
  for (int i = 0; i < 4; ++i) chat();
  loop.run_for(15ms);
  EXPECT_EQ(fake->counts().running, 3u);
  EXPECT_EQ(fake->counts().waiting, 1u);
  loop.run();
  EXPECT_EQ(fake->counts().completed, 5u);
}

TEST_F(Scheduler, ALoadedModelsQueueHasNoBound) {
  FakeOptions options;
  options.max_queue = 1;
  start(options);
  done(chat());
  for (int i = 0; i < 50; ++i) chat("llama3.2", 1);
  loop.run();
  for (const Reply& reply : replies) EXPECT_EQ(reply.status, 200);
}

TEST_F(Scheduler, AFullPendingQueueRefuses) {
  FakeOptions options = two_models_one_fits();
  options.max_queue = 2;
  start(options);
  chat("a");
  loop.run_for(10ms);
  for (int i = 0; i < 2; ++i) {
    chat("b");
    loop.run_for(10ms);
  }
  Reply& over = chat("b");
  loop.run_for(10ms);
  EXPECT_EQ(over.status, 503);
  EXPECT_EQ(over.body,
            R"({"error":"server busy, please try again.  maximum pending requests exceeded"})");
  loop.run();
  EXPECT_EQ(fake->counts().completed, 3u);
}

TEST_F(Scheduler, PsListsOnlyWhatIsLoaded) {
  start();
  Reply& reply = chat();
  loop.run_for(100ms);
  Reply& during = get("/api/ps");
  loop.run_for(10ms);
  EXPECT_EQ(during.body, R"({"models":[]})");
  EXPECT_NE(fake->state_json().find(R"("loading":"llama3.2:latest")"), std::string::npos);
  loop.run();
  EXPECT_EQ(reply.status, 200);
  Reply& after = done(get("/api/ps"));
  EXPECT_NE(after.body.find(R"("name":"llama3.2:latest")"), std::string::npos);
  EXPECT_NE(after.body.find(R"("size_vram":2000000000)"), std::string::npos);
  EXPECT_NE(after.body.find(R"("context_length":4096)"), std::string::npos);
}

TEST_F(Scheduler, TheClientOfALoadLeavingThrowsItAway) {
  start();
  Reply& first = chat();
  loop.run_for(10ms);
  Reply& second = chat();
  loop.run_for(240ms);
  leave(first);
  loop.run();
  EXPECT_EQ(second.status, 200);
  EXPECT_EQ(fake->counts().loads, 2u);
  EXPECT_EQ(fake->counts().loads_thrown_away, 1u);
  EXPECT_EQ(fake->counts().cancelled, 1u);
  EXPECT_GE(second.first - second.begun, 500ms);  // from zero
  EXPECT_NE(fake->state_json().find(R"("phase":"loading")"), std::string::npos);
}

TEST_F(Scheduler, AClientThatLeavesThePendingQueueIsDropped) {
  start();
  chat();
  loop.run_for(10ms);
  Reply& second = chat();
  loop.run_for(10ms);
  EXPECT_EQ(fake->counts().waiting, 2u);
  leave(second);
  loop.run_for(10ms);
  EXPECT_EQ(fake->counts().waiting, 1u);
  loop.run();
  EXPECT_EQ(fake->counts().loads, 1u);
  EXPECT_EQ(fake->counts().completed, 1u);
}

TEST_F(Scheduler, AClientThatLeavesWhileGeneratingFreesItsSlotAtOnce) {
  start();
  done(chat());
  Reply& first = chat("llama3.2", 1000);
  Reply& second = chat();
  loop.run_for(100ms);
  leave(first);
  loop.run_for(1ms);
  EXPECT_EQ(fake->counts().cancelled, 1u);
  EXPECT_EQ(fake->counts().running, 1u);
  EXPECT_EQ(fake->counts().waiting, 0u);
  loop.run();
  EXPECT_EQ(second.status, 200);
  EXPECT_LT(fake->counts().tokens, 30u);
}

TEST_F(Scheduler, AClientThatLeavesTheSlotQueueIsDropped) {
  start();
  done(chat());
  chat("llama3.2", 50);
  loop.run_for(10ms);
  Reply& second = chat();
  loop.run_for(10ms);
  leave(second);
  loop.run_for(1ms);
  EXPECT_EQ(fake->counts().waiting, 0u);
  loop.run();
  EXPECT_EQ(fake->counts().completed, 2u);
}

TEST_F(Scheduler, AnIdleModelMakesRoom) {
  start(two_models_one_fits());
  done(chat("a"));
  done(chat("b"));
  EXPECT_EQ(fake->counts().evictions, 1u);
  EXPECT_NE(fake->state_json().find(R"("loaded":["b:latest"])"), std::string::npos);
}

TEST_F(Scheduler, TheShortestKeepAliveGoesFirst) {
  FakeOptions options = two_models_one_fits();
  options.models[0].bytes = 6'000'000'000;
  start(options);
  done(post("/api/generate", R"({"model":"a","keep_alive":"1h"})"));
  done(post("/api/generate", R"({"model":"c","keep_alive":"2m"})"));
  done(chat("b"));
  EXPECT_NE(fake->state_json().find(R"("loaded":["a:latest","b:latest"])"), std::string::npos);
}

TEST_F(Scheduler, ALoadWaitsForABusyModelToFinish) {
  start(two_models_one_fits());
  done(chat("a"));
  Reply& busy = chat("a", 50);
  loop.run_for(5ms);
  Reply& other = chat("b");
  loop.run();
  EXPECT_EQ(busy.status, 200);
  EXPECT_TRUE(busy.complete);
  EXPECT_GE(other.first - busy.last, 300ms);
}

TEST_F(Scheduler, AModelThatDoesNotFitRunsPartlyOnTheCpu) {
  FakeOptions options;
  options.models = {{.name = "big:latest", .bytes = 30'000'000'000}};
  start(options);
  done(chat("big"));
  const Reply& ps = done(get("/api/ps"));
  EXPECT_NE(ps.body.find(R"("size_vram":24000000000)"), std::string::npos);
}

TEST_F(Scheduler, KeepAliveEndsAModel) {
  start();
  done(post("/api/generate", R"({"model":"llama3.2","keep_alive":"10s"})"));
  loop.run_for(9s);
  EXPECT_NE(done(get("/api/ps")).body, R"({"models":[]})");
  loop.run_for(2s);
  EXPECT_EQ(done(get("/api/ps")).body, R"({"models":[]})");
}

TEST_F(Scheduler, OtherLoadOptionsForceAReload) {
  start();
  done(chat());
  done(post("/api/generate", R"({"model":"llama3.2","prompt":"x","options":{"num_ctx":8192}})"));
  EXPECT_EQ(fake->counts().loads, 2u);
  EXPECT_NE(done(get("/api/ps")).body.find(R"("context_length":8192)"), std::string::npos);
}

TEST_F(Scheduler, LoadAndUnloadAreOneObject) {
  start();
  const Reply& load = done(post("/api/generate", R"({"model":"llama3.2"})"));
  EXPECT_EQ(load.type, "application/json; charset=utf-8");
  EXPECT_NE(load.body.find(R"("done":true,"done_reason":"load")"), std::string::npos);
  const Reply& unload =
      done(post("/api/chat", R"({"model":"llama3.2","messages":[],"keep_alive":0})"));
  EXPECT_NE(unload.body.find(R"("done_reason":"unload")"), std::string::npos);
  EXPECT_EQ(done(get("/api/ps")).body, R"({"models":[]})");
}

}  // namespace
}  // namespace drover::fake
