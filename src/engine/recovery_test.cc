// Opening what a close, a crash or an accident left.
#include "engine/recovery.h"

#include <gtest/gtest.h>

#include <atomic>
#include <set>

#include "base/bytes.h"
#include "engine/store_testing.h"
#include "format/segment_header.h"

namespace freyja::engine {
namespace {

using io::CrashOptions;
using io::Operation;
using testing::Contents;
using testing::Files;
using testing::FilesOf;
using testing::kPath;
using testing::Machine;
using testing::Model;
using testing::Must;
using testing::Open;
using testing::Put;
using testing::TryOpen;

// Two sealed segments and a log with records, closed in the way the test asks for.
class RecoveryTest : public testing::ModelledStoreTest {
 protected:
  RecoveryTest() {
    Write("a", 20, 1);
    EXPECT_OK(store_->SealActive());
    Write("a", 10, 2);
    Remove("a15");
    EXPECT_OK(store_->SealActive());
    Write("b", 10, 1);
    testing::WaitUntilIdle(*store_);
  }
  void Crash(CrashOptions::Mode mode) {
    const Machine after = machine_.AfterCrash(mode);
    store_.reset();
    machine_ = after;
  }
  // Opening fails as corruption and names `name`; no file is lost by the attempt.
  void ExpectCorruption(const std::string& name) {
    const auto before = Must(machine_.fs->List(kPath));
    const auto opened = TryOpen(machine_);
    ASSERT_FALSE(opened.has_value()) << name;
    EXPECT_EQ(opened.error().code(), StatusCode::kCorruption);
    EXPECT_NE(opened.error().message().find(name), std::string::npos) << opened.error().message();
    for (const std::string& file : before) {
      EXPECT_TRUE(testing::FileExists(machine_, file)) << file;
    }
  }
  std::uint64_t ActiveId() {
    for (const auto& segment : store_->GetSegments()) {
      if (segment.state == SegmentState::kActive) return segment.id;
    }
    return 0;
  }
};

TEST_F(RecoveryTest, AfterACleanCloseTheSameSegmentAndNumberingGoOn) {
  const auto active = ActiveId();
  const auto last = store_->GetStats().last_sequence;
  Close();
  OpenAndExpectModel();
  EXPECT_EQ(ActiveId(), active);
  Put(*store_, "next", "x");
  EXPECT_EQ(store_->GetStats().last_sequence, last + 1);
  EXPECT_EQ(store_->GetStats().recovered_tail_records_copied, 0u);
}

TEST_F(RecoveryTest, AfterAProcessKillEveryWriteIsThere) {
  Crash(CrashOptions::Mode::kProcessKill);
  OpenAndExpectModel();
  EXPECT_EQ(store_->GetStats().recovered_tail_records_copied, 10u);
}

TEST_F(RecoveryTest, ManyUnsealedSegmentsAreTakenByAnyNumberOfThreads) {
  // Sealing the first of them waits, and so do those behind it.
  std::atomic<bool> held{true};
  machine_.fs->SetOperationHook([&](Operation operation, const std::filesystem::path& path) {
    if (operation != Operation::kCreate || path.extension() != ".hint") return;
    testing::WaitUntil([&] { return !held; });
  });
  const auto full = [&] {
    return std::ranges::count(store_->GetSegments(), SegmentState::kFull, &SegmentInfo::state);
  };
  for (int version = 3; full() < 3; ++version) Write("c", 50, version);
  Write("d", 10, 1);
  const Machine killed = machine_.AfterCrash(CrashOptions::Mode::kProcessKill);
  held = false;
  store_.reset();

  std::set<std::uint64_t> copied;
  for (const unsigned threads : {1u, 2u, 7u}) {
    machine_ = killed.AfterCrash(CrashOptions::Mode::kProcessKill);
    Options options = testing::SmallOptions();
    options.worker_threads = threads;
    OpenAndExpectModel(options);
    const Stats stats = store_->GetStats();
    copied.insert(stats.recovered_tail_records_copied);
    EXPECT_GT(stats.recovered_tail_records_copied, 2 * kMinSegmentBytes / 200);
    Write("e", 10, static_cast<int>(threads));
    Close();
    OpenAndExpectModel(options);
    Close();
    for (int i = 0; i < 10; ++i) model_.erase("e" + std::to_string(i));
  }
  EXPECT_EQ(copied.size(), 1u);
}

TEST_F(RecoveryTest, AfterAPowerCutEverythingThroughTheLastSyncIsThere) {
  EXPECT_OK(store_->Sync());
  const Model synced = model_;
  Write("c", 10, 1);
  Crash(CrashOptions::Mode::kLoseAllUnsynced);
  model_ = synced;
  OpenAndExpectModel();
}

TEST_F(RecoveryTest, AfterAnUncleanEndNoOldSegmentIsAppendedToOrChanged) {
  EXPECT_OK(store_->Sync());
  Write("c", 5, 1);  // these carry the watermark of the sync
  Crash(CrashOptions::Mode::kProcessKill);
  const Files before = FilesOf(machine_);
  const auto old_last = Must(ManifestStore::Read(*std::make_unique<Directory>(
                                 *machine_.fs, kPath, *std::make_unique<Health>())))
                            .reserved_sequence;
  OpenAndExpectModel();
  std::set<std::uint64_t> ids;
  for (const auto& [name, bytes] : before) ids.insert(format::ParseFileName(name).segment_id);
  Write("d", 200, 1);
  for (const auto& segment : store_->GetSegments()) {
    EXPECT_TRUE(segment.state == SegmentState::kSealed || !ids.contains(segment.id)) << segment.id;
    const auto old = before.find(segment.file);
    if (old == before.end()) continue;
    const auto now = Must(machine_.fs->Contents(kPath / segment.file));
    EXPECT_TRUE(std::equal(now.begin(),
                           now.begin() + static_cast<std::ptrdiff_t>(segment.file_bytes),
                           old->second.begin()))
        << segment.file;
  }
  EXPECT_GT(store_->GetStats().last_sequence, old_last) << "numbers are never used again";
  Close();
  OpenAndExpectModel();
}

TEST_F(RecoveryTest, WhatIsBehindACutTailNeverComesBack) {
  EXPECT_OK(store_->Sync());
  const Model synced = model_;
  const auto active = testing::kPath / format::DataFileName(ActiveId());
  const auto end = store_->log().append_offset();
  Write("c", 5, 1);
  Crash(CrashOptions::Mode::kProcessKill);
  // The first unsynced record is torn; valid ones follow it.
  EXPECT_OK(machine_.fs->Corrupt(active, end + 30, std::byte{1}));
  // They carry the watermark, which lies below the tear.
  model_ = synced;
  OpenAndExpectModel();
  EXPECT_GT(store_->GetStats().recovered_tail_bytes_discarded, 0u);
  for (int round = 0; round < 3; ++round) {
    Write("d", 3, round);
    Crash(CrashOptions::Mode::kProcessKill);
    OpenAndExpectModel();
  }
}

TEST_F(RecoveryTest, OpeningAgainChangesNothingThatMatters) {
  Crash(CrashOptions::Mode::kProcessKill);
  OpenAndExpectModel();
  const auto sealed = testing::SealedFiles(*store_);
  const Files files = FilesOf(*machine_.fs, sealed);
  for (int round = 0; round < 3; ++round) {
    if (round == 1) {
      Close();
    } else {
      Crash(CrashOptions::Mode::kLoseAllUnsynced);
    }
    OpenAndExpectModel();
    EXPECT_EQ(testing::SealedFiles(*store_), sealed);
    EXPECT_EQ(FilesOf(*machine_.fs, sealed), files);
  }
}

TEST_F(RecoveryTest, ACrashAtAnyOperationOfARecoveryLeavesAStoreThatOpens) {
  EXPECT_OK(store_->Sync());
  Write("c", 5, 1);
  // A power cut after which all is found: from here on nothing may be lost.
  machine_.fs =
      machine_.fs->CrashImage({.mode = CrashOptions::Mode::kRandom, .keep_probability = 1.0});
  for (const auto mode : {CrashOptions::Mode::kLoseAllUnsynced, CrashOptions::Mode::kRandom}) {
    Machine machine = machine_.AfterCrash(CrashOptions::Mode::kProcessKill);
    std::vector<Machine> images;
    const auto thread = std::this_thread::get_id();
    machine.fs->SetOperationHook([&](Operation, const std::filesystem::path&) {
      if (std::this_thread::get_id() != thread) return;
      images.push_back(machine.AfterCrash(mode, images.size()));
    });
    store_ = Open(machine);
    machine.fs->SetOperationHook({});
    ASSERT_GT(images.size(), 30u);
    for (std::size_t i = 0; i < images.size(); ++i) {
      SCOPED_TRACE(i);
      const auto again = Open(images[i]);
      EXPECT_EQ(Contents(*again), model_);
      testing::ExpectConsistent(*again);
    }
  }
}

TEST_F(RecoveryTest, AnErrorAtAnyOperationOfARecoveryLosesNothing) {
  EXPECT_OK(store_->Sync());
  Write("c", 5, 1);
  Crash(CrashOptions::Mode::kProcessKill);
  for (const auto code : {StatusCode::kIoError, StatusCode::kNoSpace}) {
    for (const bool sticky : {false, true}) {
      std::uint64_t n = 0;
      for (bool hit = true; hit; ++n) {
        SCOPED_TRACE(std::to_string(n) + (sticky ? " sticky " : " ") + std::to_string(int(code)));
        Machine machine = machine_.AfterCrash(CrashOptions::Mode::kProcessKill);
        std::uint64_t count = 0;
        hit = false;
        const auto thread = std::this_thread::get_id();
        machine.fs->SetOperationHook([&](Operation operation, const std::filesystem::path& path) {
          if (std::this_thread::get_id() != thread || count++ != n) return;
          machine.fs->InjectFault({.operations = {operation},
                                   .path_contains = path.filename().native(),
                                   .status = Status(code, "injected"),
                                   .sticky = sticky});
          hit = true;
        });
        {
          const auto opened = TryOpen(machine);
          machine.fs->SetOperationHook({});
          machine.fs->ClearFaults();
          if (opened) {
            EXPECT_EQ(Contents(**opened), model_);
            testing::ExpectConsistent(**opened);
          }
        }
        const auto again = Open(machine);
        EXPECT_EQ(Contents(*again), model_);
        testing::ExpectConsistent(*again);
        if (::testing::Test::HasFailure()) return;
      }
      EXPECT_GT(n, 30u);
    }
  }
}

// --- Files that don't belong ------------------------------------------------------------

TEST_F(RecoveryTest, AnOpenThatFailsAfterItMadeCopiesRemovesThem) {
  EXPECT_OK(store_->Sync());
  Write("c", 5, 1);
  const std::string log = format::DataFileName(ActiveId());
  Crash(CrashOptions::Mode::kProcessKill);
  const auto before = Must(machine_.fs->List(kPath));
  bool failed = false;
  machine_.fs->SetOperationHook([&](Operation operation, const std::filesystem::path& path) {
    if (failed || operation != Operation::kRead || path.filename() != log) return;
    if (Must(machine_.fs->List(kPath)).size() == before.size()) return;
    failed = true;
    machine_.fs->InjectFault({.operations = {Operation::kRead}, .path_contains = log});
  });
  EXPECT_EQ(TryOpen(machine_).error().code(), StatusCode::kIoError);
  machine_.fs->SetOperationHook({});
  EXPECT_TRUE(failed);
  EXPECT_EQ(Must(machine_.fs->List(kPath)), before);
  OpenAndExpectModel();
}

TEST_F(RecoveryTest, UnlistedFilesOfOursGoAndForeignOnesStay) {
  Close();
  // Made by this store and never listed: a header of ours, an old generation.
  const auto listed = Must(machine_.fs->Contents(kPath / "1.data"));
  EXPECT_OK(machine_.fs->Overwrite(kPath / "60.data", listed));
  EXPECT_OK(machine_.fs->Overwrite(kPath / "61.data", {}));  // zero length: a crash's leftover
  EXPECT_OK(machine_.fs->Overwrite(kPath / "61.hint", {}));
  EXPECT_OK(machine_.fs->Overwrite(kPath / "MANIFEST.tmp", {}));
  for (const char* foreign : {"notes.txt", "017.data", "1.data.bak", "0.data", "x.hint"}) {
    EXPECT_OK(machine_.fs->Overwrite(kPath / foreign, {}));
  }
  OpenAndExpectModel();
  for (const char* ours : {"60.data", "61.data", "61.hint", "MANIFEST.tmp"}) {
    EXPECT_FALSE(testing::FileExists(machine_, ours)) << ours;
  }
  for (const char* foreign : {"notes.txt", "017.data", "1.data.bak", "0.data", "x.hint"}) {
    EXPECT_TRUE(testing::FileExists(machine_, foreign)) << foreign;
  }
}

TEST_F(RecoveryTest, AMissingListedFileIsCorruptionAndIsNamed) {
  Close();
  for (const bool imaged : {true, false}) {
    if (!imaged) EXPECT_OK(machine_.fs->Unlink(kPath / "INDEX"));
    for (const std::uint64_t id : {1u, 2u, 3u}) {
      const auto path = kPath / format::DataFileName(id);
      const auto bytes = Must(machine_.fs->Contents(path));
      EXPECT_OK(machine_.fs->Unlink(path));
      ExpectCorruption(path.filename());
      EXPECT_OK(machine_.fs->Overwrite(path, {}));
      ExpectCorruption(path.filename());
      EXPECT_OK(machine_.fs->Overwrite(path, std::span(bytes).first(90)));
      ExpectCorruption(path.filename());
      EXPECT_OK(machine_.fs->Overwrite(path, bytes));
    }
  }
  OpenAndExpectModel();
}

TEST_F(RecoveryTest, SwappedDataFilesAreCorruption) {
  Close();
  const auto one = Must(machine_.fs->Contents(kPath / "1.data"));
  const auto two = Must(machine_.fs->Contents(kPath / "2.data"));
  EXPECT_OK(machine_.fs->Overwrite(kPath / "1.data", two));
  EXPECT_OK(machine_.fs->Overwrite(kPath / "2.data", one));
  ExpectCorruption(".data: offset 0");
}

TEST_F(RecoveryTest, AnOlderManifestPutBackIsRefusedAndNothingIsDeleted) {
  const auto older = Must(machine_.fs->Contents(kPath / "MANIFEST"));
  Write("c", 400, 1);  // rolls: segments that the older one doesn't list
  Close();
  EXPECT_OK(machine_.fs->Overwrite(kPath / "MANIFEST", older));
  ExpectCorruption("MANIFEST");
}

TEST_F(RecoveryTest, AnOlderCleanManifestPutBackIsRefused) {
  Close();
  const auto older = Must(machine_.fs->Contents(kPath / "MANIFEST"));
  OpenAndExpectModel();
  Put(*store_, "later", "x");
  Close();
  EXPECT_OK(machine_.fs->Overwrite(kPath / "MANIFEST", older));
  ExpectCorruption("MANIFEST");
}

TEST_F(RecoveryTest, DataWithoutAManifestIsNeverANewStore) {
  Close();
  EXPECT_OK(machine_.fs->Unlink(kPath / "MANIFEST"));
  ExpectCorruption("no MANIFEST");
}

TEST_F(RecoveryTest, FlippedBitsAreReportedOrDoWithoutTheFile) {
  EXPECT_OK(store_->Sync());
  Close();
  for (const std::string& name : Must(machine_.fs->List(kPath))) {
    if (name == "LOCK" || name == "RESERVE") continue;
    const auto size = Must(machine_.fs->Contents(kPath / name)).size();
    for (std::size_t offset = 0; offset < std::min<std::size_t>(size, 3000); offset += 37) {
      SCOPED_TRACE(name + " " + std::to_string(offset));
      const Machine machine = machine_.AfterCrash(CrashOptions::Mode::kProcessKill);
      EXPECT_OK(machine.fs->Corrupt(kPath / name, offset, std::byte{0x40}));
      Options options = testing::SmallOptions();
      options.create_if_missing = false;
      const auto opened = TryOpen(machine, options);
      if (!opened) {
        EXPECT_EQ(opened.error().code(), StatusCode::kCorruption);
        continue;
      }
      // Never a wrong value, and never a silent miss.
      for (const auto& [key, value] : model_) {
        std::string got;
        const auto found = (*opened)->Get(key, got);
        if (!found) {
          EXPECT_EQ(found.error().code(), StatusCode::kCorruption);
        } else {
          EXPECT_TRUE(*found) << key;
          EXPECT_EQ(got, value);
        }
      }
      if (::testing::Test::HasFailure()) return;
    }
  }
}

TEST_F(RecoveryTest, AZeroedSectorOfASealedSegmentIsNotItsEnd) {
  Close();
  EXPECT_OK(machine_.fs->LoseBlock(kPath / "1.data", 0));
  ExpectCorruption("1.data");
}

// --- Hints ----------------------------------------------------------------------------

TEST_F(RecoveryTest, StaleTruncatedOrMissingHintsAreReplacedByScanning) {
  Close();
  const auto one = Must(machine_.fs->Contents(kPath / "1.hint"));
  const auto two = Must(machine_.fs->Contents(kPath / "2.hint"));
  const std::vector<std::span<const std::byte>> bad{
      two, std::span(one).first(one.size() - 1), std::span(one).first(100), {}};
  for (const auto bytes : bad) {
    EXPECT_OK(machine_.fs->Overwrite(kPath / "1.hint", bytes));
    EXPECT_OK(machine_.fs->Unlink(kPath / format::kIndexImageName));
    OpenAndExpectModel();
    Close();
    EXPECT_EQ(Must(machine_.fs->Contents(kPath / "1.hint")), one) << "made again";
  }
  EXPECT_OK(machine_.fs->Unlink(kPath / "1.hint"));
  EXPECT_OK(machine_.fs->Unlink(kPath / format::kIndexImageName));
  OpenAndExpectModel();
}

TEST_F(RecoveryTest, ADamagedRecordFoundWhileScanningIsReported) {
  Close();
  EXPECT_OK(machine_.fs->Unlink(kPath / format::kIndexImageName));
  EXPECT_OK(machine_.fs->Unlink(kPath / "1.hint"));
  EXPECT_OK(machine_.fs->Corrupt(kPath / "1.data", 100, std::byte{1}));
  ExpectCorruption("1.data: offset 64");
}

// --- Full disks -----------------------------------------------------------------------

// The log is read twice, to find its end and to load it. Going on from a nearer end the second time
// would write over what is acknowledged.
TEST_F(RecoveryTest, ALogThatIsReadDifferentlyTheSecondTimeDoesNotLoseAnything) {
  for (const bool clean : {true, false}) {
    if (store_ == nullptr) store_ = Open(machine_);
    Put(*store_, "last", model_["last"] = clean ? "of the first log" : "of the second log");
    EXPECT_OK(store_->log().SettleTail());
    std::string log;
    for (const SegmentInfo& segment : store_->GetSegments()) {
      if (segment.state == SegmentState::kActive) log = segment.file;
    }
    if (clean) EXPECT_OK(store_->Close());
    const Machine ended = machine_.AfterCrash(CrashOptions::Mode::kProcessKill);
    store_.reset();
    const auto bytes = Must(ended.fs->Contents(kPath / log));
    const std::size_t at = base::AsChars(bytes).find(model_["last"]);
    ASSERT_NE(at, std::string_view::npos);
    int refused = 0;
    for (int wavering = 1, reads = wavering; reads >= wavering; ++wavering) {
      machine_ = ended.AfterCrash(CrashOptions::Mode::kProcessKill);
      reads = 0;
      const auto flip = [&] { EXPECT_OK(machine_.fs->Corrupt(kPath / log, at, std::byte{1})); };
      machine_.fs->SetOperationHook([&](Operation operation, const std::filesystem::path& path) {
        if (operation != Operation::kRead || path.filename() != log) return;
        ++reads;
        if (reads == wavering) flip();
      });
      auto opened = TryOpen(machine_);
      machine_.fs->SetOperationHook({});
      if (reads >= wavering) flip();
      if (opened) {
        store_ = *std::move(opened);
        EXPECT_EQ(Contents(*store_), model_) << "read " << wavering;
      } else {
        ++refused;
        store_ = Open(machine_);
        EXPECT_EQ(Contents(*store_), model_) << "read " << wavering;
      }
      store_.reset();
    }
    EXPECT_GE(refused, 2) << "the log is read once only";
  }
}

TEST_F(RecoveryTest, AStoreOnAFullDiskOpens) {
  Crash(CrashOptions::Mode::kProcessKill);
  machine_.fs->SetCapacity(0);
  OpenAndExpectModel();
  Crash(CrashOptions::Mode::kProcessKill);
  machine_.fs->SetCapacity(0);
  OpenAndExpectModel();
}

TEST_F(RecoveryTest, WithoutRoomEvenForTheReserveAStoreOpensForReading) {
  Crash(CrashOptions::Mode::kProcessKill);
  EXPECT_OK(machine_.fs->Unlink(kPath / "RESERVE"));
  machine_.fs->SetCapacity(0);
  OpenAndExpectModel();
  EXPECT_EQ(store_->Put("k", "v", {}).code(), StatusCode::kReadOnly);
  EXPECT_TRUE(store_->GetStats().read_only);
  store_.reset();
  machine_.fs->SetCapacity(io::MemoryFileSystem::kDefaultCapacityBytes);
  OpenAndExpectModel();
  Put(*store_, "k", "v");
}

}  // namespace
}  // namespace freyja::engine
