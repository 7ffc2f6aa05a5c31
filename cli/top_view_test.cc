#include "top_view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace freyja::cli {
namespace {

using std::chrono::seconds;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(SegmentBarTest, SharesAreOfTheLargestSegment) {
  EXPECT_EQ(SegmentBar(50, 50, 100, 10), "#####.....");
  EXPECT_EQ(SegmentBar(50, 0, 100, 10), "#####     ");
  EXPECT_EQ(SegmentBar(0, 20, 100, 10), "..        ");
  EXPECT_EQ(SegmentBar(0, 0, 100, 10), "          ");
  EXPECT_EQ(SegmentBar(100, 0, 100, 4), "####");
}

TEST(SegmentBarTest, WhatIsThereShowsAndTheWidthIsKept) {
  EXPECT_EQ(SegmentBar(1, 999'999, 1'000'000, 5), "#....");
  EXPECT_EQ(SegmentBar(999'999, 1, 1'000'000, 5), "####.");
  for (const std::uint64_t live : {0UL, 1UL, 7UL, 100UL, UINT64_MAX / 2}) {
    for (const std::uint64_t dead : {0UL, 1UL, 7UL, 100UL, UINT64_MAX / 2}) {
      for (const std::uint64_t largest : {0UL, 1UL, 99UL, UINT64_MAX}) {
        for (const std::size_t width : {1UL, 2UL, 9UL}) {
          EXPECT_EQ(SegmentBar(live, dead, largest, width).size(), width)
              << live << " " << dead << " " << largest;
        }
      }
    }
  }
}

TEST(FitTest, CutsBetweenCharactersAndEscapesControls) {
  EXPECT_EQ(Fit("abcdef", 3), "abc");
  EXPECT_EQ(Fit("abc", 3), "abc");
  EXPECT_EQ(Fit("a\xC3\xA9"
                "b",
                2),
            "a\xC3\xA9");
  EXPECT_THAT(Fit("\x1b[31mred", 80), Not(HasSubstr("\x1b")));
  EXPECT_EQ(Fit("abc", 0), "");
}

TopFrame SomeFrame(std::size_t segments) {
  TopFrame frame;
  frame.directory = "db";
  frame.note = "open in another process";
  frame.before.at = std::chrono::steady_clock::time_point(seconds(10));
  frame.now.at = frame.before.at + seconds(2);
  frame.now.stats.puts = 3000;
  frame.before.stats.puts = 1000;
  frame.now.stats.latency.reads.samples = 100;
  frame.now.stats.latency.reads.p99 = std::chrono::nanoseconds(1500);
  frame.now.stats.scheduler.running = true;
  frame.now.stats.scheduler.decision = "nothing\nto do";
  for (std::size_t i = 0; i < segments; ++i) {
    SegmentInfo info;
    info.id = i + 1;
    info.state = SegmentState::kSealed;
    info.live_bytes = 1000;
    info.dead_bytes = 100 * (i % 10);
    info.record_bytes = info.live_bytes + info.dead_bytes;
    frame.now.segments.push_back(info);
  }
  return frame;
}

std::string Text(const TopFrame& frame, std::size_t columns = 100, std::size_t rows = 1000) {
  std::string text;
  for (const std::string& line : RenderTop(frame, columns, rows)) text += line + '\n';
  return text;
}

TEST(TopViewTest, RatesAreOfTheTimeBetweenTheSamples) {
  const std::string text = Text(SomeFrame(3));
  EXPECT_THAT(text, HasSubstr("1,000/s"));        // 2,000 puts in 2 seconds
  EXPECT_THAT(text, HasSubstr("about 3,200/s"));  // 100 samples of one in 64
  EXPECT_THAT(text, HasSubstr("0.0 / 1.5 / 0.0"));
  EXPECT_THAT(text, HasSubstr("nothing\\nto do"));
}

TEST(TopViewTest, WithoutAnEarlierSampleOrAfterAReopenThereAreNoRates) {
  TopFrame frame = SomeFrame(3);
  frame.before = frame.now;
  EXPECT_THAT(Text(frame), HasSubstr("writes     - "));
  frame = SomeFrame(3);
  frame.now.stats.puts = 5;  // counters began anew
  EXPECT_THAT(Text(frame), HasSubstr("writes     - "));
}

TEST(TopViewTest, JobsHaveProgressAndTimeLeft) {
  TopFrame frame = SomeFrame(3);
  frame.before.compaction.jobs = {
      {.id = 7, .reason = "", .phase = "copying", .bytes_total = 400, .bytes_done = 100}};
  frame.now.compaction.jobs = frame.before.compaction.jobs;
  frame.now.compaction.jobs[0].bytes_done = 200;
  EXPECT_THAT(Text(frame), HasSubstr("copying 50.0 %, 4.0 s left"));
  frame.before.compaction.jobs.clear();
  EXPECT_THAT(Text(frame), HasSubstr("copying 50.0 %\n"));
}

TEST(TopViewTest, PauseAndErrorsAreSaid) {
  TopFrame frame = SomeFrame(1);
  frame.now.stats.scheduler.paused = true;
  frame.now.stats.background_error = Status(StatusCode::kNoSpace, "the disk is full");
  EXPECT_THAT(Text(frame), HasSubstr("paused; "));
  EXPECT_THAT(Text(frame), HasSubstr("the disk is full"));
}

TEST(TopViewTest, QuarantineIsSummedUpAndItsSegmentsGiveWayToOthers) {
  EXPECT_THAT(Text(SomeFrame(3)), Not(HasSubstr("quarantine")));
  TopFrame frame = SomeFrame(50);
  frame.now.stats.quarantined_segments = 2;
  frame.now.stats.quarantined_bytes = 4096;
  for (const std::size_t i : {0, 1}) {
    frame.now.segments[i].state = SegmentState::kQuarantined;
    frame.now.segments[i].dead_bytes = 1'000'000;
    frame.now.segments[i].live_bytes = 0;
  }
  EXPECT_THAT(Text(frame), HasSubstr("quarantine 4.0 KiB of 2 segments"));
  EXPECT_THAT(Text(frame), HasSubstr("2 quarantined [..."));
  EXPECT_THAT(Text(frame, 100, 20), Not(HasSubstr("quarantined")));
}

TEST(TopViewTest, EveryFrameFitsTheScreen) {
  for (const std::size_t columns : {1, 20, 54, 55, 80, 200}) {
    for (const std::size_t rows : {1, 5, 12, 13, 14, 15, 24, 100}) {
      for (const std::size_t segments : {0, 1, 50}) {
        const auto lines = RenderTop(SomeFrame(segments), columns, rows);
        EXPECT_LE(lines.size(), rows);
        for (const std::string& line : lines) EXPECT_LE(line.size(), columns) << line;
      }
    }
  }
}

TEST(TopViewTest, WhereNotAllSegmentsFitTheDeadestAreShownAndTheRestSummedUp) {
  const auto lines = RenderTop(SomeFrame(50), 100, 20);
  const std::string last = lines.back();
  EXPECT_THAT(last, HasSubstr("more with"));
  std::size_t shown = 0;
  for (const std::string& line : lines) {
    if (line.find("sealed") == std::string::npos) continue;
    ++shown;
    EXPECT_THAT(line, Not(HasSubstr("  0 B")));
  }
  EXPECT_GT(shown, 3U);
  EXPECT_THAT(last, HasSubstr(std::to_string(50 - shown) + " more"));
  EXPECT_THAT(Text(SomeFrame(50)), Not(HasSubstr("more with")));
}

}  // namespace
}  // namespace freyja::cli
