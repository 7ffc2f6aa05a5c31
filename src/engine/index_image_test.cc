// The index image: what the next open takes from it, and all that must make it be refused.
#include "engine/index_image.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <tuple>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "engine/store_testing.h"
#include "format/segment_header.h"

namespace freyja::engine {
namespace {

using io::Operation;
using testing::Contents;
using testing::Delete;
using testing::FileExists;
using testing::kPath;
using testing::Machine;
using testing::Model;
using testing::Must;
using testing::Open;
using testing::Put;
using testing::SmallOptions;
using testing::ValueOf;

const std::filesystem::path kImage = kPath / format::kIndexImageName;
const std::string kImageFile(format::kIndexImageName);

// Sealed segments with dead records and tombstones, and a log, closed cleanly.
class IndexImageTest : public testing::ModelledStoreTest {
 protected:
  IndexImageTest() {
    Write("a", 300, 1);
    EXPECT_OK(store_->SealActive());
    Write("a", 100, 2);
    Remove("a7");
    Remove("a250");
    EXPECT_OK(store_->SealActive());
    Write("b", 30, 1);
  }
  // The store opens, has exactly what was written, and its index comes from where it should.
  void ExpectModel(bool from_image, const Options& options = SmallOptions()) {
    OpenAndExpectModel(options);
    EXPECT_EQ(store_->index_from_image(), from_image);
  }
  std::vector<std::byte> Image() { return Must(machine_.fs->Contents(kImage)); }
  void PutBack(const std::filesystem::path& path, const std::vector<std::byte>& bytes) {
    EXPECT_OK(machine_.fs->Overwrite(path, bytes));
  }
  using SegmentLive = std::vector<std::tuple<std::uint64_t, std::uint64_t, std::uint64_t>>;
  SegmentLive Live() const {
    SegmentLive live;
    for (const SegmentInfo& segment : store_->GetSegments()) {
      if (segment.live_records == 0) continue;
      live.emplace_back(segment.id, segment.live_records, segment.live_bytes);
    }
    std::ranges::sort(live);
    return live;
  }
};

TEST_F(IndexImageTest, TheOpenAfterACleanCloseTakesItAndNeedsNoHint) {
  const auto live = Live();
  Close();
  machine_.fs->InjectFault({.path_contains = ".hint", .sticky = true});
  store_ = Open(machine_);
  EXPECT_TRUE(store_->index_from_image());
  EXPECT_EQ(machine_.fs->FaultsFired(), 0u) << "a hint was touched";
  machine_.fs->ClearFaults();
  EXPECT_EQ(Live(), live);
  EXPECT_EQ(Contents(*store_), model_);
  testing::ExpectConsistent(*store_);
}

TEST_F(IndexImageTest, WhatIsWrittenAfterwardsIsInTheNextOne) {
  for (int version = 3; version < 8; ++version) {
    Close();
    ExpectModel(true);
    Write("a", 40 * version, version);
    Write("c" + std::to_string(version), 50, version);
    Remove("b" + std::to_string(version));
    if (version % 2 == 0) EXPECT_OK(store_->SealActive());
  }
}

TEST_F(IndexImageTest, IsGoneOnceTheStoreIsOpenForWriting) {
  Close();
  EXPECT_TRUE(FileExists(machine_, kImageFile));
  ExpectModel(true);
  EXPECT_FALSE(FileExists(machine_, kImageFile));
}

TEST_F(IndexImageTest, IsTakenAndKeptByAReadOnlyOpen) {
  Close();
  auto options = SmallOptions();
  options.read_only = true;
  for (int i = 0; i < 2; ++i) {
    ExpectModel(true, options);
    store_.reset();
  }
  ExpectModel(true);
}

TEST_F(IndexImageTest, ThatIsDamagedIsReportedByAVerification) {
  Close();
  EXPECT_OK(machine_.fs->Corrupt(kImage, Image().size() - 1, std::byte{1}));
  auto options = SmallOptions();
  options.read_only = true;
  store_ = Open(machine_, options);
  const Status verified = store_->VerifyChecksums();
  EXPECT_EQ(verified.code(), StatusCode::kCorruption);
  EXPECT_TRUE(verified.message().starts_with(kImageFile)) << verified.message();
  EXPECT_EQ(Contents(*store_), model_);
  store_.reset();
  ExpectModel(false);  // and gone
}

TEST_F(IndexImageTest, IsNotWrittenIfTheOptionSaysSo) {
  Close();
  auto options = SmallOptions();
  options.index_image = false;
  ExpectModel(true, options);
  Close();
  EXPECT_FALSE(FileExists(machine_, kImageFile));
  ExpectModel(false);
}

TEST_F(IndexImageTest, AnEmptyStoreHasOne) {
  Machine machine;
  EXPECT_OK(Open(machine)->Close());
  const auto store = Open(machine);
  EXPECT_TRUE(store->index_from_image());
  EXPECT_EQ(Contents(*store), Model());
  Put(*store, "k", "v");
  EXPECT_EQ(testing::Get(*store, "k"), "v");
}

TEST_F(IndexImageTest, OfManyPagesIsReadOnSeveralThreads) {
  for (int i = 0; i < 20'000; ++i) {
    const std::string key = "many" + std::to_string(i);
    Put(*store_, key, model_[key] = std::to_string(i));
  }
  Close();
  EXPECT_GT(Image().size(), 20'000u * 16);
  auto options = SmallOptions();
  options.worker_threads = 3;
  ExpectModel(true, options);
  Write("many", 20'000, 2);
  Close();
  ExpectModel(true, options);
}

// --- Refused --------------------------------------------------------------------------

TEST_F(IndexImageTest, AnyFlippedBitMakesTheHintsBeLoaded) {
  Close();
  const auto intact = Image();
  const Machine closed = machine_.AfterCrash(io::CrashOptions::Mode::kProcessKill);
  // Every bit of the head and of the first page, some of the rest.
  for (std::size_t bit = 0; bit < intact.size() * 8; bit += bit < 1200 * 8 ? 3 : 997) {
    machine_ = closed.AfterCrash(io::CrashOptions::Mode::kProcessKill);
    auto damaged = intact;
    damaged[bit / 8] ^= std::byte{1} << (bit % 8);
    PutBack(kImage, damaged);
    store_ = Open(machine_);
    ASSERT_FALSE(store_->index_from_image()) << "bit " << bit;
    ASSERT_EQ(Contents(*store_), model_) << "bit " << bit;
    store_.reset();
  }
}

TEST_F(IndexImageTest, ACutOrMissingOneMakesTheHintsBeLoaded) {
  Close();
  const auto intact = Image();
  for (const std::size_t length : {std::size_t{0}, std::size_t{15}, std::size_t{63},
                                   std::size_t{64}, intact.size() / 2, intact.size() - 1}) {
    PutBack(kImage, {intact.begin(), intact.begin() + static_cast<std::ptrdiff_t>(length)});
    ExpectModel(false);
    Close();
  }
  EXPECT_OK(machine_.fs->Unlink(kImage));
  ExpectModel(false);
}

TEST_F(IndexImageTest, AfterACrashNoEarlierOneCounts) {
  Close();
  const auto old = Image();
  ExpectModel(true);
  Write("a", 100, 5);
  Remove("b3");
  EXPECT_OK(store_->Sync());
  machine_ = machine_.AfterCrash(io::CrashOptions::Mode::kProcessKill);
  store_.reset();
  PutBack(kImage, old);
  ExpectModel(false);
  EXPECT_FALSE(FileExists(machine_, kImageFile)) << "what the manifest doesn't fit is removed";
}

TEST_F(IndexImageTest, OneOfAnEarlierCleanCloseDoesNotCount) {
  Close();
  const auto old = Image();
  ExpectModel(true);
  // The same segments to the same byte, but another generation.
  Close();
  PutBack(kImage, old);
  ExpectModel(false);
  Write("a", 100, 5);
  Close();
  PutBack(kImage, old);
  ExpectModel(false);
}

TEST_F(IndexImageTest, OneOfAnotherStoreDoesNotCount) {
  Close();
  Machine other;
  other.random = std::make_shared<testing::SeededRandom>(2);
  auto store = Open(other);
  for (const auto& [key, value] : model_) Put(*store, key, value);
  EXPECT_OK(store->Close());
  PutBack(kImage, Must(other.fs->Contents(kImage)));
  ExpectModel(false);
}

// Two copies of a store that went on differently, to the same generation: the image of one in
// the other.
TEST_F(IndexImageTest, OneOfADivergedCopyDoesNotCount) {
  Close();
  Machine copy = machine_.AfterCrash(io::CrashOptions::Mode::kProcessKill);
  copy.random = std::make_shared<testing::SeededRandom>(2);
  auto other = Open(copy);
  Put(*other, "there", "x");
  EXPECT_OK(other->Close());
  ExpectModel(true);
  Put(*store_, "here!", model_["here!"] = "x");  // as long as the other, at the same place
  Close();
  PutBack(kImage, Must(copy.fs->Contents(kImage)));
  ExpectModel(false);
}

// A forged image, all checksums right.
class ForgedImageTest : public IndexImageTest {
 protected:
  void Forge(const std::function<void(format::IndexImageHead&, std::span<std::byte> slots)>& edit) {
    Close();
    auto bytes = Image();
    auto head = Must(format::DecodeIndexImageHead(
        std::span(bytes).first(Must(format::DecodeIndexImagePrefix(bytes)).head_bytes())));
    ASSERT_EQ(head.pages.size(), 1u);
    const auto slots = std::span(bytes).subspan(head.bytes());
    edit(head, slots);
    head.pages[0].checksum = base::Crc32c(0, slots);
    const auto encoded = format::EncodeIndexImageHead(head);
    ASSERT_EQ(encoded.size() + slots.size(), bytes.size());
    std::ranges::copy(encoded, bytes.begin());
    PutBack(kImage, bytes);
  }
  void ExpectRefused(
      const std::function<void(format::IndexImageHead&, std::span<std::byte> slots)>& edit) {
    Forge(edit);
    ExpectModel(false);
  }
  // The first slot in use.
  static std::byte* Used(std::span<std::byte> slots) {
    std::byte* at = slots.data();
    while (!IsLive(base::Load<std::uint64_t>(at + 8))) at += IndexPage::kSlotBytes;
    return at;
  }
  static void Relocate(std::span<std::byte> slots, const std::function<Location(Location)>& edit) {
    std::byte* const at = Used(slots) + 8;
    base::Store(at, edit(Location(base::Load<std::uint64_t>(at))).raw());
  }
};

TEST_F(ForgedImageTest, ThatChangesNothingIsTaken) {
  Forge([](auto&, auto) {});
  ExpectModel(true);
}

TEST_F(ForgedImageTest, WithALocationInNoSegmentDoesNotCount) {
  Forge([](auto&, auto slots) {
    Relocate(slots, [](Location location) { return location.WithSlot(Location::kMaxSlot); });
  });
  ExpectModel(false);
}

TEST_F(ForgedImageTest, WithALocationBehindTheEndDoesNotCount) {
  Forge([](auto&, auto slots) {
    Relocate(slots, [](Location location) {
      return Location(location.slot(), kMinSegmentBytes, location.length_bytes());
    });
  });
  ExpectModel(false);
  const auto make_long = [](Location location) {
    return Location(location.slot(), location.offset(), Location::kMaxKnownLength + 8);
  };
  ExpectRefused([&](auto&, auto slots) { Relocate(slots, make_long); });
}

TEST_F(ForgedImageTest, WithALocationInAHeaderDoesNotCount) {
  Forge([](auto&, auto slots) {
    Relocate(slots, [](Location location) {
      return Location(location.slot(), 8, location.length_bytes());
    });
  });
  ExpectModel(false);
}

TEST_F(ForgedImageTest, WithAMissingKeyDoesNotCount) {
  ExpectRefused([](auto&, auto slots) { base::Store(Used(slots) + 8, kDeletedLocation); });
}

TEST_F(ForgedImageTest, WithMoreThanASegmentHoldsDoesNotCount) {
  ExpectRefused([](auto& head, auto) { head.segments[0].live_records += 1; });
  ExpectRefused([](auto& head, auto) { head.segments[0].live_bytes += 8; });
  ExpectRefused([](auto& head, auto) { head.segments[0].live_bytes = ~std::uint64_t{7}; });
}

TEST_F(ForgedImageTest, OverOtherSegmentsDoesNotCount) {
  ExpectRefused([](auto& head, auto) { head.segments[0].records_crc ^= 1; });
  ExpectRefused([](auto& head, auto) { head.segments[0].data_bytes -= 8; });
  ExpectRefused([](auto& head, auto) { head.segments[1].nonce ^= 1; });
  ExpectRefused([](auto& head, auto) { std::swap(head.segments[0], head.segments[1]); });
  // The log's.
  ExpectRefused([](auto& head, auto) { head.segments.back().data_bytes += 8; });
}

// What claims to be huge is not read, however the file was made as long as it says.
TEST_F(ForgedImageTest, OfImpossibleSizeCostsNoMemory) {
  for (const std::size_t count_at : {std::size_t{48}, std::size_t{52}}) {  // of segments, of pages
    Close();
    auto bytes = Image();
    base::Store(bytes.data() + count_at, std::uint32_t{0xFFFFFFFF});
    base::Store(bytes.data() + 16, std::uint64_t{1} << 38);
    PutBack(kImage, bytes);
    EXPECT_OK(Must(machine_.fs->Open(kImage, io::OpenMode::kReadWrite))
                  ->Truncate(std::uint64_t{1} << 38));
    ExpectModel(false);
  }
}

TEST_F(ForgedImageTest, OfManyEmptyPagesDoesNotCount) {
  Close();
  auto bytes = Image();
  auto head = Must(format::DecodeIndexImageHead(
      std::span(bytes).first(Must(format::DecodeIndexImagePrefix(bytes)).head_bytes())));
  const std::vector<std::byte> page(bytes.begin() + static_cast<std::ptrdiff_t>(head.bytes()),
                                    bytes.end());
  // The same keys in a page of depth 0 with many lines behind them.
  head.pages[0].lines = 4000;
  std::vector<std::byte> slots(4000 * format::kIndexLineBytes);
  std::ranges::copy(page, slots.begin());
  head.pages[0].checksum = base::Crc32c(0, slots);
  auto forged = format::EncodeIndexImageHead(head);
  forged.insert(forged.end(), slots.begin(), slots.end());
  PutBack(kImage, forged);
  ExpectModel(false);
}

// --- What only a load of everything mends ----------------------------------------------

TEST_F(IndexImageTest, AMissingHintIsMadeAnewByTheNextOpenButOne) {
  Close();
  std::string hint;
  for (const std::string& name : Must(machine_.fs->List(kPath))) {
    if (name.ends_with(".hint")) hint = name;
  }
  EXPECT_OK(machine_.fs->Unlink(kPath / hint));
  ExpectModel(true);
  EXPECT_FALSE(FileExists(machine_, hint));
  Close();
  ExpectModel(false);
  EXPECT_TRUE(FileExists(machine_, hint));
  Close();
  ExpectModel(true);
}

TEST_F(IndexImageTest, ADamagedHintThatWasMetIsMadeAnew) {
  Close();
  std::string hint;
  for (const std::string& name : Must(machine_.fs->List(kPath))) {
    if (name.ends_with(".hint")) hint = name;
  }
  EXPECT_OK(machine_.fs->Corrupt(kPath / hint, 200, std::byte{1}));
  store_ = Open(machine_);
  EXPECT_TRUE(store_->index_from_image());
  EXPECT_EQ(store_->VerifyChecksums().code(), StatusCode::kCorruption);
  Close();
  ExpectModel(false);
  Close();
  ExpectModel(true);
}

TEST_F(IndexImageTest, ADamagedHintThatCouldNotBeMadeAnewIsTriedAgain) {
  Close();
  std::string hint;
  for (const std::string& name : Must(machine_.fs->List(kPath))) {
    if (name.ends_with(".hint")) hint = name;
  }
  EXPECT_OK(machine_.fs->Corrupt(kPath / hint, 200, std::byte{1}));
  EXPECT_OK(machine_.fs->Unlink(kImage));
  machine_.fs->InjectFault({.operations = {Operation::kCreate, Operation::kUnlink},
                            .path_contains = hint,
                            .sticky = true});
  store_ = Open(machine_);
  EXPECT_EQ(Contents(*store_), model_);
  EXPECT_GT(machine_.fs->FaultsFired(), 0u);
  machine_.fs->ClearFaults();
  Close();
  EXPECT_FALSE(FileExists(machine_, kImageFile)) << "it would keep the hint as it is";
  ExpectModel(false);
  Close();
  ExpectModel(true);
}

// A read fails once, or wavers: the key's record can't be told from another's, and what is put
// stands beside it in the index. A load of the records finds the newer one again.
TEST_F(IndexImageTest, AKeyWrittenWhileItsOldRecordCouldNotBeReadIsLoadedAnew) {
  for (const bool is_delete : {false, true}) {
    Close();
    ExpectModel(true);
    const std::string key = is_delete ? "a150" : "a200";
    // Behind the store's back, and back again: not so that the mapping would notice.
    const std::string needle = key + ValueOf(key, 1);
    std::filesystem::path path;
    std::size_t at = std::string::npos;
    for (const std::string& name : testing::SealedFiles(*store_)) {
      const auto bytes = Must(machine_.fs->Contents(kPath / name));
      if (at == std::string::npos) path = kPath / name;
      if (at == std::string::npos) at = base::AsChars(bytes).find(needle);
    }
    ASSERT_NE(at, std::string::npos);
    EXPECT_OK(machine_.fs->Corrupt(path, at, std::byte{1}));
    if (is_delete) {
      WriteBatch batch;
      batch.Delete(key);
      EXPECT_OK(store_->Write(batch, {}));
      model_.erase(key);
    } else {
      Put(*store_, key, model_[key] = "new");
    }
    EXPECT_OK(machine_.fs->Corrupt(path, at, std::byte{1}));
    Close();
    ExpectModel(false);
    EXPECT_EQ(testing::Get(*store_, key),
              is_delete ? std::nullopt : std::optional<std::string>("new"));
  }
}

TEST_F(IndexImageTest, AnIndexThatDeletesLeftEmptyIsMadeAnew) {
  for (int i = 0; i < 20'000; ++i) Put(*store_, "many" + std::to_string(i), "x");
  for (int i = 0; i < 20'000; ++i) EXPECT_TRUE(Delete(*store_, "many" + std::to_string(i)));
  const std::uint64_t bytes = store_->index().memory_bytes();
  Close();
  ExpectModel(false);
  EXPECT_LT(store_->index().memory_bytes(), bytes / 4);
}

// --- Failures -------------------------------------------------------------------------

TEST_F(IndexImageTest, FailingToWriteItNeitherFailsTheCloseNorLeavesAnything) {
  for (const Operation operation : {Operation::kCreate, Operation::kWrite, Operation::kSync}) {
    for (const bool after_effect : {false, true}) {
      machine_.fs->InjectFault(
          {.operations = {operation}, .path_contains = kImageFile, .after_effect = after_effect});
      const auto fired = machine_.fs->FaultsFired();
      EXPECT_OK(store_->Close());
      EXPECT_EQ(machine_.fs->FaultsFired(), fired + 1);
      EXPECT_FALSE(store_->GetStats().background_error.ok());
      EXPECT_FALSE(FileExists(machine_, kImageFile));
      machine_.fs->ClearFaults();
      store_.reset();
      ExpectModel(false);
    }
  }
}

TEST_F(IndexImageTest, FailingToReadItMakesTheHintsBeLoaded) {
  for (std::uint64_t call = 0; call < 5; ++call) {
    Close();
    machine_.fs->InjectFault({.operations = {Operation::kOpen, Operation::kRead, Operation::kStat},
                              .path_contains = kImageFile,
                              .skip = call});
    const auto fired = machine_.fs->FaultsFired();
    store_ = Open(machine_);
    machine_.fs->ClearFaults();
    ASSERT_EQ(machine_.fs->FaultsFired(), fired + 1) << "it is read in fewer calls than " << call;
    EXPECT_FALSE(store_->index_from_image()) << call;
    EXPECT_EQ(Contents(*store_), model_);
  }
}

// The clean mark can't be cleared: only reading is possible, and the log is read where it lies.
TEST_F(IndexImageTest, ServesTheReadOnlyStoreOfADiskWithoutRoom) {
  Close();
  machine_.fs->InjectFault({.operations = {Operation::kCreate},
                            .path_contains = "MANIFEST",
                            .status = Status(StatusCode::kNoSpace, "injected"),
                            .sticky = true});
  ExpectModel(true);
  EXPECT_TRUE(store_->GetStats().read_only);
  store_.reset();
  machine_.fs->ClearFaults();
  ExpectModel(false);
  EXPECT_FALSE(store_->GetStats().read_only);
}

// The manifest no longer fits what could not be removed.
TEST_F(IndexImageTest, ThatCanNotBeRemovedDoesNotCountAgain) {
  Close();
  machine_.fs->InjectFault(
      {.operations = {Operation::kUnlink}, .path_contains = kImageFile, .sticky = true});
  ExpectModel(true);
  EXPECT_TRUE(FileExists(machine_, kImageFile));
  Write("a", 100, 5);
  Remove("b3");
  EXPECT_OK(store_->Sync());
  machine_ = machine_.AfterCrash(io::CrashOptions::Mode::kProcessKill);
  store_.reset();
  machine_.fs->InjectFault(
      {.operations = {Operation::kUnlink}, .path_contains = kImageFile, .sticky = true});
  ExpectModel(false);
  // Nor can the next one be written.
  Close();
  machine_.fs->ClearFaults();
  ExpectModel(false);
  EXPECT_FALSE(FileExists(machine_, kImageFile));
}

// Somebody else takes the room between the image and the manifest.
TEST_F(IndexImageTest, GivesItsRoomBackToTheManifest) {
  Write("many", 3000, 1);
  const auto refused = std::make_shared<int>(0);
  machine_.fs->SetOperationHook(
      [&, refused](Operation operation, const std::filesystem::path& path) {
        if (operation != Operation::kCreate || path.filename() != "MANIFEST.tmp") return;
        if (!Must(machine_.fs->Exists(kImage)) || (*refused)++ != 0) return;
        const Reserve::Loan used_up(store_->reserve());
        EXPECT_OK(Must(machine_.fs->Open("/others", io::OpenMode::kCreateNew))
                      ->Allocate(Must(machine_.fs->FreeSpace(kPath))));
      });
  EXPECT_OK(store_->Close());
  machine_.fs->SetOperationHook({});
  store_.reset();
  EXPECT_GE(*refused, 1);
  EXPECT_FALSE(FileExists(machine_, kImageFile));
  EXPECT_OK(machine_.fs->Unlink("/others"));
  ExpectModel(false);
  EXPECT_EQ(store_->GetStats().recovered_tail_records_copied, 0u) << "it was not closed cleanly";
}

// Dead bytes are counted by the header of the record that was replaced, which may be damaged. The
// count of the records that live is right, and an open from hints would make the other right.
TEST_F(IndexImageTest, WrongCountsOfLongRecordsAreNotKept) {
  auto options = SmallOptions();
  options.segment_bytes = 4 << 20;
  Machine machine;
  auto store = Open(machine, options);
  const std::string value(Location::kMaxKnownLength + 1000, 'x');
  Put(*store, "a", value);
  Put(*store, "b", value);
  EXPECT_OK(store->SealActive());
  const auto path = kPath / testing::SealedFiles(*store).front();
  const std::size_t length_at = format::kSegmentHeaderBytes + 4;  // of the first record's value
  EXPECT_OK(machine.fs->Corrupt(path, length_at, std::byte{0x10}));
  Put(*store, "a", "new");
  EXPECT_OK(machine.fs->Corrupt(path, length_at, std::byte{0x10}));
  EXPECT_OK(store->Close());
  store.reset();
  store = Open(machine, options);
  EXPECT_FALSE(store->index_from_image());
  EXPECT_EQ(testing::Get(*store, "a"), "new");
  EXPECT_EQ(testing::Get(*store, "b"), value);
  for (const SegmentInfo& segment : store->GetSegments()) {
    if (segment.file != path.filename()) continue;
    EXPECT_EQ(segment.live_records, 1u);
    EXPECT_EQ(segment.live_bytes * 2, segment.record_bytes);
  }
}

TEST_F(IndexImageTest, OnANearlyFullDiskThereIsNone) {
  store_->maintenance().Stop();
  EXPECT_OK(store_->log().Settle());  // gives back what the close would
  const std::uint64_t used =
      io::MemoryFileSystem::kDefaultCapacityBytes - Must(machine_.fs->FreeSpace(kPath));
  machine_.fs->SetCapacity(used + kMinSegmentBytes);
  EXPECT_OK(store_->Close());
  EXPECT_OK(store_->GetStats().background_error);
  store_.reset();
  EXPECT_FALSE(FileExists(machine_, kImageFile));
  ExpectModel(false);
}

}  // namespace
}  // namespace freyja::engine
