// Runs of records: all of them, in order, each readable while its run is visited.
#include "engine/segment_file.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "engine/sealed_writer.h"
#include "engine/store_testing.h"

namespace freyja::engine {
namespace {

using testing::Must;

std::string KeyOf(std::uint64_t sequence) { return "key " + std::to_string(sequence); }

class ScanSealedInRunsTest : public ::testing::Test {
 protected:
  ScanSealedInRunsTest() { EXPECT_OK(fs_.CreateDirectory(testing::kPath)); }

  // Values of these lengths, under the sequence numbers 1, 2, ...
  void Write(const std::vector<std::size_t>& lengths) {
    const auto writer = Must(SealedWriter::Create(directory_, {.identity = kIdentity}));
    std::uint64_t sequence = 0;
    for (const std::size_t length : lengths) {
      ++sequence;
      const std::string key = KeyOf(sequence);
      offsets_.push_back(Must(
          writer->Append({.sequence = sequence, .key = key, .value = ValueOf(sequence, length)})));
    }
    EXPECT_OK(writer->Seal());
    sealed_ = writer->sealed();
    file_ = Must(fs_.Open(directory_.DataPath(1), io::OpenMode::kReadWrite));
  }
  const std::string& ValueOf(std::uint64_t sequence, std::size_t length) {
    value_.assign(length, static_cast<char>('a' + sequence % 26));
    return value_;
  }
  // Looks at the records only when their whole run is there. The lengths of the runs.
  Result<std::vector<std::size_t>> Scan(const std::vector<std::size_t>& lengths) {
    std::vector<std::size_t> runs;
    std::uint64_t sequence = 0;
    const auto visit = [&](std::span<const ScannedRecord> run) {
      runs.push_back(run.size());
      for (const ScannedRecord& scanned : run) {
        ++sequence;
        EXPECT_EQ(scanned.record.sequence, sequence);
        EXPECT_EQ(scanned.offset, offsets_[sequence - 1]);
        EXPECT_EQ(scanned.record.key, KeyOf(sequence));
        EXPECT_EQ(scanned.record.value, ValueOf(sequence, lengths[sequence - 1]));
      }
      return Status::Ok();
    };
    const Status status = ScanSealedInRuns(*file_, kIdentity, sealed_, visit);
    visited_ = sequence;
    if (!status.ok()) return std::unexpected(status);
    return runs;
  }

  static constexpr format::SegmentIdentity kIdentity{
      .store = {.high = 1, .low = 2}, .id = 1, .nonce = 3};

  io::MemoryFileSystem fs_;
  Health health_;
  Directory directory_{fs_, testing::kPath, health_};
  format::SealedSegment sealed_;
  std::unique_ptr<io::File> file_;
  std::vector<std::uint64_t> offsets_;
  std::uint64_t visited_ = 0;
  std::string value_;
};

TEST_F(ScanSealedInRunsTest, ShortRecordsComeInFullRuns) {
  const std::vector<std::size_t> lengths(3 * kScanRun + 1, 100);
  Write(lengths);
  EXPECT_EQ(Must(Scan(lengths)), (std::vector<std::size_t>{kScanRun, kScanRun, kScanRun, 1}));
}

TEST_F(ScanSealedInRunsTest, ARunEndsWhereTheBufferDoes) {
  // Two of them and a half fit, and one is longer than the buffer.
  constexpr std::size_t kLong = RecordScanner::kBufferBytes * 2 / 5;
  const std::vector<std::size_t> lengths{
      kLong, kLong, kLong, kLong, RecordScanner::kBufferBytes + 1, 10, 10, kLong, kLong, kLong};
  Write(lengths);
  const std::vector<std::size_t> runs = Must(Scan(lengths));
  EXPECT_EQ(visited_, lengths.size());
  EXPECT_EQ(runs, (std::vector<std::size_t>{2, 2, 1, 4, 1}));
}

TEST_F(ScanSealedInRunsTest, AnErrorOfTheVisitorEndsTheScan) {
  Write(std::vector<std::size_t>(3 * kScanRun, 100));
  const Status error(StatusCode::kCancelled, "enough");
  int runs = 0;
  EXPECT_EQ(ScanSealedInRuns(
                *file_, kIdentity, sealed_,
                [&](std::span<const ScannedRecord>) { return ++runs == 2 ? error : Status::Ok(); }),
            error);
  EXPECT_EQ(runs, 2);
  std::size_t records = 0;
  EXPECT_EQ(ScanSealed(*file_, kIdentity, sealed_,
                       [&](const ScannedRecord&) {
                         return ++records == kScanRun + 3 ? error : Status::Ok();
                       }),
            error);
  EXPECT_EQ(records, kScanRun + 3);
}

TEST_F(ScanSealedInRunsTest, WhatIsBeforeADamagedRecordIsVisited) {
  const std::vector<std::size_t> lengths(kScanRun + 8, 50);
  Write(lengths);
  const std::byte flipped{0xFF};
  EXPECT_OK(file_->WriteAt(offsets_[kScanRun + 5] + 30, std::span(&flipped, 1)));
  const auto runs = Scan(lengths);
  ASSERT_FALSE(runs.has_value());
  EXPECT_EQ(runs.error().code(), StatusCode::kCorruption);
  EXPECT_NE(runs.error().message().find(std::to_string(offsets_[kScanRun + 5])), std::string::npos)
      << runs.error().message();
  EXPECT_EQ(visited_, kScanRun + 5);
}

}  // namespace
}  // namespace freyja::engine
