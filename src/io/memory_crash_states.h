// Every state in which a crash may leave a MemoryFileSystem at one moment.
//
// What a power cut keeps is made of independent choices. Each has a number of alternatives:
// 0 is what was synced last, the highest is the newest. One alternative for each choice is
// one state; different choices may give the same state. The profiles:
//
// Process kill. The kernel lives; one state, in which nothing is lost.
//
// Adversarial: no more than what POSIX promises about fsync.
// - Each 512-byte sector of a file is any of the versions it had since the file's last sync,
//   independently of all others; so is the size of the file.
// - Each creation, rename and unlink since the directory's last sync is found or not,
//   independently of all others; what is found applies in the order in which it happened. A
//   rename within one directory is found whole or not at all; of one between directories
//   each half is found or not.
//
// Ordered journal: what ext4 adds to that with data=ordered, delayed allocation and
// auto_da_alloc. As adversarial, but:
// - Creations, renames and unlinks are found as a prefix of their order over all directories,
//   and syncing any directory keeps all that came before, in the others too. (Syncing a file
//   does not, though with ext4 it mostly would: so more states are made, not fewer.)
// - A size that came from writing past the end is found only with the sectors between the
//   synced size and it, each as it was then or newer. A size from reserving space has no
//   such condition: the blocks read as zeros until they are written.
// - A rename that replaced a file is found only with the size that the new file had then or a
//   newer one, and so with what was written to it.
//
// In none: sectors torn in themselves, blocks that belonged to another file, damage to what
// was synced, bytes from a version between two that were observed.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "io/memory_namespace.h"
#include "io/memory_versions.h"

namespace freyja::io {

class MemoryFileSystem;

enum class CrashProfile : std::uint8_t { kProcessKill, kOrderedJournal, kAdversarial };
inline constexpr CrashProfile kCrashProfiles[] = {
    CrashProfile::kProcessKill, CrashProfile::kOrderedJournal, CrashProfile::kAdversarial};
std::string_view NameOf(CrashProfile profile);

// Immutable, so thread-safe; outlives the file system it was taken of.
class CrashStates {
 public:
  using Choice = std::vector<std::uint32_t>;

  // Made by MemoryFileSystem::Freeze.
  CrashStates(memory::FrozenNames names, const std::vector<std::shared_ptr<memory::Inode>>& files,
              std::uint64_t capacity_blocks, std::set<std::string> mounts);

  // How many alternatives each choice has; all have two or more.
  std::vector<std::uint32_t> Alternatives(CrashProfile profile) const;
  // The times at which something changed, ascending, and the choice that keeps what had
  // happened by then and nothing later.
  std::vector<std::uint64_t> Times(CrashProfile profile) const;
  Choice AsOf(CrashProfile profile, std::uint64_t time) const;

  // Of names, sizes and contents: equal for equal states, whatever profile and choice.
  memory::Hash128 HashOf(CrashProfile profile, std::span<const std::uint32_t> choice) const;
  // After a power cut everything in the image is durable. Null if memory runs out.
  std::unique_ptr<MemoryFileSystem> Image(CrashProfile profile,
                                          std::span<const std::uint32_t> choice) const;

 private:
  struct Slot {
    enum class Kind : std::uint8_t { kChanges, kSize, kSector };
    Kind kind = Kind::kChanges;
    // kChanges: these entries of pending changes; alternative n keeps the first n groups.
    // Others: the file.
    std::size_t file = 0;
    std::size_t sector = 0;             // index into the file's sectors
    std::vector<std::uint64_t> stamps;  // of the alternatives from 1 on
    std::vector<std::vector<std::pair<std::size_t, std::size_t>>> groups;
  };
  struct File {
    std::shared_ptr<memory::Inode> original;  // only its identity counts
    memory::FrozenInode frozen;
    std::size_t first_slot = 0;  // after those of the names
    memory::Hash128 synced_hash;
  };
  struct Names {
    std::vector<std::pair<std::string_view, int>> entries;  // sorted; a file's index or kDirectory
    std::vector<std::uint64_t> floors;                      // by file: the oldest stamp allowed
  };
  // What a file is in a state: per sector of `frozen.sectors`, how many versions are in.
  struct FileState {
    std::uint64_t size = 0;
    std::vector<std::pair<std::uint64_t, const memory::SectorVersion*>> sectors;
  };
  static constexpr int kDirectory = -1;

  std::vector<Slot> NameSlots(CrashProfile profile) const;
  const std::vector<Slot>& SlotsOf(CrashProfile profile) const {
    return profile == CrashProfile::kAdversarial ? adversarial_ : ordered_;
  }
  int IndexOf(const memory::Node& node) const;
  void Apply(const memory::EntryChange& change, Names& names) const;
  Names NamesOf(CrashProfile profile, std::span<const std::uint32_t> choice) const;
  FileState StateOf(CrashProfile profile, std::span<const std::uint32_t> choice, std::size_t file,
                    std::uint64_t floor) const;
  memory::Hash128 HashOf(const memory::FrozenInode& frozen, const FileState& state) const;

  memory::FrozenNames names_;
  std::vector<File> files_;
  std::vector<std::pair<std::string_view, int>> synced_entries_;
  std::vector<Slot> file_slots_;
  std::vector<Slot> ordered_;
  std::vector<Slot> adversarial_;
  std::uint64_t capacity_blocks_ = 0;
  std::set<std::string> mounts_;
};

}  // namespace freyja::io
