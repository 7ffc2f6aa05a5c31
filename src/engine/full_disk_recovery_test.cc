// Opening a store on a disk that is full: what is free is the reserve's, and must still be
// there for deletes and compactions afterwards.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <thread>

#include "engine/store_testing.h"

namespace freyja::engine {
namespace {

using io::CrashOptions;
using io::Operation;
using testing::CodeOf;
using testing::Contents;
using testing::kPath;
using testing::Machine;
using testing::Model;
using testing::Must;
using testing::Open;
using testing::Put;
using testing::ValueOf;

class FullDiskRecoveryTest : public ::testing::Test {
 protected:
  FullDiskRecoveryTest() {
    machine_.fs->SetCapacity(64 << 20);
    Reopen();
  }
  void Reopen() {
    store_.reset();
    store_ = Open(machine_, options_);
  }
  void Write(const std::string& prefix, int count) {
    for (int i = 0; i < count; ++i) {
      const std::string key = prefix + std::to_string(i);
      Put(*store_, key, model_[key] = ValueOf(key, 1));
    }
  }
  void Close() {
    EXPECT_OK(store_->Close());
    store_.reset();
  }
  // A new store that has segments of this size from the beginning.
  void StartAnew(std::uint64_t segment_bytes) {
    store_.reset();
    machine_ = Machine();
    machine_.fs->SetCapacity(64 << 20);
    options_.segment_bytes = segment_bytes;
    Reopen();
  }
  void Kill() {
    const Machine after = machine_.AfterCrash(CrashOptions::Mode::kProcessKill);
    store_.reset();
    machine_ = after;
  }
  std::uint64_t Free() { return Must(machine_.fs->FreeSpace("/")); }
  // Somebody else takes the rest.
  void LeaveFree(std::uint64_t bytes) {
    EXPECT_OK(
        Must(machine_.fs->Open("/others", io::OpenMode::kCreateNew))->Allocate(Free() - bytes));
    EXPECT_EQ(Free(), bytes);
  }
  // As after deletes that needed the reserve. It takes 256 KiB, of which compactions are to get
  // two thirds.
  void LoseTheReserve() {
    EXPECT_OK(machine_.fs->Unlink(kPath / "RESERVE"));
    LeaveFree(200 << 10);
  }
  // Nothing is left, not even the reserve.
  void FillTheDisk() {
    const Reserve::Loan used_up(store_->reserve());
    LeaveFree(0);
  }
  void ExpectACleanClose() {
    Close();
    EXPECT_OK(machine_.fs->Unlink("/others"));
    Reopen();
    EXPECT_EQ(store_->GetStats().recovered_tail_records_copied, 0u) << "it was not closed cleanly";
    EXPECT_EQ(Contents(*store_), model_);
  }
  std::set<std::string> Hints() {
    std::set<std::string> hints;
    for (const std::string& name : Must(machine_.fs->List(kPath))) {
      if (name.ends_with(".hint")) hints.insert(name);
    }
    return hints;
  }

  Machine machine_;
  Options options_ = testing::SmallOptions();
  std::unique_ptr<Store> store_;
  Model model_;
};

TEST_F(FullDiskRecoveryTest, MissingHintsAreNotWrittenIntoTheSpaceOfTheReserve) {
  for (int segment = 0; segment < 4; ++segment) {
    Write(std::to_string(segment) + "k", 100);
    EXPECT_OK(store_->SealActive());
  }
  testing::WaitUntilIdle(*store_);
  Close();
  const auto hints = Hints();
  EXPECT_GE(hints.size(), 4u);
  for (const std::string& hint : hints) EXPECT_OK(machine_.fs->Unlink(kPath / hint));
  LoseTheReserve();
  Reopen();
  EXPECT_EQ(Hints(), std::set<std::string>());
  EXPECT_EQ(Contents(*store_), model_);
  Close();
  EXPECT_OK(machine_.fs->Unlink("/others"));
  Reopen();
  EXPECT_EQ(Hints(), hints) << "with room for the reserve there is room for hints";
}

TEST_F(FullDiskRecoveryTest, ACloseMakesTheRoomThatItNeeds) {
  Write("k", 50);
  testing::WaitUntilIdle(*store_);
  FillTheDisk();
  ExpectACleanClose();
}

TEST_F(FullDiskRecoveryTest, ACloseThatHasToSealMakesTheRoomThatItNeeds) {
  testing::WaitUntilIdle(*store_);
  store_->maintenance().Stop();
  const auto has_full = [&] {
    for (const SegmentInfo& segment : store_->GetSegments()) {
      if (segment.state == SegmentState::kFull) return true;
    }
    return false;
  };
  for (int i = 0; !has_full(); ++i) Write(std::to_string(i) + "k", 1);
  EXPECT_OK(store_->log().PrepareAhead());
  FillTheDisk();
  ExpectACleanClose();
}

TEST_F(FullDiskRecoveryTest, SealingMakesTheRoomThatItNeeds) {
  Write("k", 50);
  testing::WaitUntilIdle(*store_);
  store_->maintenance().Stop();
  FillTheDisk();
  EXPECT_OK(store_->SealActive());
  EXPECT_GT(Free(), 0u);
  EXPECT_EQ(testing::SealedFiles(*store_).size(), 1u);
  EXPECT_EQ(Contents(*store_), model_);
}

TEST_F(FullDiskRecoveryTest, AnOpenAfterACrashMakesTheRoomThatItNeeds) {
  StartAnew(256 << 10);
  Write("k", 50);
  testing::WaitUntilIdle(*store_);
  store_->maintenance().Stop();
  FillTheDisk();
  Kill();
  Reopen();
  EXPECT_FALSE(store_->GetStats().read_only);
  EXPECT_EQ(store_->GetStats().recovered_tail_records_copied, 50u);
  EXPECT_EQ(Contents(*store_), model_);
}

// The reserve is there, and is not enough for the copies.
TEST_F(FullDiskRecoveryTest, AnOpenThatNeedsMoreThanTheReserveMakesRoom) {
  options_.reserve_bytes = 128 << 10;
  StartAnew(2 << 20);
  testing::WaitUntilIdle(*store_);
  store_->maintenance().Stop();
  Write("k", 5000);
  LeaveFree(0);
  Kill();
  Reopen();
  EXPECT_FALSE(store_->GetStats().read_only);
  EXPECT_EQ(store_->GetStats().recovered_tail_records_copied, 5000u);
  EXPECT_EQ(Contents(*store_), model_);
}

// Nor with what the log does not need.
TEST_F(FullDiskRecoveryTest, AnOpenRemovesWhatAnEarlierOneLeftBeforeItGivesUp) {
  options_.reserve_bytes = 128 << 10;
  options_.worker_threads = 3;
  StartAnew(256 << 10);
  testing::WaitUntilIdle(*store_);
  store_->maintenance().Stop();
  Write("k", 7000);
  Kill();
  EXPECT_OK(
      Must(machine_.fs->Open(kPath / "60.hint", io::OpenMode::kCreateNew))->Allocate(2 << 20));
  LeaveFree(0);
  Reopen();
  EXPECT_FALSE(store_->GetStats().read_only);
  EXPECT_EQ(store_->GetStats().recovered_tail_records_copied, 7000u);
  EXPECT_EQ(Contents(*store_), model_);
}

class DamagedSegmentTest : public FullDiskRecoveryTest {
 protected:
  // A sealed segment without a hint that does not verify, and a log that has to be copied.
  DamagedSegmentTest() {
    options_.reserve_bytes = 128 << 10;
    StartAnew(256 << 10);
    Write("s", 10);
    EXPECT_OK(store_->SealActive());
    testing::WaitUntilIdle(*store_);
    store_->maintenance().Stop();
    damaged_ = testing::SealedFiles(*store_).at(0);
    Write("k", 50);
    Kill();
    for (const std::string& hint : Hints()) EXPECT_OK(machine_.fs->Unlink(kPath / hint));
    EXPECT_OK(machine_.fs->Corrupt(kPath / damaged_, 100, std::byte{1}));
  }
  void ExpectCorruption() {
    const auto opened = testing::TryOpen(machine_, options_);
    ASSERT_FALSE(opened.has_value());
    EXPECT_EQ(opened.error().code(), StatusCode::kCorruption);
    EXPECT_NE(opened.error().message().find(damaged_), std::string::npos);
  }

  std::string damaged_;
};

// What is listed has to prove whole before what is not listed goes.
TEST_F(DamagedSegmentTest, WhatAnEarlierOpenLeftStays) {
  EXPECT_OK(
      Must(machine_.fs->Open(kPath / "60.hint", io::OpenMode::kCreateNew))->Allocate(2 << 20));
  LeaveFree(0);
  ExpectCorruption();
  EXPECT_TRUE(testing::FileExists(machine_, "60.hint"));
}

// One thread finds the damage just after another one has found the disk full, which alone would
// leave the store open for reading.
TEST_F(DamagedSegmentTest, IsNotForgottenForWantOfRoom) {
  options_.worker_threads = 2;
  constexpr int kOfRecords = 2;  // the first read is of the header
  std::atomic<int> reads{0};
  std::atomic<bool> overlapped{false};
  machine_.fs->SetOperationHook([&](Operation operation, const std::filesystem::path& path) {
    if (operation == Operation::kCreate && path.extension() == ".data") {
      for (int wait = 0; wait < 1000 && reads < kOfRecords; ++wait) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
      if (reads >= kOfRecords) overlapped = true;
    }
    if (operation == Operation::kRead && path.filename() == damaged_ && ++reads == kOfRecords) {
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
  });
  machine_.fs->InjectFault({.operations = {Operation::kCreate},
                            .path_contains = ".data",
                            .status = Status(StatusCode::kNoSpace, "injected"),
                            .sticky = true});
  ExpectCorruption();
  EXPECT_TRUE(overlapped);
  machine_.fs->SetOperationHook({});
}

// A read that goes wrong may be all that makes them look like no records.
TEST_F(FullDiskRecoveryTest, BytesBehindTheLastRecordAreNotGivenUpForRoom) {
  for (const std::uint64_t where : {0u, 9u, 20'000u, 256u << 10}) {
    StartAnew(256 << 10);
    model_.clear();
    Write("k", 50);
    testing::WaitUntilIdle(*store_);
    store_->maintenance().Stop();
    std::filesystem::path path;
    std::uint64_t at = 0;
    for (const SegmentInfo& segment : store_->GetSegments()) {
      if (segment.state != SegmentState::kActive) continue;
      path = kPath / segment.file;
      at = std::min<std::uint64_t>(segment.file_bytes + where, (256 << 10) - 1);
    }
    FillTheDisk();
    Kill();
    EXPECT_OK(machine_.fs->Corrupt(path, at, std::byte{1}));
    const auto before = Must(machine_.fs->Contents(path));
    machine_.fs->InjectFault({.operations = {Operation::kRename},
                              .path_contains = "MANIFEST",
                              .status = Status(StatusCode::kNoSpace, "injected"),
                              .sticky = true});
    Reopen();
    EXPECT_TRUE(store_->GetStats().read_only);
    EXPECT_EQ(Contents(*store_), model_);
    EXPECT_EQ(Must(machine_.fs->Contents(path)), before) << where;
  }
}

TEST_F(FullDiskRecoveryTest, TheSealedLogGetsNoHintFromTheSpaceOfTheReserve) {
  Write("k", 50);
  EXPECT_OK(store_->log().SettleTail());  // so that it is sealed where it lies
  Kill();
  LoseTheReserve();
  Reopen();
  EXPECT_FALSE(store_->GetStats().read_only);
  EXPECT_EQ(store_->GetStats().recovered_tail_records_copied, 0u);
  EXPECT_EQ(Hints(), std::set<std::string>());
  EXPECT_EQ(Contents(*store_), model_);
}

TEST_F(FullDiskRecoveryTest, ALogThatCanNotBeAllocatedAgainKeepsNothingOfTheDisk) {
  options_.segment_bytes = 256 << 10;
  Reopen();
  Write("k", 50);
  testing::WaitUntilIdle(*store_);
  Close();
  LoseTheReserve();
  Reopen();
  EXPECT_TRUE(store_->index_from_image());
  EXPECT_EQ(testing::SealedFiles(*store_).size(), 1u) << "the log is sealed instead";
  EXPECT_FALSE(store_->GetStats().read_only);
  EXPECT_GE(Free(), 190u << 10);
  EXPECT_TRUE(testing::Delete(*store_, "k1"));
  model_.erase("k1");
  EXPECT_EQ(Contents(*store_), model_);
}

TEST_F(FullDiskRecoveryTest, TheDefaultReserveHoldsTheCopyOfASegmentOfSmallRecords) {
  options_.reserve_bytes = 0;
  StartAnew(2 << 20);
  Put(*store_, "first", model_["first"] = "v");
  testing::WaitUntilIdle(*store_);
  store_->maintenance().Stop();  // which would sync on a full disk
  LeaveFree(0);
  // Nothing of it is synced; a hint would take as much again as the records.
  for (int i = 0; i < 60'000; ++i) {
    const std::string key = std::to_string(i);
    ASSERT_EQ(CodeOf(store_->Put(key, "v", {})), StatusCode::kOk) << i;
    model_[key] = "v";
  }
  ASSERT_EQ(store_->log().durable(), 0u);
  Kill();
  Reopen();
  EXPECT_FALSE(store_->GetStats().read_only) << store_->health().error().ToString();
  EXPECT_EQ(store_->GetStats().recovered_tail_records_copied, model_.size());
  EXPECT_EQ(Contents(*store_), model_);
}

TEST_F(FullDiskRecoveryTest, EachFileIsListedOnceIfTheManifestHasNoRoom) {
  Write("k", 50);
  EXPECT_OK(store_->log().SettleTail());
  Kill();
  machine_.fs->InjectFault({.operations = {Operation::kCreate},
                            .path_contains = "MANIFEST",
                            .status = Status(StatusCode::kNoSpace, "injected"),
                            .sticky = true});
  Reopen();
  EXPECT_TRUE(store_->GetStats().read_only);
  std::set<std::string> files;
  for (const SegmentInfo& segment : store_->GetSegments()) {
    EXPECT_TRUE(files.insert(segment.file).second) << segment.file;
  }
  EXPECT_EQ(files.size(), 1u);
  EXPECT_EQ(Contents(*store_), model_);
  testing::ExpectConsistent(*store_);
}

}  // namespace
}  // namespace freyja::engine
