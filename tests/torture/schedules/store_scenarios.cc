#include "torture/schedules/store_scenarios.h"

#include <memory>
#include <string>
#include <utility>

namespace freyja::torture::schedules {

namespace {

using Body = StoreWorld::Body;
using Plan = StoreWorld::Plan;

const std::string kKey = "k";
const std::string kOther = "other";
const std::string kGarbage = "d";

Body Gets(const std::string& key) {
  return [key](StoreWorld& world, std::size_t thread) { world.Get(key, thread); };
}
Body Puts(const std::string& key, std::uint32_t version, Sync sync = Sync::kNone) {
  return [=](StoreWorld& world, std::size_t thread) { world.Put(key, version, sync, thread); };
}
Body Deletes(const std::string& key) {
  return [key](StoreWorld& world, std::size_t thread) { world.Delete(key, thread); };
}
Body Compacts(bool must_fail = false) {
  return [=](StoreWorld& world, std::size_t thread) { world.Compact(must_fail, thread); };
}
Body CompactsAsScheduled() {
  return [](StoreWorld& world, std::size_t thread) { world.CompactAsScheduled(thread); };
}
Body Undoes() {
  return [](StoreWorld& world, std::size_t) { world.UndoSetUp(); };
}
Body Pins(const std::string& key) {
  return [key](StoreWorld& world, std::size_t thread) { world.GetPinned(key, thread); };
}
Body Walks() {
  return [](StoreWorld& world, std::size_t thread) { world.Walk(thread); };
}

// A sealed segment with one live record and one dead one.
void OneLiveOneDead(StoreWorld& world) {
  world.Have(kKey, 1);
  world.Have(kGarbage, 1);
  world.Seal();
  world.Have(kGarbage, 2);
}

// The key and its tombstone in sealed segments of their own, with garbage.
void DeletedKey(StoreWorld& world) {
  world.Have(kKey, 1);
  world.Have(kGarbage, 1);
  world.Seal();
  world.HaveNot(kKey);
  world.Have(kGarbage, 2);
  world.Seal();
  world.Have(kGarbage, 3);
}

// One live record in the log, with dead ones.
void GarbageInTheLog(StoreWorld& world) {
  OneLiveOneDead(world);
  world.Have(kKey, 1);
  world.Have(kGarbage, 3);
}

Plan Simple(std::vector<Body> bodies) {
  return {.set_up = OneLiveOneDead,
          .bodies = std::move(bodies),
          .absent = {},
          .batch_keys = {},
          .batch_version = 0,
          .keeps_replaced = false};
}

// What OneLiveOneDead leaves, compacted.
Plan Undo(std::vector<Body> bodies) {
  Plan plan = Simple(std::move(bodies));
  plan.keeps_replaced = true;
  plan.set_up = [](StoreWorld& world) {
    OneLiveOneDead(world);
    world.HaveCompacted();
  };
  return plan;
}

std::vector<std::pair<std::string, Plan>> Plans() {
  std::vector<std::pair<std::string, Plan>> plans;
  plans.emplace_back("get, overwrite, swap", Simple({Gets(kKey), Puts(kKey, 2), Compacts()}));
  plans.emplace_back("get, delete, swap", Simple({Gets(kKey), Deletes(kKey), Compacts()}));
  plans.emplace_back("pinned get, overwrite, swap",
                     Simple({Pins(kKey), Puts(kKey, 2), Compacts()}));
  plans.emplace_back("iterator, overwrite, swap", Simple({Walks(), Puts(kKey, 2), Compacts()}));
  plans.emplace_back("iterator, delete, swap", Simple({Walks(), Deletes(kKey), Compacts()}));
  plans.emplace_back(
      "two synced puts of one key, swap",
      Simple({Puts(kKey, 2, Sync::kAlways), Puts(kKey, 3, Sync::kAlways), Compacts()}));

  Plan rebuild = Simple({Gets(kKey), Puts(kOther, 2), Compacts()});
  rebuild.set_up = [](StoreWorld& world) {
    OneLiveOneDead(world);
    world.HaveMany(54);  // with those, all that the first page of the index takes
  };
  rebuild.absent = {kOther};
  plans.emplace_back("get, put that makes the page grow, swap", std::move(rebuild));

  Plan tombstone = Simple({Gets(kKey), Puts(kKey, 2), Compacts()});
  tombstone.set_up = DeletedKey;
  plans.emplace_back("get of a deleted key, put, swap of put and tombstone", std::move(tombstone));

  Plan fails = Simple({Gets(kKey), Puts(kKey, 2), Compacts(/*must_fail=*/true)});
  fails.set_up = [](StoreWorld& world) {
    OneLiveOneDead(world);
    world.RefuseManifests();
  };
  plans.emplace_back("get, overwrite, swap that is refused", std::move(fails));

  Plan batch = Simple(
      {Walks(), [](StoreWorld& world, std::size_t thread) { world.PutBatch(thread); }, Compacts()});
  batch.absent = {kOther};
  batch.batch_keys = {kKey, kOther};
  batch.batch_version = 7;
  plans.emplace_back("iterator, batch, swap", std::move(batch));

  Plan many = Simple(
      {[](StoreWorld& world, std::size_t thread) { world.MultiGet({kKey, kGarbage}, thread); },
       Deletes(kKey), Compacts()});
  plans.emplace_back("multi-get, delete, swap", std::move(many));

  // The active segment is sealed while the writer is anywhere between its queue and its answer.
  Plan rotation = Simple({Gets(kKey), Puts(kKey, 2), CompactsAsScheduled()});
  rotation.set_up = GarbageInTheLog;
  plans.emplace_back("get, overwrite, rotation and swap", rotation);
  rotation.bodies = {Walks(), Deletes(kKey), CompactsAsScheduled()};
  plans.emplace_back("iterator, delete, rotation and swap", std::move(rotation));

  plans.emplace_back("get, overwrite, undo", Undo({Gets(kKey), Puts(kKey, 2), Undoes()}));
  plans.emplace_back("get, delete, undo", Undo({Gets(kKey), Deletes(kKey), Undoes()}));
  plans.emplace_back("iterator, overwrite, undo", Undo({Walks(), Puts(kKey, 2), Undoes()}));
  return plans;
}

}  // namespace

std::vector<Scenario> StoreScenarios(StorePlant plant, std::uint64_t reopen_every) {
  std::vector<Scenario> scenarios;
  for (auto& [name, plan] : Plans()) {
    const auto shared = std::make_shared<const Plan>(std::move(plan));
    const auto made = std::make_shared<std::uint64_t>(0);
    scenarios.push_back({"store: " + name, [=] {
                           const bool reopens = ++*made % reopen_every == 0;
                           return std::make_unique<StoreWorld>(*shared, plant, reopens);
                         }});
  }
  return scenarios;
}

}  // namespace freyja::torture::schedules
