#include "torture/real/full_store.h"

#include <chrono>
#include <set>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "support/store_contents.h"

namespace freyja::torture::real {

namespace {

// What the store does in the background it does at once or after a pause that doubles; how long
// a slow machine may take for it is anybody's guess.
constexpr std::chrono::seconds kPatience{30};

template <typename Condition>
bool WaitFor(Condition condition, std::chrono::milliseconds patience = kPatience) {
  const auto end = std::chrono::steady_clock::now() + patience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

}  // namespace

FullStore::FullStore(std::filesystem::path directory, const Options& options,
                     std::uint64_t value_bytes, std::uint64_t seed, std::string label,
                     Report& report)
    : directory_(std::move(directory)),
      options_(options),
      value_bytes_(value_bytes),
      label_(std::move(label)),
      report_(report),
      dice_(seed) {}

bool FullStore::Violate(Wrong wrong, const std::string& what) {
  report_.Violation(wrong, label_ + ": " + what);
  return false;
}

bool FullStore::Open(bool may_not_fit) {
  auto store = KVStore::Open(directory_, options_);
  if (!store) {
    if (may_not_fit && store.error().code() == StatusCode::kNoSpace) return true;
    return Violate(Wrong::kOther, "open: " + store.error().ToString());
  }
  store_ = *std::move(store);
  return CheckReads("after opening");
}

Status FullStore::Put() {
  const std::uint64_t number = ++number_;
  const std::string key = "key" + std::to_string(dice_.OneIn(3) ? dice_.Below(number) : number);
  std::string value = support::MakeValue(key, number, dice_.Between(20, value_bytes_));
  Status status = store_->Put(key, value);
  if (status.ok()) model_.insert_or_assign(key, std::move(value));
  return status;
}

bool FullStore::Fill(std::uint64_t most) {
  full_ = false;
  for (std::uint64_t i = 0; i < most && !full_; ++i) {
    const Status status = Put();
    if (status.ok()) continue;
    if (status.code() != StatusCode::kNoSpace) {
      return Violate(Wrong::kOther, "filling up: " + status.ToString());
    }
    full_ = true;
    report_.Count("full_disk_refused_puts");
  }
  for (int i = 0; full_ && i < 20; ++i) {
    const Status status = Put();
    if (!status.ok() && status.code() != StatusCode::kNoSpace) {
      return Violate(Wrong::kOther, "a put on the full disk: " + status.ToString());
    }
  }
  return CheckReads("on the full disk");
}

bool FullStore::DeleteMost(std::uint64_t keep_one_in, bool must_work) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : model_) {
    if (!dice_.OneIn(keep_one_in)) keys.push_back(key);
  }
  std::size_t done = 0;
  bool compacted = false;
  while (done < keys.size()) {
    const auto deleted = store_->Delete(keys[done]);
    if (deleted && !*deleted) {
      return Violate(Wrong::kMissed, "deleting " + keys[done] + " did not find it");
    }
    if (deleted) {
      report_.Count("full_disk_deletes");
      model_.erase(keys[done++]);
      compacted = false;
      continue;
    }
    const std::string what = "after " + std::to_string(done) + " of " +
                             std::to_string(keys.size()) +
                             " deletes on the full disk: " + deleted.error().ToString();
    if (deleted.error().code() != StatusCode::kNoSpace) return Violate(Wrong::kOther, what);
    report_.Count("full_disk_refused_deletes");
    if (compacted && must_work) {
      return Violate(Wrong::kOther, what + "; the last compaction: " + last_compaction_);
    }
    if (compacted) break;
    if (!Compact()) return false;
    compacted = true;
  }
  return CheckReads("after deletes");
}

bool FullStore::Compact() {
  HotSwapCompactor compactor(*store_, {.min_space_saving = 0.05, .seal_active = true});
  for (int i = 0; i < 10; ++i) {
    const auto result = compactor.Compact();
    if (!result) {
      if (result.error().code() != StatusCode::kNoSpace) {
        return Violate(Wrong::kOther, "compaction: " + result.error().ToString());
      }
      report_.Count("full_disk_compactions_aborted");
      last_compaction_ = result.error().ToString();
      break;
    }
    last_compaction_ = result->reason;
    if (!result->ran) break;
    report_.Count("full_disk_compactions");
  }
  return CheckFiles("after compaction") && CheckReads("after compaction");
}

// A segment being prepared is not listed for a moment, and a retired one is removed soon.
bool FullStore::CheckFiles(const std::string& when) {
  std::string unlisted;
  if (WaitFor([&] {
        unlisted = UnlistedFile();
        return unlisted.empty();
      })) {
    return true;
  }
  return Violate(Wrong::kOther, when + " there is a file that no segment owns: " + unlisted);
}

std::string FullStore::UnlistedFile() const {
  std::set<std::string> names;
  std::error_code error;
  std::filesystem::directory_iterator it(directory_, error);
  for (; it != std::filesystem::directory_iterator() && !error; it.increment(error)) {
    const auto extension = it->path().extension();
    if (extension == ".data" || extension == ".hint" || extension == ".tmp" ||
        it->path().filename() == "INDEX") {
      names.insert(it->path().filename());
    }
  }
  for (const SegmentInfo& segment : store_->GetSegments()) {
    names.erase(segment.file);
    names.erase(std::filesystem::path(segment.file).replace_extension(".hint"));
  }
  return names.empty() ? std::string() : *names.begin();
}

bool FullStore::PutsWork(std::chrono::milliseconds patience) {
  return WaitFor([&] { return Put().ok(); }, patience);
}

bool FullStore::Resume(const std::string& freed) {
  if (PutsWork(kPatience)) {
    report_.Count("full_disk_resumes");
    return CheckReads("after " + freed);
  }
  const Status status = Put();
  const Stats stats = store_->GetStats();
  return Violate(Wrong::kOther, "after " + freed + " puts still fail: " + status.ToString() +
                                    "; live " + std::to_string(stats.live_bytes) + ", dead " +
                                    std::to_string(stats.dead_bytes) + ", disk " +
                                    std::to_string(stats.disk_bytes) + ", preallocated " +
                                    std::to_string(stats.preallocated_bytes) + ", free " +
                                    std::to_string(std::filesystem::space(directory_).available) +
                                    "; the last compaction: " + last_compaction_);
}

bool FullStore::Reopen() {
  const Status closed = store_->Close();
  if (!closed.ok()) return Violate(Wrong::kOther, "close: " + closed.ToString());
  store_.reset();
  return Open();
}

bool FullStore::CheckReads(const std::string& when) {
  const Stats stats = store_->GetStats();
  if (stats.read_only) {
    return Violate(Wrong::kOther,
                   when + " the store is read-only: " + stats.background_error.ToString());
  }
  std::string wrong = support::CompareReads(*store_, model_);
  if (wrong.empty()) return true;
  return Violate(Wrong::kAcknowledgedLost, when + ": " + wrong);
}

}  // namespace freyja::torture::real
