#include "keeper/gpu_watch.h"

#include <gtest/gtest.h>

#include <future>
#include <optional>
#include <thread>

#include "net/testing.h"

namespace drover::keeper {
namespace {

using namespace std::chrono_literals;

// What the test and the reader share; the reader may outlive the watch.
struct Script {
  std::atomic<int> begun{0};
  std::atomic<bool> hangs{false};
  std::promise<void> release;
  std::shared_future<void> released = release.get_future().share();
  std::promise<void> gone;
};

class ScriptedReader final : public GpuReader {
 public:
  explicit ScriptedReader(std::shared_ptr<Script> script) : script_(std::move(script)) {}
  ~ScriptedReader() override { script_->gone.set_value(); }
  GpuReport read() override {
    const int round = ++script_->begun;
    if (script_->hangs) script_->released.wait();
    GpuReport report{"test", {{.uuid = "GPU-a"}, {.uuid = "GPU-b"}}, {}};
    report.gpus[0].utilization = round / 100.0;
    report.gpus[1].condition = GpuCondition::kLost;
    return report;
  }

 private:
  std::shared_ptr<Script> script_;
};

struct World {
  net::testing::ManualLoop loop;
  std::shared_ptr<Script> script = std::make_shared<Script>();
  std::vector<std::shared_ptr<const GpuReport>> reports;
  std::optional<GpuWatch> watch;

  void start() {
    watch.emplace(loop, std::make_unique<ScriptedReader>(script), GpuWatchSettings{},
                  [this](std::shared_ptr<const GpuReport> report) { reports.push_back(report); });
    loop.settle();
  }
  // The reader is on a real thread: let it, without moving the loop's clock. What never comes is
  // ended by the time limit of the test program.
  template <class Condition>
  void until(Condition condition) {
    while (!condition()) {
      std::this_thread::yield();
      loop.settle();
    }
  }
  void await_reports(std::size_t count) {
    until([&] { return reports.size() >= count; });
  }
};

TEST(GpuWatch, ReadsOncePerInterval) {
  World world;
  EXPECT_EQ(world.reports.size(), 0U);
  world.start();
  world.await_reports(1);
  world.loop.advance(999ms);
  EXPECT_EQ(world.script->begun, 1);
  world.loop.advance(1ms);
  world.await_reports(2);
  EXPECT_EQ(world.reports[1]->gpus[0].utilization, 0.02);
  EXPECT_EQ(world.watch->latest(), world.reports[1]);
}

TEST(GpuWatch, ACallThatHangsMakesTheDevicesSilentUntilItReturns) {
  World world;
  world.start();
  world.await_reports(1);
  world.script->hangs = true;
  world.loop.advance(1s);
  world.loop.advance(1999ms);
  EXPECT_EQ(world.reports.size(), 1U) << "not overdue yet";
  world.loop.advance(1ms);
  ASSERT_EQ(world.reports.size(), 2U);
  const GpuReport silent = *world.reports[1];
  EXPECT_EQ(silent.gpus[0].condition, GpuCondition::kSilent);
  EXPECT_EQ(silent.gpus[0].detail, "its driver has not answered for 2 s");
  EXPECT_EQ(silent.gpus[0].utilization, 0.01) << "the last reading known";
  EXPECT_EQ(silent.gpus[1].condition, GpuCondition::kLost) << "what is lost stays lost";
  EXPECT_EQ(silent.problems.size(), 1U);

  world.loop.advance(30s);
  EXPECT_EQ(world.reports.size(), 2U) << "said once";
  EXPECT_LE(world.script->begun, 2) << "no second call beside one that hangs";
  world.script->hangs = false;
  world.script->release.set_value();
  world.await_reports(3);
  EXPECT_EQ(world.reports[2]->gpus[0].condition, GpuCondition::kWell);
  EXPECT_TRUE(world.reports[2]->problems.empty());
}

TEST(GpuWatch, AFirstCallThatHangsIsToldWithoutDevices) {
  World world;
  world.script->hangs = true;
  world.start();
  world.loop.advance(2s);
  ASSERT_EQ(world.reports.size(), 1U);
  EXPECT_TRUE(world.reports[0]->gpus.empty());
  EXPECT_EQ(world.reports[0]->problems,
            std::vector<std::string>{"reading the GPUs has not ended for 2 s: the readings are the "
                                     "last ones known; see dmesg"});
  world.script->release.set_value();
}

TEST(GpuWatch, EndsWhileACallHangs) {
  World world;
  world.script->hangs = true;
  world.start();
  world.until([&] { return world.script->begun == 1; });
  world.watch.reset();  // returns although the call does not
  std::future<void> gone = world.script->gone.get_future();
  EXPECT_EQ(gone.wait_for(0s), std::future_status::timeout) << "the call still uses the reader";
  world.script->release.set_value();
  gone.wait();
}

}  // namespace
}  // namespace drover::keeper
