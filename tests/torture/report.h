// What every part of the torture suite is told and what it tells.
//
// A part is a function `void RunX(const Settings&, Report&)`. Its quick form does a fixed
// amount of work and runs as a test; its long form goes on until its time is up. Both are
// replayed from their seed.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <iosfwd>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/mutex.h"

namespace freyja::torture {

struct Settings {
  std::uint64_t seed = 1;
  // Zero: the quick form. Else the part ends at the first good moment after this long.
  std::chrono::milliseconds time{0};
  // For parts that need real files; on the file system that is to be tested. Each part
  // makes a directory of its own in it and removes it.
  std::filesystem::path directory = std::filesystem::temp_directory_path();

  bool quick() const { return time.count() == 0; }
};

// Whether the time of a long form is up; the quick form never looks at the clock.
class Deadline {
 public:
  explicit Deadline(const Settings& settings)
      : quick_(settings.quick()), end_(std::chrono::steady_clock::now() + settings.time) {}
  bool over() const { return !quick_ && std::chrono::steady_clock::now() >= end_; }

 private:
  const bool quick_;
  const std::chrono::steady_clock::time_point end_;
};

// What must never happen.
enum class Wrong : std::uint8_t {
  kAcknowledgedLost,  // a write that its sync policy promised to keep
  kHole,              // a write without one before it
  kResurrected,       // something deleted or overwritten came back
  kFabricated,        // a value that nobody wrote
  kMissed,            // a read did not see a present key
  kStale,             // a read saw an older value than it may
  kSilentlyWrong,     // damage that changed an answer and was not reported
  kOther,             // a store that does not open, a wrong error, a hang, a leak
};
inline constexpr std::size_t kWrongKinds = static_cast<std::size_t>(Wrong::kOther) + 1;
std::string_view NameOf(Wrong wrong);

// The figures of a part, or of several. Thread-safe.
class Report {
 public:
  // Adds to a figure. Names are lower case with underscores, e.g. "crash_images".
  void Count(std::string_view figure, std::uint64_t n = 1);
  // Only the largest counts, e.g. "longest_history".
  void Maximum(std::string_view figure, std::uint64_t n);
  // `what` says how to see it again: seed, workload, boundary. The first texts are kept.
  void Violation(Wrong wrong, std::string what);
  // Said once each: what a part does not model, and what could not run here and why.
  void NotModelled(std::string what);
  void Skipped(std::string what);

  std::uint64_t figure(std::string_view name) const;
  std::uint64_t violations() const;
  // The texts of the first violations, one a line; empty if there were none.
  std::string Problems() const;

  void Merge(const Report& part);
  std::string AsJson() const;  // one object
  void Print(std::ostream& out) const;

 private:
  struct Content {
    std::map<std::string, std::uint64_t, std::less<>> figures;
    std::map<std::string, std::uint64_t, std::less<>> maxima;
    std::array<std::uint64_t, kWrongKinds> wrong{};
    std::vector<std::string> problems;
    std::vector<std::string> not_modelled;
    std::vector<std::string> skipped;
  };
  Content Copy() const;

  mutable base::Mutex mutex_;
  Content content_ FREYJA_GUARDED_BY(mutex_);
};

}  // namespace freyja::torture
