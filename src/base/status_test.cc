#include "freyja/status.h"

#include <gtest/gtest.h>

#include <utility>

namespace freyja {
namespace {

TEST(StatusTest, SuccessHasNoMessage) {
  const Status ok;
  EXPECT_TRUE(ok.ok());
  EXPECT_EQ(ok.code(), StatusCode::kOk);
  EXPECT_EQ(ok.message(), "");
  EXPECT_EQ(ok, Status(StatusCode::kOk, "dropped"));
  EXPECT_EQ(Status(StatusCode::kOk, "dropped").message(), "");
  EXPECT_EQ(ok.ToString(), "Ok");
}

TEST(StatusTest, CopiesSayTheSameAndOutliveTheFirst) {
  Status copy;
  {
    const Status first(StatusCode::kCorruption, "7.data: offset 4096: the record does not verify");
    copy = first;
    EXPECT_EQ(copy, first);
    EXPECT_EQ(&copy.message(), &first.message()) << "shared";
  }
  EXPECT_FALSE(copy.ok());
  EXPECT_EQ(copy.ToString(), "Corruption: 7.data: offset 4096: the record does not verify");
  const Status moved = std::move(copy);
  EXPECT_EQ(moved.code(), StatusCode::kCorruption);
}

TEST(StatusTest, CodeAndMessageMakeTheDifference) {
  const Status status(StatusCode::kIoError, "a");
  EXPECT_EQ(status, Status(StatusCode::kIoError, "a"));
  EXPECT_NE(status, Status(StatusCode::kIoError, "b"));
  EXPECT_NE(status, Status(StatusCode::kNoSpace, "a"));
  EXPECT_NE(status, Status());
}

}  // namespace
}  // namespace freyja
