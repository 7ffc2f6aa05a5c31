#include "torture/faults/fault_workloads.h"

#include "support/crash_images.h"

namespace freyja::torture {

namespace {

constexpr int kKeys = 12;
constexpr std::size_t kBytes = 700;  // some twenty records a segment

HotSwapConfig Config(double min_space_saving, bool temp_dir = false) {
  return {.temp_dir = temp_dir ? support::kTempPath : "",
          .min_space_saving = min_space_saving,
          .compaction_timeout = {},
          .seal_active = true,
          .max_input_bytes = 0,
          .step_bytes = temp_dir ? 0U : 1U};
}

void PutAll(Driver& driver, std::size_t bytes = kBytes) {
  for (int key = 0; key < kKeys; ++key) driver.Put(key, bytes);
}

// Puts, overwrites, deletes and batches, with and without syncs; a clean reopening.
void Writes(Driver& driver) {
  driver.Open();
  PutAll(driver, 200);
  driver.Delete(3);
  driver.Delete(3);
  driver.Put(4, 300, Sync::kAlways);
  driver.Batch(2, 6);
  driver.SyncAll();
  driver.CheckReads();
  driver.Batch(0, 5, Sync::kAlways);
  driver.Put(1, 100, Sync::kNone);
  driver.Delete(1, Sync::kAlways);
  driver.Verify();
  driver.Close();
  driver.Open();
  driver.Put(2, 250);
  driver.Batch(5, 4);
}

// More than fits in a segment: rolls, preparations and seals in the background.
void Rolls(Driver& driver) {
  driver.Open();
  for (int round = 0; round < 3; ++round) PutAll(driver);
  driver.Batch(0, 9);
  driver.SyncAll();
  PutAll(driver, 400);
  driver.CheckReads();
  driver.Close();
  driver.Open();
  driver.Put(0, kBytes);
  driver.Seal();
  driver.Put(1, kBytes);
}

// A compaction of everything: the tombstones are dropped.
void DropsTombstones(Driver& driver) {
  driver.Open();
  PutAll(driver);
  for (int key = 0; key < kKeys; key += 2) driver.Delete(key);
  PutAll(driver, 300);
  for (int key = 0; key < kKeys; key += 3) driver.Delete(key);
  driver.Compact(Config(0));
  driver.Put(0, 200);
  driver.Verify();
  driver.Close();
  driver.Open();
  driver.Delete(1);
}

// A compaction that leaves an older segment out: its tombstones must stay.
void KeepsTombstones(Driver& driver) {
  driver.Open();
  PutAll(driver);
  driver.Seal();
  for (int key = 0; key < 4; ++key) driver.Delete(key);
  for (int round = 0; round < 3; ++round) driver.Put(20, 900);
  driver.Compact(Config(0.5));
  driver.Delete(5);
  driver.Close();
  driver.Open();
  driver.Compact(Config(0));
}

// Through another directory, with a reader of a point in time that outlasts the swap.
void TemporaryDirectory(Driver& driver) {
  driver.Open();
  PutAll(driver);
  driver.SyncAll();
  driver.OpenIterator();
  PutAll(driver, 500);
  driver.Delete(7);
  driver.Compact(Config(0, /*temp_dir=*/true));
  driver.WalkIterator();
  driver.Batch(4, 6);
  driver.OpenIterator();
  driver.Put(8, 100);
  driver.Compact(Config(0, /*temp_dir=*/true));
  driver.WalkIterator();
}

// The process dies twice.
void Kills(Driver& driver) {
  driver.Open();
  PutAll(driver, 500);
  driver.SyncAll();
  driver.Batch(3, 5);
  driver.Put(1, 300);
  driver.KillAndOpen();
  driver.Put(2, 300);
  driver.Delete(3);
  driver.Compact(Config(0));
  driver.Put(5, 300);
  driver.KillAndOpen();
  driver.Put(6, 300);
  driver.SyncAll();
}

// Compactions that are taken back, and one that can't be any more.
void Undoes(Driver& driver) {
  driver.KeepReplaced();
  driver.Open();
  PutAll(driver);
  for (int key = 0; key < kKeys; key += 2) driver.Delete(key);
  PutAll(driver, 300);
  driver.Compact(Config(0));
  driver.Put(0, 200);
  driver.Delete(1);
  driver.Undo();
  driver.Put(2, 200);
  driver.Compact(Config(0));
  driver.KillAndOpen();
  driver.EndQuarantine();
  driver.Verify();
  driver.Close();
  driver.Open();
  driver.Put(3, 100);
}

// The garbage is in the log for the most part, so that the store seals what is active before it
// compacts, and later gives up what that has replaced.
void Scheduled(Driver& driver) {
  driver.KeepReplaced();
  driver.Schedule();
  driver.Open();
  PutAll(driver, 450);
  driver.Seal();
  for (int round = 0; round < 2; ++round) PutAll(driver, 500);
  for (int key = 0; key < kKeys; key += 2) driver.Delete(key);
  for (int key = 1; key < kKeys; key += 2) driver.Put(key, 100);
  driver.LetSchedulerCompact();
  driver.Put(0, 200);
  driver.Delete(1);
  driver.LetSchedulerMakeRoom();
  driver.Put(2, 200);
  driver.Verify();
  driver.Close();
  driver.Open();
  driver.Put(3, 100);
}

// Anything, in any order.
void Anything(Driver& driver) {
  support::Dice& dice = driver.dice();
  driver.Open();
  for (int step = 0; step < 60; ++step) {
    const int key = static_cast<int>(dice.Below(kKeys));
    switch (dice.Below(24)) {
      case 0:
        driver.SyncAll();
        break;
      case 1:
        driver.Compact(Config(dice.OneOf(0.0, 0.3), dice.OneIn(3)));
        break;
      case 2:
        driver.Seal();
        break;
      case 3:
        dice.OneIn(2) ? driver.OpenIterator() : driver.WalkIterator();
        break;
      case 4:
        if (dice.OneIn(2)) driver.Close();
        driver.KillAndOpen();
        break;
      case 5:
      case 6:
      case 7:
        driver.Batch(key, static_cast<int>(dice.Between(2, 6)),
                     dice.OneIn(4) ? Sync::kAlways : Sync::kDefault);
        break;
      case 8:
      case 9:
      case 10:
      case 11:
        driver.Delete(key);
        break;
      default:
        driver.Put(key, dice.Between(60, 1200), dice.OneIn(6) ? Sync::kAlways : Sync::kDefault);
    }
  }
}

}  // namespace

const std::vector<FaultWorkload>& FaultWorkloads() {
  static const std::vector<FaultWorkload> workloads = {
      {"writes", Writes},
      {"rolls", Rolls},
      {"drops_tombstones", DropsTombstones},
      {"keeps_tombstones", KeepsTombstones},
      {"temporary_directory", TemporaryDirectory},
      {"kills", Kills},
      {"undoes", Undoes},
      {"scheduled", Scheduled},
      {"anything", Anything},
  };
  return workloads;
}

}  // namespace freyja::torture
