#include "torture/real/device_errors.h"

#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <string>
#include <system_error>

#include "support/history.h"
#include "support/store_contents.h"
#include "torture/real/damaged_store.h"
#include "torture/real/mounts.h"

namespace freyja::torture::real {

namespace {

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;

// The first byte of a file on its disk, and the one behind its last.
struct Place {
  std::uint64_t begin = ~std::uint64_t{0};
  std::uint64_t end = 0;
};

// A file may lie in several pieces, in any order.
std::optional<Place> PlaceOnDisk(const std::filesystem::path& path) {
  constexpr std::uint32_t kMostPieces = 64;
  constexpr std::size_t kBytes = sizeof(struct fiemap) + kMostPieces * sizeof(struct fiemap_extent);
  alignas(std::uint64_t) std::array<char, kBytes> buffer{};
  auto* const map = reinterpret_cast<struct fiemap*>(buffer.data());
  map->fm_length = ~std::uint64_t{0};
  map->fm_extent_count = kMostPieces;
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return std::nullopt;
  const int result = ::ioctl(file, FS_IOC_FIEMAP, map);
  ::close(file);
  if (result != 0 || map->fm_mapped_extents == 0) return std::nullopt;
  Place place;
  struct fiemap_extent piece{};
  for (std::uint32_t i = 0; i < map->fm_mapped_extents; ++i) {
    std::memcpy(&piece, buffer.data() + sizeof(struct fiemap) + i * sizeof(piece), sizeof(piece));
    place.begin = std::min<std::uint64_t>(place.begin, piece.fe_physical);
    place.end = std::max<std::uint64_t>(place.end, piece.fe_physical + piece.fe_length);
  }
  return place;
}

// Whether ext4 found errors in itself and has not been repaired since.
bool SaysThatItIsDamaged(const std::filesystem::path& image) {
  constexpr off_t kState = 1024 + 0x3a;  // s_state of the superblock
  constexpr unsigned char kErrors = 2;
  unsigned char state = 0;
  const int file = ::open(image.c_str(), O_RDONLY | O_CLOEXEC);
  const bool read = file >= 0 && ::pread(file, &state, 1, kState) == 1;
  if (file >= 0) ::close(file);
  return read && (state & kErrors) != 0;
}

}  // namespace

// A loop device answers a read beyond the end of the file behind it with EIO. So the file is cut
// where the last sealed segment begins. There is no journal whose writes would lengthen it again.
void FailReads(const std::filesystem::path& scratch, std::uint64_t seed, Report& report) {
  const auto memory = Mount::InMemory(scratch / "memory", 24 * kMiB);
  Status status = memory ? Status::Ok() : memory.error();
  const auto image = scratch / "memory" / "disk.img";
  if (status.ok()) status = MakeExt4(image, 16 * kMiB, {"-O", "^has_journal"});
  if (!status.ok()) {
    report.Skipped("devices that fail to read: " + status.message());
    return;
  }
  auto disk = Mount::Ext4(image, scratch / "disk", "");
  if (!disk) {
    report.Skipped("devices that fail to read: " + disk.error().message());
    return;
  }
  DamagedStore damaged(scratch / "disk" / "store", seed, "a device that fails to read", report);
  if (!damaged.Build()) return;
  damaged.Close();
  // Anew, so that nothing of the segments is in memory.
  (void)disk->Unmount();
  const auto again = Mount::Ext4(image, scratch / "disk", "");
  if (!again) {
    report.Skipped("devices that fail to read: " + again.error().message());
    return;
  }
  if (!damaged.Reopen()) return;
  const auto segments = damaged.store().GetSegments();
  std::optional<SegmentInfo> last;
  std::uint64_t cut = 0;
  for (const SegmentInfo& segment : segments) {
    const auto place = PlaceOnDisk(damaged.PathOf(segment));
    if (segment.state != SegmentState::kSealed || segment.live_records == 0 || !place) continue;
    if (place->begin > cut) {
      last = segment;
      cut = place->begin;
    }
  }
  if (!last) {
    report.Skipped("devices that fail to read: the file system does not say where files are");
    return;
  }
  // Pieces of others may lie behind its first.
  std::uint64_t may_fail = 0;
  for (const SegmentInfo& segment : segments) {
    const auto place = PlaceOnDisk(damaged.PathOf(segment));
    if (!place || place->end > cut) may_fail += segment.live_records;
  }
  // Recovery may have read it.
  const int file = ::open(damaged.PathOf(*last).c_str(), O_RDONLY | O_CLOEXEC);
  ::posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
  ::close(file);
  std::error_code error;
  std::filesystem::resize_file(image, cut, error);
  report.Count("media_errors");
  report.Count("media_errors_of_devices");
  if (!damaged.CheckReads(may_fail, true)) return;
  (void)damaged.CheckCompaction(*last, may_fail);
  damaged.Close();
}

// The file behind the device is sparse and lies on a file system that is full sooner than the
// device is: its writes fail, and the file system above it passes the error on to fsync.
void FailSyncs(const std::filesystem::path& scratch, std::uint64_t seed, Report& report) {
  auto memory = Mount::InMemory(scratch / "small", 6 * kMiB);
  Status status = memory ? Status::Ok() : memory.error();
  const auto image = scratch / "small" / "disk.img";
  if (status.ok()) status = MakeExt4(image, 32 * kMiB, {"-J", "size=1"});
  if (!status.ok()) {
    report.Skipped("devices that fail to write: " + status.message());
    return;
  }
  auto disk = Mount::Ext4(image, scratch / "failing", "");
  if (!disk) {
    report.Skipped("devices that fail to write: " + disk.error().message());
    return;
  }
  const auto directory = scratch / "failing" / "store";
  const auto violate = [&](Wrong wrong, const std::string& what) {
    report.Violation(wrong,
                     "a device that fails to write, seed " + std::to_string(seed) + ": " + what);
  };
  Options options;
  options.create_if_missing = true;
  options.scheduler.enabled = false;
  options.segment_bytes = 256 << 10;
  support::History history({});
  support::Dice dice(seed);
  // Every write, or some together: whole segments are synced, or their records only.
  const std::uint64_t sync_every = dice.Below(2) == 0 ? 1 : dice.Between(2, 30);
  options.sync = sync_every == 1 ? Sync::kAlways : Sync::kNone;
  Status first;
  {
    auto store = KVStore::Open(directory, options);
    if (!store) return violate(Wrong::kOther, "open: " + store.error().ToString());
    for (std::uint64_t number = 1; number < 20'000 && first.ok(); ++number) {
      const std::string key = "key" + std::to_string(dice.Below(100));
      const std::string value = support::MakeValue(key, number, dice.Between(100, 8000));
      history.Begin({{key, value}});
      first = (*store)->Put(key, value);
      if (first.ok()) history.Acknowledge();
      if (first.ok() && number % sync_every == 0) {
        if (sync_every > 1) first = (*store)->Sync();
        if (first.ok()) history.MakeDurable();
      }
    }
    if (first.ok()) {
      report.Skipped("devices that fail to write: this one did not");
      return;
    }
    report.Count("media_errors");
    report.Count("media_errors_of_devices");
    // A failure to prepare the next segment need not be one of the log; one of the log is for good.
    const Stats stats = (*store)->GetStats();
    if (stats.read_only && (*store)->Put("later", "put").ok()) {
      violate(Wrong::kOther, "a read-only store took a put");
    }
    if (stats.read_only) report.Count("media_errors_that_poisoned");
    std::string wrong = support::CompareReads(**store, history.StateAfter(history.acknowledged()));
    if (!wrong.empty()) violate(Wrong::kOther, "reads after the failure: " + wrong);
    (void)(*store)->Close();
  }
  (void)disk->Unmount();
  // The device is as new; its file system replays its journal.
  if (!memory->Resize(64 * kMiB).ok()) return;
  const auto again = Mount::Ext4(image, scratch / "failing", "");
  if (!again) {
    report.Skipped("what a device that failed to write kept: ext4 wants to be repaired first");
    return;
  }
  // Where the device lost what ext4 wrote about its files, after an fsync of them had succeeded,
  // nobody above can keep anything; ext4 says so of itself. Even then nothing is made up.
  const bool damaged = SaysThatItIsDamaged(image);
  if (damaged) {
    report.Count("media_errors_that_damaged_ext4");
    report.NotModelled("what must be left on an ext4 that was damaged by failing writes");
  }
  auto store = KVStore::Open(directory, options);
  if (!store && damaged) return;
  if (!store) return violate(Wrong::kOther, "reopen: " + store.error().ToString());
  const auto contents = support::ReadContents(**store);
  if (!contents && damaged) return;
  if (!contents) return violate(Wrong::kOther, "iterator: " + contents.error().ToString());
  const std::string wrong = history.Judge(
      *contents, {.at_least = damaged ? 0 : history.durable(), .at_most = history.begun()});
  if (!wrong.empty()) violate(damaged ? Wrong::kHole : Wrong::kAcknowledgedLost, wrong);
}

}  // namespace freyja::torture::real
