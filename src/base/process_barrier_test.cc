#include "base/process_barrier.h"

#include <gtest/gtest.h>

namespace freyja::base {
namespace {

TEST(ProcessBarrierTest, IsThereOrIsRefusedAtOnce) {
  if (!HasProcessBarrier()) GTEST_SKIP() << "the kernel, or a sandbox, has no membarrier";
  EXPECT_TRUE(ProcessBarrier());
  EXPECT_TRUE(HasProcessBarrier());
}

}  // namespace
}  // namespace freyja::base
