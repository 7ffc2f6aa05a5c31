// Which record a key and its hash lead to, and how far a read may reach.
#include "engine/record_reader.h"

#include <gtest/gtest.h>

#include <array>

#include "engine/at_step.h"
#include "engine/sealed_writer.h"
#include "engine/store_testing.h"

namespace freyja::engine {
namespace {

using testing::CodeOf;
using testing::Must;

// One sealed segment whose records the test puts into the index by itself.
class RecordReaderTest : public ::testing::Test {
 protected:
  RecordReaderTest() {
    EXPECT_OK(fs_.CreateDirectory(testing::kPath));
    writer_ = Must(SealedWriter::Create(
        directory_,
        {.identity = {.store = {.high = 1, .low = 2}, .id = 1, .nonce = 3}, .hash_seed = 7}));
  }
  std::uint64_t Append(std::string_view key, std::string_view value) {
    return Must(writer_->Append({.sequence = ++sequence_, .key = key, .value = value}));
  }
  void Seal() {
    EXPECT_OK(writer_->Seal());
    segment_ = Must(segments_.Register(Must(writer_->Map())));
  }
  void Insert(std::uint64_t hash, std::uint64_t offset) {
    const std::size_t bytes = format::PeekRecordBytes(segment_->BytesAt(offset));
    const auto inserted = index_->Upsert(
        hash, [](Location) { return false; }, Location(segment_->slot(), offset, bytes),
        [](Location) {});
    EXPECT_TRUE(inserted.has_value());
  }
  std::optional<std::string> Find(std::string_view key, std::uint64_t hash) {
    const EpochGuard guard(epochs_);
    const auto found = Must(reader_.Find(key, hash));
    if (!found) return std::nullopt;
    return std::string(found->record.value);
  }

  io::MemoryFileSystem fs_;
  Health health_;
  Directory directory_{fs_, testing::kPath, health_};
  std::unique_ptr<SealedWriter> writer_;
  std::uint64_t sequence_ = 0;
  EpochManager epochs_;
  SegmentTable segments_;
  Segment* segment_ = nullptr;
  std::unique_ptr<Index> index_ = Must(Index::Create(epochs_));
  RecordReader reader_{*index_, segments_};
};

#if defined(FREYJA_SCHEDULE_POINTS)

// Bad bytes, and a moment later the right ones: whose record it is shows in the second look.
TEST_F(RecordReaderTest, AKeyThatReadsWellOnlyTheSecondTimeIsFound) {
  const std::uint64_t at = Append("ada", "1");
  Seal();
  Insert(42, at);
  const std::filesystem::path file = testing::kPath / segment_->name();
  const auto flip = [&] {
    EXPECT_OK(fs_.Corrupt(file, at + format::kRecordHeaderBytes, std::byte{1}));
  };
  flip();
  const testing::AtStep second_look("read.record", flip);
  EXPECT_EQ(Find("ada", 42), "1");
}

#endif

TEST_F(RecordReaderTest, KeysThatShareAHashAreToldApart) {
  constexpr std::uint64_t kHash = 42;
  const std::uint64_t ada = Append("ada", "1");
  const std::uint64_t bob = Append("bob", "2");
  Seal();
  Insert(kHash, ada);
  Insert(kHash, bob);
  EXPECT_EQ(Find("ada", kHash), "1");
  EXPECT_EQ(Find("bob", kHash), "2");
  EXPECT_EQ(Find("eve", kHash), std::nullopt);

  const EpochGuard guard(epochs_);
  std::array<Location, 1> likely;
  reader_.Prefetch(std::array{kHash}, 4096, likely);
  ASSERT_FALSE(likely[0].is_none());
  FoundRecord found;
  for (const char* key : {"ada", "bob"}) {
    EXPECT_TRUE(Must(reader_.Find(key, kHash, likely[0], found)));
    EXPECT_EQ(found.record.key, key);
  }
  EXPECT_FALSE(Must(reader_.Find("eve", kHash, likely[0], found)));
}

TEST_F(RecordReaderTest, ReadsEndWhereTheirSegmentEnds) {
  Append("first", "1");
  const std::uint64_t last = Append("last", "2");
  Seal();
  const std::uint64_t end = segment_->sealed().data_bytes;
  EXPECT_EQ(segment_->BytesAt(last).size(), end - last);
  EXPECT_EQ(segment_->BytesAt(end - 8).size(), 8u);
  EXPECT_TRUE(segment_->BytesAt(end).empty());
  EXPECT_TRUE(segment_->BytesAt(end + 8).empty());
}

TEST_F(RecordReaderTest, ARecordWhoseLengthWasDamagedIsReported) {
  const std::uint64_t last = Append("last", "2");
  Seal();
  Insert(1, last);
  constexpr std::uint64_t kValueLength = 4;  // where it is in a record
  EXPECT_OK(fs_.Corrupt(directory_.DataPath(1), last + kValueLength + 2, std::byte{0xFF}));
  const EpochGuard guard(epochs_);
  EXPECT_EQ(CodeOf(reader_.Find("last", 1)), StatusCode::kCorruption);
}

}  // namespace
}  // namespace freyja::engine
