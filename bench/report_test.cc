#include "report.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "fake_peer.h"
#include "figures.h"

namespace freyja::bench {
namespace {

constexpr Measure kFill = {Workload::kFill, 1};

PeerKind Kind(const std::string& id) {
  return {.id = id, .title = id, .settings = "a|b", .durability = "", .make = [] {
            return std::make_unique<FakePeer>();
          }};
}

WorkloadRun RunOf(std::uint64_t operations, double seconds) {
  WorkloadRun run;
  run.operations = operations;
  run.seconds = seconds;
  run.thread_cpu_seconds = seconds / 2;
  run.process_cpu_seconds = seconds;
  return run;
}

// The machine is four times as slow in the second round: each ratio stays near two.
Section TwoStores() {
  Section section;
  section.plan.keys = 100;
  section.plan.rounds = 2;
  section.plan.measures = {kFill, {Workload::kSync, 8}};
  StoreResult freyja = {Kind("freyja"), std::vector<StoreRound>(2)};
  StoreResult other = {Kind("other"), std::vector<StoreRound>(2)};
  freyja.rounds[0].runs[kFill] = RunOf(400, 1);
  freyja.rounds[1].runs[kFill] = RunOf(100, 1);
  other.rounds[0].runs[kFill] = RunOf(200, 1);
  other.rounds[1].runs[kFill] = RunOf(40, 1);
  // Only FreyjaDB takes part in sync.
  for (StoreRound& round : freyja.rounds) round.runs[{Workload::kSync, 8}] = RunOf(10, 1);
  for (StoreRound& round : other.rounds) round.disk_bytes = 100 * 116 * 3;
  section.results = {std::move(freyja), std::move(other)};
  return section;
}

TEST(ReportTest, RatiosArePairedByRound) {
  const nlohmann::json section = ToJson({TwoStores()})["sections"][0];
  const nlohmann::json ratio = section["ratios"]["other"]["fill"];
  EXPECT_DOUBLE_EQ(ratio["lowest"].get<double>(), 2);
  EXPECT_DOUBLE_EQ(ratio["highest"].get<double>(), 2.5);
  EXPECT_DOUBLE_EQ(ratio["median"].get<double>(), 2.25);
  EXPECT_FALSE(section["ratios"].contains("freyja"));
}

TEST(ReportTest, AStoreThatDoesNotTakePartIsLeftOut) {
  const nlohmann::json section = ToJson({TwoStores()})["sections"][0];
  EXPECT_TRUE(section["stores"][0]["workloads"].contains("sync/8"));
  EXPECT_FALSE(section["stores"][1]["workloads"].contains("sync/8"));
}

TEST(ReportTest, CpuTimeIsPerOperation) {
  const nlohmann::json store = ToJson({TwoStores()})["sections"][0]["stores"][0];
  const nlohmann::json& fill = store["workloads"]["fill"];
  // 1 s for 400 operations and for 100.
  EXPECT_DOUBLE_EQ(fill["process_cpu_ns_per_operation"]["lowest"].get<double>(), 2.5e6);
  EXPECT_DOUBLE_EQ(fill["cpu_ns_per_operation"]["highest"].get<double>(), 5e6);
}

TEST(ReportTest, SpaceDuringSustainedWritesIsOverWhatIsLive) {
  Section section = TwoStores();
  for (StoreRound& round : section.results[0].rounds) {
    round.sustained_space = {.mean_bytes = 100 * 116 * 1.25, .highest_bytes = 100 * 116 * 2};
  }
  const nlohmann::json stores = ToJson({section})["sections"][0]["stores"];
  EXPECT_DOUBLE_EQ(stores[0]["sustained_space"]["mean"]["median"].get<double>(), 1.25);
  EXPECT_DOUBLE_EQ(stores[0]["sustained_space"]["highest"]["median"].get<double>(), 2);
  EXPECT_FALSE(stores[1].contains("sustained_space"));
  EXPECT_TRUE(
      ToMarkdown({section}).contains("| freyja | 1.25 (1.25 - 1.25) | 2.00 (2.00 - 2.00) |"));
}

TEST(ReportTest, MarkdownHasEveryTableAndEscapesColumns) {
  const std::string text = ToMarkdown({TwoStores()});
  EXPECT_NE(text.find("| workload | freyja | other |"), std::string::npos) << text;
  EXPECT_NE(text.find("| fill | 250 (100 - 400) | 120 (40 - 200) |"), std::string::npos) << text;
  EXPECT_NE(text.find("| sync/8 | 10 (10 - 10) | – |"), std::string::npos) << text;
  EXPECT_NE(text.find("| disk / live | 0.00 | 3.00 |"), std::string::npos) << text;
  // FreyjaDB over itself is no column.
  EXPECT_NE(text.find("| FreyjaDB over | other |"), std::string::npos) << text;
  EXPECT_NE(text.find("| fill | 2.25 (2.00 - 2.50) |"), std::string::npos) << text;
  EXPECT_NE(text.find("a\\|b"), std::string::npos) << text;
}

TEST(ReportTest, TheMedianOfAnEvenNumberIsTheMiddleOfTwo) {
  const Spread spread = SpreadOf({4, 1, 2, 10});
  EXPECT_DOUBLE_EQ(spread.median, 3);
  EXPECT_DOUBLE_EQ(spread.lowest, 1);
  EXPECT_DOUBLE_EQ(spread.highest, 10);
}

}  // namespace
}  // namespace freyja::bench
