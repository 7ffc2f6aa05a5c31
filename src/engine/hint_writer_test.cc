// Hints that are written as their entries come are those that are encoded as a whole.
#include "engine/hint_writer.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "engine/segment_file.h"
#include "engine/segment_summary.h"
#include "engine/store_testing.h"
#include "format/segment_header.h"

namespace freyja::engine {
namespace {

using io::Operation;
using testing::kPath;
using testing::Must;

constexpr std::size_t kEntriesPerPiece = HintWriter::kPieceBytes / format::kHintEntryBytes;

class HintWriterTest : public ::testing::Test {
 protected:
  HintWriterTest() { EXPECT_OK(fs_.CreateDirectory(kPath)); }

  static std::vector<format::HintEntry> Entries(std::size_t count) {
    std::vector<format::HintEntry> entries;
    for (std::size_t i = 0; i < count; ++i) {
      entries.push_back({.hash = format::HashKey(std::to_string(i), 9),
                         .sequence = 1 + i,
                         .offset_units = static_cast<std::uint32_t>(8 + 4 * i),
                         .length_units = 4});
    }
    return entries;
  }
  static format::HintHeader HeaderFor(std::size_t count) {
    format::SealedSegment sealed;
    sealed.id = 7;
    sealed.nonce = 8;
    sealed.data_bytes = 64 + 32 * count;
    sealed.records_crc = 9;
    sealed.record_count = count;
    return HintHeaderOf({.high = 1, .low = 2}, sealed);
  }
  Status Write(std::size_t count) {
    return WriteHint(directory_, HeaderFor(count), Entries(count));
  }
  bool Exists() const { return fs_.Contents(directory_.HintPath(7)).has_value(); }

  io::MemoryFileSystem fs_;
  Health health_;
  Directory directory_{fs_, kPath, health_};
};

TEST_F(HintWriterTest, AnyNumberOfEntriesGivesTheHintThatIsEncodedAsAWhole) {
  for (const std::size_t count :
       {std::size_t{0}, std::size_t{1}, kEntriesPerPiece, kEntriesPerPiece + 1,
        2 * kEntriesPerPiece, 3 * kEntriesPerPiece - 1}) {
    SCOPED_TRACE(count);
    EXPECT_OK(Write(count));
    const auto expected = format::EncodeHint(HeaderFor(count), Entries(count));
    EXPECT_TRUE(Must(fs_.Contents(directory_.HintPath(7))) == expected);
    EXPECT_EQ(Must(ReadHintEntries(directory_, HeaderFor(count))), Entries(count));
  }
}

TEST_F(HintWriterTest, ReplacesWhatAnEarlierAttemptLeft) {
  EXPECT_OK(Write(2 * kEntriesPerPiece));
  EXPECT_OK(Write(3));
  EXPECT_TRUE(Must(fs_.Contents(directory_.HintPath(7))) ==
              format::EncodeHint(HeaderFor(3), Entries(3)));
}

TEST_F(HintWriterTest, OneThatIsGivenUpLeavesNothing) {
  {
    HintWriter writer(directory_, 7);
    for (const auto& entry : Entries(2 * kEntriesPerPiece)) writer.Add(entry);
    EXPECT_TRUE(Exists()) << "it keeps all in memory";
  }
  EXPECT_FALSE(Exists());
}

TEST_F(HintWriterTest, WhicheverCallFailsItSaysSoAndLeavesNothing) {
  constexpr std::size_t kCount = 3 * kEntriesPerPiece;
  std::vector<Operation> calls;
  fs_.SetOperationHook(
      [&](Operation operation, const std::filesystem::path&) { calls.push_back(operation); });
  EXPECT_OK(Write(kCount));
  fs_.SetOperationHook(nullptr);
  ASSERT_GE(calls.size(), 8u);
  for (std::size_t i = 0; i < calls.size(); ++i) {
    for (const bool after_effect : {false, true}) {
      SCOPED_TRACE(std::to_string(i) + (after_effect ? ", which happened" : ""));
      fs_.InjectFault({.skip = i, .after_effect = after_effect});
      EXPECT_EQ(Write(kCount).code(), StatusCode::kIoError);
      EXPECT_EQ(fs_.FirstFaultsFired().back().operation, calls[i]);
      EXPECT_FALSE(Exists());
      fs_.ClearFaults();
    }
  }
}

TEST_F(HintWriterTest, WhatDoesNotFitGivesItsRoomBackAtOnce) {
  HintWriter writer(directory_, 7);
  const auto entries = Entries(3 * kEntriesPerPiece);
  fs_.InjectFault({.operations = {Operation::kWrite},
                   .skip = 1,
                   .status = Status(StatusCode::kNoSpace, "full")});
  for (const auto& entry : entries) writer.Add(entry);
  EXPECT_FALSE(Exists());
  EXPECT_EQ(writer.Finish(HeaderFor(entries.size())).code(), StatusCode::kNoSpace);
  EXPECT_FALSE(Exists());
}

// A checksum made from what is read back must not bless what the disk made of it.
TEST_F(HintWriterTest, EntriesThatReadDifferentlyAreNotSealed) {
  HintWriter writer(directory_, 7);
  const auto entries = Entries(2 * kEntriesPerPiece);
  for (const auto& entry : entries) writer.Add(entry);
  EXPECT_OK(fs_.Corrupt(directory_.HintPath(7), format::kHintHeaderBytes + 5, std::byte{1}));
  EXPECT_EQ(writer.Finish(HeaderFor(entries.size())).code(), StatusCode::kIoError);
  EXPECT_FALSE(Exists());
}

}  // namespace
}  // namespace freyja::engine
