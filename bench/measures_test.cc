#include "measures.h"

#include <gtest/gtest.h>

#include <vector>

namespace freyja::bench {
namespace {

std::vector<std::string> Names(const std::vector<Measure>& measures) {
  std::vector<std::string> names;
  for (const Measure& measure : measures) names.push_back(MeasureName(measure));
  return names;
}

TEST(MeasuresTest, TheTableIsInTheOrderOfTheEnumeration) {
  for (const WorkloadInfo& info : AllWorkloads()) {
    EXPECT_EQ(&InfoOf(info.workload), &info);
    EXPECT_EQ(WorkloadFromName(info.name), info.workload);
  }
  EXPECT_EQ(WorkloadFromName("nosuch"), std::nullopt);
}

TEST(MeasuresTest, OnlyWorkloadsForManyThreadsAreMultiplied) {
  const auto measures = MakeMeasures(
      {Workload::kOverwrite, Workload::kSync, Workload::kFill, Workload::kGet}, {2, 1, 2}, {8, 1});
  EXPECT_EQ(Names(measures), (std::vector<std::string>{"fill", "get", "get/2", "overwrite",
                                                       "overwrite/2", "sync/1", "sync/8"}));
}

TEST(MeasuresTest, ReadsOfOneVersionComeBeforeWritesOfAnother) {
  bool written = false;
  for (const WorkloadInfo& info : AllWorkloads()) {
    if (info.workload == Workload::kFill || info.workload == Workload::kDelete) continue;
    EXPECT_FALSE(written && info.writes_percent == 0) << info.name;
    written = written || info.writes_percent != 0;
  }
}

TEST(MeasuresTest, ABatchOfLongValuesHoldsFewer) {
  EXPECT_EQ(StepOf(Workload::kGet, 100), 1U);
  EXPECT_EQ(StepOf(Workload::kBatch128, 0), 128U);
  EXPECT_EQ(StepOf(Workload::kBatch128, 1 << 20), 8U);
  EXPECT_EQ(StepOf(Workload::kBatch16, 16 << 20), 1U);
}

}  // namespace
}  // namespace freyja::bench
