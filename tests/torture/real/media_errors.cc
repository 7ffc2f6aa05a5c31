// Files that are shortened under a mapping: a sealed segment's, and the active one's under its
// writer. The call that meets the damage gets an error; everything else goes on. (device_errors.cc
// has a device that fails.)
#include <filesystem>
#include <optional>
#include <string>
#include <system_error>

#include "support/test_settings.h"
#include "torture/real/damaged_store.h"
#include "torture/real/device_errors.h"
#include "torture/real/mounts.h"
#include "torture/real/real.h"
#include "torture/real/verify.h"

namespace freyja::torture::real {

namespace {

using support::Dice;

constexpr std::uint64_t kPage = 4096;

// Reading what was pinned before is allowed to see zeros (the mapping has nothing else left),
// and must not kill anybody.
bool ReadPin(const std::optional<PinnedValue>& pin) {
  std::uint64_t sum = 0;
  if (pin) {
    for (const char c : pin->value()) sum += static_cast<unsigned char>(c);
  }
  return sum != 0;
}

void ShortenSealed(const std::filesystem::path& scratch, std::uint64_t seed, Report& report) {
  DamagedStore damaged(scratch / ("sealed-" + std::to_string(seed)), seed,
                       "a sealed segment shortened", report);
  if (!damaged.Build()) return;
  Dice& dice = damaged.dice();
  const SegmentInfo segment = *damaged.Find(SegmentState::kSealed);
  // At times nothing was ever read of it, at others all of it is in memory.
  if (dice.OneIn(2) && !damaged.CheckReads(0, false)) return;
  {
    auto pin = damaged.store().GetPinned("key" + std::to_string(dice.Below(200)));
    std::error_code error;
    const std::uint64_t half = segment.file_bytes / 2;
    const std::uint64_t size = dice.OneIn(3)   ? 0
                               : dice.OneIn(2) ? dice.Below(half) / kPage * kPage
                                               : dice.Below(half);
    std::filesystem::resize_file(damaged.PathOf(segment), size, error);
    if (error) {
      damaged.Violate(Wrong::kOther, "shortening failed: " + error.message());
      return;
    }
    report.Count("media_errors");
    if (pin && !ReadPin(*pin)) report.Count("media_error_pins_reading_zeros");
  }
  const std::uint64_t may_fail = segment.live_records;
  if (!damaged.CheckReads(may_fail, true) || !damaged.CheckCompaction(segment, may_fail)) return;
  if (damaged.store().VerifyChecksums().ok()) {
    damaged.Violate(Wrong::kSilentlyWrong, "VerifyChecksums finds nothing");
    return;
  }
  for (int i = 0; i < 10; ++i) {
    const Status put = damaged.Put();
    if (!put.ok()) damaged.Violate(Wrong::kOther, "a put elsewhere: " + put.ToString());
  }
  damaged.Close();
}

// Until a put fails, which it does before it is believed.
void ShortenActive(const std::filesystem::path& scratch, std::uint64_t seed, Report& report) {
  DamagedStore damaged(scratch / ("active-" + std::to_string(seed)), seed,
                       "the active segment shortened", report);
  if (!damaged.Build()) return;
  Dice& dice = damaged.dice();
  const auto segment = damaged.Find(SegmentState::kActive);
  if (!segment) return;
  // Whole pages: what a put stores behind the end of a file, but in its last page, is lost
  // without a fault; no program can notice.
  const std::uint64_t size = dice.Below(segment->file_bytes / kPage + 1) * kPage;
  std::error_code error;
  std::filesystem::resize_file(damaged.PathOf(*segment), size, error);
  if (error) {
    damaged.Violate(Wrong::kOther, "shortening failed: " + error.message());
    return;
  }
  report.Count("media_errors");
  Status put;
  // If the next record happens to go to the next segment, it is the sealing that notices; a writer
  // that outruns it by some segments has to help, and learns of it.
  for (int i = 0; i < 3000 && put.ok(); ++i) put = damaged.Put();
  if (put.code() != StatusCode::kIoError && put.code() != StatusCode::kReadOnly) {
    damaged.Violate(Wrong::kOther, "no put failed as it should: " + put.ToString());
    return;
  }
  const Stats stats = damaged.store().GetStats();
  if (!stats.read_only || stats.background_error.ok() ||
      damaged.Put().code() != StatusCode::kReadOnly) {
    damaged.Violate(Wrong::kOther, "the writer goes on after a lost store");
    return;
  }
  // What the put that failed left in the segment is not read: live records are of published ones.
  if (!damaged.CheckReads(segment->live_records, false)) return;
  damaged.Close();
}

}  // namespace

void RunMediaErrors(const Settings& settings, Report& report) {
  report.Skipped(
      "read errors by device-mapper: instead the file behind a loop device is cut short");
  const Deadline deadline(settings);
  Dice dice(settings.seed);
  do {
    {
      const ScratchDirectory scratch(settings.directory);
      for (int i = 0; i < 3; ++i) {
        ShortenSealed(scratch.path(), dice.Next(), report);
        ShortenActive(scratch.path(), dice.Next(), report);
      }
    }
    const Status status = RunWithPrivateMounts([&] {
      const ScratchDirectory scratch(settings.directory);
      FailReads(scratch.path(), dice.Next(), report);
      FailSyncs(scratch.path(), dice.Next(), report);
    });
    if (!status.ok()) report.Skipped("devices that fail: " + status.message());
  } while (!settings.quick() && !deadline.over());
}

}  // namespace freyja::torture::real
