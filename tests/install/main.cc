// Uses each part of the installed interface once: user <new directory>. Exits 0 only if
// everything answered as documented.
#include <freyja/freyja.h>

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

namespace {

bool Fail(const char* step, const freyja::Status& status) {
  std::fprintf(stderr, "%s: %s\n", step, status.ToString().c_str());
  return false;
}

bool WriteThings(freyja::KVStore& store) {
  if (auto status = store.Put("a", "old"); !status.ok()) return Fail("put", status);
  if (auto status = store.Put("a", "new"); !status.ok()) return Fail("overwrite", status);
  freyja::WriteBatch batch;
  batch.Put("b", "two");
  batch.Put("c", "three");
  batch.Delete("b");
  if (auto status = store.Write(batch); !status.ok()) return Fail("batch", status);
  auto removed = store.Delete("never stored");
  if (!removed || *removed) return Fail("delete", removed ? freyja::Status{} : removed.error());
  if (auto status = store.Sync(); !status.ok()) return Fail("sync", status);
  return true;
}

bool Compact(freyja::KVStore& store) {
  freyja::HotSwapCompactor compactor(store, {.min_space_saving = 0.01, .seal_active = true});
  auto job = compactor.CompactInBackground();
  if (!job) return Fail("start of compaction", job.error());
  auto report = job->Wait();
  if (!report) return Fail("compaction", report.error());
  if (report->ran && report->counters.records_dropped > 0) return true;
  return Fail("compaction dropped nothing", {freyja::StatusCode::kAborted, report->reason});
}

bool ReadThings(const freyja::KVStore& store) {
  auto value = store.Get("a");
  if (!value) return Fail("get", value.error());
  if (*value != "new") return Fail("get: another value than was put", {});
  std::string buffer;
  auto missing = store.Get("b", buffer);
  if (!missing) return Fail("get of a deleted key", missing.error());
  if (*missing) return Fail("get: a deleted key is there", {});

  auto iterator = store.NewIterator();
  if (!iterator) return Fail("iterator", iterator.error());
  std::vector<std::string> keys;
  for (iterator->Next(); iterator->Valid(); iterator->Next()) {
    keys.emplace_back(iterator->key());
  }
  if (!iterator->status().ok()) return Fail("iteration", iterator->status());
  if (keys.size() != 2) return Fail("iteration: not exactly the two keys", {});
  return true;
}

bool Session(const char* directory, bool create) {
  auto store = freyja::KVStore::Open(directory, {.create_if_missing = create,
                                                 .error_if_exists = create,
                                                 .segment_bytes = freyja::kMinSegmentBytes});
  if (!store) return Fail("open", store.error());
  if (create && !(WriteThings(**store) && Compact(**store))) return false;
  if (!ReadThings(**store)) return false;
  if (auto status = (*store)->Close(); !status.ok()) return Fail("close", status);
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s <new directory>\n", argv[0]);
    return 2;
  }
  for (const bool create : {true, false}) {
    if (!Session(argv[1], create)) return 1;
  }
  return 0;
}
