#include "torture/swaps/swaps.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <iostream>
#include <memory>
#include <thread>

#include "api/store_parts.h"
#include "base/environment.h"
#include "io/memory_file_system.h"
#include "support/test_settings.h"
#include "support/versioned_value.h"

namespace freyja::torture {
namespace {

TEST(SwapsTest, NoReadIsMissedOrStaleThroughOverAThousandSwaps) {
  Report report;
  Settings settings;
  settings.seed = support::TestSeed(17);
  RunSwaps(settings, report);
  report.Print(std::cout);
  EXPECT_EQ(report.Problems(), "");
  const std::uint64_t undone = report.figure("swaps_undone");
  const std::uint64_t scheduled = report.figure("swaps_scheduled");
  EXPECT_EQ(report.figure("swaps") - undone - scheduled, 1240u);
  EXPECT_GE(scheduled, 140u);
  EXPECT_GE(undone, 10u);  // 20 to 40; which are tried is a matter of time
  EXPECT_GT(report.figure("reads_during_swap"), 0u);
  EXPECT_GT(report.figure("iterations"), 0u);
}

// The checker must find what is wrong with a real store.
class SabotageTest : public ::testing::Test {
 protected:
  static constexpr std::uint32_t kKeys = 384;

  SabotageTest() { Open(/*scheduled=*/false); }

  void Open(bool scheduled) {
    Options options;
    options.create_if_missing = true;
    options.scheduler.enabled = scheduled;
    options.scheduler.interval = std::chrono::milliseconds(1);
    options.segment_bytes = 32 << 10;
    auto store = api::OpenStore("/store", options,
                                {.file_system = std::make_shared<io::MemoryFileSystem>(),
                                 .clock = std::make_shared<base::SystemClock>(),
                                 .random = std::make_shared<base::SystemRandom>()});
    store_ = *std::move(store);
  }

  // Runs the load while somebody else does `act` to keys again and again.
  template <typename Act>
  void RunAgainst(Act act) {
    std::atomic<bool> stop{false};
    std::thread saboteur([&] {
      for (std::uint32_t i = 0; !stop.load(); ++i) act(i % kKeys);
    });
    SwapLoad load(*store_, kKeys, 3, report_);
    load.Run(1'000'000, false, Deadline(Settings{}));
    stop.store(true);
    saboteur.join();
  }

  std::unique_ptr<KVStore> store_;
  Report report_;
};

TEST_F(SabotageTest, OldVersionsThatComeBackAreFound) {
  RunAgainst([&](std::uint32_t key) {
    const auto now = store_->Get(testing::KeyOf(key));
    if (!now || !*now || testing::ReadVersion(key, **now).value_or(0) < 2) return;
    EXPECT_TRUE(store_->Put(testing::KeyOf(key), testing::MakeVersionedValue(key, 1)).ok());
  });
  EXPECT_NE(report_.Problems().find("stale: "), std::string::npos) << report_.Problems();
}

TEST_F(SabotageTest, KeysThatVanishWhileTheSchedulerCompactsAreFound) {
  Open(/*scheduled=*/true);
  RunAgainst(
      [&](std::uint32_t key) { EXPECT_TRUE(store_->Delete(testing::KeyOf(key)).has_value()); });
  EXPECT_NE(report_.Problems().find("missed: "), std::string::npos) << report_.Problems();
  EXPECT_EQ(report_.figure("swaps"), report_.figure("swaps_scheduled"));
}

TEST_F(SabotageTest, KeysThatVanishAreFound) {
  RunAgainst(
      [&](std::uint32_t key) { EXPECT_TRUE(store_->Delete(testing::KeyOf(key)).has_value()); });
  EXPECT_NE(report_.Problems().find("missed: "), std::string::npos) << report_.Problems();
}

TEST_F(SabotageTest, ValuesThatNobodyWroteAreFound) {
  RunAgainst([&](std::uint32_t key) {
    EXPECT_TRUE(store_->Put(testing::KeyOf(key), testing::MakeVersionedValue(key + 1, 1)).ok());
  });
  EXPECT_NE(report_.Problems().find("fabricated: "), std::string::npos) << report_.Problems();
}

}  // namespace
}  // namespace freyja::torture
