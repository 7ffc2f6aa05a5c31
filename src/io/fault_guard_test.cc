#include "io/fault_guard.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <thread>
#include <vector>

#include "io/posix_file_system.h"
#include "io/test_support.h"

namespace freyja::io {
namespace {

using testing::CreateText;
using testing::Must;

constexpr std::size_t kPageBytes = 4096;

// A mapped file whose pages from the second on have been cut off behind its back.
struct CutFile {
  CutFile(const std::filesystem::path& path, std::size_t pages, bool writable) {
    const auto fs = NewPosixFileSystem();
    const auto file = CreateText(*fs, path, std::string(pages * kPageBytes, 'x'));
    mapping = Must(file->Map(pages * kPageBytes, writable));
    EXPECT_OK(Must(fs->Open(path, OpenMode::kReadWrite))->Truncate(kPageBytes));
  }
  // Volatile: the faulting access itself is what is tested.
  std::byte Load(std::size_t offset) const {
    return const_cast<const volatile std::byte*>(mapping->data())[offset];
  }
  void Store(std::size_t offset, std::byte value) const {
    const_cast<volatile std::byte*>(mapping->data())[offset] = value;
  }

  std::unique_ptr<Mapping> mapping;
};

class FaultGuardTest : public ::testing::Test {
 protected:
  std::filesystem::path At(std::string_view name) const { return temporary_.path() / name; }

  testing::TemporaryDirectory temporary_;
};

TEST_F(FaultGuardTest, ReadingACutOffPageGivesZerosAndTheFlag) {
  const CutFile file(At("a"), 4, /*writable=*/false);
  EXPECT_EQ(file.Load(0), std::byte{'x'});
  EXPECT_FALSE(file.mapping->faulted());
  EXPECT_EQ(file.Load(2 * kPageBytes + 17), std::byte{0});
  EXPECT_TRUE(file.mapping->faulted());
  EXPECT_EQ(file.Load(3 * kPageBytes), std::byte{0});
  EXPECT_EQ(file.Load(0), std::byte{'x'});
}

TEST_F(FaultGuardTest, StoringIntoACutOffPageCompletesAndGivesTheFlag) {
  const CutFile file(At("a"), 4, /*writable=*/true);
  file.Store(3 * kPageBytes + 5, std::byte{'y'});
  EXPECT_TRUE(file.mapping->faulted());
  EXPECT_EQ(std::filesystem::file_size(At("a")), kPageBytes);
}

TEST_F(FaultGuardTest, OnlyTheFaultedMappingIsFlagged) {
  const CutFile bad(At("a"), 2, /*writable=*/true);
  const CutFile other(At("b"), 2, /*writable=*/true);
  EXPECT_EQ(bad.Load(kPageBytes), std::byte{0});
  EXPECT_TRUE(bad.mapping->faulted());
  EXPECT_FALSE(other.mapping->faulted());
}

TEST_F(FaultGuardTest, AReusedEntryStartsWithoutTheFlag) {
  for (int i = 0; i < 300; ++i) {
    const CutFile file(At(std::to_string(i)), 2, /*writable=*/false);
    ASSERT_FALSE(file.mapping->faulted()) << i;
    ASSERT_EQ(file.Load(kPageBytes), std::byte{0}) << i;
    ASSERT_TRUE(file.mapping->faulted()) << i;
  }
}

TEST_F(FaultGuardTest, MoreMappingsThanOneChunkHoldsAreAllGuarded) {
  std::vector<CutFile> files;
  for (int i = 0; i < 300; ++i) files.emplace_back(At(std::to_string(i)), 2, false);
  for (const CutFile& file : files) {
    ASSERT_EQ(file.Load(kPageBytes), std::byte{0});
    ASSERT_TRUE(file.mapping->faulted());
  }
}

TEST_F(FaultGuardTest, ThreadsFaultWhileOthersMapAndUnmap) {
  constexpr std::size_t kPages = 64;
  const CutFile shared(At("shared"), kPages, /*writable=*/true);
  std::atomic<bool> stop = false;
  std::vector<std::jthread> threads;
  threads.emplace_back([&] {
    for (int i = 0; !stop; ++i) {
      const CutFile file(At("own" + std::to_string(i)), 2, /*writable=*/true);
      EXPECT_EQ(file.Load(kPageBytes), std::byte{0});
      EXPECT_TRUE(file.mapping->faulted());
    }
  });
  {
    std::vector<std::jthread> readers;
    for (int thread = 0; thread < 3; ++thread) {
      readers.emplace_back([&] {
        for (std::size_t page = 1; page < kPages; ++page) {
          EXPECT_EQ(shared.Load(page * kPageBytes), std::byte{0});
          EXPECT_TRUE(shared.mapping->faulted());
        }
      });
    }
  }
  stop = true;
}

// A mapping of the host's own, past the end of its file.
volatile std::byte* ForeignMapping(const std::filesystem::path& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  void* const data = ::mmap(nullptr, kPageBytes, PROT_READ, MAP_SHARED, fd, 0);
  ::close(fd);
  return static_cast<volatile std::byte*>(data);
}

void InstallHostHandler(void (*simple)(int), void (*detailed)(int, siginfo_t*, void*)) {
  struct sigaction action = {};
  if (detailed != nullptr) {
    action.sa_flags = SA_SIGINFO;
    action.sa_sigaction = detailed;
  } else {
    action.sa_handler = simple;
  }
  ::sigaction(SIGBUS, &action, nullptr);
}

volatile std::byte* expected_address = nullptr;

// Each of these runs in a process of its own, where nothing is guarded yet.
class FaultGuardDeathTest : public FaultGuardTest {
 protected:
  FaultGuardDeathTest() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }

  void TouchOwnThenForeign() {
    const CutFile own(At("own"), 2, /*writable=*/false);
    expected_address = ForeignMapping(At("foreign"));
    if (own.Load(kPageBytes) != std::byte{0} || !own.mapping->faulted()) ::_exit(1);
    static_cast<void>(*expected_address);
    ::_exit(2);
  }
};

TEST_F(FaultGuardDeathTest, AForeignFaultReachesTheHostsDetailedHandler) {
  EXPECT_EXIT(
      {
        InstallHostHandler(nullptr, [](int, siginfo_t* info, void*) {
          ::_exit(info->si_addr == const_cast<std::byte*>(expected_address) ? 42 : 3);
        });
        TouchOwnThenForeign();
      },
      ::testing::ExitedWithCode(42), "");
}

TEST_F(FaultGuardDeathTest, AForeignFaultReachesTheHostsSimpleHandler) {
  EXPECT_EXIT(
      {
        InstallHostHandler([](int signal) { ::_exit(signal == SIGBUS ? 43 : 3); }, nullptr);
        TouchOwnThenForeign();
      },
      ::testing::ExitedWithCode(43), "");
}

TEST_F(FaultGuardDeathTest, AForeignFaultWithoutAHostHandlerKillsAsItWouldWithoutUs) {
  EXPECT_EXIT(
      {
        InstallHostHandler(SIG_DFL, nullptr);
        TouchOwnThenForeign();
      },
      ::testing::KilledBySignal(SIGBUS), "");
}

TEST_F(FaultGuardDeathTest, ASignalSentByAProcessIsNotTakenForAFault) {
  EXPECT_EXIT(
      {
        InstallHostHandler([](int) { ::_exit(44); }, nullptr);
        const CutFile own(At("own"), 2, /*writable=*/false);
        ::raise(SIGBUS);
        ::_exit(2);
      },
      ::testing::ExitedWithCode(44), "");
}

TEST_F(FaultGuardDeathTest, AnIgnoredSignalStaysIgnoredUnlessItIsAFault) {
  EXPECT_EXIT(
      {
        InstallHostHandler(SIG_IGN, nullptr);
        const CutFile own(At("own"), 2, /*writable=*/false);
        ::raise(SIGBUS);
        ::_exit(own.Load(kPageBytes) == std::byte{0} && own.mapping->faulted() ? 45 : 2);
      },
      ::testing::ExitedWithCode(45), "");
}

}  // namespace
}  // namespace freyja::io
