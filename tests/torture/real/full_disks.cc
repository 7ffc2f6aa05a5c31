// Full disks of 1 to 64 MiB, in memory and on ext4, and files that may not grow.
//
// Each run: a foreign file takes an eighth of the disk; puts until they fail; deletes and a
// compaction, after which they succeed again; full once more, closed and opened so; the
// foreign file is removed, after which puts succeed again. After each step everything that was
// acknowledged is read.
#include <signal.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <string>
#include <system_error>
#include <vector>

#include "support/test_settings.h"
#include "torture/real/child.h"
#include "torture/real/child_work.h"
#include "torture/real/full_store.h"
#include "torture/real/mounts.h"
#include "torture/real/real.h"
#include "torture/real/verify.h"

namespace freyja::torture::real {

namespace {

using support::Dice;

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;

bool WriteForeignFile(const std::filesystem::path& path, std::uint64_t bytes) {
  std::ofstream file(path, std::ios::binary);
  const std::string piece(4096, 'f');
  for (std::uint64_t written = 0; written < bytes; written += piece.size()) file << piece;
  return file.flush().good();
}

enum class Reserve : std::uint8_t { kDefault, kSmall };

struct Disk {
  std::filesystem::path path;
  std::uint64_t bytes = 0;
  std::string name;
};

// `segment_bytes` 0: the default, which the store makes smaller on a small disk.
void RunOnDisk(const Disk& disk, std::uint64_t segment_bytes, Reserve reserve, std::uint64_t seed,
               Report& report) {
  const std::string label = disk.name + ", segments of " + std::to_string(segment_bytes) +
                            (reserve == Reserve::kSmall ? ", small reserve" : "") + ", seed " +
                            std::to_string(seed);
  const auto foreign = disk.path / "foreign";
  if (!WriteForeignFile(foreign, disk.bytes / 8)) {
    report.Violation(Wrong::kOther, label + ": the foreign file does not fit");
    return;
  }
  Options options;
  options.create_if_missing = true;
  options.scheduler.enabled = false;
  options.sync = Sync::kNone;
  if (segment_bytes != 0) options.segment_bytes = segment_bytes;
  if (reserve == Reserve::kSmall) options.reserve_bytes = 1;  // the least there is
  // About 1500 records fill it.
  const std::uint64_t value_bytes = std::clamp<std::uint64_t>(disk.bytes / 750, 400, 60'000);
  FullStore store(disk.path / "store", options, value_bytes, seed, label, report);
  report.Count("full_disk_runs");
  if (!store.Open(/*may_not_fit=*/true)) return;
  if (!store.opened()) {
    report.Count("full_disk_stores_that_did_not_fit");
    return;
  }
  if (!store.Fill(20'000)) return;
  if (!store.full()) {
    report.Violation(Wrong::kOther, label + ": the disk was never full");
    return;
  }
  if (!store.DeleteMost(5, reserve == Reserve::kDefault) || !store.Compact()) return;
  if (reserve == Reserve::kDefault) {
    if (!store.Resume("deletes and compaction")) return;
  } else if (!store.PutsWork(std::chrono::milliseconds(500))) {
    report.Count("full_disk_small_reserves_that_did_not_suffice");  // as options.h says
  }
  if (!store.Fill(20'000) || !store.Reopen()) return;
  if (!store.DeleteMost(50, reserve == Reserve::kDefault)) return;
  std::error_code ignored;
  std::filesystem::remove(foreign, ignored);
  if (!store.Resume("removing another file") || !store.Fill(20'000) || !store.Compact()) return;
  (void)store.Reopen();
}

void RunInMemory(const std::filesystem::path& scratch, std::uint64_t bytes,
                 std::uint64_t segment_bytes, Reserve reserve, std::uint64_t seed, Report& report) {
  const auto mount = Mount::InMemory(scratch / "full", bytes);
  if (!mount) {
    report.Skipped("full disks in memory: " + mount.error().message());
    return;
  }
  report.Count("full_disk_runs_tmpfs");
  RunOnDisk({mount->path(), bytes, "tmpfs of " + std::to_string(bytes / kMiB) + " MiB"},
            segment_bytes, reserve, seed, report);
}

void RunOnExt4(const std::filesystem::path& scratch, std::uint64_t bytes,
               std::uint64_t segment_bytes, Reserve reserve, std::uint64_t seed, Report& report) {
  const auto memory = Mount::InMemory(scratch / "memory", bytes + kMiB);
  Status status = memory ? Status::Ok() : memory.error();
  if (status.ok()) status = MakeExt4(memory->path() / "disk.img", bytes);
  if (!status.ok()) {
    report.Skipped("full disks on ext4: " + status.message());
    return;
  }
  const auto mount = Mount::Ext4(memory->path() / "disk.img", scratch / "full", "");
  if (!mount) {
    report.Skipped("full disks on ext4: " + mount.error().message());
    return;
  }
  report.Count("full_disk_runs_ext4");
  RunOnDisk({mount->path(), bytes, "ext4 of " + std::to_string(bytes / kMiB) + " MiB"},
            segment_bytes, reserve, seed, report);
}

// A thirty-second of the disk: what a user who thinks about it would take.
std::uint64_t Proportionate(std::uint64_t bytes) {
  return std::max<std::uint64_t>(bytes / 32, kMinSegmentBytes);
}

void RunOverSizes(const Settings& settings, Report& report, Dice& dice, const Deadline& deadline) {
  const ScratchDirectory scratch(settings.directory);
  std::vector<std::uint64_t> sizes = {1, 8};
  if (!settings.quick()) sizes = {1, 2, 4, 8, 16, 32, 64};
  for (const std::uint64_t size : sizes) {
    if (deadline.over()) return;
    const std::uint64_t bytes = size * kMiB;
    const std::uint64_t segment = Proportionate(bytes);
    RunInMemory(scratch.path(), bytes, segment, Reserve::kDefault, dice.Next(), report);
    RunOnExt4(scratch.path(), bytes, segment, Reserve::kDefault, dice.Next(), report);
    if (settings.quick() && size != 8) continue;
    RunInMemory(scratch.path(), bytes, segment, Reserve::kSmall, dice.Next(), report);
    RunOnExt4(scratch.path(), bytes, segment, Reserve::kSmall, dice.Next(), report);
  }
  // The options that a user has who did not think about it.
  for (const std::uint64_t size : {std::uint64_t{4}, std::uint64_t{64}}) {
    if (settings.quick() && size == 4) continue;
    RunInMemory(scratch.path(), size * kMiB, 0, Reserve::kDefault, dice.Next(), report);
    RunOnExt4(scratch.path(), size * kMiB, 0, Reserve::kDefault, dice.Next(), report);
  }
}

// --- RLIMIT_FSIZE: in a child, because the limit is that of a process -------------------

void RunWithFileSizeLimit(const std::filesystem::path& scratch, std::uint64_t limit,
                          std::uint64_t seed, Report& report) {
  ChildSpec spec;
  spec.task = Task::kFileSizeLimit;
  spec.directory = scratch / ("limit-" + std::to_string(limit) + "-" + std::to_string(seed));
  spec.shape.seed = seed;
  spec.file_size_limit = limit;
  spec.segment_bytes = 256 << 10;
  auto child = Child::Start(spec);
  if (!child) {
    report.Violation(Wrong::kOther, child.error().ToString());
    return;
  }
  child->Go();
  const std::vector<Message> messages = child->ReceiveRest();
  const int status = child->Reap();
  bool failed = false;
  for (const Message& message : messages) {
    if (message.kind == Message::Kind::kFigure) report.Count(message.text, message.number);
    if (message.kind != Message::Kind::kFailed) continue;
    failed = true;
    report.Violation(static_cast<Wrong>(message.number), message.text);
  }
  if (status != 0 && !failed) {
    report.Violation(Wrong::kOther, "under a limit of " + std::to_string(limit) +
                                        " bytes for files the child " + DescribeEnd(status));
  }
  report.Count("full_disk_runs");
  report.Count("full_disk_runs_file_size_limit");
}

bool SetFileSizeLimit(std::uint64_t bytes) {
  struct rlimit limit{};
  if (::getrlimit(RLIMIT_FSIZE, &limit) != 0) return false;
  limit.rlim_cur = std::min<rlim_t>(bytes, limit.rlim_max);
  return ::setrlimit(RLIMIT_FSIZE, &limit) == 0;
}

bool LiveUnderLimit(const ChildSpec& spec, Report& report) {
  Options options = spec.StoreOptions();
  FullStore store(spec.directory, options, 4000, spec.shape.seed,
                  "files of at most " + std::to_string(spec.file_size_limit) + " bytes, seed " +
                      std::to_string(spec.shape.seed),
                  report);
  if (!store.Open() || !store.Fill(400)) return false;
  if (!SetFileSizeLimit(spec.file_size_limit)) return false;
  if (!store.Fill(3000)) return false;
  // What is too small for a segment of the least size, or for the manifest, lets nothing through.
  if (!store.DeleteMost(3, /*must_work=*/false) || !store.Compact()) return false;
  if (!SetFileSizeLimit(RLIM_INFINITY)) return false;
  return store.Resume("lifting the limit") && store.Compact() && store.Reopen();
}

}  // namespace

void RunUnderFileSizeLimit(const ChildSpec& spec) {
  ::signal(SIGXFSZ, SIG_IGN);  // as a host that wants an error instead does
  Report report;
  const bool done = LiveUnderLimit(spec, report);
  for (const char* figure : {"full_disk_refused_puts", "full_disk_refused_deletes",
                             "full_disk_resumes", "full_disk_compactions_aborted"}) {
    Send({.kind = Message::Kind::kFigure, .number = report.figure(figure), .text = figure});
  }
  if (report.violations() != 0) {
    Send({.kind = Message::Kind::kFailed,
          .number = static_cast<std::uint64_t>(Wrong::kOther),
          .text = report.Problems()});
  } else if (!done) {
    Send({.kind = Message::Kind::kFailed,
          .number = static_cast<std::uint64_t>(Wrong::kOther),
          .text = "the limit can't be set"});
  }
}

void RunFullDisks(const Settings& settings, Report& report) {
  const Deadline deadline(settings);
  Dice dice(settings.seed);
  do {
    {
      const ScratchDirectory scratch(settings.directory);
      for (const std::uint64_t limit_kib : {0U, 4U, 20U, 100U}) {
        if (deadline.over()) return;
        RunWithFileSizeLimit(scratch.path(), limit_kib << 10, dice.Next(), report);
      }
    }
    const Status status =
        RunWithPrivateMounts([&] { RunOverSizes(settings, report, dice, deadline); });
    if (!status.ok())
      report.Skipped("full disks on file systems of their own: " + status.message());
  } while (!settings.quick() && !deadline.over());
}

}  // namespace freyja::torture::real
