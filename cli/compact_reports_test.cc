#include "compact_reports.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace freyja::cli {
namespace {

using ::testing::HasSubstr;

CompactionReport SomeReport() {
  CompactionReport report;
  report.job_id = 9;
  report.ran = true;
  report.input_files = {"5.data"};
  report.output_files = {"1.data", "2.data"};
  report.bytes_before = 1024;
  report.bytes_after = 4096;
  report.duration = std::chrono::milliseconds(20);
  return report;
}

TEST(CompactReportsTest, AnUndoNamesTheJobThatWasUndoneAndBothSides) {
  EXPECT_EQ(UndoText(7, SomeReport()),
            "undid job 7: 2 segments are back in the place of 1, in 20 ms: 1.0 KiB -> 4.0 KiB\n");
  CompactionReport one = SomeReport();
  one.output_files = {"1.data"};
  EXPECT_THAT(UndoText(7, one), HasSubstr("1 segment is back"));
  EXPECT_EQ(ReportJson(one).at("job"), 9);
}

TEST(CompactReportsTest, QuarantineSaysUntilWhenOrWhyNot) {
  std::vector<QuarantinedJob> jobs(3);
  jobs[0] = {.id = 3,
             .input_files = {"1.data", "2.data"},
             .output_files = {"5.data"},
             .bytes = 2048,
             .keep_until_ms = 1'772'366'400'000,
             .why_not = ""};
  jobs[1].id = 4;
  jobs[2].id = 5;
  jobs[2].keep_until_ms = 1'772'366'400'000;
  jobs[2].why_not = "segment 5 is\ngone";
  const std::string text = QuarantineText(jobs);
  EXPECT_THAT(text, HasSubstr("2     2.0 KiB  until 2026-03-01 12:00:00 UTC\n"));
  EXPECT_THAT(text, HasSubstr("without a limit of time\n"));
  EXPECT_THAT(text, HasSubstr("no: segment 5 is\\ngone\n"));
  const auto json = QuarantineJson(jobs);
  ASSERT_EQ(json.size(), 3U);
  EXPECT_EQ(json[0].at("job"), 3);
  EXPECT_EQ(json[0].at("can_be_undone"), true);
  EXPECT_EQ(json[0].at("keep_until_ms"), 1'772'366'400'000);
  EXPECT_EQ(json[2].at("can_be_undone"), false);
  EXPECT_THAT(QuarantineText({}), HasSubstr("nothing is in quarantine"));
  EXPECT_EQ(QuarantineJson({}).dump(), "[]");
}

TEST(CompactReportsTest, HistoryIsALineForEachRecordInTheOrderGiven) {
  std::vector<CompactionRecord> records(2);
  records[0].job_id = 41;
  records[0].ended_at_ms = 1'772'366'400'999;
  records[0].outcome = "completed";
  records[0].input_files = 4;
  records[0].output_files = 1;
  records[0].reason = "a\tb";
  records[1].job_id = 42;
  records[1].outcome = "undone";
  records[1].duration = std::chrono::milliseconds(5);
  const std::string text = HistoryText(records);
  EXPECT_THAT(text, HasSubstr("2026-03-01 12:00:00 UTC      41  completed    4 -> 1"));
  EXPECT_THAT(text, HasSubstr("a\\tb\n"));
  EXPECT_LT(text.find("completed"), text.find("undone"));
  const auto json = HistoryJson(records);
  ASSERT_EQ(json.size(), 2U);
  EXPECT_EQ(json[0].at("outcome"), "completed");
  EXPECT_EQ(json[1].at("duration_us"), 5000);
  EXPECT_THAT(HistoryText({}), HasSubstr("no compaction"));
  EXPECT_EQ(HistoryJson({}).dump(), "[]");
}

}  // namespace
}  // namespace freyja::cli
