// The index alone: no records behind it, so confirming a key costs nothing. Tables of a
// million keys and more do not fit the caches; the difference to small ones is memory.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <memory>

#include "engine/epoch.h"
#include "engine/index.h"
#include "engine/location.h"

namespace freyja::engine {
namespace {

// Bijective, so that different keys have different hashes.
std::uint64_t HashOf(std::uint64_t key) {
  key ^= key >> 32;
  key *= 0x9FB21C651E98DF25;
  key ^= key >> 29;
  key *= 0xD6E8FEB86659FD93;
  return key ^ (key >> 32);
}

constexpr std::uint64_t kStride = 0x9E3779B97F4A7C15;  // visits keys in no helpful order
constexpr auto kConfirm = [](Location) { return true; };
constexpr auto kIgnore = [](Location) {};

Location LocationOf(std::uint64_t key) { return Location(1, 64 + 136 * (key % 1'000'000), 136); }

struct FilledIndex {
  explicit FilledIndex(std::uint64_t keys) {
    auto created = Index::Create(epochs);
    if (!created) return;
    index = *std::move(created);
    for (std::uint64_t key = 0; key < keys; ++key) {
      if (!index->Upsert(HashOf(key), kConfirm, LocationOf(key), kIgnore)) index.reset();
      if (!index) return;
    }
  }

  mutable EpochManager epochs;
  std::unique_ptr<Index> index;  // null if it could not be filled
};

void IndexFind(benchmark::State& state) {
  const auto keys = static_cast<std::uint64_t>(state.range(0));
  const FilledIndex filled(keys);
  if (!filled.index) return state.SkipWithError("index could not be filled");
  std::uint64_t at = 0;
  for (auto _ : state) {
    at += kStride;
    const EpochGuard guard(filled.epochs);
    const Location found = filled.index->Find(HashOf((at >> 20) % keys), kConfirm);
    if (found.is_none()) state.SkipWithError("a key is missing");
  }
  state.counters["bytes/key"] =
      static_cast<double>(filled.index->memory_bytes()) / static_cast<double>(keys);
}
BENCHMARK(IndexFind)->Arg(1'000)->Arg(1'000'000)->Arg(3'000'000);

void IndexMiss(benchmark::State& state) {
  const auto keys = static_cast<std::uint64_t>(state.range(0));
  const FilledIndex filled(keys);
  if (!filled.index) return state.SkipWithError("index could not be filled");
  std::uint64_t at = 0;
  for (auto _ : state) {
    at += kStride;
    const EpochGuard guard(filled.epochs);
    const Location found = filled.index->Find(HashOf(keys + (at >> 20)), kConfirm);
    if (!found.is_none()) state.SkipWithError("an absent key was found");
  }
}
BENCHMARK(IndexMiss)->Arg(1'000)->Arg(1'000'000)->Arg(3'000'000);

void IndexOverwrite(benchmark::State& state) {
  const auto keys = static_cast<std::uint64_t>(state.range(0));
  const FilledIndex filled(keys);
  if (!filled.index) return state.SkipWithError("index could not be filled");
  std::uint64_t at = 0;
  for (auto _ : state) {
    at += kStride;
    const std::uint64_t key = (at >> 20) % keys;
    const auto old = filled.index->Upsert(HashOf(key), kConfirm, LocationOf(key), kIgnore);
    if (!old || old->is_none()) state.SkipWithError("a key is missing");
  }
}
BENCHMARK(IndexOverwrite)->Arg(1'000)->Arg(1'000'000)->Arg(3'000'000);

// One iteration fills an index from empty; items are keys.
void IndexFill(benchmark::State& state) {
  const auto keys = static_cast<std::uint64_t>(state.range(0));
  for (auto _ : state) {
    const FilledIndex filled(keys);
    if (!filled.index) state.SkipWithError("index could not be filled");
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(IndexFill)->Arg(1'000'000)->Unit(benchmark::kMillisecond);

void EpochEnterLeave(benchmark::State& state) {
  EpochManager epochs;
  for (auto _ : state) {
    const EpochGuard guard(epochs);
    benchmark::ClobberMemory();
  }
}
BENCHMARK(EpochEnterLeave);

}  // namespace
}  // namespace freyja::engine
