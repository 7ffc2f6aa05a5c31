// A real process is killed with SIGKILL while it writes and compacts; its parent, which has
// logged what was acknowledged, opens the store and checks that nothing of it is lost.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <filesystem>
#include <random>
#include <thread>

#include "freyja/freyja.h"
#include "support/versioned_value.h"

namespace freyja {
namespace {

using testing::IsDeletion;
using testing::KeyOf;
using testing::MakeVersionedValue;
using testing::ReadVersion;

constexpr std::uint32_t kKeys = 200;

struct Acknowledgement {
  std::uint32_t key = 0;
  std::uint32_t unused = 0;
  std::uint64_t version = 0;
};

using Versions = std::array<std::uint64_t, kKeys>;

Options SmallSegments() {
  Options options;
  options.create_if_missing = true;
  options.sync = Sync::kNone;
  options.segment_bytes = 64 << 10;
  return options;
}

// Writes until it is killed; reports each write that returned.
[[noreturn]] void RunChild(const std::filesystem::path& directory, Versions versions, int pipe,
                           std::uint64_t seed) {
  auto store = KVStore::Open(directory, SmallSegments());
  if (!store) _exit(2);
  HotSwapCompactor compactor(**store, {.min_space_saving = 0.05, .seal_active = true});
  std::thread compactions([&] {
    for (;;) {
      if (!compactor.Compact()) _exit(3);
    }
  });
  std::mt19937_64 random(seed);
  for (;;) {
    const auto key = static_cast<std::uint32_t>(random() % kKeys);
    const std::uint64_t version = ++versions[key];
    const Acknowledgement acknowledgement{.key = key, .version = version};
    if (IsDeletion(version)) {
      if (!(*store)->Delete(KeyOf(key))) _exit(4);
    } else if (!(*store)->Put(KeyOf(key), MakeVersionedValue(key, version)).ok()) {
      _exit(4);
    }
    if (write(pipe, &acknowledgement, sizeof acknowledgement) != sizeof acknowledgement) _exit(5);
  }
}

// Runs a child for a while, kills it, and raises `versions` to what it acknowledged.
void RunAndKill(const std::filesystem::path& directory, Versions& versions, std::uint64_t seed,
                std::chrono::milliseconds life) {
  std::array<int, 2> ends{};
  ASSERT_EQ(pipe(ends.data()), 0);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    close(ends[0]);
    RunChild(directory, versions, ends[1], seed);
  }
  close(ends[1]);
  std::thread killer([&] {
    std::this_thread::sleep_for(life);
    kill(child, SIGKILL);
  });
  Acknowledgement acknowledgement;
  while (read(ends[0], &acknowledgement, sizeof acknowledgement) == sizeof acknowledgement) {
    versions[acknowledgement.key] = acknowledgement.version;
  }
  killer.join();
  close(ends[0]);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status)) << "the child ended by itself with " << WEXITSTATUS(status);
}

// Every acknowledged version is there; at most one write was under way and may be there.
void CheckAndAdopt(const std::filesystem::path& directory, Versions& versions) {
  auto store = KVStore::Open(directory, SmallSegments());
  ASSERT_TRUE(store.has_value()) << store.error().ToString();
  ASSERT_TRUE((*store)->VerifyChecksums().ok());
  int unacknowledged = 0;
  for (std::uint32_t key = 0; key < kKeys; ++key) {
    const auto value = (*store)->Get(KeyOf(key));
    ASSERT_TRUE(value.has_value()) << value.error().ToString();
    const std::uint64_t acknowledged = versions[key];
    std::uint64_t found = acknowledged;
    if (value->has_value()) {
      const auto version = ReadVersion(key, **value);
      ASSERT_TRUE(version.has_value()) << KeyOf(key) << ": fabricated value";
      found = *version;
    } else if (!IsDeletion(acknowledged)) {
      found = acknowledged + 1;
      ASSERT_TRUE(IsDeletion(found)) << KeyOf(key) << ": version " << acknowledged << " is lost";
    }
    ASSERT_GE(found, acknowledged) << KeyOf(key) << ": an acknowledged write is lost";
    ASSERT_LE(found, acknowledged + 1) << KeyOf(key) << ": a write that was never made";
    unacknowledged += found == acknowledged ? 0 : 1;
    versions[key] = found;
  }
  ASSERT_LE(unacknowledged, 1);
  ASSERT_TRUE((*store)->Close().ok());
}

TEST(KillTest, NothingAcknowledgedIsLostWhenTheProcessIsKilledWhileCompacting) {
  const auto directory = std::filesystem::temp_directory_path() /
                         ("freyja-kill-" + std::to_string(std::random_device()()));
  const char* scale = std::getenv("FREYJA_TEST_SCALE");
  const int rounds = 12 * (scale != nullptr ? std::max(1, std::atoi(scale)) : 1);
  Versions versions{};
  std::mt19937_64 random(4711);
  std::uint64_t written = 0;
  for (int round = 0; round < rounds; ++round) {
    const auto life = std::chrono::milliseconds(100 + random() % 400);
    RunAndKill(directory, versions, random(), life);
    if (HasFatalFailure()) return;
    CheckAndAdopt(directory, versions);
    if (HasFatalFailure()) return;
  }
  for (const std::uint64_t version : versions) written += version;
  EXPECT_GT(written, 1000u) << "the children hardly wrote anything";
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace freyja
