#include "torture/rot/rot.h"

#include <algorithm>
#include <string>

#include "torture/rot/rot_damage.h"
#include "torture/rot/rot_examiner.h"
#include "torture/rot/rot_subject.h"
#include "torture/steady_heap.h"

namespace freyja::torture {

namespace {

// Keys that each sealed segment of the stores is about.
constexpr int kQuickKeys = 5;
constexpr int kMostKeys = 30;

class Run {
 public:
  Run(const Settings& settings, Report& report) : deadline_(settings), report_(report) {}

  // `false`: the time is up. Of the bits, one in `write_stride` is tried with a store opened
  // for writing as well.
  bool Damage(std::uint64_t seed, int keys, bool clean, std::size_t write_stride) {
    const Subject subject = MakeSubject(seed, keys, clean);
    const Subject other = MakeSubject(seed + 1'000'000, keys, clean);
    const Examiner examiner(subject);
    report_.Count("rot_stores");
    report_.Maximum("rot_bytes_of_a_store", Meaningful(subject));
    std::size_t number = 0;
    const bool all_bits =
        FlipBits(subject, 0, 1, /*tail_stride=*/509, [&](const torture::Damage& damage) {
          ++number;
          // What is sealed is the same in a store that was not closed.
          const bool log_or_manifest =
              damage.flip->file == subject.active || damage.flip->file == "MANIFEST";
          if (write_stride > 1 && !clean && !log_or_manifest && number % 8 != 0) return true;
          report_.Count("rot_bits_flipped");
          const bool write_too = number % write_stride == 0 || IsHeadOfManifest(subject, damage);
          return Examine(examiner, subject, damage, write_too);
        });
    const Visit examine = [&](const torture::Damage& damage) {
      report_.Count("rot_mutations");
      return Examine(examiner, subject, damage, true);
    };
    return all_bits && DamageFiles(subject, other, /*cut_stride=*/9, examine) &&
           DamagePieces(subject, 512, examine) &&
           (write_stride > 1 || DamagePieces(subject, 64, examine));
  }

 private:
  static std::uint64_t Meaningful(const Subject& subject) {
    std::uint64_t sum = 0;
    for (const auto& [file, bytes] : subject.files) sum += subject.MeaningfulBytes(file);
    return sum;
  }
  // What the store does with the head of its manifest decides everything else.
  static bool IsHeadOfManifest(const Subject& subject, const torture::Damage& damage) {
    return damage.flip && damage.flip->file == "MANIFEST" &&
           damage.flip->bit / 8 < subject.files.at("MANIFEST").size() / 4;
  }

  bool Examine(const Examiner& examiner, const Subject& subject, const torture::Damage& damage,
               bool write_too) {
    for (const bool read_only : {true, false}) {
      if (!read_only && !write_too) continue;
      const Finding finding = examiner.Examine(damage, read_only);
      report_.Count("rot_stores_opened");
      report_.Count(FigureOf(finding.fate));
      if (finding.fate != Fate::kWrong) continue;
      report_.Violation(Wrong::kSilentlyWrong, "rot: store " + subject.name + ", opened for " +
                                                   (read_only ? "reading" : "writing") + ", " +
                                                   damage.what + ": " + finding.what);
    }
    return !deadline_.over();
  }

  static std::string_view FigureOf(Fate fate) {
    switch (fate) {
      case Fate::kDetected:
        return "rot_detected";
      case Fate::kUnused:
        return "rot_unused";
      case Fate::kRebuilt:
        return "rot_rebuilt";
      case Fate::kTear:
        return "rot_indistinguishable_from_tear";
      case Fate::kWrong:
        return "rot_silently_wrong";
    }
    return "rot_unknown";
  }

  const Deadline deadline_;
  Report& report_;
};

}  // namespace

void RunRot(const Settings& settings, Report& report) {
  UseSteadyHeap();
  report.NotModelled("rot: several independent damages at once, except sectors and files swapped");
  report.NotModelled("rot: all files of a store replaced by an older state of all of them");
  Run run(settings, report);
  if (settings.quick()) {
    run.Damage(settings.seed, kQuickKeys, /*clean=*/true, /*write_stride=*/16);
    run.Damage(settings.seed + 2, kQuickKeys, /*clean=*/true, /*write_stride=*/16);
    run.Damage(settings.seed, kQuickKeys, /*clean=*/false, /*write_stride=*/16);
    return;
  }
  for (std::uint64_t round = 0;; ++round) {
    const int keys =
        static_cast<int>(std::min<std::uint64_t>(kQuickKeys + 5 * (round / 2), kMostKeys));
    if (!run.Damage(settings.seed + round, keys, /*clean=*/round % 2 == 0, /*write_stride=*/1)) {
      return;
    }
  }
}

}  // namespace freyja::torture
