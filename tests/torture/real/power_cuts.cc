// Power cuts: what a mounted ext4 had handed to its device at some instant, mounted anew.
//
// A stack of three: a child writes to a store on an ext4 (inner) on a loop device; the file
// behind that device lies on another ext4 (outer), on a loop device too, whose file lies in
// memory. To take an image the outer file system is frozen: the inner device then stands still
// at whatever request it had reached, in the midst of an fsync or of a journal commit, without
// the inner file system or the child being told, so that nothing is flushed for our sake. The
// file is copied, the outer thawed, the copy mounted (which replays ext4's journal) and its
// store opened.
//
// What an image holds: a loop device writes through the page cache of the file behind it, and
// reading that file sees this cache. So an image has every request that the device had completed,
// flushed or not, and none of the pages that only the inner file system's own cache held: a cut
// of the power of a machine whose disk has no volatile cache. Writes that a disk had accepted
// and not flushed are never lost here; the crash states in memory are for those.
//
// What must be on it: all that a sync covered whose acknowledgement had arrived before the
// freeze; at most what had been begun when it was complete.
#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/test_settings.h"
#include "torture/real/child.h"
#include "torture/real/mounts.h"
#include "torture/real/real.h"
#include "torture/real/verify.h"

namespace freyja::torture::real {

namespace {

using support::Dice;

constexpr std::uint64_t kInnerBytes = std::uint64_t{48} << 20;
constexpr std::uint64_t kOuterBytes = std::uint64_t{80} << 20;
constexpr std::uint64_t kMemoryBytes = std::uint64_t{400} << 20;

struct Stack {
  Mount memory;
  Mount outer;
  Mount inner;
};

Result<Stack> Build(const std::filesystem::path& scratch, const std::string& options) {
  auto memory = Mount::InMemory(scratch / "memory", kMemoryBytes);
  if (!memory) return std::unexpected(memory.error());
  const auto outer_image = memory->path() / "outer.img";
  Status status = MakeExt4(outer_image, kOuterBytes, {"-m", "0"});
  if (!status.ok()) return std::unexpected(status);
  auto outer = Mount::Ext4(outer_image, scratch / "outer", "");
  if (!outer) return std::unexpected(outer.error());
  const auto inner_image = outer->path() / "disk.img";
  status = MakeExt4(inner_image, kInnerBytes);
  if (!status.ok()) return std::unexpected(status);
  auto inner = Mount::Ext4(inner_image, scratch / "inner", options);
  if (!inner) return std::unexpected(inner.error());
  return Stack{*std::move(memory), *std::move(outer), *std::move(inner)};
}

class Cutter {
 public:
  Cutter(const Settings& settings, Report& report, std::uint64_t seed, std::string options)
      : report_(report),
        seed_(seed),
        dice_(seed),
        options_(std::move(options)),
        scratch_(settings.directory) {}

  void Run(int cuts) {
    auto stack = Build(scratch_.path(), options_);
    if (!stack) {
      report_.Skipped("power cuts on ext4 (" + options_ + "): " + stack.error().message());
      return;
    }
    spec_.directory = stack->inner.path() / "store";
    spec_.shape = {.seed = seed_,
                   .writers = dice_.Between(1, 2),
                   .keys = dice_.Between(20, 200),
                   .value_bytes = 600};
    spec_.sync = dice_.OneOf(Sync::kNone, Sync::kInterval, Sync::kAlways);
    spec_.segment_bytes = kMinSegmentBytes << dice_.Between(1, 3);
    spec_.compact_always = dice_.OneIn(2);
    spec_.compact_every = spec_.compact_always ? 0 : 60;
    spec_.sync_every = 25;
    Ledger ledger(spec_.shape, {}, spec_.first_number);
    auto child = Child::Start(spec_);
    if (!child) {
      Violate({Wrong::kOther, child.error().ToString()});
      return;
    }
    child->Go();
    for (cut_ = 1; cut_ <= cuts; ++cut_) {
      if (!Cut(*stack, *child, ledger)) break;
    }
    child->Kill();  // before its file system goes
    child->Reap();
  }

 private:
  // Lets the child write on, takes an image and judges it. `false`: no use to go on.
  bool Cut(const Stack& stack, Child& child, Ledger& ledger) {
    const std::size_t wanted = ledger.total_acknowledged() + dice_.Below(dice_.OneIn(3) ? 8 : 250);
    do {
      if (!Take(child, ledger, std::chrono::seconds(1))) return false;
    } while (ledger.total_acknowledged() < wanted);
    std::this_thread::sleep_for(std::chrono::microseconds(dice_.Below(3000)));

    if (!Take(child, ledger, std::chrono::seconds(0))) return false;
    const Ledger::Floor floor = ledger.durable();
    const auto image = stack.memory.path() / "cut.img";
    {
      const auto frozen = Frozen::Freeze(stack.outer.path());
      if (!frozen) {
        report_.Skipped("power cuts on ext4: " + frozen.error().message());
        return false;
      }
      if (!Take(child, ledger, std::chrono::seconds(0))) return false;
      const Status copied = CopySparse(stack.outer.path() / "disk.img", image);
      if (!copied.ok()) {
        Violate({Wrong::kOther, "copying the image: " + copied.message()});
        return false;
      }
    }
    return Judge(image, ledger, floor);
  }

  bool Take(Child& child, Ledger& ledger, std::chrono::milliseconds wait) {
    std::vector<Message> messages;
    const bool alive = child.Receive(wait, messages);
    for (const Message& message : messages) {
      if (message.kind == Message::Kind::kCompacted) report_.Count("power_cut_swaps");
    }
    const auto failure = Enter(messages, ledger);
    if (failure) Violate({Wrong::kOther, *failure});
    if (!failure && !alive) Violate({Wrong::kOther, "the child " + DescribeEnd(child.Reap())});
    return alive && !failure;
  }

  bool Judge(const std::filesystem::path& image, const Ledger& ledger, const Ledger::Floor& floor) {
    const auto mount = Mount::Ext4(image, scratch_.path() / "cut", options_);
    if (!mount) {
      Violate({Wrong::kOther, "the image can't be mounted: " + mount.error().message()});
      return false;
    }
    report_.Count("power_cuts");
    for (const std::size_t writes : floor) report_.Count("power_cut_durable_writes", writes);
    const Verified verified =
        OpenAndJudge(mount->path() / "store", spec_.StoreOptions(), ledger, floor);
    if (verified.finding) Violate(*verified.finding);
    // Shows that there was something to lose.
    Ledger::Floor all = ledger.acknowledged();
    if (!verified.finding && ledger.Judge(verified.contents, all)) {
      report_.Count("power_cuts_that_lost_unsynced_writes");
    }
    return !verified.finding;
  }

  void Violate(const Finding& finding) {
    report_.Violation(finding.wrong, "power cut " + std::to_string(cut_) + " (" + options_ +
                                         "), seed " + std::to_string(seed_) + ": " + finding.what);
  }

  Report& report_;
  const std::uint64_t seed_;
  Dice dice_;
  const std::string options_;
  const ScratchDirectory scratch_;
  ChildSpec spec_;
  int cut_ = 0;
};

}  // namespace

void RunPowerCuts(const Settings& settings, Report& report) {
  report.NotModelled(
      "power cuts on real ext4: writes that the disk had accepted but not flushed are kept "
      "(no device-mapper log of writes)");
  const Deadline deadline(settings);
  Dice dice(settings.seed);
  const Status status = RunWithPrivateMounts([&] {
    do {
      for (const char* options :
           {"data=ordered,commit=1", "data=writeback,commit=1", "data=ordered", "data=journal"}) {
        if (deadline.over()) break;
        Cutter(settings, report, dice.Next(), options).Run(settings.quick() ? 6 : 25);
      }
    } while (!settings.quick() && !deadline.over());
  });
  if (!status.ok()) report.Skipped("power cuts on ext4: " + status.message());
}

}  // namespace freyja::torture::real
