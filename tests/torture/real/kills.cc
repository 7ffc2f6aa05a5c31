// kill -9 before, during and after each system call of a short workload, in the midst of
// recovery, and at random over a long one.
//
// A kill keeps the page cache, so every acknowledged write must be there, whatever its sync
// policy. A store goes through several lives: it is judged either itself, which closes it
// cleanly, or by a copy, so that the next child recovers what two or more kills left behind.
#include <algorithm>
#include <array>
#include <chrono>
#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/test_settings.h"
#include "torture/real/child.h"
#include "torture/real/real.h"
#include "torture/real/tracer.h"
#include "torture/real/verify.h"

namespace freyja::torture::real {

namespace {

using support::Contents;
using support::Dice;

constexpr std::array<std::string_view, kMoments> kFigures = {"kills_before", "kills_during",
                                                             "kills_after"};
constexpr int kMostLivesOfAStore = 12;
constexpr std::uint64_t kNumbersOfALife = 10'000'000;

// A store that lives through one kill after another.
class Victim {
 public:
  Victim(const Settings& settings, Report& report, std::uint64_t seed)
      : report_(report), seed_(seed), dice_(seed), scratch_(settings.directory) {
    spec_.directory = scratch_.path() / "store";
    spec_.shape.seed = seed;
  }

  ChildSpec& spec() { return spec_; }
  Dice& dice() { return dice_; }
  int lives() const { return lives_; }
  bool healthy() const { return healthy_; }

  // A child for the next life, not running yet.
  std::unique_ptr<Child> Begin() {
    spec_.first_number = static_cast<std::uint64_t>(++lives_) * kNumbersOfALife + 1;
    ledger_ = std::make_unique<Ledger>(spec_.shape, contents_, spec_.first_number);
    auto child = Child::Start(spec_);
    if (!child) {
      Violate({Wrong::kOther, child.error().ToString()}, "start");
      return nullptr;
    }
    return std::make_unique<Child>(*std::move(child));
  }

  // Enters what it said; `false` if it said that something failed.
  bool Take(const std::vector<Message>& messages, const std::string& when) {
    for (const Message& message : messages) {
      if (message.kind == Message::Kind::kOpened) opened_ = lives_;
      if (message.kind == Message::Kind::kCompacted) report_.Count("kill_swaps");
    }
    if (auto failure = Enter(messages, *ledger_)) {
      Violate({Wrong::kOther, *failure}, when);
      return false;
    }
    return true;
  }
  std::size_t acknowledged() const { return ledger_->total_acknowledged(); }

  // After the child's end.
  void Check(const std::string& when) {
    report_.Count("kill_acknowledged_writes", ledger_->total_acknowledged());
    const bool on_copy = dice_.OneIn(2);
    std::filesystem::path directory = spec_.directory;
    if (on_copy && std::filesystem::exists(directory)) {
      directory = scratch_.path() / "copy";
      std::filesystem::remove_all(directory);
      std::filesystem::copy(spec_.directory, directory, std::filesystem::copy_options::recursive);
    }
    Verified verified =
        OpenAndJudge(directory, spec_.StoreOptions(), *ledger_, ledger_->acknowledged());
    if (verified.finding) {
      Violate(*verified.finding, when + (on_copy ? ", seen on a copy" : ""));
      return;
    }
    contents_ = std::move(verified.contents);
  }

  // A child said that it had opened the store, in this life.
  bool opened() const { return opened_ == lives_; }

  void Violate(const Finding& finding, const std::string& when) {
    healthy_ = false;
    report_.Violation(finding.wrong, "kill, seed " + std::to_string(seed_) + ", life " +
                                         std::to_string(lives_) + ", " + when + ": " +
                                         finding.what);
  }

 private:
  Report& report_;
  const std::uint64_t seed_;
  Dice dice_;
  const ScratchDirectory scratch_;
  ChildSpec spec_;
  Contents contents_;
  std::unique_ptr<Ledger> ledger_;
  int lives_ = 0;
  int opened_ = 0;
  bool healthy_ = true;
};

// --- At the n-th system call ----------------------------------------------------------

std::unique_ptr<Victim> NewTracedVictim(const Settings& settings, Report& report,
                                        std::uint64_t seed) {
  auto victim = std::make_unique<Victim>(settings, report, seed);
  ChildSpec& spec = victim->spec();
  spec.shape.keys = 12;
  spec.shape.value_bytes = 1200;  // so that segments of the smallest size roll
  spec.writes = 24;
  spec.sync = victim->dice().OneOf(Sync::kNone, Sync::kInterval, Sync::kAlways);
  spec.segment_bytes = kMinSegmentBytes;
  spec.sync_every = 7;
  spec.compact_every = 11;
  return victim;
}

struct Life {
  bool possible = true;  // false: no tracing here, or the victim is ill
  Traced traced;
};

Life LiveTraced(Victim& victim, Report& report, std::uint64_t n, Moment moment) {
  const std::string when =
      std::string(kFigures[static_cast<std::size_t>(moment)]) + " call " + std::to_string(n);
  const auto child = victim.Begin();
  if (!child) return {.possible = false, .traced = {}};
  auto traced = RunTraced(*child, n, moment);
  if (!traced) {
    report.Skipped("kills at system calls: " + traced.error().message());
    return {.possible = false, .traced = {}};
  }
  const bool ended_well = traced->killed || traced->wait_status == 0;
  if (!victim.Take(child->ReceiveRest(), when)) return {.possible = false, .traced = {}};
  if (!ended_well) {
    victim.Violate({Wrong::kOther, "the child " + DescribeEnd(traced->wait_status)}, when);
    return {.possible = false, .traced = {}};
  }
  if (traced->killed) {
    report.Count("kills");
    report.Count(kFigures[static_cast<std::size_t>(moment)]);
    if (!victim.opened()) report.Count("kills_in_recovery");
    if (victim.lives() > 1) report.Count("kills_of_later_lives");
  }
  victim.Check(when);
  return {.possible = victim.healthy(), .traced = *traced};
}

// Once through all calls. The quick form takes one of the three moments at every second call.
void KillAtEveryCall(const Settings& settings, Report& report, const Deadline& deadline,
                     std::uint64_t seed, std::set<std::uint64_t>& covered) {
  auto victim = NewTracedVictim(settings, report, seed);
  const Life whole = LiveTraced(*victim, report, 0, Moment::kBefore);
  if (!whole.possible) return;
  if (whole.traced.calls == 0) {
    victim->Violate({Wrong::kOther, "no system call was seen"}, "counting");
    return;
  }
  report.Maximum("kill_workload_calls", whole.traced.calls);
  report.Maximum("kill_workload_call_kinds", whole.traced.kinds.size());
  // Later lives open a store and make other calls than the first, so each n is for both.
  const std::uint64_t step = settings.quick() ? 2 : 1;
  for (std::uint64_t n = 1 + seed % step; n <= whole.traced.calls && !deadline.over(); n += step) {
    for (std::uint8_t moment = 0; moment < kMoments; ++moment) {
      if (settings.quick() && moment != (n / step) % kMoments) continue;
      if (!victim->healthy() || victim->lives() >= kMostLivesOfAStore || victim->dice().OneIn(4)) {
        victim = NewTracedVictim(settings, report, victim->dice().Next());
      }
      const Life life = LiveTraced(*victim, report, n, static_cast<Moment>(moment));
      if (life.traced.killed) covered.insert(n);
      report.Maximum("kill_syscalls_covered", covered.size());
    }
  }
}

// The store is there; a second child is killed while it opens it, and a third, and so on.
void KillInRecovery(const Settings& settings, Report& report, const Deadline& deadline,
                    std::uint64_t seed, int times) {
  auto victim = NewTracedVictim(settings, report, seed);
  std::uint64_t calls = 40 + victim->dice().Below(120);
  for (int i = 0; i < times && !deadline.over(); ++i) {
    const auto moment = static_cast<Moment>(victim->dice().Below(kMoments));
    if (!LiveTraced(*victim, report, calls, moment).possible) return;
    // Opening takes some fifty calls; two kills of three in it, the third leaves new work.
    calls = i % 3 == 2 ? 60 + victim->dice().Below(150) : 1 + victim->dice().Below(50);
  }
}

// --- At random ------------------------------------------------------------------------

void LiveAtRandom(Victim& victim, Report& report) {
  Dice& dice = victim.dice();
  const std::uint64_t wanted = dice.OneIn(5) ? dice.Below(3) : dice.Between(1, 6000);
  const auto more = std::chrono::microseconds(dice.Below(3000));
  const auto child = victim.Begin();
  if (!child) return;
  const std::string when = "at random after " + std::to_string(wanted) + " writes";
  child->Go();
  std::vector<Message> messages;
  bool alive = true;
  // However slow the machine is: so much was done before.
  while (alive && victim.healthy() && victim.acknowledged() < wanted) {
    messages.clear();
    alive = child->Receive(std::chrono::seconds(1), messages);
    if (!victim.Take(messages, when)) return;
  }
  std::this_thread::sleep_for(more);
  child->Kill();
  const int status = child->Reap();
  if (!victim.Take(child->ReceiveRest(), when)) return;
  if (!alive) {
    victim.Violate({Wrong::kOther, "the child " + DescribeEnd(status)}, when);
    return;
  }
  report.Count("kills");
  report.Count("kills_random");
  if (!victim.opened()) report.Count("kills_in_recovery");
  victim.Check(when);
}

void KillAtRandom(const Settings& settings, Report& report, const Deadline& deadline,
                  std::uint64_t seed, int times) {
  Victim victim(settings, report, seed);
  ChildSpec& spec = victim.spec();
  Dice& dice = victim.dice();
  spec.shape.writers = dice.Between(1, 3);
  spec.shape.keys = dice.Between(10, 300);
  spec.sync = dice.OneOf(Sync::kNone, Sync::kInterval, Sync::kAlways);
  spec.segment_bytes = kMinSegmentBytes << dice.Below(5);
  spec.sync_every = dice.OneIn(2) ? 50 : 0;
  spec.compact_always = true;
  for (int i = 0; i < times && victim.healthy() && !deadline.over(); ++i) {
    LiveAtRandom(victim, report);
  }
}

}  // namespace

void RunKills(const Settings& settings, Report& report) {
  const Deadline deadline(settings);
  std::set<std::uint64_t> covered;
  Dice dice(settings.seed);
  // A kill leaves the page cache alone, so a file system in memory shows as much as a disk, and
  // its syncs take no time. The random kills, and a quarter of the long form, are on the disk.
  Settings in_memory = settings;
  if (std::filesystem::is_directory("/dev/shm")) in_memory.directory = "/dev/shm";
  // The long form mixes the kinds in small portions, so that every slice of time has of each.
  const auto random = [&](int stores, int times) {
    for (int i = 0; i < stores && !deadline.over(); ++i) {
      KillAtRandom(settings, report, deadline, dice.Next(), times);
    }
  };
  do {
    const bool on_disk = !settings.quick() && dice.OneIn(4);
    const Settings& where = on_disk ? settings : in_memory;
    random(settings.quick() ? 3 : 2, settings.quick() ? 4 : 10);
    KillInRecovery(where, report, deadline, dice.Next(), 30);
    KillAtEveryCall(where, report, deadline, dice.Next(), covered);
  } while (!settings.quick() && !deadline.over());
}

}  // namespace freyja::torture::real
