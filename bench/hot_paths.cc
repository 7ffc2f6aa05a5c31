// freyja-hot-paths: one operation of the store many times over, to be counted by callgrind.
//
// Times on a shared machine say little about a change of a few instructions; their number does.
// scripts/count_instructions.py runs this under callgrind, which counts only inside Measured(),
// and only the thread that is in it: what the store does in the background is left out.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/store_parts.h"
#include "base/environment.h"
#include "exit_code.h"
#include "freyja/freyja.h"
#include "io/posix_file_system.h"
#include "keys_values.h"
#include "scratch_directory.h"

namespace freyja::bench {

namespace {

constexpr std::uint64_t kKeys = 20'000;
constexpr std::size_t kValueBytes = 100;
constexpr std::uint64_t kOperations = 16'000;
constexpr std::size_t kTogether = 16;  // of a MultiGet or a batch
static_assert(kOperations % kTogether == 0 && kOperations <= kKeys);

// Each key has the same place in the index every time. Thread-safe.
class SameRandom final : public base::Random {
 public:
  std::uint64_t Next64() override { return Mix(++drawn_); }

 private:
  std::atomic<std::uint64_t> drawn_ = 0;
};

// The store and what is put into it. Keys and values are made beforehand.
class HotPaths {
 public:
  HotPaths(KVStore& store, std::uint64_t seed) : store_(store) {
    KeyMaker maker(seed);
    const Permutation order(kKeys, seed);
    for (std::uint64_t i = 0; i < kKeys; ++i) {
      present_.emplace_back(maker.Present(order[i]));
      missing_.emplace_back(maker.Missing(order[i]));
    }
  }

  bool Fill() {
    return Each(present_, [&](const std::string& key) { return Put(key); });
  }
  bool Insert() {
    return Each(missing_, [&](const std::string& key) { return Put(key); });
  }
  bool Overwrite() {
    return Each(present_, [&](const std::string& key) { return Put(key); });
  }
  bool Get() {
    return Each(present_, [&](const std::string& key) {
      const auto found = store_.Get(key, value_);
      return found && *found && value_.size() == kValueBytes;
    });
  }
  bool Miss() {
    return Each(missing_, [&](const std::string& key) {
      const auto found = store_.Get(key, value_);
      return found && !*found;
    });
  }
  bool Delete() {
    return Each(present_, [&](const std::string& key) {
      const auto deleted = store_.Delete(key);
      return deleted && *deleted;
    });
  }
  bool MultiGet() {
    return EachGroup([&](std::size_t first) {
      std::array<std::string_view, kTogether> keys;
      std::copy_n(present_.begin() + static_cast<std::ptrdiff_t>(first), kTogether, keys.begin());
      return std::ranges::all_of(store_.MultiGet(keys),
                                 [](const auto& value) { return value && *value; });
    });
  }
  bool Batch() {
    return EachGroup([&](std::size_t first) {
      batch_.Clear();
      for (std::size_t i = first; i < first + kTogether; ++i) batch_.Put(present_[i], new_value_);
      return store_.Write(batch_).ok();
    });
  }

 private:
  bool Put(const std::string& key) { return store_.Put(key, new_value_).ok(); }
  template <class Operation>
  static bool Each(const std::vector<std::string>& keys, Operation operation) {
    return std::all_of(keys.begin(), keys.begin() + kOperations, operation);
  }
  template <class Operation>
  static bool EachGroup(Operation operation) {
    for (std::size_t first = 0; first < kOperations; first += kTogether) {
      if (!operation(first)) return false;
    }
    return true;
  }

  KVStore& store_;
  std::vector<std::string> present_;
  std::vector<std::string> missing_;
  const std::string new_value_ = std::string(kValueBytes, 'v');
  std::string value_;
  WriteBatch batch_;
};

struct Operation {
  std::string_view name;
  bool (HotPaths::*run)();
};
constexpr std::array kMeasured = {
    Operation{"get", &HotPaths::Get},       Operation{"miss", &HotPaths::Miss},
    Operation{"insert", &HotPaths::Insert}, Operation{"overwrite", &HotPaths::Overwrite},
    Operation{"delete", &HotPaths::Delete}, Operation{"multiget16", &HotPaths::MultiGet},
    Operation{"batch16", &HotPaths::Batch},
};

}  // namespace

// Callgrind counts from its begin to its end (--toggle-collect=*Measured*).
[[gnu::noinline]] bool Measured(const std::function<bool()>& operation) { return operation(); }

namespace {

int Run(const Operation& operation) {
  auto scratch = ScratchDirectory::Make(std::filesystem::temp_directory_path());
  if (!scratch) {
    fmt::print(stderr, "freyja-hot-paths: {}\n", scratch.error().ToString());
    return kExitFailure;
  }
  Options options = {.create_if_missing = true, .sync = Sync::kNone};
  options.scheduler.enabled = false;
  auto store = api::OpenStore(scratch->path() / "store", options,
                              {.file_system = io::NewPosixFileSystem(),
                               .clock = std::make_shared<base::SystemClock>(),
                               .random = std::make_shared<SameRandom>()});
  if (!store) {
    fmt::print(stderr, "freyja-hot-paths: {}\n", store.error().ToString());
    return kExitFailure;
  }
  HotPaths paths(**store, 1);
  bool right = paths.Fill();
  // Once before, so that what is done at the first time only is not counted.
  if (operation.name != "insert" && operation.name != "delete") {
    right = right && (paths.*operation.run)();
  }
  right = right && Measured([&] { return (paths.*operation.run)(); });
  if (!right || !(*store)->Close().ok()) {
    fmt::print(stderr, "freyja-hot-paths: {}: a wrong answer\n", operation.name);
    return kExitFailure;
  }
  fmt::print("{} {}\n", operation.name, kOperations);
  return EXIT_SUCCESS;
}

int Main(int argc, char** argv) {
  const std::string_view asked = argc == 2 ? argv[1] : "";
  const auto operation = std::ranges::find(kMeasured, asked, &Operation::name);
  if (operation != kMeasured.end()) return Run(*operation);
  fmt::print(stderr, "usage: freyja-hot-paths OPERATION, one of:");
  for (const Operation& known : kMeasured) fmt::print(stderr, " {}", known.name);
  fmt::print(stderr, "\n");
  return kExitUsage;
}

}  // namespace

}  // namespace freyja::bench

int main(int argc, char** argv) {
  try {
    return freyja::bench::Main(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "freyja-hot-paths: %s\n", error.what());
    return 1;
  }
}
