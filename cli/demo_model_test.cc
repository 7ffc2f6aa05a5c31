#include "demo_model.h"

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace freyja::cli {
namespace {

Dataset SmallDataset(std::size_t keys) {
  Dataset dataset;
  for (std::size_t i = 0; i < keys; ++i) {
    dataset.records.push_back({"key" + std::to_string(i), std::string(i * 7 % 50, 'x')});
  }
  return dataset;
}

class DemoModelTest : public testing::Test {
 protected:
  using Answer = std::optional<std::string>;

  // Writes the next version of key 0 in the model only; returns what a store then holds.
  Answer Write() {
    const std::uint32_t version = model_.StartWrite(0);
    model_.FinishWrite(0, version);
    return ValueOf(version);
  }
  Answer ValueOf(std::uint32_t version, std::size_t key_index = 0) {
    if (model_.IsDelete(key_index, version)) return std::nullopt;
    std::string value;
    model_.BuildValue(key_index, version, value);
    return value;
  }
  // Of a version that is no delete.
  std::string BytesOf(std::uint32_t version, std::size_t key_index = 0) {
    std::string value;
    model_.BuildValue(key_index, version, value);
    return value;
  }
  Verdict Judge(const DemoModel::ReadTicket& ticket, const Answer& answer) {
    return model_.EndRead(ticket, answer ? std::optional<std::string_view>(*answer) : std::nullopt);
  }
  // A read that a fake store answers, with nothing else going on.
  Verdict Read(const Answer& answer) { return Judge(model_.BeginRead(0), answer); }
  // Writes until the last version is (not) a delete.
  std::uint32_t WriteUntil(bool is_delete) {
    do Write();
    while (model_.IsDelete(0, model_.acknowledged(0)) != is_delete);
    return model_.acknowledged(0);
  }

  Dataset dataset_ = SmallDataset(8);
  DemoModel model_{dataset_, 1, 30};
};

TEST_F(DemoModelTest, KeyIsAbsentBeforeItsFirstWriteAndPresentAfterIt) {
  EXPECT_EQ(Read(std::nullopt), Verdict::kRight);
  const Answer first = Write();
  ASSERT_TRUE(first);
  EXPECT_EQ(Read(first), Verdict::kRight);
  EXPECT_TRUE(first.value_or("").starts_with(dataset_.records[0].text));
}

TEST_F(DemoModelTest, AbsentAnswerForAPresentKeyIsMissed) {
  WriteUntil(false);
  EXPECT_EQ(Read(std::nullopt), Verdict::kMissed);
  ASSERT_EQ(model_.Notes().size(), 1U);
  EXPECT_TRUE(model_.Notes()[0].starts_with("missed: key 'key0'"));
}

TEST_F(DemoModelTest, OlderVersionIsStale) {
  const std::uint32_t old = WriteUntil(false);
  WriteUntil(false);
  EXPECT_EQ(Read(ValueOf(old)), Verdict::kStale);
}

TEST_F(DemoModelTest, DeletedValueThatComesBackIsStale) {
  const std::uint32_t old = WriteUntil(false);
  WriteUntil(true);
  EXPECT_EQ(Read(std::nullopt), Verdict::kRight);
  EXPECT_EQ(Read(ValueOf(old)), Verdict::kStale);
}

TEST_F(DemoModelTest, EveryFlippedBitIsCorrupt) {
  const std::string right = BytesOf(WriteUntil(false));
  for (std::size_t bit = 0; bit < right.size() * 8; ++bit) {
    std::string wrong = right;
    wrong[bit / 8] = static_cast<char>(wrong[bit / 8] ^ (1 << bit % 8));
    ASSERT_EQ(Read(wrong), Verdict::kCorrupt) << "bit " << bit;
  }
}

TEST_F(DemoModelTest, ShortenedLengthenedAndEmptyValuesAreCorrupt) {
  const std::string right = BytesOf(WriteUntil(false));
  EXPECT_EQ(Read(right.substr(1)), Verdict::kCorrupt);
  EXPECT_EQ(Read(right.substr(0, right.size() - 1)), Verdict::kCorrupt);
  EXPECT_EQ(Read(right + "\n"), Verdict::kCorrupt);
  EXPECT_EQ(Read("." + right), Verdict::kCorrupt);
  EXPECT_EQ(Read(""), Verdict::kCorrupt);
}

TEST_F(DemoModelTest, ValueOfAnotherKeyIsCorrupt) {
  WriteUntil(false);
  const Answer other = ValueOf(1, 1);
  EXPECT_EQ(Read(other), Verdict::kCorrupt);
}

TEST_F(DemoModelTest, VersionThatNobodyBeganToWriteIsCorrupt) {
  const std::uint32_t last = WriteUntil(false);
  std::uint32_t future = last + 1;
  while (model_.IsDelete(0, future)) ++future;
  EXPECT_EQ(Read(ValueOf(future)), Verdict::kCorrupt);
}

TEST_F(DemoModelTest, OldAndNewAreBothRightDuringAWrite) {
  const std::uint32_t old = WriteUntil(false);
  const DemoModel::ReadTicket early = model_.BeginRead(0);
  const DemoModel::ReadTicket also_early = model_.BeginRead(0);
  const std::uint32_t version = model_.StartWrite(0);
  EXPECT_EQ(Judge(early, ValueOf(old)), Verdict::kRight);
  EXPECT_EQ(Judge(also_early, ValueOf(version)), Verdict::kRight);
}

TEST_F(DemoModelTest, ReadThatBeganBeforeAWriteMayReturnItsOldValueAfterIt) {
  const std::uint32_t old = WriteUntil(false);
  const DemoModel::ReadTicket early = model_.BeginRead(0);
  WriteUntil(false);
  EXPECT_EQ(Judge(early, ValueOf(old)), Verdict::kRight);
}

TEST_F(DemoModelTest, AbsenceIsRightOnlyIfAVersionInTheRangeIsADelete) {
  WriteUntil(false);
  const DemoModel::ReadTicket over_delete = model_.BeginRead(0);
  WriteUntil(true);
  WriteUntil(false);
  EXPECT_EQ(Judge(over_delete, std::nullopt), Verdict::kRight);

  // A rewrite without a delete in between leaves no moment of absence.
  DemoModel::ReadTicket over_rewrite = model_.BeginRead(0);
  Write();
  while (model_.IsDelete(0, model_.acknowledged(0))) {
    WriteUntil(false);
    over_rewrite = model_.BeginRead(0);
    Write();
  }
  EXPECT_EQ(Judge(over_rewrite, std::nullopt), Verdict::kMissed);
}

TEST_F(DemoModelTest, NewThenOldInTwoReadsIsStaleEvenBeforeTheAcknowledgement) {
  const std::uint32_t old = WriteUntil(false);
  std::uint32_t version = model_.StartWrite(0);
  while (model_.IsDelete(0, version)) {
    model_.FinishWrite(0, version);
    version = model_.StartWrite(0);
  }
  EXPECT_EQ(Read(ValueOf(version)), Verdict::kRight);
  EXPECT_EQ(Read(ValueOf(old)), Verdict::kStale);
  EXPECT_EQ(Read(ValueOf(version)), Verdict::kRight);
}

TEST_F(DemoModelTest, DeleteThatWasSeenBindsLaterReadsEvenBeforeTheAcknowledgement) {
  std::uint32_t old = 0;
  std::uint32_t version = 0;
  do {
    old = WriteUntil(false);
    version = model_.StartWrite(0);
    if (!model_.IsDelete(0, version)) model_.FinishWrite(0, version);
  } while (!model_.IsDelete(0, version));
  EXPECT_EQ(Read(ValueOf(old)), Verdict::kRight);
  EXPECT_EQ(Read(std::nullopt), Verdict::kRight);
  EXPECT_EQ(Read(ValueOf(old)), Verdict::kStale);
}

TEST_F(DemoModelTest, ShareOfDeletesIsAsAskedAndDependsOnTheSeed) {
  const DemoModel other_seed(dataset_, 2, 30);
  std::size_t deletes = 0;
  std::size_t differing = 0;
  for (std::uint32_t version = 2; version < 10002; ++version) {
    if (model_.IsDelete(3, version)) ++deletes;
    if (model_.IsDelete(3, version) != other_seed.IsDelete(3, version)) ++differing;
  }
  EXPECT_NEAR(static_cast<double>(deletes), 3000.0, 200.0);
  EXPECT_GT(differing, 1000U);
}

class IterationCheckTest : public DemoModelTest {
 protected:
  void SetUp() override {
    for (std::size_t i = 0; i < model_.size(); ++i) model_.FinishWrite(i, model_.StartWrite(i));
  }
  void Show(IterationCheck& check, std::size_t key_index) {
    check.Saw(model_.key(key_index), BytesOf(1, key_index));
  }
};

TEST_F(IterationCheckTest, WalkOverAllKeysIsRight) {
  IterationCheck check(model_);
  check.Opened();
  for (std::size_t i = 0; i < model_.size(); ++i) Show(check, i);
  const auto totals = check.Finish();
  EXPECT_EQ(totals.seen, model_.size());
  EXPECT_EQ(totals.missed + totals.stale + totals.corrupt, 0U);
}

TEST_F(IterationCheckTest, KeyThatIsLeftOutIsMissed) {
  IterationCheck check(model_);
  check.Opened();
  for (std::size_t i = 1; i < model_.size(); ++i) Show(check, i);
  EXPECT_EQ(check.Finish().missed, 1U);
}

TEST_F(IterationCheckTest, RepeatedAndUnknownKeysAreCorrupt) {
  IterationCheck check(model_);
  check.Opened();
  for (std::size_t i = 0; i < model_.size(); ++i) Show(check, i);
  Show(check, 2);
  EXPECT_EQ(check.Saw("stranger", "x"), Verdict::kCorrupt);
  EXPECT_EQ(check.Finish().corrupt, 2U);
}

TEST_F(IterationCheckTest, VersionWrittenAfterTheIteratorWasOpenedIsNotOfItsInstant) {
  IterationCheck check(model_);
  check.Opened();
  const std::uint32_t later = WriteUntil(false);
  EXPECT_EQ(check.Saw(model_.key(0), BytesOf(later)), Verdict::kCorrupt);
}

// A right store: a map behind a lock. It also remembers each key's value before the last.
class FakeStore {
 public:
  void Apply(std::size_t key, std::optional<std::string> value) {
    const std::lock_guard lock(mutex_);
    before_[key] = values_[key];
    values_[key] = std::move(value);
  }
  std::optional<std::string> Get(std::size_t key) {
    const std::lock_guard lock(mutex_);
    return values_[key];
  }
  std::optional<std::string> GetBefore(std::size_t key) {
    const std::lock_guard lock(mutex_);
    return before_[key];
  }

 private:
  std::mutex mutex_;
  std::map<std::size_t, std::optional<std::string>> values_;
  std::map<std::size_t, std::optional<std::string>> before_;
};

TEST_F(DemoModelTest, ConcurrentReadsOfARightStoreAreAllRight) {
  FakeStore store;
  std::atomic<bool> stop{false};
  std::atomic<int> wrong{0};
  std::vector<std::thread> readers;
  readers.reserve(2);
  for (int reader = 0; reader < 2; ++reader) {
    readers.emplace_back([&] {
      for (std::size_t i = 0; !stop.load(); i = (i + 1) % model_.size()) {
        const DemoModel::ReadTicket ticket = model_.BeginRead(i);
        if (Judge(ticket, store.Get(i)) != Verdict::kRight) wrong.fetch_add(1);
      }
    });
  }
  for (int round = 0; round < 20000; ++round) {
    const std::size_t key = static_cast<std::size_t>(round) % model_.size();
    const std::uint32_t version = model_.StartWrite(key);
    store.Apply(key, ValueOf(version, key));
    model_.FinishWrite(key, version);
  }
  stop.store(true);
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(wrong.load(), 0);
}

TEST_F(DemoModelTest, OneStepBehindIsNeverRightOnceAcknowledged) {
  FakeStore store;
  for (int round = 0; round < 2000; ++round) {
    const std::uint32_t version = model_.StartWrite(0);
    store.Apply(0, ValueOf(version));
    model_.FinishWrite(0, version);
    const Verdict verdict = Read(store.GetBefore(0));
    // Absent before and after a delete are the same answer; all else gives it away.
    const bool both_deletes = model_.IsDelete(0, version) && model_.IsDelete(0, version - 1);
    ASSERT_EQ(verdict == Verdict::kRight, both_deletes) << "version " << version;
    ASSERT_NE(verdict, Verdict::kCorrupt);
  }
}

}  // namespace
}  // namespace freyja::cli
