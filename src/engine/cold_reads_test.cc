#include "engine/cold_reads.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <string>
#include <thread>

#include "engine/store_testing.h"
#include "io/posix_file_system.h"

namespace freyja::engine {
namespace {

using std::chrono::microseconds;
using testing::Must;

TEST(ColdReadsTest, OneThatWaitedLetsMoreBeExpectedForAWhile) {
  ColdReads cold;
  EXPECT_FALSE(cold.expected());
  EXPECT_FALSE(cold.Learn(ColdReads::kDisk - microseconds(1)));
  EXPECT_FALSE(cold.expected());
  EXPECT_TRUE(cold.Learn(ColdReads::kDisk));
  for (std::uint32_t i = 0; i < ColdReads::kPatience; ++i) {
    EXPECT_TRUE(cold.expected()) << i;
    EXPECT_FALSE(cold.Learn(microseconds(1)));
  }
  EXPECT_FALSE(cold.expected());
}

TEST(ColdReadsTest, EachThatWaitsBeginsTheWhileAnew) {
  ColdReads cold;
  cold.Learn(ColdReads::kDisk);
  for (std::uint32_t i = 0; i < 10 * ColdReads::kPatience; ++i) {
    cold.Learn(i % (ColdReads::kPatience / 2) == 0 ? ColdReads::kDisk : microseconds(0));
    EXPECT_TRUE(cold.expected()) << i;
  }
}

TEST(ColdReadsTest, TimesTheTouchItself) {
  ColdReads cold;
  EXPECT_TRUE(cold.Time([] { std::this_thread::sleep_for(ColdReads::kDisk); }));
}

TEST(ColdReadsTest, OfManyOnlySomeAreTimedUntilOneWaits) {
  ColdReads cold;
  std::uint32_t touched = 0;
  std::uint32_t slow = 0;
  while (!cold.expected()) {
    ASSERT_LE(slow, ColdReads::kEvery);
    cold.TimeSome([&] {
      ++touched;
      ++slow;
      std::this_thread::sleep_for(ColdReads::kDisk);
    });
  }
  EXPECT_EQ(touched, slow) << "all are touched, timed or not";
}

// On a real disk, with nothing of the values in memory.
class ColdStoreTest : public ::testing::Test {
 protected:
  static constexpr int kValues = 40;
  static constexpr std::size_t kValueBytes = 100'000;

  static std::string Key(int i) { return "key" + std::to_string(i); }
  static std::string Value(int i) { return std::string(kValueBytes, static_cast<char>('a' + i)); }
  void OpenStore() { store_ = Must(Store::Open(path_, options_, environment_)); }
  // Skips the test where the kernel keeps the pages: on tmpfs, for one.
  void FillAndCool() {
    OpenStore();
    for (int i = 0; i < kValues; ++i) testing::Put(*store_, Key(i), Value(i));
    EXPECT_OK(store_->SealActive());
    const auto sealed = testing::SealedFiles(*store_);
    EXPECT_OK(store_->Close());
    store_.reset();
    for (const std::string& name : sealed) {
      const auto file = Must(environment_.file_system->Open(path_ / name, io::OpenMode::kRead));
      file->DropCache();
    }
    OpenStore();
    std::uint64_t resident = 0;
    for (const auto& pinned : store_->PinSegments()) {
      if (pinned->state() == SegmentState::kSealed) resident += pinned->mapping().ResidentBytes();
    }
    if (resident > kValues * kValueBytes / 10) GTEST_SKIP() << resident << " bytes stay in memory";
  }
  static long FaultsFromDisk() {
    rusage usage{};
    ::getrusage(RUSAGE_THREAD, &usage);
    return usage.ru_majflt;
  }

  io::testing::TemporaryDirectory temporary_;
  const std::filesystem::path path_ = temporary_.path() / "store";
  Environment environment_{.file_system = io::NewPosixFileSystem(),
                           .clock = std::make_shared<testing::ManualClock>(),
                           .random = std::make_shared<testing::SeededRandom>(1)};
  Options options_ = [] {
    Options options = testing::SmallOptions();
    options.segment_bytes = 16 << 20;
    return options;
  }();
  std::unique_ptr<Store> store_;
};

// Each of them takes 25 pages, and each page could be a read of its own.
TEST_F(ColdStoreTest, LongRecordsAreReadInFewPieces) {
  ASSERT_NO_FATAL_FAILURE(FillAndCool());
  if (IsSkipped()) return;
  const long before = FaultsFromDisk();
  for (int i = 0; i < kValues; ++i) EXPECT_EQ(testing::Get(*store_, Key(i)), Value(i));
  EXPECT_LE(FaultsFromDisk() - before, 3 * kValues);
}

}  // namespace
}  // namespace freyja::engine
