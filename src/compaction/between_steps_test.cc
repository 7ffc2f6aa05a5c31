// A whole compaction, and writes, between any two steps of a read: on one thread, so that
// each case is exact.
#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <string_view>

#include "base/schedule_point.h"
#include "compaction/compaction_testing.h"

#if defined(FREYJA_SCHEDULE_POINTS)

namespace freyja::compaction {
namespace {

using testing::Fixture;
using testing::Model;
using testing::Must;
using testing::ValueOf;

// Acts once, at the given step of those that its thread makes without holding a lock.
class Intruder final : public base::ScheduleObserver {
 public:
  Intruder(int step, std::function<void()> act) : steps_left_(step), act_(std::move(act)) {
    base::schedule_observer = this;
  }
  Intruder(const Intruder&) = delete;
  Intruder& operator=(const Intruder&) = delete;
  ~Intruder() { base::schedule_observer = nullptr; }

  bool acted() const { return acted_; }
  bool guarded() const { return guards_ > 0; }

  // What was freed may still look right. So it is checked by itself that the index is looked at
  // under a guard only, and (CompactAndReap) that nothing is freed under one.
  void AtPoint(const char* name, const void* /*operand*/) override {
    const std::string_view point(name);
    if (point == "epoch.announced") ++guards_;
    if (point == "epoch.leave") --guards_;
    if (point == "index.look_up" || point == "index.probe") {
      EXPECT_GT(guards_, 0) << point;
    }
    Step();
  }
  void AtYield(const char* /*name*/) override {}
  void BeforeLock(const void* /*mutex*/) override {
    Step();
    ++held_;
  }
  bool BeforeTryLock(const void* /*mutex*/) override {
    ++held_;
    return true;
  }
  void AfterUnlock(const void* /*mutex*/) override { --held_; }
  void Wait(const void* /*condition*/) override {}
  void Notify(const void* /*condition*/, bool /*all*/) override {}

 private:
  void Step() {
    if (held_ != 0 || acted_ || steps_left_-- != 0) return;
    acted_ = true;
    base::schedule_observer = nullptr;
    act_();
    base::schedule_observer = this;
  }

  int steps_left_;
  int held_ = 0;
  int guards_ = 0;
  bool acted_ = false;
  const std::function<void()> act_;
};

// "k6" to "k9" are in a segment that is worth compacting; nothing happens in the background.
class BetweenStepsTest : public ::testing::Test {
 protected:
  void Prepare() {
    f_ = std::make_unique<Fixture>();
    f_->MakeGarbage("k", 6);
    f_->store->maintenance().Stop();
  }
  void CompactAndReap(bool guarded) {
    f_->MustCompact({.min_space_saving = 0.5});
    const std::size_t waiting = f_->store->reaper().Collect();
    if (guarded) {
      EXPECT_GT(waiting, 0u);
    }
    f_->store->epochs().Collect();
  }
  std::unique_ptr<Fixture> f_;
};

TEST_F(BetweenStepsTest, OfAGetTheValueIsReadWholeAndRight) {
  int step = 0;
  for (bool acted = true; acted; ++step) {
    SCOPED_TRACE(step);
    Prepare();
    std::string value;
    {
      const Intruder intruder(step, [&] { CompactAndReap(intruder.guarded()); });
      EXPECT_TRUE(Must(f_->store->Get("k9", value)));
      acted = intruder.acted();
    }
    EXPECT_EQ(value, f_->model["k9"]);
    f_->store->reaper().Collect();
    f_->ExpectModel();
  }
  EXPECT_GT(step, 5);
}

TEST_F(BetweenStepsTest, OfAPinnedReadTheValueStays) {
  int step = 0;
  for (bool acted = true; acted; ++step) {
    SCOPED_TRACE(step);
    Prepare();
    const Intruder intruder(step, [&] { CompactAndReap(intruder.guarded()); });
    const auto pinned = Must(f_->store->GetPinned("k9"));
    f_->store->reaper().Collect();
    ASSERT_TRUE(pinned.has_value());
    EXPECT_EQ(pinned->value, f_->model["k9"]);
    acted = intruder.acted();
  }
  EXPECT_GT(step, 5);
}

TEST_F(BetweenStepsTest, OfAWalkItShowsOnePointInTime) {
  int step = 0;
  for (bool acted = true; acted; ++step) {
    SCOPED_TRACE(step);
    Prepare();
    const Model before = f_->model;
    Model seen;
    {
      const Intruder intruder(step, [&] {
        f_->PutMany("k", 10, 3);
        f_->PutMany("later", 3, 1);
        f_->Delete("k4");
        f_->Seal();
        CompactAndReap(intruder.guarded());
      });
      const auto iterator = Must(f_->store->NewIterator());
      for (iterator->Next(); iterator->valid(); iterator->Next()) {
        seen.emplace(iterator->record().key, iterator->record().value);
      }
      EXPECT_OK(iterator->status());
      acted = intruder.acted();
    }
    EXPECT_TRUE(seen == before || seen == f_->model) << seen.size() << " keys of two states";
  }
  EXPECT_GT(step, 10);
}

// Of a job that copies, decides about a tombstone and publishes.
TEST_F(BetweenStepsTest, OfACompactionTheIndexIsLookedAtUnderAGuard) {
  Prepare();
  f_->Delete("k7");
  f_->Seal();
  const Intruder watcher(std::numeric_limits<int>::max(), [] {});
  f_->MustCompact({.min_space_saving = 0.1});
  EXPECT_FALSE(watcher.guarded());
}

// Or nothing would be freed until the disk has answered, or a pause is over.
TEST_F(BetweenStepsTest, OfACompactionNoGuardIsHeldWhileAnOutputThatKeptTombstonesFillIsSealed) {
  f_ = std::make_unique<Fixture>();
  const auto key = [](int i) { return std::to_string(i) + std::string(4000, 'k'); };
  for (int i = 0; i < 8; ++i) f_->Put(key(i), "old");
  const std::uint64_t old = f_->Seal();
  for (int i = 0; i < 8; ++i) {
    f_->Put("dead", ValueOf("dead", i, 2500));
    f_->Delete(key(i));
  }
  const std::uint64_t newest = f_->Seal();
  f_->store->maintenance().Stop();
  const Intruder watcher(std::numeric_limits<int>::max(), [] {});
  int syncs = 0;
  f_->machine.fs->SetOperationHook([&](io::Operation operation, const std::filesystem::path&) {
    if (operation != io::Operation::kSync) return;
    ++syncs;
    EXPECT_FALSE(watcher.guarded());
  });
  HotSwapConfig only_tombstones{.min_space_saving = 0.1};
  for (std::uint64_t id = old + 1; id <= newest; ++id) only_tombstones.segments.push_back(id);
  const CompactionReport report = f_->MustCompact(only_tombstones);
  f_->machine.fs->SetOperationHook({});
  EXPECT_GT(report.counters.tombstones_kept, 4u);  // as many as fit
  EXPECT_GE(report.output_files.size(), 2u);
  EXPECT_GE(syncs, 4);
}

}  // namespace
}  // namespace freyja::compaction

#endif  // FREYJA_SCHEDULE_POINTS
