#include "torture/crash_states/workloads.h"

#include <string>
#include <vector>

#include "compaction/expiry.h"

namespace freyja::torture {

using support::Dice;

namespace {

constexpr std::size_t kSmall = 60;
constexpr std::size_t kMedium = 400;
constexpr std::size_t kLarge = 3500;  // four fill a segment
constexpr std::size_t kOfGarbage = 920;

std::string Key(std::uint64_t number) { return "key" + std::to_string(number); }
std::string AnyKey(Dice& dice) { return Key(dice.Below(6)); }
std::size_t AnySize(Dice& dice) { return kSmall + dice.Below(kMedium); }

// Now and then one write asks for more than the policy of the store.
Sync AnySync(Dice& dice) { return dice.OneIn(6) ? Sync::kAlways : Sync::kDefault; }

void PutSome(World& world, std::uint64_t writes) {
  Dice& dice = world.dice();
  for (std::uint64_t i = 0; i < writes; ++i) {
    const std::string key = AnyKey(dice);
    if (dice.OneIn(3)) {
      world.Delete(key, AnySync(dice));
    } else {
      world.Put(key, AnySize(dice), AnySync(dice));
    }
  }
}

void CreateAndPut(World& world) {
  world.StartRecording();
  world.Open();
  PutSome(world, 4 + world.dice().Below(3));
  world.AwaitInterval();
  PutSome(world, 2);
  world.SyncAll();
  PutSome(world, 3);
}

void Batches(World& world) {
  Dice& dice = world.dice();
  world.Open();
  world.Put(Key(0), kSmall);
  world.Put(Key(1), kSmall);
  world.StartRecording();
  world.Batch({Key(0), Key(2), Key(3)}, AnySize(dice));
  world.Batch({"-" + Key(1), Key(2)}, AnySize(dice), AnySync(dice));
  world.AwaitInterval();
  world.Batch({"-" + Key(0), "-" + Key(2), Key(1)}, kSmall);
  world.Put(Key(4), AnySize(dice), AnySync(dice));
  world.Batch({Key(4), Key(1)}, kMedium + dice.Below(kMedium));
}

void FillAndRoll(World& world) {
  Dice& dice = world.dice();
  world.Open();
  world.Put(Key(9), kSmall);
  world.StartRecording();
  for (int i = 0; i < 9; ++i) {
    world.Put(AnyKey(dice), kLarge + dice.Below(kMedium), AnySync(dice));
    if (dice.OneIn(4)) world.Delete(AnyKey(dice));
  }
  world.Settle();
  world.Roll();
  PutSome(world, 2);
}

// Two sealed segments: keys 0 to 3 with values, then some of them overwritten or deleted.
void MakeTwoSegments(World& world) {
  Dice& dice = world.dice();
  world.Open();
  for (std::uint64_t i = 0; i < 4; ++i) world.Put(Key(i), AnySize(dice));
  world.Roll();
  world.Delete(Key(dice.Below(2)));
  world.Put(Key(2), AnySize(dice));
  world.Put(Key(2), AnySize(dice));
  world.Delete(Key(3));
}

void CompactAndDropTombstones(World& world) {
  MakeTwoSegments(world);
  world.StartRecording();
  world.Put(Key(4), kSmall);
  world.Compact({.min_space_saving = 0, .seal_active = true});
  PutSome(world, 2);
  world.Compact({.min_space_saving = 0, .seal_active = true});
}

// Only the second segment is compacted, so its tombstones are still needed.
void CompactAndKeepTombstones(World& world) {
  MakeTwoSegments(world);
  world.Put(Key(2), kMedium);
  world.Put(Key(2), kMedium);
  world.Roll();
  world.StartRecording();
  world.Compact({.min_space_saving = 0.6, .seal_active = false, .max_input_bytes = 1});
  PutSome(world, 2);
  world.Compact({.min_space_saving = 0, .seal_active = true, .step_bytes = 1});
}

void CompactThroughAnotherDirectory(World& world) {
  MakeTwoSegments(world);
  world.StartRecording();
  world.Compact({.temp_dir = kScratchPath, .min_space_saving = 0, .seal_active = true});
  PutSome(world, 3);
}

// Nothing is made durable by the writers: what the swap drops rests on what it syncs itself.
void CompactUnderUnsyncedWrites(World& world) {
  Dice& dice = world.dice();
  MakeTwoSegments(world);
  world.Roll();
  world.Put(Key(0), AnySize(dice));
  world.Delete(Key(2));
  world.Put(Key(3), AnySize(dice));
  world.StartRecording();
  world.Compact({.min_space_saving = 0, .seal_active = false});
  world.Delete(Key(0));
  PutSome(world, 1);
}

void CloseAndReopen(World& world) {
  world.Open();
  PutSome(world, 4);
  world.StartRecording();
  world.Close();
  world.Open();
  PutSome(world, 3);
  world.Close();
  world.Open();
  PutSome(world, 1);
}

void Expire(World& world) {
  Dice& dice = world.dice();
  constexpr std::uint64_t kShort = 1000;
  world.Open();
  world.Put(Key(0), kSmall);
  world.Put(Key(1), kSmall);
  world.Roll();
  world.PutExpiring(Key(0), AnySize(dice), kShort);
  world.PutExpiring(Key(2), AnySize(dice), kShort);
  world.PutExpiring(Key(3), kSmall, 100 * compaction::ExpiryClock::kGraceMs);
  world.Roll();
  world.Put(Key(4), kSmall);
  world.Pass(2 * compaction::ExpiryClock::kGraceMs);
  world.StartRecording();
  world.Compact({.min_space_saving = 0.3, .seal_active = false, .max_input_bytes = 1});
  world.Put(Key(2), kSmall);
  world.Compact({.min_space_saving = 0, .seal_active = true});
}

// What the first job replaced comes back; what the second one did not, goes.
void CompactAndUndo(World& world) {
  world.KeepReplaced();
  MakeTwoSegments(world);
  world.StartRecording();
  world.Compact({.min_space_saving = 0, .seal_active = true});
  PutSome(world, 2);
  world.UndoLast();
  PutSome(world, 2);
  world.Compact({.min_space_saving = 0, .seal_active = true, .step_bytes = 1});
  world.GiveUpLast();
}

// Tombstones meet what is in quarantine, and so does the undo after a reopen.
void UndoBehindTombstones(World& world) {
  world.KeepReplaced();
  MakeTwoSegments(world);
  world.Roll();
  world.Put(Key(4), kSmall);
  world.Compact({.min_space_saving = 0, .seal_active = true});
  world.StartRecording();
  world.Delete(Key(4));
  world.Delete(Key(0));
  world.Roll();
  world.Close();
  world.Open();
  world.UndoLast();
  world.Compact({.min_space_saving = 0, .seal_active = true});
}

// More than a segment's worth of garbage, most of it in the log, which as a whole fits into the
// active segment. Of six keys two are gone afterwards.
void PutGarbageIntoTheLog(World& world) {
  Dice& dice = world.dice();
  const auto size = [&] { return kOfGarbage + dice.Below(100); };
  world.Batch({Key(0), Key(1), Key(2), Key(3), Key(4), Key(5)}, size());
  world.Roll();
  for (int round = 0; round < 2; ++round) {
    world.Batch({Key(0), Key(1), Key(2)}, size(), AnySync(dice));
    world.Batch({Key(3), Key(4), Key(5)}, size());
  }
  world.Batch({"-" + Key(0), "-" + Key(1), Key(2), Key(3), Key(4), Key(5)}, kSmall);
}

// Nobody asks for the compaction, nor for the sealing of the active segment before it.
void ScheduledRotation(World& world) {
  world.Schedule();
  world.Open();
  PutGarbageIntoTheLog(world);
  world.StartRecording();
  world.LetSchedulerCompact(/*rotates=*/true);
  PutSome(world, 2);
}

// What its job replaced is kept, until there is no room for it.
void ScheduledQuarantine(World& world) {
  world.KeepReplaced();
  world.Schedule();
  world.Open();
  PutGarbageIntoTheLog(world);
  world.LetSchedulerCompact(/*rotates=*/true);
  world.StartRecording();
  world.Delete(Key(2));
  PutSome(world, 1);
  world.LetSchedulerMakeRoom();
  PutSome(world, 1);
}

const Workload kWorkloads[] = {
    {"create_and_put", CreateAndPut},
    {"batches", Batches},
    {"fill_and_roll", FillAndRoll},
    {"compact_and_drop_tombstones", CompactAndDropTombstones},
    {"compact_and_keep_tombstones", CompactAndKeepTombstones},
    {"compact_through_another_directory", CompactThroughAnotherDirectory},
    {"compact_under_unsynced_writes", CompactUnderUnsyncedWrites},
    {"close_and_reopen", CloseAndReopen},
    {"expire", Expire},
    {"compact_and_undo", CompactAndUndo},
    {"undo_behind_tombstones", UndoBehindTombstones},
    {"scheduled_rotation", ScheduledRotation},
    {"scheduled_quarantine", ScheduledQuarantine},
};

}  // namespace

std::span<const Workload> Workloads() { return kWorkloads; }

}  // namespace freyja::torture
