// Opens a damaged store, reads all of it, and says what became of the damage.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "freyja/kv_store.h"
#include "torture/rot/rot_subject.h"

namespace freyja::torture {

// What is done to the files of a subject: some have other content, some are gone.
struct Damage {
  std::string what;
  Files changed;
  std::vector<std::string> removed;
  // In place of both, where only one bit changes.
  struct Flip {
    std::string file;
    std::size_t bit = 0;
  };
  std::optional<Flip> flip = std::nullopt;
};

enum class Fate : std::uint8_t { kDetected, kUnused, kRebuilt, kTear, kWrong };

struct Finding {
  Fate fate = Fate::kWrong;
  std::string what;  // the error that reported it, or what is wrong
};

class Examiner {
 public:
  explicit Examiner(const Subject& subject) : subject_(subject) {}

  // For the tests of the checker: believes what is read without errors, whatever it is.
  void PlantBlindness() { blind_ = true; }
  // For the tests of the checker: what the store should hold.
  void PlantExpectation(support::Contents contents) { planted_ = std::move(contents); }

  Finding Examine(const Damage& damage, bool read_only) const;

 private:
  std::shared_ptr<io::MemoryFileSystem> Damaged(const Damage& damage) const;
  Bytes ActiveAfter(const Damage& damage) const;
  // Whether a hint that was damaged is as it was before.
  bool HintsAreWhole(const Damage& damage, const io::MemoryFileSystem& disk) const;
  // Goes on with a store that seems to be all right, compacts it and opens it again. Empty:
  // nothing was wrong, then or later.
  std::string GoOn(std::shared_ptr<io::MemoryFileSystem> disk, std::unique_ptr<KVStore> store,
                   support::Contents contents) const;

  const Subject& subject_;
  bool blind_ = false;
  std::optional<support::Contents> planted_;
};

}  // namespace freyja::torture
