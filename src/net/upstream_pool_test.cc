#include "net/upstream_pool.h"

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "simnet/table_resolver.h"
#include "simnet/virtual_loop.h"

namespace drover::net {
namespace {

using namespace std::chrono_literals;

// As a relay goes about it.
enum class Freshness : std::uint8_t { kAny, kNew };
struct UpstreamStream {
  std::unique_ptr<Stream> stream;
  bool reused = false;
};
using Acquired = std::optional<Result<UpstreamStream>>;

constexpr BackendId kBackend{7};

Task<void> accept_all(Listener& listener, std::vector<std::unique_ptr<Stream>>& into) {
  for (;;) {
    Result<std::unique_ptr<Stream>> accepted = co_await listener.accept(nullptr);
    if (!accepted.ok()) co_return;
    into.push_back(std::move(accepted).value());
  }
}

Task<void> acquire_into(UpstreamPool& pool, HostPort address, Freshness freshness, Cancel* cancel,
                        Acquired& out) {
  if (freshness == Freshness::kAny) {
    std::unique_ptr<Stream> idle = pool.take_idle(kBackend);
    if (idle != nullptr) {
      out.emplace(UpstreamStream{std::move(idle), true});
      co_return;
    }
  }
  Result<std::unique_ptr<Stream>> got = co_await pool.connect(address, cancel);
  if (got) {
    out.emplace(UpstreamStream{std::move(*got), false});
  } else {
    out.emplace(std::move(got).error());
  }
}

// A server on 10.0.0.1:80 known as "gpu" and a pool that uses it.
class UpstreamPoolTest : public ::testing::Test {
 protected:
  UpstreamPoolTest() { loop_.spawn(accept_all(*listener_, accepted_)); }
  // The frames first: they refer to members of this object.
  ~UpstreamPoolTest() override { loop_.abandon(); }

  Acquired acquire(Freshness freshness = Freshness::kAny, Cancel* cancel = nullptr) {
    Acquired out;
    loop_.spawn(acquire_into(pool_, {"gpu", 80}, freshness, cancel, out));
    loop_.run_for(5s);
    return out;
  }
  std::unique_ptr<Stream> acquire_stream(Freshness freshness = Freshness::kAny) {
    Acquired out = acquire(freshness);
    return std::move(out->value().stream);
  }

  static simnet::TableResolver& with_gpu(simnet::TableResolver& resolver) {
    resolver.set("gpu", {"10.0.0.1"});
    return resolver;
  }

  const Endpoint at_ = *Endpoint::parse("10.0.0.1:80");
  simnet::VirtualLoop loop_;
  simnet::TableResolver resolver_{loop_};
  std::unique_ptr<Listener> listener_ = std::move(loop_.listen(at_, {})).value();
  std::vector<std::unique_ptr<Stream>> accepted_;
  UpstreamPool pool_{loop_, with_gpu(resolver_), {.idle_per_backend = 2, .idle_time = 60s}};
};

TEST_F(UpstreamPoolTest, ReusesTheConnectionGivenBackLast) {
  std::unique_ptr<Stream> first = acquire_stream();
  std::unique_ptr<Stream> second = acquire_stream();
  Stream* const last = second.get();
  pool_.give_back(kBackend, std::move(first));
  pool_.give_back(kBackend, std::move(second));
  EXPECT_EQ(pool_.idle(kBackend), 2u);
  const Acquired again = acquire();
  EXPECT_TRUE(again->value().reused);
  EXPECT_EQ(again->value().stream.get(), last);
  EXPECT_EQ(pool_.idle(kBackend), 1u);
  EXPECT_EQ(loop_.network().connects(at_), 2u);
}

TEST_F(UpstreamPoolTest, ANewOneOnRequestLeavesTheIdleOnesAlone) {
  pool_.give_back(kBackend, acquire_stream());
  const Acquired fresh = acquire(Freshness::kNew);
  EXPECT_FALSE(fresh->value().reused);
  EXPECT_EQ(pool_.idle(kBackend), 1u);
}

TEST_F(UpstreamPoolTest, DoesNotShareBetweenBackends) {
  pool_.give_back(BackendId{8}, acquire_stream());
  EXPECT_FALSE(acquire()->value().reused);
}

TEST_F(UpstreamPoolTest, DropsOneThatWasHungUp) {
  pool_.give_back(kBackend, acquire_stream());
  accepted_.clear();
  loop_.run_for(1s);
  EXPECT_FALSE(acquire()->value().reused);
  EXPECT_EQ(pool_.idle(kBackend), 0u);
}

TEST_F(UpstreamPoolTest, DropsOneWithBytesThatNobodyAskedFor) {
  pool_.give_back(kBackend, acquire_stream());
  const std::array<std::string_view, 1> parts = {"HTTP/1.1 408 Request Timeout\r\n\r\n"};
  ASSERT_GT(accepted_.front()->write(parts).bytes, 0u);
  loop_.run_for(1s);
  EXPECT_FALSE(acquire()->value().reused);
}

TEST_F(UpstreamPoolTest, DoesNotTakeBackOneWithInput) {
  std::unique_ptr<Stream> stream = acquire_stream();
  accepted_.clear();
  loop_.run_for(1s);
  pool_.give_back(kBackend, std::move(stream));
  EXPECT_EQ(pool_.idle(kBackend), 0u);
}

TEST_F(UpstreamPoolTest, KeepsAtMostSoManyIdle) {
  std::vector<std::unique_ptr<Stream>> streams;
  for (int i = 0; i < 4; ++i) streams.push_back(acquire_stream());
  for (auto& stream : streams) pool_.give_back(kBackend, std::move(stream));
  EXPECT_EQ(pool_.idle(kBackend), 2u);
  loop_.run_for(1s);
  accepted_.clear();
  EXPECT_EQ(loop_.network().connections(at_), 2u);
}

TEST_F(UpstreamPoolTest, ClosesWhatWasIdleTooLongWithoutAnyTraffic) {
  pool_.give_back(kBackend, acquire_stream());
  loop_.run_for(30s);
  pool_.give_back(kBackend, acquire_stream(Freshness::kNew));
  loop_.run_for(25s);  // acquiring took five
  EXPECT_EQ(pool_.idle(kBackend), 1u);
  loop_.run_for(60s);
  EXPECT_EQ(pool_.idle(kBackend), 0u);
  EXPECT_EQ(loop_.live_tasks(), 1u) << "only the server's accept; an empty pool needs no sweep";
}

TEST_F(UpstreamPoolTest, ForgetClosesTheIdleOnesAtOnce) {
  pool_.give_back(kBackend, acquire_stream());
  pool_.forget(kBackend);
  EXPECT_EQ(pool_.idle(kBackend), 0u);
  EXPECT_EQ(loop_.live_tasks(), 1u);
  loop_.run_for(1s);
  EXPECT_TRUE(accepted_.front()->hung_up());
}

TEST_F(UpstreamPoolTest, DestructionWithASweepPendingIsClean) {
  {
    UpstreamPool pool(loop_, resolver_, {});
    pool.give_back(kBackend, acquire_stream());
    loop_.run_for(1s);
  }
  loop_.run_for(120s);
  EXPECT_EQ(loop_.live_tasks(), 1u);
}

TEST_F(UpstreamPoolTest, TriesEveryAddressInOrderEachForTheWholeTimeout) {
  const Endpoint unplugged = *Endpoint::parse("10.0.0.9:80");
  loop_.network().unplug(unplugged);
  resolver_.set("gpu", {"10.0.0.8", "10.0.0.9", "10.0.0.1"});
  const Acquired got = acquire();
  ASSERT_TRUE(got && got->ok());
  EXPECT_EQ(got->value().stream->peer(), at_);
}

TEST_F(UpstreamPoolTest, ReportsARefusalRatherThanWhatTheOtherAddressesSaid) {
  loop_.network().unplug(*Endpoint::parse("10.0.0.9:80"));
  resolver_.set("gpu", {"10.0.0.8", "10.0.0.9"});
  EXPECT_EQ(acquire()->error().kind, ErrorKind::kRefused);
  resolver_.set("gpu", {"10.0.0.9"});
  EXPECT_EQ(acquire()->error().kind, ErrorKind::kTimeout);
  resolver_.set("gpu", {"10.0.0.9", "10.0.0.8"});
  EXPECT_EQ(acquire()->error().kind, ErrorKind::kRefused);
}

TEST_F(UpstreamPoolTest, ReportsAnUnknownName) {
  resolver_.fail("gpu");
  EXPECT_EQ(acquire()->error().kind, ErrorKind::kResolve);
}

TEST_F(UpstreamPoolTest, ACancelEndsTheWholeAttempt) {
  loop_.network().unplug(*Endpoint::parse("10.0.0.9:80"));
  resolver_.set("gpu", {"10.0.0.9", "10.0.0.1"});
  Cancel cancel;
  Acquired out;
  loop_.spawn(acquire_into(pool_, {"gpu", 80}, Freshness::kAny, &cancel, out));
  loop_.run_for(100ms);
  cancel.trigger(CancelReason::kClientGone);
  loop_.run_for(1ms);
  ASSERT_TRUE(out);
  EXPECT_EQ(out->error().kind, ErrorKind::kCancelled);
}

}  // namespace
}  // namespace drover::net
