// Recovers images and says what is wrong with what it finds.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "support/test_settings.h"
#include "torture/crash_states/choices.h"
#include "torture/crash_states/image_set.h"
#include "torture/crash_states/oracle.h"
#include "torture/crash_states/world.h"

namespace freyja::torture {

// How often, one image in so many, something is looked at that takes long.
struct Rates {
  std::uint64_t point_reads = 4;
  std::uint64_t read_only = 8;
  std::uint64_t crash_again = 3;  // between the two opens, in place of a clean close
  std::uint64_t same_bytes = 4;
  std::uint64_t use = 8;
  std::uint64_t compact = 24;
  std::uint64_t nested = 50;
  std::uint64_t nested_choices = 6;  // of each boundary inside recovery and each profile
};

// Not thread-safe.
class Examiner {
 public:
  Examiner(Report& report, const Rates& rates, std::uint64_t seed)
      : report_(report), rates_(rates), dice_(seed) {}

  // Every moment that the world has taken, each in every state that the effort allows, until
  // the deadline is over. `where` says how to see it again.
  void ExamineAll(World& world, const Effort& effort, const Deadline& deadline,
                  const std::string& where);

  std::size_t distinct_images() const { return images_.size(); }

 private:
  // One image and all that is owed.
  struct Case {
    const Oracle& oracle;
    support::Bounds bounds;
    support::Bounds after_power_loss;
    io::CrashProfile profile = io::CrashProfile::kProcessKill;
    std::uint64_t clock_ms = 0;
    Sync sync = Sync::kNone;
    std::size_t acknowledged = 0;
    std::function<std::string()> where;
  };

  using Disk = std::shared_ptr<io::MemoryFileSystem>;
  void Examine(const Moment& moment, const Oracle& oracle, const Effort& effort,
               const Deadline& deadline, Sync sync, const std::string& where);
  void Recover(const Case& image, const Disk& disk);
  // The contents if they may be found; the violation is reported otherwise.
  std::optional<support::Contents> OpenAndJudge(const Case& image, const Disk& disk,
                                                std::unique_ptr<KVStore>& store);
  void CheckReadOnly(const Case& image, const Disk& disk);
  void CheckUse(const Case& image, KVStore& store, support::Contents& contents);
  // Nothing may change any more.
  void OpenAgain(const Case& image, Disk disk, std::unique_ptr<KVStore> store,
                 const support::Contents& contents);
  void RecoverNested(const Case& parent, const std::vector<Moment>& moments,
                     const support::Contents& contents);
  void Wronged(const Case& image, Wrong wrong, const std::string& what);
  bool Failed(const Case& image, const Status& status, std::string_view what);

  Report& report_;
  const Rates rates_;
  support::Dice dice_;
  ImageSet images_;     // by content
  ImageSet recovered_;  // by content and what is allowed
  ImageSet nested_;
  std::uint64_t lost_unsynced_ = 0;
};

}  // namespace freyja::torture
