// Random writes, compactions, undos, ends of quarantine, jumps of the clock, reopens and power
// cuts, also in the middle of a job: after every step the store must equal a std::map.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "compaction/compaction_testing.h"
#include "compaction/steps.h"
#include "compaction/undo.h"

namespace freyja::compaction {
namespace {

using engine::testing::Machine;
using std::chrono::seconds;
using testing::Fixture;
using testing::ValueOf;

class Dice {
 public:
  explicit Dice(std::uint64_t seed) : engine_(seed) {}
  std::uint64_t Next() { return engine_(); }
  std::uint64_t Below(std::uint64_t bound) { return engine_() % bound; }
  bool OneIn(std::uint64_t n) { return Below(n) == 0; }
  template <typename... Choices>
  auto OneOf(Choices... choices) {
    const std::common_type_t<Choices...> list[] = {choices...};
    return list[Below(sizeof...(choices))];
  }

 private:
  std::mt19937_64 engine_;
};

std::uint64_t Setting(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

constexpr const char* kMarker = "marker";
constexpr const char* kTempDir = "/temp";

// A key's newest version. Once it could be dropped as expired it may be missing for good, also
// if the clock goes back to a time at which it had not expired yet; then no older one shows.
struct Version {
  std::string value;
  std::uint64_t expires_at_ms = 0;
  bool may_be_gone = false;

  bool VisibleAt(std::uint64_t now_ms) const {
    return expires_at_ms == 0 || expires_at_ms > now_ms;
  }
};
using Versions = std::map<std::string, Version>;

struct UndoModelCounts {
  std::size_t compactions = 0;
  std::size_t steps = 0;
  std::size_t undone = 0;
  std::size_t too_late = 0;
  std::size_t given_up = 0;
  std::size_t power_cuts = 0;
  std::size_t cut_jobs = 0;
  std::size_t went_back = 0;
};

class UndoModelRun {
 public:
  UndoModelRun(std::uint64_t seed, UndoModelCounts& counts)
      : dice_(seed), keys_(dice_.OneOf(3u, 8u, 30u)), counts_(counts) {
    ChooseQuarantine();
    f_.Reopen();
    EXPECT_OK(f_.machine.fs->CreateDirectory(kTempDir));
    durable_ = {{}};
  }

  void Run(std::size_t steps) {
    for (std::size_t i = 0; i < steps && !::testing::Test::HasFailure(); ++i) {
      SCOPED_TRACE("step " + std::to_string(i));
      Step();
      Check();
    }
    if (!::testing::Test::HasFailure()) PowerCut();
    Check();
  }

 private:
  void Step() {
    switch (dice_.Below(24)) {
      case 0:
      case 1:
        return Compact();
      case 2:
      case 3:
        return Undo();
      case 4:
        return EndQuarantine();
      case 5:
        f_.machine.clock->Pass(dice_.OneOf(100u, 10'000u, 100'000u));
        return NoteExpired();
      case 6:
        return dice_.OneIn(3) ? JumpClock() : Write();
      case 7:
        return dice_.OneIn(3) ? Reopen() : Write();
      case 8:
        return dice_.OneIn(3) ? PowerCut() : Write();
      case 9:
        EXPECT_OK(f_.store->SealActive());
        return;
      case 10:
        return Sync();
      default:
        return Write();
    }
  }

  std::string AnyKey() { return "k" + std::to_string(dice_.Below(keys_)); }
  std::uint64_t Now() const { return f_.machine.clock->WallMs(); }

  // --- Writes ---

  // A few operations and a number by which a power cut's prefix is recognised, as one batch.
  void Write() {
    WriteBatch batch;
    const std::size_t count = dice_.OneOf(1u, 1u, 2u, 5u);
    for (std::size_t i = 0; i < count; ++i) {
      const std::string key = AnyKey();
      if (dice_.OneIn(4)) {
        batch.Delete(key);
        model_.erase(key);
        continue;
      }
      Version version{.value = ValueOf(key, ++version_, dice_.OneOf(10u, 100u, 2500u))};
      if (dice_.OneIn(3)) {
        version.expires_at_ms = Now() + dice_.OneOf(50u, 5'000u, 50'000u, 500'000u);
      }
      batch.Put(key, version.value, version.expires_at_ms);
      model_[key] = version;
    }
    const std::string marker = std::to_string(++marker_);
    batch.Put(kMarker, marker);
    model_[kMarker] = {.value = marker};
    EXPECT_OK(f_.store->Write(batch, {}));
    durable_.push_back(model_);
  }

  void Sync() {
    EXPECT_OK(f_.store->Sync());
    durable_ = {model_};
  }

  // --- Jobs ---

  HotSwapConfig AnyConfig() {
    HotSwapConfig config{.min_space_saving = dice_.OneOf(0.0, 0.01, 0.25, 0.6),
                         .seal_active = dice_.OneIn(2),
                         .max_input_bytes = dice_.OneOf(0u, 0u, 30'000u),
                         .step_bytes = dice_.OneOf(0u, 1u, 1u, 20'000u),
                         .combine_small = dice_.OneIn(2)};
    if (dice_.OneIn(4)) config.temp_dir = kTempDir;
    if (dice_.OneIn(3)) {
      for (const SegmentInfo& segment : f_.store->GetSegments()) {
        if (segment.state != SegmentState::kSealed || dice_.OneIn(2)) continue;
        config.segments.push_back(segment.id);
      }
    }
    return config;
  }

  void Compact() {
    JobState state(++f_.jobs, AnyConfig());
    MayBeCut([&] {
      const auto report = RunInSteps(*f_.store, *f_.expiry, f_.events, state);
      ASSERT_TRUE(report.has_value()) << report.error().ToString();
      counts_.compactions += report->ran ? 1 : 0;
      counts_.steps += report->steps;
    });
  }

  void Undo() {
    const auto quarantine = DescribeQuarantine(f_.store->manifest().Current());
    if (quarantine.empty()) return Compact();
    const QuarantinedJob& job = quarantine[dice_.Below(quarantine.size())];
    JobState state(++f_.jobs, {}, std::make_shared<Throttle>(), job.id);
    MayBeCut([&] {
      const auto report = UndoJob(*f_.store, f_.events, state).Run();
      if (report) {
        EXPECT_EQ(job.why_not, "");
        ++counts_.undone;
        return;
      }
      // By the clock, on the background thread.
      const bool ended = job.keep_until_ms != 0 && job.keep_until_ms <= Now();
      EXPECT_TRUE(ended || !job.why_not.empty()) << report.error().ToString();
      ++counts_.too_late;
    });
  }

  void EndQuarantine() {
    const auto jobs = f_.store->quarantine().Jobs();
    if (jobs.empty()) return;
    const Status status = f_.store->quarantine().GiveUp(jobs[dice_.Below(jobs.size())].id);
    EXPECT_TRUE(status.ok() || status.code() == StatusCode::kNotFound) << status.ToString();
    ++counts_.given_up;
  }

  // Runs a job, one in three only until a power cut before an operation of it on a file.
  template <class Job>
  void MayBeCut(Job&& job) {
    std::optional<Machine> cut;
    if (dice_.OneIn(3)) {
      auto left = std::make_shared<std::uint64_t>(dice_.Below(dice_.OneOf(10u, 60u)));
      const auto mode = AnyMode();
      const std::uint64_t seed = dice_.Next();
      const auto thread = std::this_thread::get_id();
      f_.machine.fs->SetOperationHook(
          [this, left, mode, seed, thread, &cut](io::Operation, const std::filesystem::path&) {
            if (std::this_thread::get_id() != thread || cut || (*left)-- != 0) return;
            cut = f_.machine.AfterCrash(mode, seed);
          });
    }
    job();
    f_.machine.fs->SetOperationHook({});
    if (cut) {
      ++counts_.cut_jobs;
      GoOnWith(*std::move(cut));
    }
    engine::testing::ExpectConsistent(*f_.store);
  }

  // --- Clock ---

  void JumpClock() {
    const std::uint64_t by = dice_.OneOf(1'000u, 70'000u, 400'000u);
    if (dice_.OneIn(2)) {
      f_.machine.clock->SetWall(Now() + by);
    } else {
      f_.machine.clock->SetWall(Now() - std::min(Now() - 1, by));
      ++counts_.went_back;
    }
    NoteExpired();
  }

  // The expiry clock drops nothing before the wall clock has passed it.
  void NoteExpired() {
    for (Versions& versions : durable_) NoteExpiredIn(versions);
    NoteExpiredIn(model_);
  }
  void NoteExpiredIn(Versions& versions) {
    for (auto& [key, version] : versions) {
      if (!version.VisibleAt(Now())) version.may_be_gone = true;
    }
  }

  // --- Reopening ---

  io::CrashOptions::Mode AnyMode() {
    using enum io::CrashOptions::Mode;
    return dice_.OneOf(kProcessKill, kLoseAllUnsynced, kRandom);
  }

  void ChooseQuarantine() {
    f_.options.quarantine = dice_.OneOf(
        QuarantineOptions{.keep_for = seconds(100'000)}, QuarantineOptions{.keep_for = seconds(60)},
        QuarantineOptions{.max_bytes = 60'000}, QuarantineOptions{.max_bytes = 1 << 20},
        QuarantineOptions{.max_bytes = 1 << 20}, QuarantineOptions{.max_bytes = 1 << 20},
        QuarantineOptions{});
  }

  void Reopen() {
    ChooseQuarantine();
    f_.Reopen();
    durable_ = {model_};
    engine::testing::ExpectConsistent(*f_.store);
  }

  void PowerCut() {
    ++counts_.power_cuts;
    GoOnWith(f_.machine.AfterCrash(AnyMode(), dice_.Next()));
    engine::testing::ExpectConsistent(*f_.store);
  }

  // What is left must be one of the states since the last sync.
  void GoOnWith(Machine after) {
    after.clock = f_.machine.clock;
    f_.store.reset();
    f_.machine = std::move(after);
    ChooseQuarantine();
    f_.Open();
    EXPECT_OK(f_.machine.fs->CreateDirectory(kTempDir));  // a cut may have taken it
    const auto marker = testing::Get(*f_.store, kMarker);
    const auto found = std::ranges::find_if(durable_, [&](const Versions& versions) {
      const auto entry = versions.find(kMarker);
      return (entry == versions.end() ? std::nullopt : std::optional(entry->second.value)) ==
             marker;
    });
    ASSERT_NE(found, durable_.end()) << marker.value_or("nothing");
    model_ = *found;
    durable_ = {model_};  // recovery has synced it
  }

  // --- Comparing ---

  void Check() {
    const testing::Model contents = engine::testing::Contents(*f_.store);
    for (const auto& [key, value] : contents) {
      const auto expected = model_.find(key);
      ASSERT_NE(expected, model_.end()) << key << " is back: " << value.substr(0, 20);
      EXPECT_EQ(value, expected->second.value) << key;
      EXPECT_TRUE(expected->second.VisibleAt(Now())) << key;
    }
    for (const auto& [key, version] : model_) {
      if (version.may_be_gone || !version.VisibleAt(Now())) continue;
      EXPECT_TRUE(contents.contains(key)) << key << " is missing";
    }
  }

  Dice dice_;
  const std::uint64_t keys_;
  UndoModelCounts& counts_;
  Fixture f_;
  Versions model_;
  std::vector<Versions> durable_;  // what a power cut may leave, oldest first
  int version_ = 0;
  std::uint64_t marker_ = 0;
};

TEST(UndoModelTest, NoOrderOfCompactionsAndUndosChangesTheMap) {
  const std::uint64_t first = Setting("FREYJA_TEST_SEED", 1);
  const std::size_t runs = 30 * Setting("FREYJA_TEST_SCALE", 1);
  UndoModelCounts counts;
  for (std::uint64_t seed = first; seed < first + runs && !HasFailure(); ++seed) {
    SCOPED_TRACE("FREYJA_TEST_SEED=" + std::to_string(seed));
    UndoModelRun(seed, counts).Run(250);
  }
  std::cout << counts.compactions << " compactions, " << counts.steps << " steps, " << counts.undone
            << " undone, " << counts.too_late << " too late, " << counts.given_up << " given up, "
            << counts.power_cuts << " power cuts, " << counts.cut_jobs << " jobs cut, "
            << counts.went_back << " clock back\n";
  if (HasFailure()) return;
  EXPECT_GT(counts.steps, counts.compactions);
  EXPECT_GT(counts.undone, 0u);
  EXPECT_GT(counts.too_late, 0u);
  EXPECT_GT(counts.given_up, 0u);
  EXPECT_GT(counts.power_cuts, 0u);
  EXPECT_GT(counts.cut_jobs, 0u);
  EXPECT_GT(counts.went_back, 0u);
}

}  // namespace
}  // namespace freyja::compaction
