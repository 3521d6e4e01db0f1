#include "engine/metrics.h"

#include <gtest/gtest.h>

namespace drover::engine {
namespace {

using namespace std::chrono_literals;

RequestRecord served(std::string model) {
  return {{.route = "/api/chat",
           .status = 200,
           .retries = 1,
           .queued = 10ms,
           .first_byte = 300ms,
           .usage = {.prompt_tokens = 7, .output_tokens = 40}},
          std::move(model),
          "gpu0",
          2s};
}

TEST(Metrics, ARequestIsCountedEverywhereItBelongs) {
  Metrics metrics;
  metrics.record(served("m:latest"));
  metrics.record(served("m:latest"));
  ASSERT_EQ(metrics.requests().size(), 1U);
  EXPECT_EQ(metrics.requests().begin()->second, 2U);
  EXPECT_EQ(metrics.outcomes(Outcome::kServed), 2U);
  EXPECT_TRUE(metrics.refusals().empty());
  EXPECT_EQ(metrics.retries(), 2U);
  EXPECT_EQ(metrics.prompt_tokens(), 14U);
  EXPECT_EQ(metrics.output_tokens(), 80U);
  EXPECT_DOUBLE_EQ(metrics.routes().at("/api/chat").duration.sum_seconds(), 4.0);
}

TEST(Metrics, RequestsOfDifferentKindsInTurnAreToldApart) {
  Metrics metrics;
  for (int i = 0; i < 3; ++i) {
    metrics.record(served("m:latest"));
    RequestRecord other = served("n:latest");
    other.route = "/api/generate";
    metrics.record(other);
    metrics.record(other);
    other.status = 502;
    metrics.record(other);
    other.backend = "gpu1";
    metrics.record(other);
  }
  std::vector<std::uint64_t> counts;
  for (const auto& [key, count] : metrics.requests()) counts.push_back(count);
  EXPECT_EQ(counts, (std::vector<std::uint64_t>{3, 6, 3, 3}));
  EXPECT_DOUBLE_EQ(metrics.routes().at("/api/chat").duration.sum_seconds(), 6.0);
  EXPECT_DOUBLE_EQ(metrics.routes().at("/api/generate").duration.sum_seconds(), 24.0);
}

TEST(Metrics, ModelsThatReachedNoInstanceAddNoLabel) {
  Metrics metrics;
  for (int i = 0; i < 1000; ++i) {
    metrics.record({{.route = "/api/chat",
                     .status = 404,
                     .outcome = Outcome::kRefused,
                     .reason = "no_such_model"},
                    "invented" + std::to_string(i),
                    "",
                    {}});
  }
  ASSERT_EQ(metrics.requests().size(), 1U);
  EXPECT_EQ(metrics.requests().begin()->first.model, "other");
  EXPECT_EQ(metrics.refusals().at("no_such_model"), 1000U);
}

TEST(Metrics, ModelLabelsAreBounded) {
  Metrics metrics;
  for (std::size_t i = 0; i < Metrics::kMaxModels + 100; ++i) {
    metrics.record(served("m" + std::to_string(i)));
  }
  EXPECT_EQ(metrics.requests().size(), Metrics::kMaxModels + 1);
}

TEST(Metrics, WhatNeverHappenedIsNotInAHistogram) {
  Metrics metrics;
  metrics.record(
      {{.route = "/api/chat", .status = 400, .outcome = Outcome::kRefused, .reason = "malformed"},
       "",
       "",
       {}});
  const Metrics::PerRoute& route = metrics.routes().at("/api/chat");
  std::uint64_t first_bytes = 0;
  std::uint64_t queued = 0;
  for (std::size_t i = 0; i <= kSecondsBuckets.size(); ++i) {
    first_bytes += route.first_byte.bucket(i);
    queued += route.queued.bucket(i);
  }
  EXPECT_EQ(first_bytes, 0U);
  EXPECT_EQ(queued, 0U);
}

}  // namespace
}  // namespace drover::engine
