// The reserve on a disk that has no room for it.
#include <gtest/gtest.h>

#include <atomic>
#include <memory>

#include "engine/directory.h"
#include "engine/health.h"
#include "engine/reserve.h"
#include "format/ids.h"
#include "io/memory_file_system.h"

namespace freyja::engine {
namespace {

constexpr std::uint64_t kReserveBytes = 512 << 10;

class ReserveRoomTest : public ::testing::Test {
 protected:
  ReserveRoomTest() {
    EXPECT_TRUE(fs_.CreateDirectory("/store").ok());
    fs_.SetOperationHook([this](io::Operation operation, const std::filesystem::path& path) {
      if (operation == io::Operation::kAllocate && path.filename() == format::kReserveName) {
        allocations_.fetch_add(1);
      }
    });
  }
  ~ReserveRoomTest() override { fs_.SetOperationHook(nullptr); }

  io::MemoryFileSystem fs_;
  Health health_;
  Directory directory_{fs_, "/store", health_};
  Reserve reserve_{directory_, kReserveBytes, 64 << 10};
  std::atomic<int> allocations_{0};
};

// On tmpfs the attempt takes page after page before it gives them all back; a delete or a
// compaction that asks for room meanwhile would be refused although there is enough for it.
TEST_F(ReserveRoomTest, IsNotEvenTriedWhereItCanNotFit) {
  fs_.SetCapacity(kReserveBytes / 2);
  EXPECT_EQ(reserve_.Establish().code(), StatusCode::kNoSpace);
  EXPECT_EQ(allocations_.load(), 0);
  EXPECT_FALSE(reserve_.whole());
  fs_.SetCapacity(kReserveBytes * 2);
  EXPECT_TRUE(reserve_.Establish().ok());
  EXPECT_EQ(allocations_.load(), 1);
  EXPECT_TRUE(reserve_.whole());
}

// What a process of root's takes of the blocks kept for root, the reserve would have to replace
// before it gives anything back.
TEST_F(ReserveRoomTest, DoesNotTakeTheLastThereIs) {
  fs_.SetCapacity(kReserveBytes);
  EXPECT_EQ(reserve_.Establish().code(), StatusCode::kNoSpace);
  EXPECT_FALSE(reserve_.whole());
  EXPECT_FALSE(*fs_.Exists(directory_.path() / format::kReserveName));
}

// But one that is whole from before counts, however full the disk has become.
TEST_F(ReserveRoomTest, ThatIsWholeAlreadyStaysSoOnAFullDisk) {
  ASSERT_TRUE(reserve_.Establish().ok());
  fs_.SetCapacity(kReserveBytes);
  Reserve again(directory_, kReserveBytes, 64 << 10);
  EXPECT_TRUE(again.Establish().ok());
  EXPECT_TRUE(again.whole());
}

}  // namespace
}  // namespace freyja::engine
