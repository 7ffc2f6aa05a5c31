#include "torture/real/real.h"

#include <gtest/gtest.h>

#include <iostream>
#include <optional>
#include <string>

#include "torture/real/child.h"
#include "torture/real/verify.h"
#include "torture/real/workload.h"

namespace freyja::torture::real {
namespace {

// A child that made 40 writes, and the parent's record of it.
class PlantedTest : public ::testing::Test {
 protected:
  PlantedTest() : scratch_(::testing::TempDir()) {
    spec_.directory = scratch_.path() / "store";
    spec_.shape = {.seed = 7, .writers = 2, .keys = 8};
    spec_.writes = 40;
    ledger_.emplace(spec_.shape, support::Contents{}, spec_.first_number);
  }
  void RunChild() {
    auto child = Child::Start(spec_);
    ASSERT_TRUE(child.has_value()) << child.error().ToString();
    child->Go();
    const auto failure = Enter(child->ReceiveRest(), *ledger_);
    ASSERT_EQ(failure, std::nullopt);
    ASSERT_EQ(child->Reap(), 0);
    ASSERT_EQ(ledger_->total_acknowledged(), 80u);
  }
  std::optional<Finding> Judge() {
    return OpenAndJudge(spec_.directory, spec_.StoreOptions(), *ledger_, ledger_->acknowledged())
        .finding;
  }

  const ScratchDirectory scratch_;
  ChildSpec spec_;
  std::optional<Ledger> ledger_;
};

TEST_F(PlantedTest, AcknowledgementsThatWereMadeAreFoundToBeKept) {
  RunChild();
  const auto finding = Judge();
  EXPECT_FALSE(finding.has_value()) << finding->what;
}

TEST_F(PlantedTest, AnAcknowledgementThatWasNeverMadeIsReportedAsALoss) {
  RunChild();
  for (std::uint64_t number = 41; number <= 60; ++number) ledger_->Returned(1, number, false);
  const auto finding = Judge();
  ASSERT_TRUE(finding.has_value());
  EXPECT_EQ(finding->wrong, Wrong::kAcknowledgedLost) << finding->what;
}

TEST_F(PlantedTest, WritesBeyondTheOneUnderWayAreReportedAsFabricated) {
  RunChild();
  Ledger less(spec_.shape, {}, spec_.first_number);
  for (std::uint64_t number = 1; number <= 40; ++number) less.Returned(0, number, false);
  for (std::uint64_t number = 1; number <= 20; ++number) less.Returned(1, number, false);
  ledger_.reset();
  const auto finding =
      OpenAndJudge(spec_.directory, spec_.StoreOptions(), less, less.acknowledged()).finding;
  ASSERT_TRUE(finding.has_value());
  EXPECT_EQ(finding->wrong, Wrong::kFabricated) << finding->what;
}

TEST_F(PlantedTest, ADirectoryThatLostTheStoreIsReportedAsALoss) {
  RunChild();
  std::filesystem::remove_all(spec_.directory);
  const auto finding = Judge();
  ASSERT_TRUE(finding.has_value());
  EXPECT_EQ(finding->wrong, Wrong::kAcknowledgedLost) << finding->what;
}

// What may be found, with one thing changed.
class LedgerTest : public ::testing::Test {
 protected:
  LedgerTest() : ledger_(shape_, {}, 1) {
    for (std::uint64_t number = 1; number <= 30; ++number) {
      Apply(number);
      ledger_.Returned(0, number, /*durable=*/number == 20);
      if (number == 25) at_25_ = found_;
    }
  }
  void Apply(std::uint64_t number) {
    for (const support::Change& change : WriteOf(shape_, 0, number)) {
      if (change.value) {
        found_.insert_or_assign(change.key, *change.value);
        last_value_[change.key] = *change.value;
      } else {
        found_.erase(change.key);
      }
    }
  }
  Wrong WrongOf(const support::Contents& found, const Ledger::Floor& floor) const {
    const auto finding = ledger_.Judge(found, floor);
    EXPECT_TRUE(finding.has_value());
    return finding ? finding->wrong : Wrong::kOther;
  }

  const Shape shape_{.seed = 3, .writers = 1, .keys = 10};
  Ledger ledger_;
  support::Contents found_;
  support::Contents at_25_;
  support::Contents last_value_;  // of every key that ever had one
};

TEST_F(LedgerTest, AStateBetweenTheDurableAndTheLastWriteIsRightAfterAPowerCutOnly) {
  EXPECT_FALSE(ledger_.Judge(found_, ledger_.acknowledged()).has_value());
  EXPECT_FALSE(ledger_.Judge(at_25_, ledger_.durable()).has_value());
  EXPECT_NE(WrongOf(at_25_, ledger_.acknowledged()), Wrong::kFabricated);
  EXPECT_NE(WrongOf({}, ledger_.durable()), Wrong::kFabricated);
}

TEST_F(LedgerTest, ADeletedKeyThatIsBackIsReportedAsResurrected) {
  support::Contents found = found_;
  for (const auto& [key, value] : last_value_) found.emplace(key, value);
  ASSERT_NE(found, found_) << "the workload deleted nothing for good";
  EXPECT_EQ(WrongOf(found, ledger_.acknowledged()), Wrong::kResurrected);
}

TEST_F(LedgerTest, AValueThatNobodyWroteIsReportedAsFabricated) {
  support::Contents found = found_;
  found.begin()->second = support::MakeValue(found.begin()->first, 999, 50);
  EXPECT_EQ(WrongOf(found, ledger_.acknowledged()), Wrong::kFabricated);
  found = found_;
  found["nobody's"] = "value";
  EXPECT_EQ(WrongOf(found, ledger_.acknowledged()), Wrong::kFabricated);
}

TEST_F(LedgerTest, KeysOfDifferentMomentsAreReportedAsAHole) {
  // Each key for itself is as it was at some time after the durable write.
  support::Contents found = found_;
  std::size_t changed = 0;
  for (const auto& [key, value] : at_25_) {
    if (found_.contains(key) && found_.at(key) != value && changed++ == 0) found[key] = value;
  }
  ASSERT_GT(changed, 1u) << "the workload changed too little";
  EXPECT_EQ(WrongOf(found, ledger_.durable()), Wrong::kHole);
}

TEST(RealTest, KillsLoseNothingThatWasAcknowledged) {
  Report report;
  RunKills({.seed = 1}, report);
  report.Print(std::cout);
  EXPECT_EQ(report.violations(), 0u) << report.Problems();
  EXPECT_GT(report.figure("kills_random"), 8u);
  EXPECT_GT(report.figure("kill_swaps"), 10u);
}

TEST(RealTest, PowerCutsKeepWhatWasSyncedAndAPrefixOfTheRest) {
  Report report;
  RunPowerCuts({.seed = 1}, report);
  report.Print(std::cout);
  EXPECT_EQ(report.violations(), 0u) << report.Problems();
}

TEST(RealTest, AFullDiskRefusesPutsAndLosesNothingAndRecovers) {
  Report report;
  RunFullDisks({.seed = 1}, report);
  report.Print(std::cout);
  EXPECT_EQ(report.violations(), 0u) << report.Problems();
}

TEST(RealTest, AMediaErrorFailsTheCallThatMeetsItAndNoOther) {
  Report report;
  RunMediaErrors({.seed = 1}, report);
  report.Print(std::cout);
  EXPECT_EQ(report.violations(), 0u) << report.Problems();
  EXPECT_GE(report.figure("media_errors"), 6u);
  EXPECT_GT(report.figure("media_error_failed_reads"), 0u);
}

}  // namespace
}  // namespace freyja::torture::real
