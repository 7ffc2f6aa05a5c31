#include "engine/latency.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace freyja::engine {
namespace {

using std::chrono::nanoseconds;
using Kind = LatencySampler::Kind;

TEST(LatencyCountsTest, BucketsMeetWithoutGapsOrOverlaps) {
  for (std::size_t bucket = 0; bucket + 1 < LatencyCounts::kBuckets; ++bucket) {
    const std::uint64_t upper = LatencyCounts::UpperNs(bucket);
    EXPECT_EQ(LatencyCounts::BucketOf(upper), bucket);
    EXPECT_EQ(LatencyCounts::BucketOf(upper + 1), bucket + 1);
  }
  EXPECT_EQ(LatencyCounts::BucketOf(0), 0u);
  EXPECT_EQ(LatencyCounts::BucketOf(UINT64_MAX), LatencyCounts::kBuckets - 1);
}

TEST(LatencyCountsTest, AQuantileIsTheBoundOfItsBucket) {
  LatencyCounts counts;
  counts.buckets[LatencyCounts::BucketOf(100)] = 99;
  counts.buckets[LatencyCounts::BucketOf(1'000'000)] = 1;
  counts.samples = 100;
  EXPECT_EQ(counts.Quantile(0.5), nanoseconds(127));
  EXPECT_EQ(counts.Quantile(0.99), nanoseconds(127));
  EXPECT_GE(counts.Quantile(0.995), nanoseconds(1'000'000));
  EXPECT_EQ(LatencyCounts().Quantile(0.99), nanoseconds(0));
}

TEST(LatencySamplerTest, MeasuresOneInSixtyFourOfEachThread) {
  LatencySampler sampler;
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      for (std::uint32_t i = 0; i < 10 * LatencySampler::kOneIn; ++i) {
        EXPECT_EQ(sampler.Measure(Kind::kRead, [] { return 7; }), 7);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(sampler.Counts(Kind::kRead, false).samples, 30u);
  EXPECT_EQ(sampler.Counts(Kind::kWrite, false).samples, 0u);
}

TEST(LatencySamplerTest, CountsApartWhileCompacting) {
  LatencySampler sampler;
  const auto slow = [] {
    std::this_thread::sleep_for(std::chrono::microseconds(100));
    return true;
  };
  sampler.set_compacting(true);
  for (std::uint32_t i = 0; i < LatencySampler::kOneIn; ++i) sampler.Measure(Kind::kWrite, slow);
  EXPECT_EQ(sampler.Counts(Kind::kWrite, false).samples, 0u);
  const LatencyCounts counts = sampler.Counts(Kind::kWrite, true);
  EXPECT_EQ(counts.samples, 1u);
  EXPECT_GE(counts.sum_ns, 100'000u);
  EXPECT_EQ(counts.Since(counts).samples, 0u);
}

}  // namespace
}  // namespace freyja::engine
