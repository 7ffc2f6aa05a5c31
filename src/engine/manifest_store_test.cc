#include "engine/manifest_store.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "engine/id_allocator.h"
#include "io/memory_file_system.h"
#include "io/test_support.h"

namespace freyja::engine {
namespace {

using io::Operation;
using io::testing::Must;
using Outcome = ManifestStore::Outcome;

class ManifestStoreTest : public ::testing::Test {
 protected:
  ManifestStoreTest() {
    EXPECT_OK(fs_.CreateDirectory("/db"));
    EXPECT_OK(fs_.SyncDirectory("/"));
    EXPECT_TRUE(ManifestStore::Replace(directory_, health_, store_.Current()).ok());
  }
  static format::Manifest First() {
    format::Manifest manifest;
    manifest.generation = 1;
    manifest.watermark = 10;
    manifest.reserved_id = 1'000'000;
    manifest.reserved_sequence = 1'000'000;
    return manifest;
  }
  static Status AddSegment(format::Manifest& manifest, std::uint64_t id) {
    manifest.sealed.push_back({.id = id,
                               .data_bytes = 96,
                               .record_count = 1,
                               .lowest_sequence = id,
                               .highest_sequence = id});
    return Status::Ok();
  }
  format::Manifest OnDisk() { return Must(ManifestStore::Read(directory_)); }

  io::MemoryFileSystem fs_;
  Health health_;
  Directory directory_{fs_, "/db", health_};
  ManifestStore store_{directory_, health_, First()};
};

TEST_F(ManifestStoreTest, ACommittedChangeIsOnDiskAndDurable) {
  EXPECT_TRUE(store_.Commit([](auto& manifest) { return AddSegment(manifest, 7); }).ok());
  EXPECT_EQ(OnDisk(), store_.Current());
  EXPECT_EQ(store_.generation(), 2u);
  auto after = fs_.CrashImage({.mode = io::CrashOptions::Mode::kLoseAllUnsynced});
  Directory directory(*after, "/db", health_);
  EXPECT_EQ(Must(ManifestStore::Read(directory)), store_.Current());
}

TEST_F(ManifestStoreTest, AnEditThatFailsChangesNothing) {
  const auto before = store_.Current();
  const auto result = store_.Commit([](format::Manifest& manifest) {
    manifest.sealed.push_back({});
    return Status(StatusCode::kAborted, "no");
  });
  EXPECT_EQ(result.outcome, Outcome::kRefused);
  EXPECT_EQ(store_.Current(), before);
  EXPECT_EQ(OnDisk(), before);
}

TEST_F(ManifestStoreTest, WhatACrashLeftOfAnEarlierAttemptIsReplaced) {
  EXPECT_OK(fs_.Overwrite("/db/MANIFEST.tmp", {}));
  EXPECT_TRUE(store_.Commit([](auto& manifest) { return AddSegment(manifest, 7); }).ok());
  EXPECT_EQ(OnDisk(), store_.Current());
}

TEST_F(ManifestStoreTest, IfThatCannotBeRemovedTheErrorSaysWhy) {
  EXPECT_OK(fs_.Overwrite("/db/MANIFEST.tmp", {}));
  fs_.InjectFault({.operations = {Operation::kUnlink}});
  const auto result = store_.Commit([](auto& manifest) { return AddSegment(manifest, 7); });
  EXPECT_EQ(result.outcome, Outcome::kRefused);
  EXPECT_EQ(result.status.code(), StatusCode::kIoError) << result.status.ToString();
  EXPECT_FALSE(health_.poisoned());
  EXPECT_TRUE(store_.Commit([](auto& manifest) { return AddSegment(manifest, 8); }).ok());
}

TEST_F(ManifestStoreTest, OneThatIsGoneAlthoughItsRemovalFailedIsNotInTheWay) {
  EXPECT_OK(fs_.Overwrite("/db/MANIFEST.tmp", {}));
  fs_.InjectFault({.operations = {Operation::kUnlink}, .after_effect = true});
  EXPECT_TRUE(store_.Commit([](auto& manifest) { return AddSegment(manifest, 7); }).ok());
  EXPECT_EQ(fs_.FaultsFired(), 1u);
}

TEST_F(ManifestStoreTest, AnErrorBeforeTheRenameLeavesTheOldOneInForce) {
  const auto before = store_.Current();
  for (const Operation operation : {Operation::kCreate, Operation::kWrite, Operation::kSync}) {
    fs_.InjectFault({.operations = {operation}});
    const auto result = store_.Commit([](auto& manifest) { return AddSegment(manifest, 7); });
    EXPECT_EQ(result.outcome, Outcome::kRefused);
    EXPECT_EQ(store_.Current(), before);
    EXPECT_EQ(OnDisk(), before);
    EXPECT_FALSE(health_.poisoned());
    EXPECT_FALSE(Must(fs_.Exists("/db/MANIFEST.tmp")));
  }
  EXPECT_TRUE(store_.Commit([](auto& manifest) { return AddSegment(manifest, 7); }).ok());
}

TEST_F(ManifestStoreTest, AFullDiskLeavesTheOldOneInForce) {
  fs_.SetCapacity(0);
  const auto result = store_.Commit([](auto& manifest) { return AddSegment(manifest, 7); });
  EXPECT_EQ(result.outcome, Outcome::kRefused);
  EXPECT_EQ(result.status.code(), StatusCode::kNoSpace);
  EXPECT_EQ(OnDisk(), store_.Current());
}

TEST_F(ManifestStoreTest, FromTheRenameOnAnErrorIsUnknownAndPoisons) {
  for (const Operation operation : {Operation::kRename, Operation::kSyncDirectory}) {
    Health health;
    Directory directory(fs_, "/db", health);
    ManifestStore store(directory, health, First());
    fs_.InjectFault({.operations = {operation}, .status = Status(StatusCode::kIoError, "gone")});
    EXPECT_EQ(store.Commit([](auto&) { return Status::Ok(); }).outcome, Outcome::kUnknown);
    EXPECT_TRUE(health.poisoned());
    // And nobody commits after that.
    const auto later = store.Commit([](auto&) { return Status::Ok(); });
    EXPECT_EQ(later.outcome, Outcome::kRefused);
    EXPECT_EQ(later.status.code(), StatusCode::kReadOnly);
    EXPECT_NE(later.status.message().find("gone"), std::string::npos);
  }
}

TEST_F(ManifestStoreTest, ChangesOfManyThreadsAllSurvive) {
  constexpr std::uint64_t kEach = 50;
  std::vector<std::thread> threads;
  for (std::uint64_t t = 0; t < 4; ++t) {
    threads.emplace_back([this, t] {
      for (std::uint64_t i = 0; i < kEach; ++i) {
        const auto result =
            store_.Commit([&](auto& manifest) { return AddSegment(manifest, 1 + t * kEach + i); });
        EXPECT_TRUE(result.ok());
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(OnDisk().sealed.size(), 4 * kEach);
  EXPECT_EQ(OnDisk().generation, 1 + 4 * kEach);
}

TEST_F(ManifestStoreTest, TheWatermarkIsOnlyEverRaised) {
  EXPECT_TRUE(store_
                  .Commit([](format::Manifest& manifest) {
                    manifest.watermark = 3;
                    return Status::Ok();
                  })
                  .ok());
  EXPECT_EQ(OnDisk().watermark, 10u);
}

TEST_F(ManifestStoreTest, AMissingOrDamagedManifestIsNamed) {
  EXPECT_OK(fs_.Corrupt("/db/MANIFEST", 20, std::byte{1}));
  const auto damaged = ManifestStore::Read(directory_);
  ASSERT_FALSE(damaged.has_value());
  EXPECT_EQ(damaged.error().code(), StatusCode::kCorruption);
  EXPECT_NE(damaged.error().message().find("MANIFEST"), std::string::npos);
  EXPECT_OK(fs_.Unlink("/db/MANIFEST"));
  EXPECT_EQ(ManifestStore::Read(directory_).error().code(), StatusCode::kNotFound);
}

TEST_F(ManifestStoreTest, IdsAreReservedDurablyBeforeTheyAreUsed) {
  IdAllocator ids(store_, 1'000'000);
  for (int i = 0; i < 200; ++i) {
    const std::uint64_t id = Must(ids.Next());
    EXPECT_LE(id, OnDisk().reserved_id);
    EXPECT_GT(id, 1'000'000u);
  }
  // Whoever comes after a crash starts above all of them.
  IdAllocator later(store_, OnDisk().reserved_id);
  EXPECT_GT(Must(later.Next()), 1'000'200u);
}

TEST_F(ManifestStoreTest, WithoutItsReservationNoIdIsGiven) {
  IdAllocator ids(store_, 1'000'000);
  fs_.InjectFault({.operations = {Operation::kSync}});
  EXPECT_FALSE(ids.Next().has_value());
  EXPECT_EQ(Must(ids.Next()), 1'000'001u);
}

}  // namespace
}  // namespace freyja::engine
