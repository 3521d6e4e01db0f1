// How one request goes when all is well, and who notices when somebody leaves.

#include "sim_world.h"

namespace drover::simtest {
namespace {

TEST(GatewaySim, StreamIsServedWhole) {
  World world;
  const Reply reply = world.done(world.chat(6)).reply();
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.type(), "application/x-ndjson");
  EXPECT_TRUE(reply.complete);
  const NativeText native = read_native(reply.body);
  EXPECT_EQ(native.text, world.text(6));
  EXPECT_TRUE(native.done);
  EXPECT_TRUE(native.well_formed);
  world.expect_nothing_left();
}

TEST(GatewaySim, RefusalBeforeTheRouteIsAnsweredOnce) {
  World world;
  Client& client = world.get("/nowhere");
  world.pass(1s);
  ASSERT_EQ(client.replies().size(), 1U);
  EXPECT_EQ(client.reply().status, 404);
  world.expect_nothing_left();
}

}  // namespace
}  // namespace drover::simtest
