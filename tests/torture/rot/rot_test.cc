// The quick form of the rot sweep, and planted wrongs that it must find.
#include "torture/rot/rot.h"

#include <gtest/gtest.h>

#include <iostream>

#include "support/test_settings.h"
#include "torture/rot/rot_damage.h"
#include "torture/rot/rot_examiner.h"
#include "torture/rot/rot_subject.h"

namespace freyja::torture {
namespace {

TEST(RotTest, NoDamageGivesAWrongAnswerWithoutAnError) {
  Report report;
  RunRot({.seed = support::TestSeed(1)}, report);
  report.Print(std::cout);
  EXPECT_EQ(report.Problems(), "");
  EXPECT_EQ(report.violations(), 0u);
  EXPECT_GT(report.figure("rot_bits_flipped"), 20'000u);
  EXPECT_GT(report.figure("rot_mutations"), 1'000u);
  EXPECT_GT(report.figure("rot_detected"), 20'000u);
  EXPECT_GT(report.figure("rot_unused"), 0u);
  EXPECT_GT(report.figure("rot_rebuilt"), 0u);
  EXPECT_GT(report.figure("rot_indistinguishable_from_tear"), 0u);
}

class RotCheckerTest : public ::testing::Test {
 protected:
  static Damage NoDamage() { return {.what = "nothing", .changed = {}, .removed = {}}; }
};

TEST_F(RotCheckerTest, AWholeStoreIsFoundWhole) {
  for (const bool clean : {true, false}) {
    const Subject subject = MakeSubject(1, 5, clean);
    EXPECT_GT(subject.contents.size(), 5u);
    EXPECT_GE(subject.files.size(), 8u);
    EXPECT_EQ(subject.log.empty(), clean);
    for (const bool read_only : {true, false}) {
      const Finding finding = Examiner(subject).Examine(NoDamage(), read_only);
      EXPECT_EQ(finding.fate, Fate::kUnused) << finding.what;
    }
  }
}

TEST_F(RotCheckerTest, AnAnswerThatChangedWithoutAnErrorIsFound) {
  const Subject subject = MakeSubject(1, 5, /*clean=*/true);
  for (const bool read_only : {true, false}) {
    support::Contents lost = subject.contents;
    lost.erase(lost.begin());
    Examiner resurrected(subject);
    resurrected.PlantExpectation(lost);
    EXPECT_EQ(resurrected.Examine(NoDamage(), read_only).fate, Fate::kWrong);
    support::Contents more = subject.contents;
    more["k77"] = "value";
    Examiner missing(subject);
    missing.PlantExpectation(more);
    EXPECT_EQ(missing.Examine(NoDamage(), read_only).fate, Fate::kWrong);
  }
}

// A checker that doesn't look at answers takes for unused what is not.
TEST_F(RotCheckerTest, OnlyTheAnswersShowThatALogEndsTooEarly) {
  const Subject subject = MakeSubject(1, 5, /*clean=*/false);
  ASSERT_FALSE(subject.log.empty());
  const Damage damage{.what = "the last record",
                      .changed = {},
                      .removed = {},
                      .flip = Damage::Flip{subject.active, subject.log.back().offset * 8}};
  EXPECT_EQ(Examiner(subject).Examine(damage, true).fate, Fate::kTear);
  Examiner blind(subject);
  blind.PlantBlindness();
  Examiner wrong(subject);
  support::Contents other = subject.contents;
  other.erase(other.begin());
  wrong.PlantExpectation(other);
  blind.PlantExpectation(other);
  EXPECT_EQ(blind.Examine(NoDamage(), true).fate, Fate::kUnused);
  EXPECT_EQ(wrong.Examine(NoDamage(), true).fate, Fate::kWrong);
}

TEST_F(RotCheckerTest, OnlyWhatNothingProvesDurableCountsAsATear) {
  const Subject subject = MakeSubject(1, 5, /*clean=*/false);
  std::uint64_t proven = subject.manifest_watermark;
  for (const Subject::LogRecord& record : subject.log) proven = std::max(proven, record.watermark);
  std::size_t torn = 0;
  std::size_t detected = 0;
  for (const Subject::LogRecord& record : subject.log) {
    Bytes damaged = subject.files.at(subject.active);
    damaged[record.offset + 9] ^= std::byte{1};
    const bool may_be_torn = subject.StateOfTear(damaged).has_value();
    const Finding finding = Examiner(subject).Examine(
        {.what = "one record", .changed = {{subject.active, damaged}}, .removed = {}}, true);
    EXPECT_EQ(finding.fate, may_be_torn ? Fate::kTear : Fate::kDetected)
        << "record " << record.sequence << ": " << finding.what;
    torn += may_be_torn ? 1 : 0;
    detected += may_be_torn ? 0 : 1;
  }
  EXPECT_GT(torn, 1u);
  EXPECT_GT(detected, 1u);
}

TEST_F(RotCheckerTest, AHintThatIsMissingIsMadeAnew) {
  const Subject subject = MakeSubject(1, 5, /*clean=*/true);
  for (const auto& [file, bytes] : subject.files) {
    if (!file.ends_with(".hint")) continue;
    const Damage damage{.what = "no hint", .changed = {}, .removed = {file}};
    EXPECT_EQ(Examiner(subject).Examine(damage, false).fate, Fate::kRebuilt);
    EXPECT_EQ(Examiner(subject).Examine(damage, true).fate, Fate::kUnused);
  }
}

}  // namespace
}  // namespace freyja::torture
