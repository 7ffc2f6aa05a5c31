#include "io/memory_crash_states.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <optional>
#include <unordered_map>

#include "io/memory_disk.h"
#include "io/memory_file_system.h"

namespace freyja::io {

using memory::EntryChange;
using memory::FrozenInode;
using memory::Hash128;
using memory::Inode;
using memory::kSectorBytes;
using memory::Node;
using memory::Pending;
using memory::SectorVersion;
using memory::SizeVersion;

namespace {

// How many of the stamps, which ascend, are at most `time`.
std::uint32_t CountThrough(const std::vector<std::uint64_t>& stamps, std::uint64_t time) {
  return static_cast<std::uint32_t>(std::ranges::upper_bound(stamps, time) - stamps.begin());
}

std::string_view ParentOf(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == 0 || slash == std::string_view::npos ? "/" : path.substr(0, slash);
}

template <typename Entries>
auto Find(Entries& entries, std::string_view path) {
  return std::ranges::lower_bound(entries, path, {}, [](const auto& entry) { return entry.first; });
}

}  // namespace

std::string_view NameOf(CrashProfile profile) {
  switch (profile) {
    case CrashProfile::kProcessKill:
      return "process_kill";
    case CrashProfile::kOrderedJournal:
      return "ordered_journal";
    case CrashProfile::kAdversarial:
      return "adversarial";
  }
  return "?";
}

CrashStates::CrashStates(memory::FrozenNames names,
                         const std::vector<std::shared_ptr<memory::Inode>>& files,
                         std::uint64_t capacity_blocks, std::set<std::string> mounts)
    : names_(std::move(names)), capacity_blocks_(capacity_blocks), mounts_(std::move(mounts)) {
  for (const auto& inode : files) {
    const std::size_t file = files_.size();
    FrozenInode frozen = inode->Freeze();
    const std::size_t first_slot = file_slots_.size();
    if (!frozen.sizes.empty()) {
      Slot slot{.kind = Slot::Kind::kSize, .file = file, .sector = 0, .stamps = {}, .groups = {}};
      for (const SizeVersion& size : frozen.sizes) slot.stamps.push_back(size.stamp);
      file_slots_.push_back(std::move(slot));
    }
    for (std::size_t i = 0; i < frozen.sectors.size(); ++i) {
      Slot slot{.kind = Slot::Kind::kSector, .file = file, .sector = i, .stamps = {}, .groups = {}};
      for (const auto& version : frozen.sectors[i].second) slot.stamps.push_back(version->stamp);
      file_slots_.push_back(std::move(slot));
    }
    files_.push_back({inode, std::move(frozen), first_slot, {}});
    FileState synced;
    synced.size = files_.back().frozen.synced_size;
    files_.back().synced_hash = HashOf(files_.back().frozen, synced);
  }
  for (const auto& [path, node] : names_.durable) synced_entries_.emplace_back(path, IndexOf(node));
  ordered_ = NameSlots(CrashProfile::kOrderedJournal);
  adversarial_ = NameSlots(CrashProfile::kAdversarial);
  ordered_.insert(ordered_.end(), file_slots_.begin(), file_slots_.end());
  adversarial_.insert(adversarial_.end(), file_slots_.begin(), file_slots_.end());
}

std::vector<CrashStates::Slot> CrashStates::NameSlots(CrashProfile profile) const {
  std::vector<Slot> slots;
  Slot prefix;
  for (std::size_t i = 0; i < names_.pending.size(); ++i) {
    const Pending& pending = names_.pending[i];
    std::map<std::string, std::vector<std::pair<std::size_t, std::size_t>>> by_directory;
    std::vector<std::pair<std::size_t, std::size_t>> whole;
    for (std::size_t part = 0; part < pending.change.size(); ++part) {
      whole.emplace_back(i, part);
      by_directory[memory::ParentOf(pending.change[part].path)].emplace_back(i, part);
    }
    if (profile == CrashProfile::kOrderedJournal) {
      if (pending.journalled) continue;
      prefix.stamps.push_back(pending.stamp);
      prefix.groups.push_back(std::move(whole));
      continue;
    }
    for (auto& [directory, parts] : by_directory) {
      Slot& slot = slots.emplace_back();
      slot.stamps = {pending.stamp};
      slot.groups.push_back(std::move(parts));
    }
  }
  if (!prefix.stamps.empty()) slots.push_back(std::move(prefix));
  return slots;
}

std::vector<std::uint32_t> CrashStates::Alternatives(CrashProfile profile) const {
  std::vector<std::uint32_t> alternatives;
  if (profile == CrashProfile::kProcessKill) return alternatives;
  for (const Slot& slot : SlotsOf(profile)) {
    alternatives.push_back(static_cast<std::uint32_t>(slot.stamps.size() + 1));
  }
  return alternatives;
}

std::vector<std::uint64_t> CrashStates::Times(CrashProfile profile) const {
  std::set<std::uint64_t> times;
  if (profile != CrashProfile::kProcessKill) {
    for (const Slot& slot : SlotsOf(profile)) times.insert(slot.stamps.begin(), slot.stamps.end());
  }
  return {times.begin(), times.end()};
}

CrashStates::Choice CrashStates::AsOf(CrashProfile profile, std::uint64_t time) const {
  Choice choice;
  for (const Slot& slot : SlotsOf(profile)) choice.push_back(CountThrough(slot.stamps, time));
  return choice;
}

int CrashStates::IndexOf(const Node& node) const {
  if (node.is_directory()) return kDirectory;
  const auto file = std::ranges::find(files_, node.inode, &File::original);
  return static_cast<int>(file - files_.begin());
}

void CrashStates::Apply(const EntryChange& change, Names& names) const {
  const auto at = Find(names.entries, change.path);
  const bool there = at != names.entries.end() && at->first == change.path;
  if (!change.node) {
    if (there) names.entries.erase(at);
  } else if (there) {
    at->second = IndexOf(*change.node);
  } else {
    names.entries.emplace(at, change.path, IndexOf(*change.node));
  }
}

CrashStates::Names CrashStates::NamesOf(CrashProfile profile,
                                        std::span<const std::uint32_t> choice) const {
  Names names;
  names.entries = synced_entries_;
  names.floors.resize(files_.size());
  std::vector<std::pair<std::size_t, std::size_t>> kept;
  if (profile == CrashProfile::kOrderedJournal) {
    for (std::size_t i = 0; i < names_.pending.size(); ++i) {
      if (!names_.pending[i].journalled) continue;
      for (std::size_t part = 0; part < names_.pending[i].change.size(); ++part) {
        kept.emplace_back(i, part);
      }
    }
  }
  const auto& slots = SlotsOf(profile);
  for (std::size_t i = 0; i < slots.size() && slots[i].kind == Slot::Kind::kChanges; ++i) {
    for (std::uint32_t group = 0; group < choice[i]; ++group) {
      kept.insert(kept.end(), slots[i].groups[group].begin(), slots[i].groups[group].end());
    }
  }
  for (const auto& [pending, part] : kept) {
    const EntryChange& change = names_.pending[pending].change[part];
    Apply(change, names);
    if (profile != CrashProfile::kOrderedJournal || !names_.pending[pending].replaces) continue;
    if (!change.node || change.node->is_directory()) continue;
    std::uint64_t& floor = names.floors[static_cast<std::size_t>(IndexOf(*change.node))];
    floor = std::max(floor, names_.pending[pending].stamp);
  }
  // A parent sorts before its children. What lies in a lost directory is lost.
  std::size_t found = 0;
  for (std::size_t i = 0; i < names.entries.size(); ++i) {
    const auto entry = names.entries[i];
    const auto end = names.entries.begin() + static_cast<std::ptrdiff_t>(found);
    const auto parent = std::ranges::lower_bound(names.entries.begin(), end, ParentOf(entry.first),
                                                 {}, [](const auto& other) { return other.first; });
    const bool there =
        parent != end && parent->first == ParentOf(entry.first) && parent->second == kDirectory;
    if (there || entry.first == "/") names.entries[found++] = entry;
  }
  names.entries.resize(found);
  return names;
}

CrashStates::FileState CrashStates::StateOf(CrashProfile profile,
                                            std::span<const std::uint32_t> choice, std::size_t file,
                                            std::uint64_t floor) const {
  const FrozenInode& frozen = files_[file].frozen;
  const auto& slots = SlotsOf(profile);
  std::size_t at = slots.size() - file_slots_.size() + files_[file].first_slot;
  FileState state;
  state.size = frozen.synced_size;
  std::uint64_t written_end = 0;
  std::uint64_t written_stamp = 0;
  if (!frozen.sizes.empty()) {
    std::uint32_t size = choice[at];
    if (floor > 0) size = std::max(size, CountThrough(slots[at].stamps, floor));
    for (std::uint32_t i = 0; i < size; ++i) {
      if (!frozen.sizes[i].written) continue;
      written_end = frozen.sizes[i].size;
      written_stamp = frozen.sizes[i].stamp;
    }
    if (size > 0) state.size = frozen.sizes[size - 1].size;
    ++at;
  }
  for (std::size_t i = 0; i < frozen.sectors.size(); ++i, ++at) {
    const auto& [number, versions] = frozen.sectors[i];
    std::uint32_t version = choice[at];
    const std::uint64_t begin = number * kSectorBytes;
    const bool appended = begin + kSectorBytes > frozen.synced_size && begin < written_end;
    if (profile == CrashProfile::kOrderedJournal && appended) {
      const std::uint64_t oldest = std::max(floor, written_stamp);
      version = std::max(version, CountThrough(slots[at].stamps, oldest));
    }
    if (version > 0) state.sectors.emplace_back(number, versions[version - 1].get());
  }
  return state;
}

Hash128 CrashStates::HashOf(const FrozenInode& frozen, const FileState& state) const {
  thread_local std::vector<Hash128> sectors;
  sectors = frozen.synced->hashes;
  for (const auto& [number, version] : state.sectors) {
    if (number >= sectors.size()) sectors.resize(number + 1);
    sectors[number] = version->hash;
  }
  const std::uint64_t count = (state.size + kSectorBytes - 1) / kSectorBytes;
  if (sectors.size() >= count) {
    sectors.resize(count);
    const std::uint64_t used = state.size % kSectorBytes;
    if (used != 0 && sectors.back() != Hash128{}) {
      // Of the last sector only what lies before the end is there.
      alignas(64) std::array<std::byte, kSectorBytes> last{};
      const auto chosen =
          std::ranges::find(state.sectors, count - 1, [](const auto& s) { return s.first; });
      const std::byte* const bytes = chosen != state.sectors.end()
                                         ? chosen->second->bytes.data()
                                         : frozen.synced->bytes.data() + (count - 1) * kSectorBytes;
      std::memcpy(last.data(), bytes, used);
      const bool zero = memory::KernelIsZero(last.data(), kSectorBytes);
      sectors.back() = zero ? Hash128{} : memory::HashOf(last);
    }
  }
  while (!sectors.empty() && sectors.back() == Hash128{}) sectors.pop_back();
  sectors.push_back({.low = state.size, .high = ~std::uint64_t{0}});
  return memory::HashOf(std::as_bytes(std::span(sectors)));
}

Hash128 CrashStates::HashOf(CrashProfile profile, std::span<const std::uint32_t> choice) const {
  Choice all;
  if (profile == CrashProfile::kProcessKill) {
    profile = CrashProfile::kAdversarial;
    all = AsOf(profile, ~std::uint64_t{0});
    choice = all;
  }
  const Names names = NamesOf(profile, choice);
  std::string text;
  for (const auto& [path, file] : names.entries) {
    Hash128 hash;
    if (file != kDirectory) {
      const auto index = static_cast<std::size_t>(file);
      const FrozenInode& frozen = files_[index].frozen;
      hash = frozen.sizes.empty() && frozen.sectors.empty()
                 ? files_[index].synced_hash
                 : HashOf(frozen, StateOf(profile, choice, index, names.floors[index]));
    }
    text.append(path).push_back('\0');
    text.append(reinterpret_cast<const char*>(&hash), sizeof(hash));
  }
  return memory::HashOf(std::as_bytes(std::span(text)));
}

std::unique_ptr<MemoryFileSystem> CrashStates::Image(CrashProfile profile,
                                                     std::span<const std::uint32_t> choice) const {
  auto disk = std::make_shared<memory::Disk>();
  base::MutexLock lock(disk->mutex);
  disk->space.capacity_blocks = capacity_blocks_;
  disk->mounts = mounts_;
  memory::Space* const space = &disk->space;
  const bool killed = profile == CrashProfile::kProcessKill;

  Names names;
  memory::FrozenNames frozen;
  if (killed) {
    frozen = names_;
  } else {
    names = NamesOf(profile, choice);
    for (const auto& [path, file] : names.entries) {
      Node node;
      // It stands for what is made of it below.
      if (file != kDirectory) node.inode = files_[static_cast<std::size_t>(file)].original;
      frozen.durable.emplace(path, std::move(node));
    }
  }
  std::unordered_map<const Inode*, std::shared_ptr<Inode>> made;
  bool out_of_memory = false;
  disk->names = memory::Namespace::Thaw(frozen, [&](const Inode& inode) {
    std::shared_ptr<Inode>& file = made[&inode];
    if (file != nullptr) return file;
    const auto known = std::ranges::find_if(
        files_, [&](const File& candidate) { return candidate.original.get() == &inode; });
    const auto index = static_cast<std::size_t>(known - files_.begin());
    if (killed) {
      file = Inode::ThawUnsynced(files_[index].frozen, *space);
    } else {
      const FileState state = StateOf(profile, choice, index, names.floors[index]);
      file = Inode::Thaw(files_[index].frozen, state.size, state.sectors, *space);
    }
    if (file == nullptr) {
      out_of_memory = true;
      file = std::make_shared<Inode>(*space);
    }
    return file;
  });
  if (out_of_memory) return nullptr;
  return std::unique_ptr<MemoryFileSystem>(new MemoryFileSystem(disk));
}

}  // namespace freyja::io
