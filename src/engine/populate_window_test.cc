// How far the window follows the rate of the writes.
#include "engine/populate_window.h"

#include <gtest/gtest.h>

namespace freyja::engine {
namespace {

using std::chrono::milliseconds;

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;

class PopulateWindowTest : public ::testing::Test {
 protected:
  // `bytes` are appended in the next `time`.
  void Append(std::uint64_t bytes, milliseconds time) {
    now_ += time;
    appended_ += bytes;
    window_.Observe(appended_, now_);
  }
  PopulateWindow window_;
  PopulateWindow::Clock::time_point now_ = PopulateWindow::Clock::time_point() + milliseconds(1000);
  std::uint64_t appended_ = 0;
};

TEST_F(PopulateWindowTest, WithoutWritesItIsTheLeast) {
  EXPECT_EQ(window_.bytes(), PopulateWindow::kLeastBytes);
  Append(0, milliseconds(1000));
  EXPECT_EQ(window_.bytes(), PopulateWindow::kLeastBytes);
}

TEST_F(PopulateWindowTest, IsWhatHalfASecondTakes) {
  Append(0, milliseconds(100));
  Append(2 * kMiB, milliseconds(100));
  EXPECT_NEAR(static_cast<double>(window_.bytes()), 10.0 * kMiB, 16);
}

TEST_F(PopulateWindowTest, AFloodMakesItTheMost) {
  Append(0, milliseconds(100));
  Append(100 * kMiB, milliseconds(100));
  EXPECT_EQ(window_.bytes(), PopulateWindow::kMostBytes);
}

TEST_F(PopulateWindowTest, APauseHalvesItEachTime) {
  Append(0, milliseconds(100));
  Append(100 * kMiB, milliseconds(100));
  Append(0, milliseconds(1000));
  EXPECT_EQ(window_.bytes(), PopulateWindow::kMostBytes / 2);
  for (int i = 0; i < 10; ++i) Append(0, milliseconds(1000));
  EXPECT_EQ(window_.bytes(), PopulateWindow::kLeastBytes);
}

TEST_F(PopulateWindowTest, LooksTooCloseToEachOtherAreTakenTogether) {
  Append(0, milliseconds(100));
  for (int i = 0; i < 10; ++i) {
    Append(kMiB, milliseconds(1));
    if (i < 9) {
      EXPECT_EQ(window_.bytes(), PopulateWindow::kLeastBytes);
    }
  }
  EXPECT_EQ(window_.bytes(), PopulateWindow::kMostBytes) << "10 MiB in 10 ms";
}

}  // namespace
}  // namespace freyja::engine
