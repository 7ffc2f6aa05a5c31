// Directories of the in-memory file system: the entries programs see, and those that
// would be found after a power cut.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "io/memory_inode.h"

namespace freyja::io::memory {

// What a name stands for.
struct Node {
  std::shared_ptr<Inode> inode;  // null: a directory
  bool is_directory() const { return inode == nullptr; }
};

using Tree = std::map<std::string, Node>;  // by absolute, normal path

struct EntryChange {
  std::string path;
  std::optional<Node> node;  // absent: the entry goes
};

// One change of the directories, applied whole: a rename removes one entry and sets
// another.
using Change = std::vector<EntryChange>;

// A change that isn't durable everywhere yet.
struct Pending {
  Change change;
  std::uint64_t stamp = 0;  // of the versions that its files had then
  bool replaces = false;    // a rename that put one file in another's place
  // A directory was synced after it: a journal that keeps the order has it.
  bool journalled = false;
};

// The names at one moment.
struct FrozenNames {
  Tree durable;
  std::vector<Pending> pending;
};

std::string ParentOf(const std::string& path);
void Apply(const EntryChange& change, Tree& tree);

// Guarded as a whole by the mutex of the file system.
class Namespace {
 public:
  Namespace();

  const Node* Find(const std::string& path) const;
  std::vector<std::string> List(const std::string& directory) const;
  // Visible at once, durable with SyncDirectory of each parent.
  void Commit(Change change);
  // Entries of `directory` become durable as they are now, whatever becomes of the other
  // half of a rename from or to another directory.
  void SyncDirectory(const std::string& directory);

  // A copy with every inode replaced by what `convert` makes of it.
  std::unique_ptr<Namespace> Clone(
      const std::function<std::shared_ptr<Inode>(const Inode&)>& convert) const;
  // After a power cut, everything in it durable. Each pending change is kept or lost as
  // `coin` says; all are lost without one.
  std::unique_ptr<Namespace> AfterPowerLoss(
      Coin* coin, const std::function<std::shared_ptr<Inode>(const Inode&)>& convert) const;

  // Every file that is seen now or may be found after a crash, once each.
  std::vector<std::shared_ptr<Inode>> Files() const;
  FrozenNames Freeze() const { return {.durable = durable_, .pending = pending_}; }
  // Names that were frozen, nothing lost; then each inode replaced by what `convert` makes
  // of it.
  static std::unique_ptr<Namespace> Thaw(
      const FrozenNames& frozen,
      const std::function<std::shared_ptr<Inode>(const Inode&)>& convert);

 private:
  Tree current_;
  Tree durable_;
  std::vector<Pending> pending_;  // in order; together they lead from durable to current
};

}  // namespace freyja::io::memory
