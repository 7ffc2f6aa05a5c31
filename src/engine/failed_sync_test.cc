// Failures of a sync that are hard to pass on: no memory to say so, or somebody else's write
// between its append and its publication.
#include <gtest/gtest.h>

#include <functional>
#include <new>
#include <string>
#include <string_view>
#include <thread>

#include "engine/at_step.h"
#include "engine/store_testing.h"

namespace freyja::engine {
namespace {

using io::CrashOptions;
using io::Operation;
#if defined(FREYJA_SCHEDULE_POINTS)
using testing::AtStep;
#endif
using testing::CodeOf;
using testing::Get;
using testing::Machine;
using testing::Open;
using testing::Put;

TEST(HealthTest, PoisonsWithACauseWhoseMessageCanNotBeMade) {
  Health health;
  const Status cause =
      health.PoisonWith(StatusCode::kCorruption, []() -> std::string { throw std::bad_alloc(); });
  EXPECT_TRUE(health.poisoned());
  EXPECT_EQ(cause.code(), StatusCode::kCorruption);
  EXPECT_EQ(health.error(), cause);
}

// A store with one record, and nothing that happens in the background.
class LostSyncTest : public ::testing::Test {
 protected:
  LostSyncTest() {
    Put(*store_, "before", "x");
    testing::WaitUntilIdle(*store_);
    EXPECT_OK(store_->Sync());
    store_->maintenance().Stop();
  }
  // What was not durable never will be, and the report of it finds no memory.
  void FailWithoutMemory(Operation operation) {
    machine_.fs->InjectFault({.operations = {operation},
                              .path_contains = operation == Operation::kSync ? ".data" : "",
                              .sync_drops_dirty = operation == Operation::kSync,
                              .no_memory = true});
  }
  void ExpectNothingGoesOn() {
    EXPECT_TRUE(store_->health().poisoned());
    EXPECT_EQ(store_->Put("later", "x", {.sync = Sync::kAlways}).code(), StatusCode::kReadOnly);
    EXPECT_EQ(store_->Sync().code(), StatusCode::kReadOnly);
    EXPECT_FALSE(store_->Close().ok());
  }

  Machine machine_;
  std::unique_ptr<Store> store_ = Open(machine_);
};

TEST_F(LostSyncTest, OfTheLogPoisonsThoughThereIsNoMemoryToSayWhy) {
  Put(*store_, "key", "x");
  FailWithoutMemory(Operation::kSync);
  EXPECT_EQ(store_->Sync().code(), StatusCode::kIoError);
  ExpectNothingGoesOn();
}

TEST_F(LostSyncTest, OfAWriteIsAnErrorOfThatWrite) {
  FailWithoutMemory(Operation::kSync);
  EXPECT_EQ(store_->Put("key", "x", {.sync = Sync::kAlways}).code(), StatusCode::kIoError);
  EXPECT_EQ(Get(*store_, "key"), std::nullopt);
  ExpectNothingGoesOn();
}

TEST_F(LostSyncTest, OfTheDirectoryPoisonsThoughThereIsNoMemoryToSayWhy) {
  FailWithoutMemory(Operation::kSyncDirectory);
  EXPECT_EQ(store_->directory().Sync().code(), StatusCode::kIoError);
  ExpectNothingGoesOn();
}

#if defined(FREYJA_SCHEDULE_POINTS)

TEST_F(LostSyncTest, BetweenAppendAndPublicationIsAnErrorOfAWriteThatAskedForNone) {
  std::thread behind;
  {
    const AtStep failed_sync("publisher.publish", [&] {
      std::thread([&] {
        machine_.fs->InjectFault({.operations = {Operation::kSync}, .sync_drops_dirty = true});
        EXPECT_EQ(store_->Sync().code(), StatusCode::kIoError);
      }).join();
      // Waits for its turn, and must get it.
      behind = std::thread(
          [&] { EXPECT_EQ(store_->Put("behind", "x", {}).code(), StatusCode::kReadOnly); });
    });
    EXPECT_EQ(store_->Put("key", "x", {.sync = Sync::kNone}).code(), StatusCode::kReadOnly);
  }
  behind.join();
  EXPECT_EQ(Get(*store_, "key"), std::nullopt) << "what is lost must not be read";
  EXPECT_EQ(store_->SealActive().code(), StatusCode::kReadOnly);
  ExpectNothingGoesOn();
}

// kOutOfMemory promises that nothing is stored.
TEST_F(LostSyncTest, AWriteThatCanNotBePublishedSaysThatItMayBeStored) {
  {
    const AtStep no_memory("publisher.publish", [] { throw std::bad_alloc(); });
    const Status put = store_->Put("key", "x", {});
    EXPECT_EQ(put.code(), StatusCode::kIoError);
    EXPECT_TRUE(put.message().contains("memory")) << put.message();
  }
  EXPECT_TRUE(store_->health().poisoned());
  const auto reopened = Open(machine_.AfterCrash(CrashOptions::Mode::kProcessKill));
  EXPECT_EQ(Get(*reopened, "key"), "x");
}

// An answer that nothing was appended for leaves no hole when memory runs out.
TEST_F(LostSyncTest, ARefusalWithoutMemoryForItsSyncDoesNotPoison) {
  {
    const AtStep no_memory("log.sync", [] { throw std::bad_alloc(); });
    EXPECT_EQ(CodeOf(store_->Delete("nothing", {.sync = Sync::kAlways})), StatusCode::kOutOfMemory);
  }
  Put(*store_, "key", "x");
}

#endif  // FREYJA_SCHEDULE_POINTS

}  // namespace
}  // namespace freyja::engine
