#include "demo_report.h"

#include <gtest/gtest.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

namespace freyja::cli {
namespace {

std::unique_ptr<DemoReport> PassingReport() {
  auto report = std::make_unique<DemoReport>();
  report->source = "a test";
  report->records = 1234;
  report->seconds = 2;
  report->reads = 1000000;
  report->final_check.reopen_matches_model = true;
  report->final_check.check_ok = true;
  return report;
}

TEST(DemoReport, JsonHasEveryPromisedNumber) {
  const nlohmann::json json = ReportAsJson(*PassingReport());
  for (const char* name :
       {"records", "reads", "reads_during_swap", "missed", "stale", "corrupt", "writes", "deletes",
        "compactions", "bytes_before", "bytes_after", "bytes_reclaimed", "read_p99_us_idle",
        "read_p99_us_compacting", "read_p999_us_idle", "read_p999_us_compacting",
        "write_p999_us_idle", "write_p999_us_compacting", "longest_publish_us"}) {
    ASSERT_TRUE(json.contains(name)) << name;
    EXPECT_TRUE(json[name].is_number()) << name;
  }
  EXPECT_EQ(json["records"], 1234);
  EXPECT_EQ(json["source"], "a test");
  EXPECT_EQ(json["passed"], true);
}

TEST(DemoReport, AnyWrongAnswerOrFailedFinalCheckFails) {
  EXPECT_TRUE(PassingReport()->passed());
  auto report = PassingReport();
  report->missed = 1;
  EXPECT_FALSE(report->passed());
  report = PassingReport();
  report->stale = 1;
  EXPECT_FALSE(report->passed());
  report = PassingReport();
  report->corrupt = 1;
  EXPECT_FALSE(report->passed());
  report = PassingReport();
  report->final_check.reopen_matches_model = false;
  EXPECT_FALSE(report->passed());
  report = PassingReport();
  report->final_check.check_ok = false;
  EXPECT_FALSE(report->passed());
  EXPECT_NE(ReportAsText(*report).find("FAILED"), std::string::npos);
}

TEST(DemoReport, LatenciesAreOfTheirPhase) {
  auto report = PassingReport();
  report->read_latencies.Record(DemoPhase::kIdle, DemoPhase::kIdle, 100);
  report->read_latencies.Record(DemoPhase::kCompacting, DemoPhase::kCompacting, 120);
  report->read_latencies.Record(DemoPhase::kIdle, DemoPhase::kCompacting, 99999);
  report->read_latencies.Record(DemoPhase::kOther, DemoPhase::kOther, 99999);
  const nlohmann::json json = ReportAsJson(*report);
  EXPECT_DOUBLE_EQ(json["read_p99_us_idle"], 0.1);
  EXPECT_DOUBLE_EQ(json["read_p999_us_compacting"], 0.12);
  EXPECT_EQ(json["reads_measured_idle"], 1);
}

TEST(DemoReport, PauseOfALockAndLengthOfASwapAreTwoNumbers) {
  auto report = PassingReport();
  report->compactions.longest_pause_us = 7;
  report->compactions.longest_publish_us = 7000;
  const nlohmann::json json = ReportAsJson(*report);
  EXPECT_EQ(json["longest_publish_us"], 7);
  EXPECT_EQ(json["longest_swap_us"], 7000);
}

TEST(DemoReport, TextNamesWhatWentWrongWithoutControlCharacters) {
  auto report = PassingReport();
  report->missed = 3;
  report->notes = {"missed: key 'a\nb'"};
  const std::string text = ReportAsText(*report);
  EXPECT_NE(text.find("missed 3"), std::string::npos);
  EXPECT_NE(text.find("missed: key 'a\\nb'"), std::string::npos);
  EXPECT_NE(text.find("1,234 records"), std::string::npos);
}

TEST(DemoReport, LinesFitAHundredColumns) {
  auto report = PassingReport();
  report->reads = 9999999999;
  report->reads_during_swap = 999999999;
  report->compactions.bytes_before = std::uint64_t{1} << 40;
  report->compactions.records_copied = 9999999999;
  report->compactions.longest_job_us = 1234567;
  report->compactions.longest_pause_us = 123456;
  std::istringstream lines(ReportAsText(*report));
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 100U) << line;
}

}  // namespace
}  // namespace freyja::cli
