#include "keeper/messages.h"

#include <gtest/gtest.h>

#include <memory>

namespace drover::keeper {
namespace {

Message read_whole(const std::string& bytes) {
  MessageReader reader;
  reader.feed(bytes);
  auto message = reader.next();
  EXPECT_TRUE(message.ok() && *message);
  return **message;
}

Gpu some_gpu() {
  Gpu gpu;
  gpu.index = 3;
  gpu.uuid = "GPU-3b";
  gpu.vendor = GpuVendor::kAmd;
  gpu.condition = GpuCondition::kLost;
  gpu.memory_total_bytes = std::uint64_t{80} << 30;
  gpu.utilization = 0.25;
  gpu.throttle_reasons = {"sw_thermal", "hw_slowdown"};
  gpu.xid_errors = {{79, 1}, {31, 4}};
  gpu.processes = std::vector<GpuProcess>{{4711, std::nullopt}, {-1, 5}};
  return gpu;
}

TEST(Messages, ReportsOfDevicesComeBackWhole) {
  const GpuReport report{"nvml", {some_gpu(), Gpu{}}, {"a sentence"}};
  EXPECT_EQ(std::get<Gpus>(read_whole(encode(Gpus{report}))).report, report);
}

TEST(Messages, ProcessesComeBackWhole) {
  InstanceProcess process;
  process.state = ProcessState::kQuarantined;
  process.reason = "it\nfailed";
  process.cpu = std::chrono::milliseconds(1234);
  process.pinned_well = false;
  const Process read = std::get<Process>(read_whole(encode(Process{7, process})));
  EXPECT_EQ(read.instance, 7U);
  EXPECT_EQ(read.process, process);
}

TEST(Messages, TheSetupComesBackWhole) {
  Welcome welcome;
  welcome.file = config::FileText{"drover.yaml", "policy: round_robin\n"};
  welcome.settings = {{"--listen", "listen", "127.0.0.1:0"}};
  welcome.foreign = {{"127.0.0.1", 11434}};
  welcome.supervised = {{"gpu0", "http://127.0.0.1:11440", {"GPU-a"}, true, 4}};
  welcome.greeting = "found";
  const Welcome read = std::get<Welcome>(read_whole(encode(welcome)));
  EXPECT_EQ(read.file->text, welcome.file->text);
  EXPECT_EQ(read.settings.front().value, "127.0.0.1:0");
  EXPECT_EQ(read.foreign, welcome.foreign);
  EXPECT_EQ(read.supervised, welcome.supervised);
  EXPECT_EQ(read.greeting, "found");
}

TEST(Messages, ArriveHoweverTheyAreCut) {
  const std::string bytes = encode(Served{1}) + encode(Restart{2, RestartKind::kFault, "it hangs"});
  for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
    MessageReader reader;
    std::vector<Message> read;
    for (const std::string& part : {bytes.substr(0, cut), bytes.substr(cut)}) {
      reader.feed(part);
      for (auto message = reader.next(); *message; message = reader.next()) {
        read.push_back(**message);
      }
    }
    ASSERT_EQ(read.size(), 2U) << "cut at " << cut;
    EXPECT_EQ(std::get<Restart>(read[1]).reason, "it hangs");
  }
}

// Every flipped byte gives a message, a wait for more, or an error; the sanitizers watch that it is
// nothing else.
TEST(Messages, DamageIsNeverMoreThanAnError) {
  const std::string good = encode(Gpus{GpuReport{"nvml", {some_gpu()}, {}}});
  for (std::size_t i = 0; i < good.size(); ++i) {
    for (const unsigned flip : {0x01U, 0x80U, 0xffU}) {
      std::string bad = good;
      bad[i] = static_cast<char>(static_cast<unsigned char>(bad[i]) ^ flip);
      MessageReader reader;
      reader.feed(bad);
      (void)reader.next();
    }
  }
}

TEST(Messages, NumbersOutsideOfTheirTypeAreRefused) {
  std::string bytes = encode(Served{1});
  bytes[bytes.size() - 1] = 1;  // the highest byte of a number that must fit in 32 bits
  MessageReader reader;
  reader.feed(bytes);
  EXPECT_FALSE(reader.next().ok());
}

TEST(Messages, ALengthBeyondTheBoundIsRefusedBeforeItIsWaitedFor) {
  MessageReader reader;
  reader.feed(std::string(8, '\x7f'));
  EXPECT_FALSE(reader.next().ok());
}

}  // namespace
}  // namespace drover::keeper
