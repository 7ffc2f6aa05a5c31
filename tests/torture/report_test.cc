#include "torture/report.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

namespace freyja::torture {
namespace {

TEST(ReportTest, FiguresAddUpAndMaximaDoNot) {
  Report report;
  report.Count("images", 2);
  report.Count("images");
  report.Maximum("longest", 5);
  report.Maximum("longest", 3);
  EXPECT_EQ(report.figure("images"), 3u);
  EXPECT_EQ(report.figure("longest"), 5u);
  EXPECT_EQ(report.figure("never counted"), 0u);
}

TEST(ReportTest, AViolationIsCountedNamedAndShown) {
  Report report;
  EXPECT_EQ(report.Problems(), "");
  report.Violation(Wrong::kStale, "key 7, seed 9");
  for (int i = 0; i < 100; ++i) report.Violation(Wrong::kHole, "many");
  EXPECT_EQ(report.violations(), 101u);
  EXPECT_TRUE(report.Problems().starts_with("stale: key 7, seed 9\n"));
  const auto json = nlohmann::json::parse(report.AsJson());
  EXPECT_EQ(json["must_be_zero"]["holes"], 100);
  EXPECT_EQ(json["must_be_zero"]["stale"], 1);
  EXPECT_EQ(json["problems"].size(), 20u);
  std::ostringstream text;
  report.Print(text);
  EXPECT_NE(text.str().find("VIOLATION stale: key 7, seed 9"), std::string::npos);
}

TEST(ReportTest, MergingKeepsEverything) {
  Report all;
  Report part;
  part.Count("images", 4);
  part.Maximum("longest", 5);
  part.Violation(Wrong::kMissed, "once");
  part.Skipped("loop devices");
  part.NotModelled("cosmic rays");
  all.Skipped("loop devices");
  all.Merge(part);
  all.Merge(part);
  EXPECT_EQ(all.figure("images"), 8u);
  EXPECT_EQ(all.figure("longest"), 5u);
  EXPECT_EQ(all.violations(), 2u);
  const auto json = nlohmann::json::parse(all.AsJson());
  EXPECT_EQ(json["skipped"].size(), 1u);
  EXPECT_EQ(json["not_modelled"].size(), 1u);
}

}  // namespace
}  // namespace freyja::torture
