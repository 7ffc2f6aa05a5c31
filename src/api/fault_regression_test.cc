// Failures of the disk that were once reported as something else.
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "api/store_parts.h"
#include "freyja/freyja.h"
#include "io/memory_file_system.h"

namespace freyja {
namespace {

using io::Operation;

class FaultRegression : public ::testing::Test {
 protected:
  Result<std::unique_ptr<KVStore>> Open() {
    Options options;
    options.create_if_missing = true;
    options.scheduler.enabled = false;
    options.sync = Sync::kNone;
    return api::OpenStore("/store", options,
                          {.file_system = fs_,
                           .clock = std::make_shared<base::SystemClock>(),
                           .random = std::make_shared<base::SystemRandom>()});
  }

  std::shared_ptr<io::MemoryFileSystem> fs_ = std::make_shared<io::MemoryFileSystem>();
};

TEST_F(FaultRegression, AReserveThatCanNotBeOpenedIsAnErrorOfTheDisk) {
  auto store = Open();
  ASSERT_TRUE(store.has_value()) << store.error().ToString();
  ASSERT_TRUE((*store)->Close().ok());
  store->reset();
  fs_->InjectFault({.operations = {Operation::kOpen}, .path_contains = "RESERVE"});
  const auto again = Open();
  ASSERT_FALSE(again.has_value());
  EXPECT_EQ(again.error().code(), StatusCode::kIoError) << again.error().ToString();
}

TEST_F(FaultRegression, AHintThatCanNotBeReadIsNotTakenForDamaged) {
  const auto store = Open();
  ASSERT_TRUE(store.has_value()) << store.error().ToString();
  ASSERT_TRUE((*store)->Put("key", "value").ok());
  ASSERT_TRUE((*store)->parts().store->SealActive().ok());
  ASSERT_TRUE((*store)->VerifyChecksums().ok());
  int failures = 0;
  for (std::uint64_t n = 0; failures == static_cast<int>(n); ++n) {
    fs_->InjectFault({.operations = {Operation::kOpen, Operation::kRead, Operation::kStat},
                      .path_contains = ".hint",
                      .skip = n});
    const Status checked = (*store)->VerifyChecksums();
    fs_->ClearFaults();
    if (checked.ok()) continue;
    ++failures;
    EXPECT_EQ(checked.code(), StatusCode::kIoError) << checked.ToString();
  }
  EXPECT_GT(failures, 4);
}

}  // namespace
}  // namespace freyja
