#include "torture/real/child_work.h"

#include <unistd.h>

#include <memory>
#include <thread>
#include <vector>

#include "freyja/freyja.h"

namespace freyja::torture::real {

namespace {

using Kind = Message::Kind;

[[noreturn]] void Fail(const std::string& what, const Status& status) {
  Send({.kind = Kind::kFailed, .text = what + ": " + status.ToString()});
  ::_exit(1);
}

Status Apply(KVStore& store, const support::Write& write, const WriteOptions& options) {
  if (write.size() == 1) {
    const support::Change& change = write.front();
    if (change.value) return store.Put(change.key, *change.value, options);
    const auto deleted = store.Delete(change.key, options);
    return deleted ? Status::Ok() : deleted.error();
  }
  WriteBatch batch;
  for (const support::Change& change : write) {
    if (change.value) {
      batch.Put(change.key, *change.value);
    } else {
      batch.Delete(change.key);
    }
  }
  return store.Write(batch, options);
}

void CompactOnce(HotSwapCompactor& compactor) {
  const auto report = compactor.Compact();
  if (!report) Fail("compaction", report.error());
  if (report->ran) Send({.kind = Kind::kCompacted});
}

void RunWriter(const ChildSpec& spec, std::uint32_t writer, KVStore& store,
               HotSwapCompactor& compactor) {
  for (std::uint64_t i = 0; spec.writes == 0 || i < spec.writes; ++i) {
    const std::uint64_t number = spec.first_number + i;
    WriteOptions options;
    if (AsksForSync(spec.shape, writer, number)) options.sync = Sync::kAlways;
    const bool durable = options.sync == Sync::kAlways || spec.sync == Sync::kAlways;
    const Status status = Apply(store, WriteOf(spec.shape, writer, number), options);
    if (!status.ok()) Fail("write " + std::to_string(number), status);
    Send({.kind = durable ? Kind::kReturnedDurable : Kind::kReturned,
          .writer = writer,
          .number = number});
    if (spec.sync_every != 0 && (i + 1) % spec.sync_every == 0) {
      const Status synced = store.Sync();
      if (!synced.ok()) Fail("sync", synced);
      Send({.kind = Kind::kSynced, .writer = writer});
    }
    if (spec.compact_every != 0 && (i + 1) % spec.compact_every == 0) CompactOnce(compactor);
  }
}

void RunWorkload(const ChildSpec& spec) {
  auto store = KVStore::Open(spec.directory, spec.StoreOptions());
  if (!store) Fail("open", store.error());
  if ((*store)->GetStats().read_only) Fail("open", (*store)->GetStats().background_error);
  Send({.kind = Kind::kOpened});
  HotSwapCompactor compactor(**store, {.min_space_saving = 0.05, .seal_active = true});
  std::jthread compactions;
  if (spec.compact_always) {
    compactions = std::jthread([&](const std::stop_token& stop) {
      while (!stop.stop_requested()) CompactOnce(compactor);
    });
  }
  {
    std::vector<std::jthread> writers;
    for (std::uint32_t writer = 1; writer < spec.shape.writers; ++writer) {
      writers.emplace_back([&, writer] { RunWriter(spec, writer, **store, compactor); });
    }
    RunWriter(spec, 0, **store, compactor);
  }
  compactions.request_stop();
  if (compactions.joinable()) compactions.join();
  const Status closed = (*store)->Close();
  if (!closed.ok()) Fail("close", closed);
  Send({.kind = Kind::kClosed});
}

}  // namespace

void RunChild(const ChildSpec& spec) {
  switch (spec.task) {
    case Task::kWorkload:
      RunWorkload(spec);
      break;
    case Task::kFileSizeLimit:
      RunUnderFileSizeLimit(spec);
      break;
  }
}

}  // namespace freyja::torture::real
