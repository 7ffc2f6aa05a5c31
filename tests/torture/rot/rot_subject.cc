#include "torture/rot/rot_subject.h"

#include <algorithm>
#include <stdexcept>
#include <thread>
#include <utility>

#include "base/bytes.h"
#include "engine/record_scanner.h"
#include "format/ids.h"
#include "format/manifest.h"
#include "format/segment_header.h"
#include "freyja/compaction.h"
#include "support/crash_images.h"

namespace freyja::torture {

using io::MemoryFileSystem;
using support::Contents;

namespace {

void Must(const Status& status) {
  if (!status.ok()) throw std::runtime_error(status.ToString());
}
template <typename T>
T Must(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().ToString());
  return *std::move(result);
}

Files ReadFiles(MemoryFileSystem& disk) {
  Files files;
  for (const std::string& name : Must(disk.List(support::kStorePath))) {
    if (name == format::kReserveName || name == format::kLockName) continue;
    auto bytes = disk.Contents(std::filesystem::path(support::kStorePath) / name);
    if (bytes) files[name] = *std::move(bytes);  // else removed meanwhile
  }
  return files;
}

// Writes a store and remembers what it wrote.
class Builder {
 public:
  // Of one store in two the hints are what the next open reads; of the other an index image.
  Builder(std::uint64_t seed, int keys)
      : dice_(seed), keys_(keys), index_image_(seed / 2 % 2 == 1) {
    Must(disk_->CreateDirectory(support::kStorePath));
    Open();
  }

  void Open() {
    Options options;
    options.create_if_missing = true;
    options.scheduler.enabled = false;
    options.sync = Sync::kNone;
    options.segment_bytes = kMinSegmentBytes;
    options.reserve_bytes = 256 << 10;
    options.worker_threads = 1;
    options.index_image = index_image_;
    store_ = Must(support::OpenOn(disk_, options, dice_.Next()));
  }
  void Close() {
    Must(store_->Close());
    store_.reset();
  }
  void Put(int key) {
    const std::string name = "k" + std::to_string(key);
    const std::string value = support::MakeValue(name, ++number_, dice_.Between(16, 40));
    Must(store_->Put(name, value));
    contents_[name] = value;
    Wrote();
  }
  void Delete(int key) {
    const std::string name = "k" + std::to_string(key);
    if (!Must(store_->Delete(name))) return;
    contents_.erase(name);
    other_keys_.insert(name);
    Wrote();
  }
  void Batch(int first) {
    WriteBatch batch;
    for (int key = first; key < first + 3; ++key) {
      const std::string name = "k" + std::to_string(key);
      const std::string value = support::MakeValue(name, ++number_, 16);
      batch.Put(name, value);
      contents_[name] = value;
    }
    Must(store_->Write(batch));
    Wrote();
  }
  void Sync() { Must(store_->Sync()); }
  void Seal() {
    HotSwapConfig config;
    config.min_space_saving = 1.0;
    config.seal_active = true;
    Must(HotSwapCompactor(*store_, config).Compact());
  }
  void Remember() { earlier_.push_back(ReadFiles(*disk_)); }

  // Puts, overwrites and tombstones over several sealed segments.
  void FillSealed() {
    for (int key = 0; key < keys_; ++key) Put(key);
    Seal();
    Remember();
    for (int key = 0; key < keys_; key += 3) Delete(key);
    for (int key = 1; key < keys_; key += 3) Put(key);
    Batch(keys_);
    Seal();
    Remember();
    Delete(keys_ + 1);
    Put(0);
    Put(keys_ + 3);
    Seal();
  }

  void WaitUntilPrepared() {
    for (;;) {
      for (const SegmentInfo& segment : store_->GetSegments()) {
        if (segment.state == SegmentState::kPrepared) return;
      }
      std::this_thread::yield();
    }
  }

  Subject Finish(bool clean) {
    Subject subject;
    subject.clean = clean;
    subject.disk = disk_->CrashImage({.mode = io::CrashOptions::Mode::kProcessKill});
    for (const char* name : {"RESERVE", "LOCK"}) {
      Must(subject.disk->Unlink(std::filesystem::path(support::kStorePath) / name));
    }
    subject.files = ReadFiles(*subject.disk);
    subject.earlier = std::move(earlier_);
    subject.contents = std::move(contents_);
    subject.other_keys = std::move(other_keys_);
    subject.other_keys.insert({"never", "k", "k00"});
    for (const auto& [key, value] : subject.contents) subject.other_keys.erase(key);
    subject.states = std::move(states_);
    store_.reset();
    return subject;
  }

 private:
  void Wrote() { states_[store_->GetStats().last_sequence] = contents_; }

  support::Dice dice_;
  const int keys_;
  const bool index_image_;
  std::shared_ptr<MemoryFileSystem> disk_ = std::make_shared<MemoryFileSystem>();
  std::unique_ptr<KVStore> store_;
  std::uint64_t number_ = 0;
  Contents contents_;
  std::set<std::string> other_keys_;
  std::map<std::uint64_t, Contents> states_;
  std::vector<Files> earlier_;
};

// Where the records of the active segment lie.
void DescribeLog(Subject& subject) {
  const auto manifest =
      Must(format::DecodeManifest(subject.files.at(std::string(format::kManifestName))));
  subject.manifest_watermark = manifest.watermark;
  for (const format::LogSegment& segment : manifest.log) {
    const std::string name = format::DataFileName(segment.id);
    const auto file = Must(
        subject.disk->Open(std::filesystem::path(support::kStorePath) / name, io::OpenMode::kRead));
    const format::SegmentIdentity identity{
        .store = manifest.store, .id = segment.id, .nonce = segment.nonce};
    engine::RecordScanner scanner(*file, identity.ChecksumSeed(), format::kSegmentHeaderBytes,
                                  subject.files.at(name).size());
    engine::ScannedRecord scanned;
    while (Must(scanner.Next(scanned))) {
      subject.active = name;
      subject.log.push_back({.offset = scanned.offset,
                             .bytes = scanned.bytes,
                             .sequence = scanned.record.sequence,
                             .watermark = scanned.record.watermark.value_or(0)});
    }
  }
}

}  // namespace

std::size_t Subject::MeaningfulBytes(const std::string& file) const {
  const Bytes& bytes = files.at(file);
  const auto last = std::find_if(bytes.rbegin(), bytes.rend(),
                                 [](std::byte byte) { return byte != std::byte{0}; });
  return static_cast<std::size_t>(bytes.rend() - last);
}

std::optional<Contents> Subject::StateOfTear(const Bytes& damaged) const {
  const Bytes& whole = files.at(active);
  std::uint64_t proven = manifest_watermark;
  std::uint64_t first_lost = 0;
  for (const LogRecord& record : log) {
    const std::size_t end = record.offset + record.bytes;
    const auto begin = static_cast<std::ptrdiff_t>(record.offset);
    const bool intact =
        end <= damaged.size() &&
        std::equal(whole.begin() + begin, whole.begin() + static_cast<std::ptrdiff_t>(end),
                   damaged.begin() + begin);
    if (intact) {
      proven = std::max(proven, record.watermark);
    } else if (first_lost == 0) {
      first_lost = record.sequence;
    }
  }
  if (first_lost == 0) return std::nullopt;
  // A batch is lost as a whole.
  const auto before = states.lower_bound(first_lost);
  if (before == states.begin()) return std::nullopt;
  const auto& [last, contents_then] = *std::prev(before);
  if (last < proven) return std::nullopt;
  return contents_then;
}

Subject MakeSubject(std::uint64_t seed, int keys, bool clean) {
  Builder builder(seed, keys);
  builder.FillSealed();
  builder.Remember();
  builder.Put(1);
  builder.Delete(2);
  builder.WaitUntilPrepared();
  builder.Remember();
  builder.Close();
  builder.Remember();
  builder.Open();
  builder.Put(2);
  builder.Sync();
  builder.Put(3);  // says that what is before it is durable
  builder.Remember();
  if (clean) {
    builder.Batch(4);
    builder.Close();
  } else {
    builder.Delete(4);
    builder.Remember();
    builder.Batch(4);
    builder.Put(1);
    builder.Sync();  // nothing says so afterwards
    builder.WaitUntilPrepared();
  }
  Subject subject = builder.Finish(clean);
  subject.name = std::string(clean ? "closed" : "not closed") + ", seed " + std::to_string(seed) +
                 ", " + std::to_string(keys) + " keys";
  if (!clean) DescribeLog(subject);
  return subject;
}

}  // namespace freyja::torture
