// Random operations on a store and on a std::map at once: they must agree at every step, on
// the machine's own file system and on the one in memory.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/store_parts.h"
#include "freyja/compaction.h"
#include "freyja/kv_store.h"
#include "io/memory_file_system.h"
#include "io/posix_file_system.h"
#include "io/test_support.h"
#include "support/history.h"
#include "support/store_contents.h"
#include "support/test_settings.h"

namespace freyja {
namespace {

using support::Contents;
using support::Dice;
using support::MakeValue;
using support::ManualClock;

struct Entry {
  std::string value;
  std::uint64_t expires_at_ms = 0;

  bool VisibleAt(std::uint64_t now_ms) const {
    return expires_at_ms == 0 || expires_at_ms > now_ms;
  }
};
using Model = std::map<std::string, Entry>;

constexpr std::uint64_t kMinute = 60'000;

// A view of one instant, read later, piece by piece.
struct OpenIterator {
  Iterator iterator;
  Model expected;  // what has not been shown yet
  std::uint64_t highest_now_ms = 0;
};

struct OpenPin {
  PinnedValue pin;
  std::string expected;
};

struct ModelCounts {
  std::size_t compactions = 0;
  std::size_t reopened = 0;
  std::size_t hints_hurt = 0;
  std::size_t expired = 0;
  std::size_t walks = 0;
  std::size_t pins_checked = 0;
  std::size_t tombstones_kept = 0;
};

// Every step returns what went wrong, or nothing.
class ModelRun {
 public:
  ModelRun(std::shared_ptr<io::FileSystem> file_system, std::filesystem::path path,
           std::uint64_t seed, ModelCounts& counts)
      : file_system_(std::move(file_system)),
        path_(std::move(path)),
        dice_(seed),
        keys_(dice_.OneOf(6u, 24u, 24u, 120u)),
        clock_(std::make_shared<ManualClock>()),
        counts_(counts) {}

  std::string Run(std::size_t steps) {
    std::string problem = Open();
    for (std::size_t i = 0; i < steps && problem.empty(); ++i) {
      problem = Step();
      if (!problem.empty()) problem = "step " + std::to_string(i) + ": " + problem;
    }
    if (problem.empty()) problem = Reopen();
    if (problem.empty()) problem = CheckAll();
    LetGo();
    return problem;
  }

 private:
  std::string Step() {
    switch (dice_.Below(40)) {
      case 0:
        return Reopen();
      case 1:
        return ErrorOf(store_->Sync());
      case 2:
        return StartCompaction();
      case 3:
      case 4:
        return FinishCompaction();
      case 5:
        return OpenIteratorNow();
      case 6:
      case 7:
        return ReadIterators();
      case 8:
      case 9:
        return Pin();
      case 10:
        return ReadPins();
      case 11:
        return MultiGet();
      case 12:
      case 13:
        return Batch();
      case 14:
        return MoveClock();
      case 15:
        return dice_.OneIn(4) ? CheckAll() : std::string();
      case 16:
      case 17:
      case 18:
      case 19:
      case 20:
        return Get();
      case 21:
      case 22:
      case 23:
      case 24:
      case 25:
      case 26:
        return Delete();
      default:
        return Put();
    }
  }

  static std::string ErrorOf(const Status& status) {
    return status.ok() ? std::string() : status.ToString();
  }

  std::string AnyKey() {
    const std::string key = "key" + std::to_string(dice_.Below(keys_));
    return dice_.OneIn(40) ? key + std::string(3000, 'k') : key;
  }
  Entry AnyEntry(const std::string& key) {
    Entry entry;
    if (!dice_.OneIn(30)) {  // else the empty value
      const std::size_t bytes = dice_.OneIn(20) ? dice_.Below(9000) : dice_.Below(500);
      entry.value = MakeValue(key, ++number_, bytes);
    }
    if (dice_.OneIn(5)) entry.expires_at_ms = clock_->WallMs() + dice_.Below(4 * kMinute);
    return entry;
  }
  WriteOptions AnyOptions(std::uint64_t expires_at_ms) {
    return {.sync = dice_.OneIn(20) ? Sync::kAlways : Sync::kDefault,
            .expires_at_ms = expires_at_ms};
  }
  // What a read must show.
  std::optional<std::string> Visible(const std::string& key) const {
    const auto entry = model_.find(key);
    if (entry == model_.end() || !entry->second.VisibleAt(clock_->WallMs())) return std::nullopt;
    return entry->second.value;
  }

  // --- Writes ---------------------------------------------------------------------------

  std::string Put() {
    const std::string key = AnyKey();
    const Entry entry = AnyEntry(key);
    model_[key] = entry;
    return ErrorOf(store_->Put(key, entry.value, AnyOptions(entry.expires_at_ms)));
  }

  std::string Delete() {
    const std::string key = AnyKey();
    const bool visible = Visible(key).has_value();
    model_.erase(key);
    const auto deleted = store_->Delete(key, AnyOptions(0));
    if (!deleted) return deleted.error().ToString();
    return *deleted == visible ? std::string() : "Delete: wrong answer for " + key;
  }

  std::string Batch() {
    WriteBatch batch;
    for (std::uint64_t i = dice_.Below(6); i > 0; --i) {
      const std::string key = "key" + std::to_string(dice_.Below(keys_));
      if (dice_.OneIn(3)) {
        batch.Delete(key);
        model_.erase(key);
        continue;
      }
      Entry entry = AnyEntry(key);
      entry.value.resize(std::min<std::size_t>(entry.value.size(), 1500));
      batch.Put(key, entry.value, entry.expires_at_ms);
      model_[key] = entry;
    }
    return ErrorOf(store_->Write(batch, AnyOptions(0)));
  }

  // --- Reads ----------------------------------------------------------------------------

  std::string Get() {
    const std::string key = AnyKey();
    const auto found = store_->Get(key);
    if (!found) return found.error().ToString();
    if (*found != Visible(key)) return "Get: wrong answer for " + key;
    std::string reused = "left over";
    const auto there = store_->Get(key, reused);
    if (!there) return there.error().ToString();
    if (*there != Visible(key).has_value() || reused != Visible(key).value_or("")) {
      return "Get into a buffer: wrong answer for " + key;
    }
    return {};
  }

  std::string MultiGet() {
    std::vector<std::string> keys;
    for (std::uint64_t i = dice_.Below(40); i > 0; --i) keys.push_back(AnyKey());
    const std::vector<std::string_view> views(keys.begin(), keys.end());
    const auto results = store_->MultiGet(views);
    if (results.size() != keys.size()) return "MultiGet: wrong number of results";
    for (std::size_t i = 0; i < keys.size(); ++i) {
      if (!results[i]) return results[i].error().ToString();
      if (*results[i] != Visible(keys[i])) return "MultiGet: wrong answer for " + keys[i];
    }
    std::vector<std::string> values(keys.size(), "used before");
    const auto found = store_->MultiGet(views, values);
    if (found.size() != keys.size()) return "MultiGet into buffers: wrong number of results";
    for (std::size_t i = 0; i < keys.size(); ++i) {
      if (!found[i]) return found[i].error().ToString();
      if (*found[i] != Visible(keys[i]).has_value() || values[i] != Visible(keys[i]).value_or("")) {
        return "MultiGet into buffers: wrong answer for " + keys[i];
      }
    }
    return {};
  }

  std::string Pin() {
    const std::string key = AnyKey();
    auto found = store_->GetPinned(key);
    if (!found) return found.error().ToString();
    const auto expected = Visible(key);
    if (found->has_value() != expected.has_value()) return "GetPinned: wrong answer for " + key;
    if (!expected) return {};
    if ((*found)->value() != *expected) return "GetPinned: wrong value of " + key;
    pins_.push_back({std::move(**found), *expected});
    return {};
  }

  // Checks all pins and lets some go.
  std::string ReadPins() {
    for (const OpenPin& open : pins_) {
      if (open.pin.value() != open.expected) return "a pinned value changed";
      ++counts_.pins_checked;
    }
    while (pins_.size() > 8 || (!pins_.empty() && dice_.OneIn(2))) {
      std::swap(pins_[dice_.Below(pins_.size())], pins_.back());
      pins_.pop_back();
    }
    return {};
  }

  std::string OpenIteratorNow() {
    auto opened = store_->NewIterator();
    if (!opened) return opened.error().ToString();
    iterators_.push_back({*std::move(opened), model_, clock_->WallMs()});
    return {};
  }

  // Moves one of the open iterators on, mostly to its end.
  std::string ReadIterators() {
    if (iterators_.empty()) return {};
    OpenIterator& open = iterators_[dice_.Below(iterators_.size())];
    std::uint64_t steps = dice_.OneIn(3) ? 1 + dice_.Below(10) : UINT64_MAX;
    for (; steps > 0; --steps) {
      open.iterator.Next();
      if (!open.iterator.Valid()) break;
      const auto entry = open.expected.find(std::string(open.iterator.key()));
      if (entry == open.expected.end()) {
        return "iterator: " + std::string(open.iterator.key()) + " must not be there, or not again";
      }
      if (entry->second.value != open.iterator.value()) return "iterator: wrong value";
      if (entry->second.expires_at_ms != open.iterator.expires_at_ms()) {
        return "iterator: wrong expiry";
      }
      if (!entry->second.VisibleAt(clock_->WallMs())) return "iterator: shows an expired record";
      open.expected.erase(entry);
    }
    if (steps > 0) return FinishIterator(open);
    return {};
  }

  std::string FinishIterator(OpenIterator& open) {
    if (const Status status = open.iterator.status(); !status.ok()) return status.ToString();
    for (const auto& [key, entry] : open.expected) {
      if (entry.VisibleAt(std::max(open.highest_now_ms, highest_now_ms_))) {
        return "iterator: misses " + key;
      }
    }
    std::swap(open, iterators_.back());
    iterators_.pop_back();
    ++counts_.walks;
    return {};
  }

  std::string CheckAll() {
    Contents expected;
    std::set<std::string> others;
    for (std::uint64_t i = 0; i < keys_; ++i) others.insert("key" + std::to_string(i));
    for (const auto& [key, entry] : model_) {
      if (auto value = Visible(key)) expected.emplace(key, *std::move(value));
      others.insert(key);
    }
    return support::CompareReads(*store_, expected, others);
  }

  // --- Compaction -----------------------------------------------------------------------

  std::string StartCompaction() {
    const HotSwapConfig config{.temp_dir = {},
                               .min_space_saving = dice_.OneOf(0.0, 0.05, 0.25, 0.5, 0.9),
                               .compaction_timeout = {},
                               .seal_active = dice_.OneIn(2),
                               .max_input_bytes = dice_.OneOf(0u, 0u, 20'000u)};
    auto job = HotSwapCompactor(*store_, config).CompactInBackground();
    if (!job) return job.error().ToString();
    if (dice_.OneIn(8)) job->Cancel();
    jobs_.push_back(*std::move(job));
    return {};
  }

  std::string FinishCompaction() {
    for (const CompactionJob& job : std::exchange(jobs_, {})) {
      const auto report = job.Wait();
      if (!report && report.error().code() != StatusCode::kCancelled) {
        return "compaction: " + report.error().ToString();
      }
      if (!report) continue;
      counts_.compactions += report->ran ? 1 : 0;
      counts_.tombstones_kept += report->counters.tombstones_kept;
      counts_.expired += report->counters.records_expired;
      if (report->ran && report->counters.records_dropped == 0) {
        return "compaction: " + std::to_string(report->input_files.size()) + " segments of " +
               std::to_string(report->bytes_before) + " bytes became " +
               std::to_string(report->output_files.size()) + " of " +
               std::to_string(report->bytes_after) + ", nothing dropped: " + report->reason;
      }
    }
    return CheckAccounts();
  }

  // What the segments count as live is what the index holds.
  std::string CheckAccounts() {
    std::uint64_t live_records = 0;
    for (const SegmentInfo& segment : store_->GetSegments()) {
      if (segment.live_bytes > segment.record_bytes) {
        return segment.file + " holds more live bytes than bytes";
      }
      if (segment.state == SegmentState::kRetired && segment.live_records != 0) {
        return segment.file + " is retired, but has live records";
      }
      live_records += segment.live_records;
    }
    const std::uint64_t keys = store_->GetStats().keys;
    if (keys != live_records) {
      return std::to_string(keys) + " keys, but " + std::to_string(live_records) + " live records";
    }
    const auto visible = std::ranges::count_if(
        model_, [&](const auto& entry) { return entry.second.VisibleAt(clock_->WallMs()); });
    // Expired ones may be there or gone.
    if (keys < static_cast<std::uint64_t>(visible) || keys > model_.size()) {
      return std::to_string(keys) + " keys, but the model has " + std::to_string(model_.size());
    }
    return ErrorOf(store_->GetStats().background_error);
  }

  // --- Time -----------------------------------------------------------------------------

  std::string MoveClock() {
    switch (dice_.Below(4)) {
      case 0:
        clock_->SetWrongBy(dice_.Below(100) * kMinute);
        break;
      case 1:
        clock_->SetWrongBy(0);
        break;
      default:
        clock_->Advance(dice_.Below(2 * kMinute));
        break;
    }
    highest_now_ms_ = std::max(highest_now_ms_, clock_->WallMs());
    return {};
  }

  // --- Opening and closing --------------------------------------------------------------

  Result<std::unique_ptr<KVStore>> OpenWith(const Options& options) {
    return api::OpenStore(path_, options,
                          {.file_system = file_system_,
                           .clock = clock_,
                           .random = std::make_shared<support::SeededRandom>(dice_.Next())});
  }

  std::string Open() {
    Options options;
    options.create_if_missing = true;
    options.scheduler.enabled = false;
    options.sync = dice_.OneOf(Sync::kNone, Sync::kNone, Sync::kNone, Sync::kInterval);
    options.sync_interval = std::chrono::milliseconds(5);
    options.segment_bytes = std::uint64_t{16 << 10} << dice_.Below(3);
    options.reserve_bytes = 64 << 10;
    options.worker_threads = static_cast<unsigned>(1 + dice_.Below(3));
    options.index_image = !dice_.OneIn(3);
    auto store = OpenWith(options);
    if (!store) return "open: " + store.error().ToString();
    store_ = *std::move(store);
    return {};
  }

  void LetGo() {
    iterators_.clear();
    pins_.clear();
    jobs_.clear();
    store_.reset();
  }

  std::string Reopen() {
    if (dice_.OneIn(2)) {
      std::string problem = FinishCompaction();
      if (!problem.empty()) return problem;
    }
    iterators_.clear();
    pins_.clear();
    jobs_.clear();  // what still runs is cancelled
    std::string problem = ErrorOf(store_->Close());
    if (!problem.empty()) return "close: " + problem;
    store_.reset();
    ++counts_.reopened;
    clock_->SetWrongBy(0);  // a store believes the clock that it is opened by
    if (dice_.OneIn(3)) problem = HurtHints();
    if (problem.empty() && dice_.OneIn(4)) problem = ReadOnly();
    if (problem.empty()) problem = Open();
    if (problem.empty()) problem = CheckAll();
    if (problem.empty()) problem = CheckAccounts();
    return problem.empty() ? problem : "reopened: " + problem;
  }

  std::string ReadOnly() {
    Options options;
    options.read_only = true;
    auto store = OpenWith(options);
    if (!store) return "open read-only: " + store.error().ToString();
    store_ = *std::move(store);
    std::string problem = CheckAll();
    if (store_->Put("key", "value").code() != StatusCode::kReadOnly) {
      problem += "; a put into a read-only store is not refused";
    }
    store_.reset();
    return problem;
  }

  // Hints and an index image only save time: without them, or with damaged ones, nothing changes.
  // With an image nobody would look at the hints, and a verification report them: it goes with
  // them.
  std::string HurtHints() {
    bool damaged = false;
    const auto names = file_system_->List(path_);
    if (!names) return names.error().ToString();
    for (const std::string& name : *names) {
      if ((!name.ends_with(".hint") && name != "INDEX") || dice_.OneIn(2)) continue;
      ++counts_.hints_hurt;
      if (dice_.OneIn(2)) {
        if (const Status gone = file_system_->Unlink(path_ / name); !gone.ok()) {
          return gone.ToString();
        }
        continue;
      }
      damaged = damaged || name != "INDEX";
      const auto file = file_system_->Open(path_ / name, io::OpenMode::kReadWrite);
      if (!file) return file.error().ToString();
      const auto size = (*file)->Size();
      if (!size || *size == 0) return name + ": empty";
      if (dice_.OneIn(3)) {
        if (const Status cut = (*file)->Truncate(dice_.Below(*size)); !cut.ok()) {
          return cut.ToString();
        }
        continue;
      }
      std::array<std::byte, 1> byte{};
      const std::uint64_t offset = dice_.Below(*size);
      if (!(*file)->ReadAt(offset, byte)) return name + ": can't be read";
      byte[0] ^= static_cast<std::byte>(1 << dice_.Below(8));
      if (const Status hurt = (*file)->WriteAt(offset, byte); !hurt.ok()) return hurt.ToString();
    }
    if (!damaged) return {};
    const Status gone = file_system_->Unlink(path_ / "INDEX");
    return gone.ok() || gone.code() == StatusCode::kNotFound ? "" : gone.ToString();
  }

  const std::shared_ptr<io::FileSystem> file_system_;
  const std::filesystem::path path_;
  Dice dice_;
  const std::uint64_t keys_;
  const std::shared_ptr<ManualClock> clock_;
  ModelCounts& counts_;

  std::unique_ptr<KVStore> store_;
  Model model_;
  std::uint64_t number_ = 0;
  std::uint64_t highest_now_ms_ = 0;
  std::vector<OpenIterator> iterators_;
  std::vector<OpenPin> pins_;
  std::vector<CompactionJob> jobs_;
};

void RunMany(std::size_t runs, const std::function<std::string(std::uint64_t, ModelCounts&)>& run) {
  const std::uint64_t seed = support::TestSeed(20'240'612);
  ModelCounts counts;
  for (std::size_t i = 0; i < runs; ++i) {
    const std::string problem = run(seed + i, counts);
    ASSERT_EQ(problem, "") << "FREYJA_TEST_SEED=" << seed + i;
  }
  std::cout << counts.compactions << " compactions, " << counts.tombstones_kept
            << " tombstones kept, " << counts.expired << " records expired, " << counts.reopened
            << " times reopened, " << counts.hints_hurt << " hints hurt, " << counts.walks
            << " walks, " << counts.pins_checked << " pins checked\n";
  // It must have happened to have been tested.
  for (const std::size_t count :
       {counts.compactions, counts.tombstones_kept, counts.expired, counts.reopened,
        counts.hints_hurt, counts.walks, counts.pins_checked}) {
    EXPECT_GT(count, runs);
  }
}

constexpr std::size_t kSteps = 1500;

TEST(ModelTest, AStoreInMemoryAgreesWithAMap) {
  RunMany(support::Scaled(24), [](std::uint64_t seed, ModelCounts& counts) {
    return ModelRun(std::make_shared<io::MemoryFileSystem>(), "/store", seed, counts).Run(kSteps);
  });
}

TEST(ModelTest, AStoreOnDiskAgreesWithAMap) {
  const std::shared_ptr<io::FileSystem> file_system = io::NewPosixFileSystem();
  RunMany(support::Scaled(8), [&](std::uint64_t seed, ModelCounts& counts) {
    const io::testing::TemporaryDirectory directory;
    return ModelRun(file_system, directory.path() / "store", seed, counts).Run(kSteps);
  });
}

// A tombstone whose older put lies in a segment that doesn't fit into the same job.
TEST(BoundedCompactionTest, ATombstoneIsNotRewrittenAgainAndAgainInPlaceOfWhatItHides) {
  Options options;
  options.create_if_missing = true;
  options.scheduler.enabled = false;
  options.segment_bytes = 64 << 10;
  options.reserve_bytes = 64 << 10;
  const auto opened = api::OpenStore("/store", options,
                                     {.file_system = std::make_shared<io::MemoryFileSystem>(),
                                      .clock = std::make_shared<ManualClock>(),
                                      .random = std::make_shared<support::SeededRandom>(1)});
  ASSERT_TRUE(opened.has_value()) << opened.error().ToString();
  KVStore& store = **opened;
  const auto compact = [&](const HotSwapConfig& config) {
    return HotSwapCompactor(store, config).Compact();
  };
  HotSwapConfig only_seal;
  only_seal.min_space_saving = 1;
  only_seal.seal_active = true;
  for (int i = 0; i < 60; ++i) {
    ASSERT_TRUE(store.Put("key" + std::to_string(i), std::string(500, 'v')).ok());
  }
  ASSERT_FALSE(io::testing::Must(compact(only_seal)).ran);
  ASSERT_TRUE(store.Delete("key7").value_or(false));
  ASSERT_FALSE(io::testing::Must(compact(only_seal)).ran);

  HotSwapConfig bounded;
  bounded.min_space_saving = 0;
  bounded.max_input_bytes = 20'000;
  for (int i = 0; i < 2; ++i) {  // first the put, then its tombstone
    const CompactionReport report = io::testing::Must(compact(bounded));
    EXPECT_TRUE(report.ran);
    EXPECT_EQ(report.counters.records_dropped, 1u);
  }
  EXPECT_FALSE(io::testing::Must(compact(bounded)).ran);
  EXPECT_EQ(store.GetStats().dead_bytes, 0u);
}

}  // namespace
}  // namespace freyja
