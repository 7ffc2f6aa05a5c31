#include "torture/schedules/core_scenarios.h"

#include <array>
#include <memory>
#include <string>
#include <utility>

#include "base/schedule_point.h"
#include "engine/epoch.h"
#include "engine/index.h"
#include "torture/schedules/recorder.h"

namespace freyja::torture::schedules {

namespace {

using engine::EpochGuard;
using engine::EpochManager;
using engine::Index;
using engine::Location;

using Key = std::uint64_t;  // its hash as well

// Cells 1 to 31 of three "segments": the log, the victim, the output.
constexpr std::uint32_t kLog = 0;
constexpr std::uint32_t kVictim = 1;
constexpr std::uint32_t kOutput = 2;

struct Cell {
  Key key = 0;
  std::uint32_t version = 0;
  bool freed = false;
};

class CoreWorld final : public World {
  // Used by members below, whose types they have.
  static Location At(std::uint32_t segment, std::uint32_t cell) {
    return {segment, std::uint64_t{cell} * 8, 8};
  }
  Cell& CellOf(Location location) { return cells_.at(location.slot()).at(location.offset() / 8); }
  // The bytes of a record: no longer there once its segment was freed.
  const Cell& Bytes(Location location) {
    base::AtSchedulePoint("core.bytes");
    const Cell& cell = CellOf(location);
    if (cell.freed) recorder_.Wrongly(Wrong::kOther, "a record is read after it was freed");
    return cell;
  }
  auto HasKey(Key key) {
    return [this, key](Location location) { return Bytes(location).key == key; };
  }
  std::uint32_t VersionAt(Location location) { return Bytes(location).version; }

 public:
  using Body = std::function<void(CoreWorld&, std::size_t thread)>;
  struct Plan {
    std::vector<Key> in_victim;  // version 1 each
    std::vector<Key> in_log;     // version 1 each; set up after those
    std::vector<Key> absent;     // that the bodies use
    std::vector<Body> bodies;
  };

  CoreWorld(const Plan& plan, CorePlant plant) : plan_(plan), plant_(plant) {
    // One line a page: three keys fill it.
    auto index = Index::Create(epochs_, {.initial_page_lines = 1, .max_page_lines = 1});
    if (index) index_ = std::move(*index);
    for (const Key key : plan.in_victim) SetUp(kVictim, key);
    for (const Key key : plan.in_log) SetUp(kLog, key);
    for (const Key key : plan.absent) recorder_.Starts(std::to_string(key), {});
    while (epochs_.Collect() != 0) {
    }
  }

  std::vector<std::function<void()>> Bodies() override {
    std::vector<std::function<void()>> bodies;
    for (std::size_t i = 0; i < plan_.bodies.size(); ++i) {
      bodies.emplace_back([this, i] { plan_.bodies[i](*this, i); });
    }
    return bodies;
  }
  void Watch(std::size_t, std::string_view, const void*) override {}

  std::vector<Finding> Judge() override {
    std::uint64_t present = 0;
    for (const std::string& key : recorder_.Keys()) {
      if (Get(std::stoull(key), plan_.bodies.size())) ++present;
    }
    if (index_->size() != present) {
      recorder_.Wrongly(Wrong::kOther, "the index counts " + std::to_string(index_->size()) +
                                           " keys, and has " + std::to_string(present));
    }
    if (epochs_.Collect() != 0) recorder_.Wrongly(Wrong::kOther, "garbage is never freed");
    if (swapped_ && plant_ != CorePlant::kFreeBeforeEpochsDrain && !victim_freed_) {
      recorder_.Wrongly(Wrong::kOther, "the victim is never freed");
    }
    return recorder_.Judge();
  }

  // --- What bodies do -----------------------------------------------------------------

  Version Get(Key key, std::size_t thread) {
    Operation read{.thread = thread, .begin = recorder_.Now()};
    Location found;
    if (plant_ == CorePlant::kAnnounceAfterLookUp) {
      {
        const EpochGuard guard(epochs_);  // for the index's own memory
        found = index_->Find(key, HasKey(key));
      }
      const EpochGuard guard(epochs_);
      if (found) read.version = VersionAt(found);
    } else {
      const EpochGuard guard(epochs_);
      found = index_->Find(key, HasKey(key));
      if (found) read.version = VersionAt(found);
    }
    read.end = recorder_.Now();
    recorder_.Add(std::to_string(key), read);
    return read.version;
  }

  void Put(Key key, std::uint32_t version, std::size_t thread) {
    Operation write{.kind = Operation::Kind::kWrite,
                    .thread = thread,
                    .version = version,
                    .begin = recorder_.Now()};
    const auto replaced = index_->Upsert(key, HasKey(key), NewCell(kLog, key, version), kIgnore);
    if (!replaced) recorder_.Wrongly(Wrong::kOther, "a put fails");
    write.end = recorder_.Now();
    recorder_.Add(std::to_string(key), write);
  }

  void Delete(Key key, std::size_t thread) {
    Operation erase{.kind = Operation::Kind::kDelete, .thread = thread, .begin = recorder_.Now()};
    erase.was_present = !index_->Erase(key, HasKey(key), kIgnore).is_none();
    erase.end = recorder_.Now();
    recorder_.Add(std::to_string(key), erase);
  }

  // Copies what is live in the victim, publishes the copies, frees the victim.
  void Swap() {
    std::vector<Index::Move> moves;
    for (std::uint32_t at = 1; at < used_[kVictim]; ++at) {
      const Location old = At(kVictim, at);
      const Key key = CellOf(old).key;
      const EpochGuard guard(epochs_);
      if (index_->Find(key, [&](Location l) { return l == old; }).is_none()) continue;
      moves.push_back({.hash = key,
                       .old_location = old,
                       .new_location = NewCell(kOutput, key, CellOf(old).version)});
    }
    Publish(moves);
    swapped_ = true;
    if (plant_ == CorePlant::kFreeBeforeEpochsDrain) return FreeVictim();
    epochs_.Retire(std::make_unique<Victim>(*this));
    epochs_.Collect();
  }

 private:
  static constexpr auto kIgnore = [](auto...) {};

  struct Victim final : engine::Retired {
    explicit Victim(CoreWorld& of) : world(of) {}
    ~Victim() override { world.FreeVictim(); }
    CoreWorld& world;
  };

  Location NewCell(std::uint32_t segment, Key key, std::uint32_t version) {
    const std::uint32_t cell = used_.at(segment)++;
    cells_.at(segment).at(cell) = {.key = key, .version = version};
    return At(segment, cell);
  }
  void SetUp(std::uint32_t segment, Key key) {
    const auto replaced = index_->Upsert(key, HasKey(key), NewCell(segment, key, 1), kIgnore);
    if (!replaced) recorder_.Wrongly(Wrong::kOther, "the set-up fails");
    recorder_.Starts(std::to_string(key), 1);
  }

  void Publish(const std::vector<Index::Move>& moves) {
    switch (plant_) {
      case CorePlant::kStoreInsteadOfSwap:
        for (const Index::Move& move : moves) {
          const auto stored =
              index_->Upsert(move.hash, HasKey(move.hash), move.new_location, kIgnore);
          if (!stored) recorder_.Wrongly(Wrong::kOther, "a store fails");
        }
        return;
      case CorePlant::kEraseThenInsert:
        for (const Index::Move& move : moves) {
          if (!index_->EraseExact(move.hash, move.old_location, kIgnore)) continue;
          const auto stored =
              index_->Upsert(move.hash, HasKey(move.hash), move.new_location, kIgnore);
          if (!stored) recorder_.Wrongly(Wrong::kOther, "a store fails");
        }
        return;
      default:
        index_->ReplaceMany(moves, kIgnore, kIgnore);
    }
  }

  void FreeVictim() {
    victim_freed_ = true;
    for (Cell& cell : cells_[kVictim]) cell.freed = true;
  }

  const Plan& plan_;
  const CorePlant plant_;
  Recorder recorder_;
  std::array<std::array<Cell, 32>, 3> cells_{};
  std::array<std::uint32_t, 3> used_{1, 1, 1};
  bool swapped_ = false;
  bool victim_freed_ = false;
  EpochManager epochs_;
  std::unique_ptr<Index> index_;
};

using Body = CoreWorld::Body;

Body Gets(Key key) {
  return [key](CoreWorld& world, std::size_t thread) { world.Get(key, thread); };
}
Body Puts(Key key, std::uint32_t version) {
  return [=](CoreWorld& world, std::size_t thread) { world.Put(key, version, thread); };
}
Body Deletes(Key key) {
  return [key](CoreWorld& world, std::size_t thread) { world.Delete(key, thread); };
}
Body Swaps() {
  return [](CoreWorld& world, std::size_t) { world.Swap(); };
}
Body Both(Body first, Body second) {
  return [=](CoreWorld& world, std::size_t thread) {
    first(world, thread);
    second(world, thread);
  };
}

// Top bits choose the page; all share one line.
constexpr Key kA = 0x1000'0000'0000'0000;
constexpr Key kB = 0x5000'0000'0000'0000;
constexpr Key kC = 0x9000'0000'0000'0000;
constexpr Key kD = 0xD000'0000'0000'0000;
constexpr Key kA2 = 0x2000'0000'0000'0000;  // in one page with kA until the third split
constexpr Key kA3 = 0x3000'0000'0000'0000;
constexpr Key kA4 = 0x1800'0000'0000'0000;

std::vector<std::pair<std::string, CoreWorld::Plan>> Plans() {
  return {
      {"core: get, overwrite, swap",
       {.in_victim = {kA}, .in_log = {}, .absent = {}, .bodies = {Gets(kA), Puts(kA, 2), Swaps()}}},
      {"core: get, delete, swap",
       {.in_victim = {kA}, .in_log = {}, .absent = {}, .bodies = {Gets(kA), Deletes(kA), Swaps()}}},
      {"core: get, delete then put again, swap",
       {.in_victim = {kA},
        .in_log = {},
        .absent = {},
        .bodies = {Gets(kA), Both(Deletes(kA), Puts(kA, 2)), Swaps()}}},
      {"core: get, put that splits the page, swap",
       {.in_victim = {kA},
        .in_log = {kB, kC},
        .absent = {kD},
        .bodies = {Gets(kA), Puts(kD, 2), Swaps()}}},
      {"core: get of the new key, put that splits the page, swap",
       {.in_victim = {kC},
        .in_log = {kA, kB},
        .absent = {kD},
        .bodies = {Gets(kD), Puts(kD, 2), Swaps()}}},
      {"core: get, put that doubles the directory, swap",
       {.in_victim = {kA},
        .in_log = {kA2, kA3},
        .absent = {kA4},
        .bodies = {Gets(kA), Puts(kA4, 2), Swaps()}}},
      {"core: get, two puts that split the page",
       {.in_victim = {kA},
        .in_log = {kB, kC},
        .absent = {kD, kA2},
        .bodies = {Gets(kA), Puts(kD, 2), Puts(kA2, 2)}}},
      {"core: a slot goes to another key, gets of both",
       {.in_victim = {},
        .in_log = {kA},
        .absent = {kB},
        .bodies = {Both(Gets(kA), Gets(kB)), Both(Deletes(kA), Puts(kB, 2)), Puts(kA, 3)}}},
  };
}

}  // namespace

std::vector<Scenario> CoreScenarios(CorePlant plant) {
  std::vector<Scenario> scenarios;
  for (auto& [name, plan] : Plans()) {
    const auto shared = std::make_shared<const CoreWorld::Plan>(std::move(plan));
    scenarios.push_back(
        {name, [shared, plant] { return std::make_unique<CoreWorld>(*shared, plant); }});
  }
  return scenarios;
}

}  // namespace freyja::torture::schedules
