// The POSIX file system under system calls that are interrupted, do a part, or fail.
//
// This program puts its own open, pread, pwrite, fsync and so on before those of the C
// library. While a plan is armed, the n-th call fails as planned; otherwise they only pass on.
// Interruptions and partial transfers must never be noticed; errors must come out clearly, and
// the store must open afterwards with everything that was acknowledged.
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdarg.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "freyja/freyja.h"
#include "io/posix_file_system.h"
#include "io/test_support.h"
#include "support/store_contents.h"
#include "torture/faults/fault_oracle.h"

namespace freyja::torture {
namespace {

// What a call can suffer.
enum class Harm : std::uint8_t { kNone, kInterrupt, kPart, kIoError, kNoSpace };

// What a call is able to suffer.
constexpr unsigned kInterruptible = 1;
constexpr unsigned kTransfers = 2;
constexpr unsigned kTakesSpace = 4;

bool CanSuffer(unsigned traits, Harm harm) {
  switch (harm) {
    case Harm::kNone:
      return false;
    case Harm::kInterrupt:
      return (traits & kInterruptible) != 0;
    case Harm::kPart:
      return (traits & kTransfers) != 0;
    case Harm::kIoError:
      return true;
    case Harm::kNoSpace:
      return (traits & kTakesSpace) != 0;
  }
  return false;
}

// The plan. Calls are counted if they can suffer the harm; the first `times` of those from
// number `first` on do.
std::atomic<Harm> planned_harm{Harm::kNone};
std::atomic<std::uint64_t> planned_first{0};
std::atomic<std::uint64_t> planned_times{0};
// Every interrupted call succeeds at the second attempt of its thread.
std::atomic<bool> planned_every_other{false};
std::atomic<std::uint64_t> counted_calls{0};
std::atomic<std::uint64_t> harmed_calls{0};

Harm NextHarm(unsigned traits) {
  const Harm harm = planned_harm.load();
  if (!CanSuffer(traits, harm)) return Harm::kNone;
  const std::uint64_t number = counted_calls.fetch_add(1);
  if (number < planned_first.load() || number - planned_first.load() >= planned_times.load()) {
    return Harm::kNone;
  }
  thread_local bool harmed_last = false;
  if (planned_every_other.load()) {
    harmed_last = !harmed_last;
    if (!harmed_last) return Harm::kNone;
  }
  harmed_calls.fetch_add(1);
  return harm;
}

// True if the call is to fail; errno says why.
bool Fails(Harm harm) {
  switch (harm) {
    case Harm::kInterrupt:
      errno = EINTR;
      return true;
    case Harm::kIoError:
      errno = EIO;
      return true;
    case Harm::kNoSpace:
      errno = ENOSPC;
      return true;
    case Harm::kNone:
    case Harm::kPart:
      break;
  }
  return false;
}

template <typename Function>
Function* Real(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

struct Plan {
  Harm harm = Harm::kNone;
  std::uint64_t first = 0;
  std::uint64_t times = 1;
  bool every_other = false;
};

// Armed while it lives.
class Armed {
 public:
  explicit Armed(const Plan& plan) {
    counted_calls.store(0);
    harmed_calls.store(0);
    planned_first.store(plan.first);
    planned_times.store(plan.times);
    planned_every_other.store(plan.every_other);
    planned_harm.store(plan.harm);
  }
  ~Armed() { planned_harm.store(Harm::kNone); }
  Armed(const Armed&) = delete;
  Armed& operator=(const Armed&) = delete;
};

}  // namespace
}  // namespace freyja::torture

// --- The calls ----------------------------------------------------------------------------

using freyja::torture::Fails;
using freyja::torture::Harm;
using freyja::torture::kInterruptible;
using freyja::torture::kTakesSpace;
using freyja::torture::kTransfers;
using freyja::torture::NextHarm;
using freyja::torture::Real;

extern "C" {

int open(const char* path, int flags, ...) {
  mode_t mode = 0;
  if ((flags & O_CREAT) != 0) {
    va_list arguments;
    va_start(arguments, flags);
    mode = va_arg(arguments, mode_t);
    va_end(arguments);
  }
  static auto* const real = Real<int(const char*, int, ...)>("open");
  const unsigned space = (flags & O_CREAT) != 0 ? kTakesSpace : 0;
  return Fails(NextHarm(kInterruptible | space)) ? -1 : real(path, flags, mode);
}

ssize_t pread(int fd, void* buffer, size_t count, off_t offset) {
  static auto* const real = Real<ssize_t(int, void*, size_t, off_t)>("pread");
  const Harm harm = NextHarm(kInterruptible | kTransfers);
  if (Fails(harm)) return -1;
  return real(fd, buffer, harm == Harm::kPart ? (count + 2) / 3 : count, offset);
}

ssize_t pwrite(int fd, const void* buffer, size_t count, off_t offset) {
  static auto* const real = Real<ssize_t(int, const void*, size_t, off_t)>("pwrite");
  const Harm harm = NextHarm(kInterruptible | kTransfers | kTakesSpace);
  if (Fails(harm)) return -1;
  return real(fd, buffer, harm == Harm::kPart ? (count + 2) / 3 : count, offset);
}

int fdatasync(int fd) {
  static auto* const real = Real<int(int)>("fdatasync");
  return Fails(NextHarm(kInterruptible | kTakesSpace)) ? -1 : real(fd);
}

int fsync(int fd) {
  static auto* const real = Real<int(int)>("fsync");
  return Fails(NextHarm(kInterruptible | kTakesSpace)) ? -1 : real(fd);
}

int msync(void* address, size_t length, int flags) {
  static auto* const real = Real<int(void*, size_t, int)>("msync");
  return Fails(NextHarm(kInterruptible | kTakesSpace)) ? -1 : real(address, length, flags);
}

int fallocate(int fd, int mode, off_t offset, off_t length) {
  static auto* const real = Real<int(int, int, off_t, off_t)>("fallocate");
  return Fails(NextHarm(kInterruptible | kTakesSpace)) ? -1 : real(fd, mode, offset, length);
}

int ftruncate(int fd, off_t length) noexcept {
  static auto* const real = Real<int(int, off_t)>("ftruncate");
  return Fails(NextHarm(kInterruptible)) ? -1 : real(fd, length);
}

int flock(int fd, int operation) noexcept {
  static auto* const real = Real<int(int, int)>("flock");
  return Fails(NextHarm(kInterruptible)) ? -1 : real(fd, operation);
}

int statvfs(const char* path, struct statvfs* info) noexcept {
  static auto* const real = Real<int(const char*, struct statvfs*)>("statvfs");
  return Fails(NextHarm(kInterruptible)) ? -1 : real(path, info);
}

int rename(const char* from, const char* to) noexcept {
  static auto* const real = Real<int(const char*, const char*)>("rename");
  return Fails(NextHarm(kTakesSpace)) ? -1 : real(from, to);
}

int unlink(const char* path) noexcept {
  static auto* const real = Real<int(const char*)>("unlink");
  return Fails(NextHarm(0)) ? -1 : real(path);
}

int mkdir(const char* path, mode_t mode) noexcept {
  static auto* const real = Real<int(const char*, mode_t)>("mkdir");
  return Fails(NextHarm(kTakesSpace)) ? -1 : real(path, mode);
}

}  // extern "C"

// --- The tests ------------------------------------------------------------------------------

namespace freyja::torture {
namespace {

using io::testing::CodeOf;
using io::testing::Must;

class PosixFaultsTest : public ::testing::Test {
 protected:
  // In memory if there is such a file system: nobody waits for a disk there.
  static const char* Place() {
    if (::access("/dev/shm", W_OK) == 0) ::setenv("TMPDIR", "/dev/shm", /*replace=*/1);
    return ::getenv("TMPDIR");
  }

  const char* const place_ = Place();
  io::testing::TemporaryDirectory temporary_;
};

// Every call of the file system, once; what it says and reads.
std::string UseEverything(const std::filesystem::path& directory) {
  std::string said;
  const auto say = [&](const Status& status) { said += status.ToString() + "; "; };
  const auto fs = io::NewPosixFileSystem();
  say(fs->CreateDirectory(directory));
  auto file = fs->Open(directory / "a", io::OpenMode::kCreateNew);
  if (!file) return said + file.error().ToString();
  say((*file)->Allocate(10'000));
  say((*file)->WriteAt(100, base::AsBytes(std::string(5'000, 'x'))));
  say((*file)->Sync());
  if (const auto mapping = (*file)->Map(10'000, true)) {
    (*mapping)->data()[50] = std::byte{'x'};
    say((*file)->SyncMapped(**mapping, 51));
  }
  std::string text(6'000, '?');
  const auto read = (*file)->ReadAt(50, std::as_writable_bytes(std::span(text)));
  said += read ? std::to_string(*read) + "; " : read.error().ToString();
  said += std::to_string(std::ranges::count(text, 'x')) + "; ";
  say((*file)->ReleaseTail(5'000));
  say((*file)->Truncate(7'000));
  const auto size = (*file)->Size();
  said += size ? std::to_string(*size) + "; " : size.error().ToString();
  say(fs->Rename(directory / "a", directory / "b"));
  say(fs->SyncDirectory(directory));
  const auto lock = fs->Lock(directory / "LOCK", true);
  say(lock ? Status::Ok() : lock.error());
  const auto free = fs->FreeSpace(directory);
  say(free ? Status::Ok() : free.error());
  const auto names = fs->List(directory);
  said += names ? std::to_string(names->size()) + "; " : names.error().ToString();
  say(fs->Unlink(directory / "b"));
  return said;
}

TEST_F(PosixFaultsTest, NoCallNoticesInterruptionsOrPartialTransfers) {
  const std::string expected = UseEverything(temporary_.path() / "expected");
  std::uint64_t harmed = 0;
  for (const Harm harm : {Harm::kInterrupt, Harm::kPart}) {
    for (std::uint64_t n = 0;; ++n) {
      const auto directory =
          temporary_.path() / (std::to_string(static_cast<int>(harm)) + "-" + std::to_string(n));
      std::string said;
      std::uint64_t now = 0;
      {
        const Armed armed({.harm = harm, .first = n, .times = 3});
        said = UseEverything(directory);
        now = harmed_calls.load();
      }
      EXPECT_EQ(said, expected) << "call " << n;
      if (now == 0) break;
      harmed += now;
    }
  }
  EXPECT_GT(harmed, 30u);
}

TEST_F(PosixFaultsTest, EveryCallReportsErrorsWithTheirCode) {
  for (const Harm harm : {Harm::kIoError, Harm::kNoSpace}) {
    const std::string code(
        StatusCodeName(harm == Harm::kIoError ? StatusCode::kIoError : StatusCode::kNoSpace));
    for (std::uint64_t n = 0;; ++n) {
      const auto directory =
          temporary_.path() / (std::to_string(static_cast<int>(harm)) + "-" + std::to_string(n));
      std::string said;
      {
        const Armed armed({.harm = harm, .first = n, .times = 1});
        said = UseEverything(directory);
        if (harmed_calls.load() == 0) break;
      }
      EXPECT_NE(said.find(code), std::string::npos) << "call " << n << ": " << said;
    }
  }
}

// An error after a part of the transfer is an error, and says nothing about the part.
TEST_F(PosixFaultsTest, AnErrorAfterAPartIsAnError) {
  const auto fs = io::NewPosixFileSystem();
  const auto file = Must(fs->Open(temporary_.path() / "a", io::OpenMode::kCreateNew));
  const std::string text(1'000, 'x');
  {
    const Armed armed({.harm = Harm::kNoSpace, .first = 1, .times = 1});
    EXPECT_OK(file->WriteAt(0, base::AsBytes(text)));
    EXPECT_EQ(CodeOf(file->WriteAt(0, base::AsBytes(text))), StatusCode::kNoSpace);
  }
  std::string read(1'000, '?');
  const Armed armed({.harm = Harm::kIoError, .first = 0, .times = 1});
  EXPECT_EQ(CodeOf(file->ReadAt(0, std::as_writable_bytes(std::span(read)))), StatusCode::kIoError);
}

// A store on real files, and the oracle of what it was told.
class StoreRun {
 public:
  explicit StoreRun(std::filesystem::path path) : path_(std::move(path)) {}

  void Run() {
    Open();
    for (int i = 0; i < 30 && store_; ++i) {
      Put("key" + std::to_string(i % 7), 900);
      if (i % 10 == 5) Note(store_->Sync());
      if (i == 20) Compact();
    }
    Close();
    Open();
    if (store_) Put("key1", 100);
    Close();
  }

  // With nothing that fails any more.
  std::string Judge() {
    const auto opened = KVStore::Open(path_, MakeOptions());
    if (!opened) return "does not open: " + opened.error().ToString();
    const auto found = support::ReadContents(**opened);
    if (!found) return "can't be read: " + found.error().ToString();
    if (std::string what = oracle_.Judge(*found, oracle_.AfterKill()).what; !what.empty()) {
      return what;
    }
    const Status checked = (*opened)->VerifyChecksums();
    return checked.ok() ? std::string() : checked.ToString();
  }

  const std::vector<Status>& errors() const { return errors_; }

 private:
  static Options MakeOptions() {
    Options options;
    options.create_if_missing = true;
    options.scheduler.enabled = false;
    options.sync = Sync::kNone;
    options.segment_bytes = kMinSegmentBytes;
    options.reserve_bytes = 256 << 10;
    options.worker_threads = 1;
    return options;
  }

  void Note(const Status& status) {
    if (!status.ok()) errors_.push_back(status);
  }

  void Open() {
    auto opened = KVStore::Open(path_, MakeOptions());
    if (!opened) return Note(opened.error());
    store_ = *std::move(opened);
    const auto found = support::ReadContents(*store_);
    if (!found) return Note(found.error());
    const std::string what = oracle_.Judge(*found, oracle_.AfterKill()).what;
    if (!what.empty()) Note(Status(StatusCode::kCorruption, "opened again: " + what));
    if (!store_->GetStats().read_only) oracle_ = FaultOracle(*found);
  }

  void Put(const std::string& key, std::size_t bytes) {
    const bool read_only = store_->GetStats().read_only;
    const std::string value = support::MakeValue(key, ++number_, bytes);
    const Status put = store_->Put(key, value);
    Note(put);
    if (put.ok()) {
      oracle_.Acknowledged({{key, value}}, number_);
    } else if (!read_only && store_->GetStats().read_only) {
      oracle_.Maybe({{key, value}});
    }
  }

  void Compact() {
    HotSwapConfig config;
    config.min_space_saving = 0.1;
    config.seal_active = true;
    const auto report = HotSwapCompactor(*store_, config).Compact();
    if (!report) Note(report.error());
  }

  void Close() {
    if (store_ == nullptr) return;
    Note(store_->GetStats().background_error);
    Note(store_->Close());
    store_.reset();
  }

  const std::filesystem::path path_;
  std::unique_ptr<KVStore> store_;
  FaultOracle oracle_{{}};
  std::uint64_t number_ = 0;
  std::vector<Status> errors_;
};

TEST_F(PosixFaultsTest, AStoreDoesNotNoticeThatEveryCallIsInterruptedOrDoesAPart) {
  for (const Harm harm : {Harm::kInterrupt, Harm::kPart}) {
    StoreRun run(temporary_.path() / std::to_string(static_cast<int>(harm)));
    {
      const Armed armed({.harm = harm, .first = 0, .times = UINT64_MAX, .every_other = true});
      run.Run();
      EXPECT_GT(harmed_calls.load(), 20u);
    }
    for (const Status& error : run.errors()) ADD_FAILURE() << error.ToString();
    EXPECT_EQ(run.Judge(), "");
  }
}

TEST_F(PosixFaultsTest, AStoreSurvivesAnErrorOfAnySystemCall) {
  constexpr std::uint64_t kStride = 3;  // together the kinds hit all calls
  std::uint64_t injected = 0;
  std::uint64_t offset = 0;
  for (const Harm harm : {Harm::kIoError, Harm::kNoSpace}) {
    for (const std::uint64_t times : {std::uint64_t{1}, UINT64_MAX}) {
      for (std::uint64_t n = offset++ % kStride;; n += kStride) {
        const auto directory = temporary_.path() / "store";
        StoreRun run(directory);
        std::uint64_t harmed = 0;
        {
          const Armed armed({.harm = harm, .first = n, .times = times});
          run.Run();
          harmed = harmed_calls.load();
        }
        for (const Status& error : run.errors()) {
          EXPECT_NE(error.code(), StatusCode::kCorruption) << n << ": " << error.ToString();
          EXPECT_NE(error.message(), "");
        }
        ASSERT_EQ(run.Judge(), "") << "harm " << static_cast<int>(harm) << " at call " << n;
        std::filesystem::remove_all(directory);
        injected += harmed > 0 ? 1 : 0;
        if (harmed == 0) break;
      }
    }
  }
  std::cout << "system calls failed: " << injected << '\n';
  EXPECT_GT(injected, 100u);
}

}  // namespace
}  // namespace freyja::torture
