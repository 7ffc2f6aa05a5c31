#include "demo_run.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>

#include "demo.h"

namespace freyja::cli {
namespace {

namespace fs = std::filesystem;

class DemoRunTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "freyja-demo-test-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    base_ = name;
    options_.dir = base_ / "store";
    options_.input = base_ / "input.tsv";
    options_.seconds = 1;
    options_.segment_bytes = 256 << 10;
    options_.write_mib_per_second = 4;
    std::ofstream input(options_.input);
    for (std::size_t i = 0; i < 2000; ++i) {
      input << "key" << i << "\t" << std::string(100 + i % 200, 'v') << "\n";
    }
  }
  void TearDown() override { fs::remove_all(base_); }

  Status Run() { return RunDemo(options_, view_, *report_); }

  fs::path base_;
  DemoOptions options_;
  LiveView view_{nullptr, false};
  std::unique_ptr<DemoReport> report_ = std::make_unique<DemoReport>();
};

TEST_F(DemoRunTest, ShortRunPassesEveryCheckAndCleansUp) {
  options_.writers = 2;
  const Status status = Run();
  ASSERT_TRUE(status.ok()) << status.ToString();
  EXPECT_TRUE(report_->passed()) << ReportAsText(*report_);
  EXPECT_EQ(report_->records, 2000U);
  EXPECT_GT(report_->reads, 1000U);
  EXPECT_GT(report_->writes, 1000U);
  EXPECT_GT(report_->deletes, 0U);
  EXPECT_GT(report_->compactions.completed, 0U);
  EXPECT_GT(report_->compactions.bytes_reclaimed, 0);
  EXPECT_GT(report_->final_check.keys, 0U);
  EXPECT_FALSE(fs::exists(options_.dir));
}

TEST_F(DemoRunTest, KeptStoreStaysAndTheNextDemoReplacesIt) {
  options_.keep = true;
  options_.seconds = 0.3;
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(report_->kept_in, options_.dir.string());
  EXPECT_TRUE(fs::exists(options_.dir / "MANIFEST"));
  options_.keep = false;
  const Status again = Run();
  EXPECT_TRUE(again.ok()) << again.ToString();
}

TEST_F(DemoRunTest, InterruptEndsTheRunEarlyWithAReportAndCleanUp) {
  options_.seconds = 60;
  std::thread interrupter([] {
    // Twice, as a wrapper that passes the signal on would.
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    std::raise(SIGINT);
    std::raise(SIGINT);
  });
  const Status status = Run();
  interrupter.join();
  ASSERT_TRUE(status.ok()) << status.ToString();
  EXPECT_TRUE(report_->interrupted);
  EXPECT_TRUE(report_->passed()) << ReportAsText(*report_);
  EXPECT_LT(report_->seconds, 30);
  EXPECT_FALSE(fs::exists(options_.dir));
}

TEST_F(DemoRunTest, MoreWritersThanRecordsIsFine) {
  std::ofstream(options_.input, std::ios::trunc) << "only\tone\n";
  options_.writers = 3;
  options_.seconds = 0.2;
  const Status status = Run();
  ASSERT_TRUE(status.ok()) << status.ToString();
  EXPECT_TRUE(report_->passed()) << ReportAsText(*report_);
}

TEST_F(DemoRunTest, RecordThatFitsNoSegmentIsLeftOutAndCounted) {
  std::ofstream(options_.input, std::ios::app) << "long\t" << std::string(1 << 20, 'v') << '\n';
  options_.seconds = 0.2;
  const Status status = Run();
  ASSERT_TRUE(status.ok()) << status.ToString();
  EXPECT_EQ(report_->records, 2000U);
  EXPECT_EQ(report_->records_skipped, 1U);
}

TEST_F(DemoRunTest, DirectoryWithOtherDataIsRefusedBeforeAnythingIsWritten) {
  options_.dir = base_;
  const Status status = Run();
  EXPECT_EQ(status.code(), StatusCode::kAlreadyExists);
  EXPECT_TRUE(fs::exists(options_.input));
  EXPECT_FALSE(fs::exists(base_ / "MANIFEST"));
}

class DemoArguments : public testing::TestWithParam<const char*> {};

TEST_P(DemoArguments, NonsenseIsRefused) {
  CLI::App app;
  int exit_status = -1;
  AddDemoCommand(app, &exit_status);
  EXPECT_THROW(app.parse(std::string("demo ") + GetParam()), CLI::ParseError) << GetParam();
  EXPECT_EQ(exit_status, -1);
}

INSTANTIATE_TEST_SUITE_P(Each, DemoArguments,
                         testing::Values("--seconds 0", "--seconds -1", "--seconds nan",
                                         "--seconds soon", "--seed x", "--seed -1", "--readers 0",
                                         "--readers 65", "--writers 0", "--writers many",
                                         "--segment-bytes 1000", "--segment-bytes 2GiB",
                                         "--sync sometimes", "--write-rate -1", "--write-rate nan",
                                         "--input no-such-file", "--no-such-option", "surplus"));

}  // namespace
}  // namespace freyja::cli
