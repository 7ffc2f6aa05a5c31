#include "torture/rot/rot_examiner.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "freyja/compaction.h"
#include "support/crash_images.h"
#include "support/store_contents.h"

namespace freyja::torture {

using io::MemoryFileSystem;
using support::Contents;

namespace {

std::filesystem::path PathOf(const std::string& file) {
  return std::filesystem::path(support::kStorePath) / file;
}

// What reading everything came to: the first error, and the first answer that is wrong.
struct Readings {
  Status error;
  std::string wrong;
};

void Compare(const std::string& how, const std::string& key,
             const Result<std::optional<std::string>>& answer, const Contents& expected,
             Readings& readings) {
  if (!answer) {
    if (readings.error.ok()) readings.error = answer.error();
    return;
  }
  const auto entry = expected.find(key);
  const bool right = entry == expected.end() ? !answer->has_value() : *answer == entry->second;
  if (!right && readings.wrong.empty()) {
    readings.wrong = how + " of " + key + (answer->has_value() ? ": another value" : ": nothing");
  }
}

void Walk(const KVStore& store, const Contents& expected, Readings& readings) {
  auto it = store.NewIterator();
  if (!it) {
    readings.error = it.error();
    return;
  }
  std::size_t seen = 0;
  for (it->Next(); it->Valid(); it->Next(), ++seen) {
    const auto entry = expected.find(std::string(it->key()));
    if (entry == expected.end() || entry->second != it->value()) {
      readings.wrong = "the iterator shows " + std::string(it->key());
    }
  }
  if (!it->status().ok()) {
    readings.error = it->status();
  } else if (seen != expected.size()) {
    readings.wrong = "the iterator shows " + std::to_string(seen) + " keys";
  }
}

Readings ReadAll(const KVStore& store, const Contents& expected,
                 const std::set<std::string>& other_keys) {
  Readings readings;
  Walk(store, expected, readings);
  std::vector<std::string_view> keys(other_keys.begin(), other_keys.end());
  for (const auto& [key, value] : expected) keys.push_back(key);
  const auto many = store.MultiGet(keys);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const std::string key(keys[i]);
    Compare("MultiGet", key, many.at(i), expected, readings);
    Compare("Get", key, store.Get(key), expected, readings);
  }
  return readings;
}

Options OptionsFor(bool read_only) {
  Options options;
  options.sync = Sync::kNone;
  options.segment_bytes = kMinSegmentBytes;
  options.reserve_bytes = 256 << 10;
  options.worker_threads = 1;
  options.read_only = read_only;
  return options;
}

void Must(const Status& status) {
  if (!status.ok()) throw std::runtime_error("damaging the store: " + status.ToString());
}

}  // namespace

std::shared_ptr<MemoryFileSystem> Examiner::Damaged(const Damage& damage) const {
  std::shared_ptr<MemoryFileSystem> disk =
      subject_.disk->CrashImage({.mode = io::CrashOptions::Mode::kProcessKill});
  for (const auto& [file, bytes] : damage.changed) Must(disk->Overwrite(PathOf(file), bytes));
  for (const std::string& file : damage.removed) Must(disk->Unlink(PathOf(file)));
  if (damage.flip) {
    Must(disk->Corrupt(PathOf(damage.flip->file), damage.flip->bit / 8,
                       std::byte{1} << (damage.flip->bit % 8)));
  }
  return disk;
}

Bytes Examiner::ActiveAfter(const Damage& damage) const {
  const std::string& active = subject_.active;
  if (std::ranges::find(damage.removed, active) != damage.removed.end()) return {};
  const auto changed = damage.changed.find(active);
  Bytes bytes = changed != damage.changed.end() ? changed->second : subject_.files.at(active);
  if (damage.flip && damage.flip->file == active) {
    bytes.at(damage.flip->bit / 8) ^= std::byte{1} << (damage.flip->bit % 8);
  }
  return bytes;
}

bool Examiner::HintsAreWhole(const Damage& damage, const MemoryFileSystem& disk) const {
  std::vector<std::string> files = damage.removed;
  for (const auto& [file, bytes] : damage.changed) files.push_back(file);
  if (damage.flip) files.push_back(damage.flip->file);
  return std::ranges::any_of(files, [&](const std::string& file) {
    if (!file.ends_with(".hint")) return false;
    const auto now = disk.Contents(PathOf(file));
    const auto before = subject_.files.find(file);
    return now && before != subject_.files.end() && *now == before->second;
  });
}

std::string Examiner::GoOn(std::shared_ptr<MemoryFileSystem> disk, std::unique_ptr<KVStore> store,
                           Contents contents) const {
  const std::string value = support::MakeValue("later", 1, 20);
  if (const Status put = store->Put("later", value); !put.ok()) return put.ToString();
  contents["later"] = value;
  HotSwapConfig config;
  config.min_space_saving = 0;
  config.seal_active = true;
  const auto report = HotSwapCompactor(*store, config).Compact();
  if (!report) return "compaction: " + report.error().ToString();
  const Readings now = ReadAll(*store, contents, subject_.other_keys);
  if (!now.wrong.empty() || !now.error.ok()) {
    return "after a compaction: " + now.wrong + now.error.ToString();
  }
  if (const Status closed = store->Close(); !closed.ok()) return closed.ToString();
  store.reset();
  const auto again = support::OpenOn(std::move(disk), OptionsFor(/*read_only=*/true), 3);
  if (!again) return "opened again: " + again.error().ToString();
  const Readings later = ReadAll(**again, contents, subject_.other_keys);
  if (!later.wrong.empty() || !later.error.ok()) {
    return "opened again: " + later.wrong + later.error.ToString();
  }
  return {};
}

Finding Examiner::Examine(const Damage& damage, bool read_only) const {
  const std::shared_ptr<MemoryFileSystem> disk = Damaged(damage);
  auto store = support::OpenOn(disk, OptionsFor(read_only), 2);
  if (!store) return {Fate::kDetected, store.error().ToString()};

  Contents expected = planted_.value_or(subject_.contents);
  Readings readings = ReadAll(**store, expected, subject_.other_keys);
  bool tear = false;
  if (!readings.wrong.empty() && !subject_.clean) {
    if (const auto torn = subject_.StateOfTear(ActiveAfter(damage))) {
      std::set<std::string> other_keys = subject_.other_keys;
      for (const auto& [key, value] : expected) other_keys.insert(key);
      for (const auto& [key, value] : *torn) other_keys.erase(key);
      const Readings as_torn = ReadAll(**store, *torn, other_keys);
      if (as_torn.wrong.empty()) {
        tear = true;
        expected = *torn;
        readings = as_torn;
      }
    }
  }
  if (!readings.wrong.empty() && !blind_) {
    return {Fate::kWrong, readings.wrong + " without an error"};
  }
  if (!readings.error.ok()) return {Fate::kDetected, readings.error.ToString()};
  if (const Status checked = (*store)->VerifyChecksums(); !checked.ok()) {
    return {Fate::kDetected, checked.ToString()};
  }
  if (!read_only && !blind_) {
    const bool rebuilt = HintsAreWhole(damage, *disk);
    std::string problem = GoOn(disk, *std::move(store), expected);
    if (!problem.empty()) return {Fate::kWrong, "seemed to be all right, but " + problem};
    if (rebuilt) return {Fate::kRebuilt, {}};
  }
  return {tear ? Fate::kTear : Fate::kUnused, {}};
}

}  // namespace freyja::torture
