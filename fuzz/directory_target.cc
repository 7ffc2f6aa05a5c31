// Opening a directory of fuzzed files (made_directory.h) on a file system in memory.
// Properties:
// - reading only changes no file and shows what opening for writing shows;
// - where nothing lies, the outcome is exactly the expected one: refused with kCorruption, or
//   opened with these contents, which all verify;
// - whatever lies, what is shown stands in a verifying record of a listed file (a hint that
//   lies with checksums that hold can make an older one, or a deletion, seen), the only
//   errors are those of damage, and a store that refuses to open has changed neither
//   MANIFEST nor data files;
// - a store that opened takes writes, and shows the same after it was closed, after a crash,
//   and after a compaction.
#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "format/ids.h"
#include "freyja/compaction.h"
#include "fuzz/input.h"
#include "fuzz/made_directory.h"
#include "fuzz/property.h"
#include "fuzz/targets.h"
#include "support/crash_images.h"
#include "support/store_contents.h"
#include "text.h"

namespace freyja::fuzz {

namespace {

using support::Contents;
using Disk = std::shared_ptr<io::MemoryFileSystem>;

Options SmallOptions(bool read_only) {
  Options options;
  options.read_only = read_only;
  options.sync = freyja::Sync::kNone;
  options.segment_bytes = kMinSegmentBytes;
  options.reserve_bytes = 64 << 10;
  options.worker_threads = 1;
  return options;
}

// Without the files that an open may make or remove whatever it finds.
Files FilesOf(io::MemoryFileSystem& disk, bool data_only) {
  Files files;
  const auto names = disk.List(support::kStorePath);
  Expect(names.has_value(), "no directory");
  for (const std::string& name : *names) {
    if (name == format::kLockName || name == format::kReserveName) continue;
    const bool data = format::ParseFileName(name).kind == format::FileKind::kData ||
                      name == format::kManifestName;
    if (data_only && !data) continue;
    files[name] = *disk.Contents(std::filesystem::path(support::kStorePath) / name);
  }
  return files;
}

// A directory without manifest and data files is no store at all.
bool IsDamage(const Status& status) {
  return status.code() == StatusCode::kCorruption || status.code() == StatusCode::kUnsupported ||
         status.code() == StatusCode::kNotFound || status.code() == StatusCode::kInvalidArgument;
}

void ExpectDamage(const Status& status, const char* where) {
  if (!IsDamage(status)) Fail(std::string(where) + ": " + status.ToString());
}

// What a store shows; an error if a record does not verify when it is read.
Result<Contents> Shown(const KVStore& store, const MadeDirectory& made) {
  auto contents = support::ReadContents(store);
  if (!contents) {
    Expect(!made.intact(), "what is intact can't be read");
    // A hash that lies gives a key a second place in the index.
    const bool twice = contents.error().code() == StatusCode::kAborted;
    if (!twice) ExpectDamage(contents.error(), "reading");
    return contents;
  }
  for (const auto& [key, value] : *contents) {
    if (!made.pairs().contains({key, value})) {
      Fail("stands in no record: " + cli::Escape(key) + ": " + cli::Escape(value));
    }
  }
  if (made.intact()) {
    ExpectNone(support::CompareReads(store, made.contents()), "not what is in the files");
  }
  return contents;
}

struct Opened {
  std::unique_ptr<KVStore> store;  // null: refused
  Result<Contents> contents;
};

Opened Open(const Disk& disk, const MadeDirectory& made, bool read_only) {
  auto store = support::OpenOn(disk, SmallOptions(read_only), 5);
  if (!store) {
    ExpectDamage(store.error(), "opening");
    Expect(!made.intact() || made.refused(), store.error().ToString().c_str());
    return {nullptr, std::unexpected(store.error())};
  }
  Expect(!made.intact() || !made.refused(), "opened although it must be refused");
  Result<Contents> contents = Shown(**store, made);
  return {*std::move(store), std::move(contents)};
}

void CheckReadOnly(const MadeDirectory& made, const Opened& for_writing) {
  const Disk disk = made.MakeDisk();
  const Files before = FilesOf(*disk, /*data_only=*/false);
  {
    const Opened opened = Open(disk, made, /*read_only=*/true);
    Expect((opened.store == nullptr) == (for_writing.store == nullptr),
           "reading and writing don't agree on whether it opens");
    Expect(opened.contents.has_value() == for_writing.contents.has_value(),
           "reading and writing don't agree on whether it can be read");
    // Opening to write seals the log by numbers that the manifest may lie about.
    if (opened.contents && !made.manifest_lies()) {
      Expect(*opened.contents == *for_writing.contents,
             "reading and writing show different things");
    }
  }
  Expect(FilesOf(*disk, /*data_only=*/false) == before, "opening to read changed a file");
}

std::unique_ptr<KVStore> OpenAgain(const Disk& disk, const Contents& expected, const char* when) {
  auto store = support::OpenOn(disk, SmallOptions(/*read_only=*/false), 6);
  if (!store) Fail(std::string(when) + ": does not open: " + store.error().ToString());
  ExpectNone(support::CompareReads(**store, expected), when);
  return *std::move(store);
}

// The store goes on like any other. What lies can still be found out, so only what is intact
// must succeed.
void CheckGoesOn(Opened opened, Disk disk, const MadeDirectory& made, Input& in) {
  Contents expected = *opened.contents;
  const std::string value = support::MakeValue("new", 1, 300);
  Expect(opened.store->Put("new", value, {}).ok(), "does not take a put");
  expected["new"] = value;
  const auto deleted = opened.store->Delete("key0", {});
  Expect(deleted.has_value() && *deleted == (expected.erase("key0") == 1), "wrong delete");
  const Status verified = opened.store->VerifyChecksums();
  const bool hint_found = made.has_damaged_hint() && verified.code() == StatusCode::kCorruption &&
                          verified.message().find(".hint") != std::string::npos;
  if (!verified.ok() && !hint_found) Fail("does not verify: " + verified.ToString());
  if (in.Flag()) {
    Expect(opened.store->Close().ok(), "does not close");
    opened.store.reset();
  } else {
    Expect(opened.store->Sync().ok(), "does not sync");
    disk = disk->CrashImage({.mode = io::CrashOptions::Mode::kRandom, .seed = in.U8()});
    opened.store.reset();
  }
  auto store = OpenAgain(disk, expected, "opened again");
  HotSwapConfig config;
  config.min_space_saving = 0;
  config.seal_active = in.Flag();
  const auto report = HotSwapCompactor(*store, config).Compact();
  if (!report) Fail("compaction: " + report.error().ToString());
  ExpectNone(support::CompareReads(*store, expected), "after a compaction");
  disk = disk->CrashImage({.mode = io::CrashOptions::Mode::kLoseAllUnsynced});
  store.reset();
  OpenAgain(disk, expected, "after a compaction and a crash");
}

}  // namespace

void FuzzDirectory(Bytes data) {
  Input in(data);
  const MadeDirectory made(in);
  const Disk disk = made.MakeDisk();
  const Files before = FilesOf(*disk, /*data_only=*/true);
  Opened opened = Open(disk, made, /*read_only=*/false);
  CheckReadOnly(made, opened);
  if (opened.store == nullptr) {
    Expect(FilesOf(*disk, /*data_only=*/true) == before, "a store that was refused was changed");
    return;
  }
  const auto notes = made.files().find("notes.txt");
  if (notes != made.files().end()) {
    Expect(FilesOf(*disk, false)["notes.txt"] == notes->second, "a foreign file was touched");
  }
  if (made.intact()) CheckGoesOn(std::move(opened), disk, made, in);
}

}  // namespace freyja::fuzz
