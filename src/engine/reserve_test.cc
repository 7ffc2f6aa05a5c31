// Who may use the space that is held back on a full disk.
#include "engine/reserve.h"

#include <gtest/gtest.h>

#include "engine/store_testing.h"

namespace freyja::engine {
namespace {

using testing::Machine;
using testing::ValueOf;

// A store that puts have filled the disk with. Nothing happens in the background, so that
// nobody but the test asks for space.
class ReserveTest : public ::testing::Test {
 protected:
  ReserveTest() {
    machine_.fs->SetCapacity(1 << 20);
    store_ = testing::Open(machine_);
    store_->maintenance().Stop();
    while (PutOne().ok()) ++keys_;
  }
  Status PutOne() {
    const std::string key = "k" + std::to_string(keys_);
    return store_->Put(key, ValueOf(key, 1), {});
  }

  Machine machine_;
  std::unique_ptr<Store> store_;
  int keys_ = 0;
};

TEST_F(ReserveTest, PutsLeaveItWhole) {
  EXPECT_EQ(PutOne().code(), StatusCode::kNoSpace);
  EXPECT_TRUE(store_->reserve().whole());
}

TEST_F(ReserveTest, WhatDeletesTookFromItIsNotForPuts) {
  for (int i = 0; i < keys_ && store_->reserve().whole(); ++i) {
    ASSERT_TRUE(testing::Delete(*store_, "k" + std::to_string(i)));
  }
  ASSERT_FALSE(store_->reserve().whole()) << "the deletes needed a segment";
  const Log& log = store_->log();
  ASSERT_GT(log.active()->limit() - log.append_offset(), 1000u) << "there is room in it";
  EXPECT_EQ(PutOne().code(), StatusCode::kNoSpace);
}

}  // namespace
}  // namespace freyja::engine
