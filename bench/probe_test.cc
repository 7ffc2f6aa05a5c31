#include "probe.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/magic.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "child_process.h"
#include "fake_peer.h"
#include "process_usage.h"
#include "scratch_directory.h"

namespace freyja::bench {
namespace {

PeerKind FakeKind(Fault fault = Fault::kNone) {
  return {.id = "fake", .title = "fake", .settings = "", .durability = "", .make = [fault] {
            return std::make_unique<FakePeer>(fault);
          }};
}

class ProbeTest : public testing::Test {
 protected:
  void SetUp() override {
    auto scratch = ScratchDirectory::Make(std::filesystem::temp_directory_path());
    ASSERT_TRUE(scratch.has_value());
    scratch_.emplace(*std::move(scratch));
    parameters_ = {.directory = scratch_->path(), .keys = 2'000, .value_bytes = 100, .seed = 3};
  }

  std::optional<ScratchDirectory> scratch_;
  ProbeParameters parameters_;
  const std::atomic<bool> stop_ = false;
};

TEST_F(ProbeTest, AFootprintCountsEveryOperationAndByte) {
  parameters_.keys = 50'000;
  const auto footprint = MeasureFootprint(FreyjaKind(), parameters_);
  ASSERT_TRUE(footprint.has_value()) << footprint.error().ToString();
  EXPECT_EQ(footprint->operations, 150'000U);
  EXPECT_EQ(footprint->put_bytes, 100'000U * 116);
  EXPECT_GE(footprint->disk_bytes, 50'000U * 116);
  EXPECT_GT(footprint->cpu_seconds, 0);
  // The file's pages are not anonymous. (How much memory is the index can't be told in a process
  // that has freed some before: it is the smoke test that looks at that.)
  EXPECT_GT(footprint->resident_bytes, footprint->anonymous_bytes);
}

TEST_F(ProbeTest, TheMemoryOfAStoreInMemoryIsSeen) {
  parameters_.keys = 200'000;
  const auto footprint = MeasureFootprint(FakeKind(), parameters_);
  ASSERT_TRUE(footprint.has_value());
  // Key, value, and what a hash map puts around them; some of it may have been freed memory.
  EXPECT_GT(footprint->MemoryPerKey(200'000), 58);
  EXPECT_LT(footprint->MemoryPerKey(200'000), 500);
}

TEST_F(ProbeTest, TheCacheIsNotMemoryOfKeys) {
  const Footprint footprint = {
      .anonymous_bytes = 5'000, .page_table_bytes = 1'000, .cache_bytes = 4'000};
  EXPECT_DOUBLE_EQ(footprint.MemoryPerKey(100), 20);
}

TEST_F(ProbeTest, AWrongAnswerFailsAFootprint) {
  EXPECT_EQ(MeasureFootprint(FakeKind(Fault::kStaleValue), parameters_).error().code(),
            StatusCode::kCorruption);
}

TEST_F(ProbeTest, OpeningFindsWhatWasFilledAndClosed) {
  ASSERT_TRUE(FillAndClose(FreyjaKind(), parameters_).ok());
  const auto figures = MeasureOpen(FreyjaKind(), parameters_, false);
  ASSERT_TRUE(figures.has_value()) << figures.error().ToString();
  EXPECT_EQ(figures->checked, 2'000U);
  EXPECT_EQ(figures->missing, 0U);
  EXPECT_GT(figures->seconds, 0);
}

TEST_F(ProbeTest, LostKeysFailAnOpeningUnlessTheyMayBeMissing) {
  EXPECT_EQ(MeasureOpen(FakeKind(), parameters_, false).error().code(), StatusCode::kCorruption);
  const auto figures = MeasureOpen(FakeKind(), parameters_, true);
  ASSERT_TRUE(figures.has_value());
  EXPECT_EQ(figures->missing, 2'000U);
}

TEST_F(ProbeTest, AWrongValueFailsAnOpeningEvenThen) {
  EXPECT_EQ(MeasureOpen(FakeKind(Fault::kPhantomKey), parameters_, true).error().code(),
            StatusCode::kCorruption);
}

TEST_F(ProbeTest, FiguresSurviveTheWayThroughJson) {
  const Footprint footprint = {.anonymous_bytes = 1,
                               .page_table_bytes = 2,
                               .resident_bytes = 3,
                               .cache_bytes = 4,
                               .put_bytes = 5,
                               .written_bytes = 6,
                               .disk_bytes = 7,
                               .operations = 8,
                               .cpu_seconds = 9};
  const nlohmann::json json = footprint;
  EXPECT_EQ(json.size(), 9U);
  EXPECT_EQ(nlohmann::json(json.get<Footprint>()), json);
  const nlohmann::json open =
      OpenFigures{.seconds = 1, .cpu_seconds = 2, .checked = 3, .missing = 4};
  EXPECT_EQ(open.size(), 4U);
  EXPECT_EQ(nlohmann::json(open.get<OpenFigures>()), open);
}

TEST(ProcessUsageTest, AnonymousMemoryAndItsPageTablesAreSeen) {
  constexpr std::size_t kBytes = std::size_t{64} << 20;
  const MemoryUsage before = ReadMemoryUsage();
  const std::vector<char> touched(kBytes, 1);
  const MemoryUsage after = ReadMemoryUsage();
  EXPECT_GE(after.anonymous, before.anonymous + kBytes);
  EXPECT_GE(after.resident, before.resident + kBytes);
  EXPECT_GT(after.page_tables, 0U);
  EXPECT_EQ(touched.back(), 1);
}

TEST_F(ProbeTest, BytesWrittenToADiskAreSeen) {
  struct statfs info = {};
  ASSERT_EQ(::statfs(scratch_->path().c_str(), &info), 0);
  const std::uint64_t before = ReadWrittenBytes();
  const std::string bytes(std::size_t{4} << 20, 'x');
  const int fd = ::open((scratch_->path() / "file").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  ASSERT_GE(fd, 0);
  ASSERT_EQ(::write(fd, bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  ASSERT_EQ(::fsync(fd), 0);
  ::close(fd);
  // A file system in memory writes nothing.
  const std::uint64_t expected = info.f_type == TMPFS_MAGIC ? 0 : bytes.size();
  EXPECT_GE(ReadWrittenBytes() - before, expected);
}

TEST_F(ProbeTest, AChildsLinesAndItsStatusComeBack) {
  auto child = ChildProcess::Start("/bin/sh", {"-c", "echo one; echo two; exit 3"});
  ASSERT_TRUE(child.has_value());
  EXPECT_EQ(child->ReadLine(stop_), "one\n");
  EXPECT_EQ(child->ReadLine(stop_), "two\n");
  EXPECT_EQ(child->ReadLine(stop_), "");
  EXPECT_EQ(child->Wait(), 3);
}

TEST_F(ProbeTest, AStopRequestInterruptsTheWaitForAChildAndTheChildIsKilled) {
  const std::atomic<bool> stop = true;
  auto child = ChildProcess::Start("/bin/sh", {"-c", "sleep 1000"});
  ASSERT_TRUE(child.has_value());
  const auto line = child->ReadLine(stop);
  ASSERT_FALSE(line.has_value());
  EXPECT_EQ(line.error().code(), StatusCode::kCancelled);
}

TEST_F(ProbeTest, AProgramThatIsNotThereIsAnError) {
  EXPECT_FALSE(ChildProcess::Start("/nosuch", {}).has_value());
}

}  // namespace
}  // namespace freyja::bench
