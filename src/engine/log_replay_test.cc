// Where the log ends: torn tails, holes, batches and the watermark.
#include "engine/log_replay.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "engine/health.h"
#include "engine/record_scanner.h"
#include "engine/segment_file.h"
#include "format/record.h"
#include "format/segment_header.h"
#include "io/memory_file_system.h"
#include "io/test_support.h"

namespace freyja::engine {
namespace {

using io::testing::Must;

constexpr std::uint64_t kFileBytes = 16 << 10;
constexpr std::uint64_t kRecordBytes = 32;  // of a record as this test writes it
constexpr std::uint64_t kHeader = format::kSegmentHeaderBytes;

struct Flags {
  bool begin = false;
  bool end = false;
  std::optional<std::uint64_t> watermark = {};
};

// A log written record by record, as a crash may have left it.
class LogReplayTest : public ::testing::Test {
 protected:
  LogReplayTest() {
    EXPECT_OK(fs_.CreateDirectory("/db"));
    manifest_.generation = 5;
    manifest_.store = {.high = 1, .low = 2};
  }

  // Appends a preallocated segment to the log.
  void Segment() {
    const std::uint64_t id = manifest_.log.size() + 1;
    manifest_.log.push_back({.id = id, .nonce = id * 1000});
    file_ = Must(CreateDataFile(directory_, directory_.DataPath(id), Identity(), 1));
    EXPECT_OK(file_->Allocate(kFileBytes));
    offset_ = kHeader;
  }
  void Record(std::uint64_t sequence, const Flags& flags = {}) {
    format::Record record;
    record.sequence = sequence;
    record.key = "key";
    record.value = flags.watermark ? "" : "value";
    record.begins_batch = flags.begin;
    record.ends_batch = flags.end;
    record.watermark = flags.watermark;
    std::vector<std::byte> bytes(kRecordBytes);
    EXPECT_EQ(
        format::EncodeRecord(record, format::RecordSeed(Identity().ChecksumSeed(), offset_), bytes),
        kRecordBytes);
    EXPECT_OK(file_->WriteAt(offset_, bytes));
    offset_ += kRecordBytes;
  }
  void Records(std::uint64_t first, std::uint64_t last) {
    for (std::uint64_t sequence = first; sequence <= last; ++sequence) Record(sequence);
  }
  void Bytes(std::uint64_t count, int value) {
    const std::vector<std::byte> bytes(count, static_cast<std::byte>(value));
    EXPECT_OK(file_->WriteAt(offset_, bytes));
    offset_ += count;
  }

  Result<LogReplay> Replay() {
    auto replay = ReplayLog(directory_, manifest_, /*threads=*/1);
    EXPECT_EQ(ReplayLog(directory_, manifest_, /*threads=*/3), replay);
    return replay;
  }
  LogReplay MustReplay() { return Must(Replay()); }
  void ExpectCorruptionAt(const std::string& where) {
    const auto replay = Replay();
    ASSERT_FALSE(replay.has_value());
    EXPECT_EQ(replay.error().code(), StatusCode::kCorruption);
    EXPECT_TRUE(replay.error().message().starts_with(where + ":")) << replay.error().message();
  }

  format::SegmentIdentity Identity() const {
    return {manifest_.store, manifest_.log.back().id, manifest_.log.back().nonce};
  }

  io::MemoryFileSystem fs_;
  Health health_;
  Directory directory_{fs_, "/db", health_};
  format::Manifest manifest_;
  std::unique_ptr<io::File> file_;
  std::uint64_t offset_ = 0;
};

std::string At(int segment, std::uint64_t records) {
  return std::to_string(segment) + ".data: offset " +
         std::to_string(kHeader + records * kRecordBytes);
}

TEST(ThreadsToReadTest, LongSegmentsAreReadByFewer) {
  EXPECT_EQ(ThreadsToRead(0, 8), 8u);
  EXPECT_EQ(ThreadsToRead(64 << 20, 8), 8u);
  EXPECT_EQ(ThreadsToRead(128 << 20, 8), 4u);
  EXPECT_EQ(ThreadsToRead(std::uint64_t{1} << 32, 8), 1u);
  EXPECT_EQ(ThreadsToRead(1, 1), 1u);
}

TEST_F(LogReplayTest, AnEmptyLogEndsBeforeItsFirstNumber) {
  manifest_.log_first_sequence = 8;
  EXPECT_EQ(MustReplay().last_sequence, 7u);
  Segment();
  EXPECT_EQ(MustReplay().last_sequence, 7u);
  EXPECT_EQ(MustReplay().segments.at(0).last_sequence, 0u);
}

TEST_F(LogReplayTest, NumbersGoOnFromOneSegmentToTheNext) {
  Segment();
  Records(1, 3);
  Segment();
  Records(4, 5);
  const LogReplay replay = MustReplay();
  EXPECT_EQ(replay.last_sequence, 5u);
  EXPECT_EQ(replay.discarded_bytes, 0u) << "preallocated zeros are no data";
  EXPECT_EQ(replay.segments.at(1).first_sequence, 4u);
  EXPECT_EQ(replay.segments.at(1).end, kHeader + 2 * kRecordBytes);
}

TEST_F(LogReplayTest, ATornTailAboveTheWatermarkIsDiscarded) {
  Segment();
  Records(1, 3);
  Bytes(40, 0xAB);
  manifest_.watermark = 3;
  const LogReplay replay = MustReplay();
  EXPECT_EQ(replay.last_sequence, 3u);
  EXPECT_EQ(replay.discarded_bytes, 40u);
}

TEST_F(LogReplayTest, AHoleBelowTheWatermarkIsRefusedNamingFileAndOffset) {
  Segment();
  Records(1, 5);
  EXPECT_OK(fs_.Corrupt("/db/1.data", kHeader + 2 * kRecordBytes + 9, std::byte{1}));
  manifest_.watermark = 3;
  ExpectCorruptionAt(At(1, 2));
  manifest_.watermark = 2;
  EXPECT_EQ(MustReplay().last_sequence, 2u);
}

TEST_F(LogReplayTest, EveryFlippedBitThroughTheWatermarkIsRefused) {
  Segment();
  Records(1, 2);
  manifest_.watermark = 2;
  for (std::uint64_t offset = kHeader; offset < kHeader + 2 * kRecordBytes; ++offset) {
    EXPECT_OK(fs_.Corrupt("/db/1.data", offset, std::byte{0x10}));
    ExpectCorruptionAt(At(1, (offset - kHeader) / kRecordBytes));
    EXPECT_OK(fs_.Corrupt("/db/1.data", offset, std::byte{0x10}));
  }
  EXPECT_EQ(MustReplay().last_sequence, 2u);
}

TEST_F(LogReplayTest, AWatermarkCarriedBehindTheHoleProvesThatTheHoleIsDamage) {
  Segment();
  Records(1, 3);
  Record(4, {.watermark = 2});
  EXPECT_OK(fs_.Corrupt("/db/1.data", kHeader + kRecordBytes + 9, std::byte{1}));
  ExpectCorruptionAt(At(1, 1));
}

TEST_F(LogReplayTest, AWatermarkBehindTheHoleButBelowItProvesNothing) {
  Segment();
  Records(1, 3);
  Record(4, {.watermark = 2});
  EXPECT_OK(fs_.Corrupt("/db/1.data", kHeader + 2 * kRecordBytes + 9, std::byte{1}));
  const LogReplay replay = MustReplay();
  EXPECT_EQ(replay.last_sequence, 2u);
  EXPECT_EQ(replay.watermark, 2u);
  EXPECT_EQ(replay.discarded_bytes, 2 * kRecordBytes);
}

TEST_F(LogReplayTest, AWatermarkInALaterSegmentProvesDurabilityOfAnEarlierOne) {
  Segment();
  Records(1, 3);
  Segment();
  Record(4, {.watermark = 3});
  EXPECT_OK(fs_.Corrupt("/db/1.data", kHeader + 2 * kRecordBytes + 9, std::byte{1}));
  ExpectCorruptionAt(At(1, 2));
}

TEST_F(LogReplayTest, ALostTailStopsTheReplayBeforeTheNextSegment) {
  Segment();
  Records(1, 2);  // 3 is lost: zeros, as if nothing had been written
  Segment();
  Records(4, 5);
  const LogReplay replay = MustReplay();
  EXPECT_EQ(replay.last_sequence, 2u);
  EXPECT_EQ(replay.segments.at(1).last_sequence, 0u);
  EXPECT_EQ(replay.discarded_bytes, 2 * kRecordBytes);
}

TEST_F(LogReplayTest, ALostTailThatHadBeenDurableIsRefused) {
  Segment();
  Records(1, 2);
  Segment();
  Records(4, 5);
  manifest_.watermark = 3;
  ExpectCorruptionAt(At(1, 2));
}

TEST_F(LogReplayTest, ASegmentWithoutRecordsBetweenOthersIsNoHole) {
  Segment();
  Records(1, 2);
  Segment();
  Segment();
  Records(3, 4);
  EXPECT_EQ(MustReplay().last_sequence, 4u);
}

TEST_F(LogReplayTest, NothingIsTakenBehindASegmentThatDoesNotGoOn) {
  Segment();
  Records(1, 2);
  Segment();
  Records(5, 6);
  Segment();
  Records(3, 4);
  const LogReplay replay = MustReplay();
  EXPECT_EQ(replay.last_sequence, 2u);
  EXPECT_EQ(replay.discarded_bytes, 4 * kRecordBytes);
}

TEST_F(LogReplayTest, NothingIsTakenBehindASegmentThatBeginsWithGarbage) {
  Segment();
  Records(1, 2);
  Segment();
  Bytes(32, 0xCD);
  Records(3, 4);
  Segment();
  Records(3, 4);
  const LogReplay replay = MustReplay();
  EXPECT_EQ(replay.last_sequence, 2u);
  EXPECT_EQ(replay.segments.at(1).end, kHeader);
  EXPECT_EQ(replay.discarded_bytes, 5 * kRecordBytes);
}

TEST_F(LogReplayTest, AWatermarkInASegmentThatDoesNotGoOnProvesThatRecordsAreMissing) {
  Segment();
  Records(1, 2);
  Segment();
  Record(4, {.watermark = 3});
  ExpectCorruptionAt(At(1, 2));
}

TEST_F(LogReplayTest, RecordsBehindAGapInTheNumbersAreNotTaken) {
  Segment();
  Records(1, 2);
  Records(4, 6);
  EXPECT_EQ(MustReplay().last_sequence, 2u);
}

TEST_F(LogReplayTest, RecordsBehindGarbageAreNotTakenThoughTheirNumberIsTheNext) {
  Segment();
  Records(1, 2);
  Bytes(32, 0xCD);
  Records(3, 4);
  const LogReplay replay = MustReplay();
  EXPECT_EQ(replay.last_sequence, 2u);
  EXPECT_EQ(replay.discarded_bytes, 3 * kRecordBytes);
}

TEST_F(LogReplayTest, RecordsBehindZerosAreNotTakenThoughTheirNumberIsTheNext) {
  Segment();
  Records(1, 2);
  offset_ += 4096;
  Records(3, 4);
  const LogReplay replay = MustReplay();
  EXPECT_EQ(replay.last_sequence, 2u);
  EXPECT_GT(replay.discarded_bytes, 4096u);
}

// Of a file so long that holes in it are asked for instead of read.
TEST_F(LogReplayTest, ARecordRightBehindALongHoleIsNotPassedOver) {
  Segment();
  EXPECT_OK(file_->Truncate(3 * RecordScanner::kBufferBytes));
  Records(1, 2);
  const std::uint64_t end = offset_;
  offset_ = 2 * RecordScanner::kBufferBytes + 4096;
  Record(3);
  const LogReplay replay = MustReplay();
  EXPECT_EQ(replay.last_sequence, 2u);
  EXPECT_EQ(replay.discarded_bytes, offset_ - end);
}

TEST_F(LogReplayTest, AnOldRecordThatVerifiesAgainDoesNotComeBack) {
  Segment();
  Records(1, 3);
  Record(2);  // stale bytes behind the end
  EXPECT_EQ(MustReplay().last_sequence, 3u);
}

TEST_F(LogReplayTest, AnIncompleteBatchIsCutAtItsFirstRecord) {
  Segment();
  Records(1, 2);
  Record(3, {.begin = true});
  Record(4);
  const LogReplay replay = MustReplay();
  EXPECT_EQ(replay.last_sequence, 2u);
  EXPECT_EQ(replay.segments.at(0).end, kHeader + 2 * kRecordBytes);
  EXPECT_EQ(replay.discarded_bytes, 2 * kRecordBytes);
}

TEST_F(LogReplayTest, ACompleteBatchCounts) {
  Segment();
  Record(1, {.begin = true});
  Record(2);
  Record(3, {.end = true});
  EXPECT_EQ(MustReplay().last_sequence, 3u);
}

TEST_F(LogReplayTest, AnIncompleteBatchAtTheStartOfASegmentLeavesItEmpty) {
  Segment();
  Records(1, 2);
  Segment();
  Record(3, {.begin = true});
  Record(4);
  const LogReplay replay = MustReplay();
  EXPECT_EQ(replay.last_sequence, 2u);
  EXPECT_EQ(replay.segments.at(1).last_sequence, 0u);
  EXPECT_EQ(replay.segments.at(1).end, kHeader);
}

TEST_F(LogReplayTest, ABatchDoesNotGoOnInTheNextSegment) {
  Segment();
  Record(1);
  Record(2, {.begin = true});
  Segment();
  Record(3, {.end = true});
  EXPECT_EQ(MustReplay().last_sequence, 1u);
}

TEST_F(LogReplayTest, AnIncompleteBatchThroughTheWatermarkIsDamage) {
  Segment();
  Record(1);
  Record(2, {.begin = true});
  Record(3);
  manifest_.watermark = 3;
  ExpectCorruptionAt(At(1, 1));
}

TEST_F(LogReplayTest, ACleanLogThatEndsTooEarlyIsDamage) {
  Segment();
  Records(1, 2);
  manifest_.clean = true;
  manifest_.clean_last_sequence = 3;
  ExpectCorruptionAt(At(1, 2));
}

TEST_F(LogReplayTest, ACleanLogThatGoesOnMeansAnOlderManifest) {
  Segment();
  Records(1, 4);
  manifest_.clean = true;
  manifest_.clean_last_sequence = 3;
  ExpectCorruptionAt("MANIFEST");
}

TEST_F(LogReplayTest, ACleanLogThatGoesOnBehindAHoleMeansAnOlderManifest) {
  Segment();
  Records(1, 3);
  manifest_.clean = true;
  manifest_.clean_last_sequence = 3;
  EXPECT_EQ(MustReplay().last_sequence, 3u);
  offset_ += kRecordBytes;  // the first record of a torn tail is gone
  Record(5);
  ExpectCorruptionAt("MANIFEST");
}

TEST_F(LogReplayTest, ACleanLogThatGoesOnWithAnOpenBatchMeansAnOlderManifest) {
  Segment();
  Records(1, 3);
  Record(4, {.begin = true});
  manifest_.clean = true;
  manifest_.clean_last_sequence = 3;
  ExpectCorruptionAt("MANIFEST");
}

TEST_F(LogReplayTest, AMissingSegmentOfTheLogIsDamage) {
  Segment();
  Segment();
  EXPECT_OK(fs_.Unlink("/db/2.data"));
  ExpectCorruptionAt("2.data");
}

TEST_F(LogReplayTest, RecordsOfAnotherSegmentDoNotVerifyHere) {
  Segment();
  Records(1, 2);
  const auto bytes = Must(fs_.Contents("/db/1.data"));
  Segment();
  EXPECT_OK(file_->WriteAt(kHeader, std::span(bytes).subspan(kHeader, 2 * kRecordBytes)));
  EXPECT_EQ(MustReplay().last_sequence, 2u);
  manifest_.log.erase(manifest_.log.begin());
  EXPECT_EQ(MustReplay().last_sequence, 0u);
}

}  // namespace
}  // namespace freyja::engine
