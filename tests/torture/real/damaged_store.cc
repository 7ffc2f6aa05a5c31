#include "torture/real/damaged_store.h"

#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace freyja::torture::real {

namespace {

constexpr std::uint64_t kKeys = 240;

bool IsDamageReport(const Status& status) {
  return (status.code() == StatusCode::kIoError || status.code() == StatusCode::kCorruption) &&
         !status.message().empty();
}

}  // namespace

DamagedStore::DamagedStore(std::filesystem::path directory, std::uint64_t seed, std::string label,
                           Report& report)
    : directory_(std::move(directory)),
      label_(label + ", seed " + std::to_string(seed)),
      report_(report),
      dice_(seed) {}

bool DamagedStore::Violate(Wrong wrong, const std::string& what) {
  report_.Violation(wrong, label_ + ": " + what);
  return false;
}

bool DamagedStore::Reopen() {
  Options options;
  options.create_if_missing = true;
  options.scheduler.enabled = false;
  options.sync = Sync::kNone;
  options.segment_bytes = 64 << 10;
  auto store = KVStore::Open(directory_, options);
  if (!store) return Violate(Wrong::kOther, "open: " + store.error().ToString());
  store_ = *std::move(store);
  return true;
}

void DamagedStore::Close() {
  (void)store_->Close();  // whether it says so or not, damage is no reason to die
  store_.reset();
}

Status DamagedStore::Put() {
  const std::uint64_t number = ++number_;
  const std::string key = "key" + std::to_string(number % kKeys);
  std::string value = support::MakeValue(key, number, dice_.Between(200, 2500));
  Status status = store_->Put(key, value);
  if (status.ok()) model_.insert_or_assign(key, std::move(value));
  return status;
}

bool DamagedStore::Build() {
  if (!Reopen()) return false;
  Status status;
  // A third of the keys is overwritten, so that there is something to compact.
  for (std::uint64_t i = 0; i < kKeys + kKeys / 3 && status.ok(); ++i) status = Put();
  if (status.ok()) status = store_->Sync();
  if (!status.ok()) return Violate(Wrong::kOther, "building: " + status.ToString());
  while (!Find(SegmentState::kSealed)) std::this_thread::yield();
  return true;
}

std::optional<SegmentInfo> DamagedStore::Find(SegmentState state) const {
  std::optional<SegmentInfo> best;
  for (const SegmentInfo& segment : store_->GetSegments()) {
    if (segment.state != state) continue;
    if (!best || segment.live_records > best->live_records) best = segment;
  }
  return best;
}

std::filesystem::path DamagedStore::PathOf(const SegmentInfo& segment) const {
  return directory_ / segment.file;
}

bool DamagedStore::CheckOne(const std::string& key,
                            const Result<std::optional<std::string>>& answer,
                            std::uint64_t& failed) {
  const std::string& wanted = model_.at(key);
  if (!answer) {
    ++failed;
    if (IsDamageReport(answer.error())) return true;
    return Violate(Wrong::kOther, key + ": " + answer.error().ToString());
  }
  if (!answer->has_value()) return Violate(Wrong::kMissed, key + " is said not to be there");
  if (**answer == wanted) return true;
  return Violate(support::IsValueOf(key, **answer) ? Wrong::kStale : Wrong::kSilentlyWrong,
                 key + " has a wrong value");
}

bool DamagedStore::CheckReads(std::uint64_t may_fail, bool must_fail) {
  std::vector<std::string_view> keys;
  for (const auto& [key, value] : model_) keys.push_back(key);
  const auto many = store_->MultiGet(keys);
  std::uint64_t failed_of_many = 0;
  std::uint64_t failed = 0;
  std::size_t at = 0;
  for (const auto& [key, value] : model_) {
    if (!CheckOne(key, many.at(at++), failed_of_many)) return false;
    if (!CheckOne(key, store_->Get(key), failed)) return false;
    const auto pinned = store_->GetPinned(key);
    if (pinned && (!pinned->has_value() || (*pinned)->value() != value)) {
      return Violate(Wrong::kSilentlyWrong, key + " has a wrong value when pinned");
    }
  }
  report_.Count("media_error_failed_reads", failed);
  if (failed > may_fail || failed_of_many > may_fail) {
    return Violate(Wrong::kOther, std::to_string(failed) + " keys can't be read, but only " +
                                      std::to_string(may_fail) + " lie in what is damaged");
  }
  if (must_fail && failed == 0) {
    return Violate(Wrong::kSilentlyWrong, "no key noticed that its segment is damaged");
  }
  return CheckIterator(failed != 0);
}

bool DamagedStore::CheckIterator(bool any_failed) {
  auto it = store_->NewIterator();
  if (!it) return Violate(Wrong::kOther, "iterator: " + it.error().ToString());
  std::size_t seen = 0;
  for (it->Next(); it->Valid(); it->Next()) {
    ++seen;
    const auto entry = model_.find(std::string(it->key()));
    if (entry == model_.end() || entry->second != it->value()) {
      return Violate(Wrong::kSilentlyWrong, "the iterator shows a wrong record");
    }
  }
  const Status& status = it->status();
  if (status.ok() && (any_failed || seen != model_.size())) {
    return Violate(Wrong::kSilentlyWrong, "the iterator left something out and does not say so");
  }
  if (!status.ok() && !IsDamageReport(status)) {
    return Violate(Wrong::kOther, "iterator: " + status.ToString());
  }
  return true;
}

bool DamagedStore::CheckCompaction(const SegmentInfo& damaged, std::uint64_t may_fail) {
  HotSwapCompactor compactor(*store_, {.min_space_saving = 0.0, .seal_active = true});
  for (int i = 0; i < 3; ++i) {
    const auto result = compactor.Compact();
    if (!result && !IsDamageReport(result.error())) {
      return Violate(Wrong::kOther, "compaction: " + result.error().ToString());
    }
    report_.Count(result ? "media_error_jobs_around_it" : "media_error_jobs_failed");
  }
  bool kept = false;
  for (const SegmentInfo& segment : store_->GetSegments()) {
    kept = kept || (segment.id == damaged.id && segment.state == SegmentState::kSealed);
  }
  if (!kept || !std::filesystem::exists(PathOf(damaged))) {
    return Violate(Wrong::kAcknowledgedLost, "compaction gave up the damaged segment");
  }
  return CheckReads(may_fail, /*must_fail=*/true);
}

}  // namespace freyja::torture::real
