// What a copy of a record keeps and what it leaves behind.
#include "engine/sealed_writer.h"

#include <gtest/gtest.h>

#include "engine/segment_file.h"
#include "engine/store_testing.h"

namespace freyja::engine {
namespace {

using testing::Must;

TEST(SealedWriterTest, CopiesKeepNumberAndExpiryAndLeaveBatchFlagsAndWatermarkToTheLog) {
  io::MemoryFileSystem fs;
  Health health;
  Directory directory(fs, testing::kPath, health);
  EXPECT_OK(fs.CreateDirectory(testing::kPath));
  const format::SegmentIdentity identity{.store = {.high = 1, .low = 2}, .id = 1, .nonce = 3};
  const auto writer = Must(SealedWriter::Create(directory, {.identity = identity, .hash_seed = 7}));
  format::Record record{.sequence = 5, .expires_at_ms = 9, .key = "first", .value = "1"};
  record.begins_batch = true;
  record.watermark = 4;
  Must(writer->Append(record));
  record = {.sequence = 6, .key = "last", .value = "2"};
  record.ends_batch = true;
  Must(writer->Append(record));
  EXPECT_OK(writer->Seal());
  EXPECT_OK(writer->Verify());

  std::uint64_t sequence = 5;
  const auto file = Must(fs.Open(directory.DataPath(1), io::OpenMode::kRead));
  EXPECT_OK(ScanSealed(*file, identity, writer->sealed(), [&](const ScannedRecord& scanned) {
    EXPECT_EQ(scanned.record.sequence, sequence);
    EXPECT_EQ(scanned.record.expires_at_ms, sequence == 5 ? 9u : 0u);
    EXPECT_FALSE(scanned.record.begins_batch);
    EXPECT_FALSE(scanned.record.ends_batch);
    EXPECT_FALSE(scanned.record.watermark.has_value());
    ++sequence;
    return Status::Ok();
  }));
  EXPECT_EQ(sequence, 7u);
}

// It verifies where it is, so only the whole of the segment can tell.
TEST(SealedWriterTest, ARecordReplacedByAnotherOfTheSameSegmentIsNoticed) {
  io::MemoryFileSystem fs;
  Health health;
  Directory directory(fs, testing::kPath, health);
  EXPECT_OK(fs.CreateDirectory(testing::kPath));
  const format::SegmentIdentity identity{.store = {.high = 1, .low = 2}, .id = 1, .nonce = 3};
  const auto writer = Must(SealedWriter::Create(directory, {.identity = identity, .hash_seed = 7}));
  const auto first = Must(writer->Append({.sequence = 5, .key = "one", .value = "1"}));
  const auto second = Must(writer->Append({.sequence = 6, .key = "two", .value = "2"}));
  const std::uint64_t end = writer->bytes();
  EXPECT_OK(writer->Seal());
  EXPECT_OK(writer->Verify());
  const auto file = Must(fs.Open(directory.DataPath(1), io::OpenMode::kReadWrite));
  std::vector<std::byte> record(end - second);
  EXPECT_EQ(Must(file->ReadAt(first, record)), record.size());
  EXPECT_OK(file->WriteAt(second, record));
  EXPECT_EQ(writer->Verify().code(), StatusCode::kCorruption);
}

}  // namespace
}  // namespace freyja::engine
