#include "base/buffer.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstdint>

namespace freyja::base {
namespace {

constexpr std::size_t kMappedFrom = PassingAllocator<std::byte>::kMappedFrom;

bool IsMapped(void* memory) { return ::msync(memory, 1, MS_ASYNC) == 0 || errno != ENOMEM; }

TEST(PassingBufferTest, GrowsFromTheHeapIntoMappedMemoryWithWhatIsInIt) {
  PassingBuffer buffer;
  for (std::size_t i = 0; i < 5 * kMappedFrom; ++i)
    buffer.push_back(static_cast<std::byte>(i % 251));
  for (std::size_t i = 0; i < buffer.size(); ++i) {
    ASSERT_EQ(buffer[i], static_cast<std::byte>(i % 251)) << i;
  }
  buffer.resize(3);
  buffer.shrink_to_fit();
  EXPECT_EQ(buffer[2], std::byte{2});
}

TEST(PassingBufferTest, IsZerosWhereItIsNew) {
  for (const std::size_t size : {kMappedFrom - 1, kMappedFrom, 3 * kMappedFrom}) {
    for (const std::byte byte : PassingBuffer(size)) ASSERT_EQ(byte, std::byte{0});
  }
}

TEST(PassingBufferTest, LargeMemoryGoesBackAtOnce) {
  if (kWithSanitizer) GTEST_SKIP() << "built with a sanitizer it comes from operator new";
  PassingBuffer buffer(kMappedFrom);
  std::byte* const at = buffer.data();
  ASSERT_EQ(reinterpret_cast<std::uintptr_t>(at) % 4096, 0u);
  EXPECT_TRUE(IsMapped(at));
  buffer = PassingBuffer();
  EXPECT_FALSE(IsMapped(at));
}

}  // namespace
}  // namespace freyja::base
