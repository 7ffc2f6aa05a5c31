// freyja-micro: what the building blocks of a put and a get cost by themselves, in cache.
#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "format/ids.h"
#include "format/record.h"

namespace freyja {
namespace {

constexpr std::uint32_t kSeed = 0x1234;

format::Record SmallRecord(const std::string& key, const std::string& value) {
  return {.sequence = 1, .key = key, .value = value};
}

void Crc32c(benchmark::State& state) {
  const std::string data(static_cast<std::size_t>(state.range(0)), 'x');
  std::uint32_t crc = 0;
  for (auto _ : state) crc = base::Crc32c(crc, base::AsBytes(data));
  benchmark::DoNotOptimize(crc);
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(Crc32c)->Arg(16)->Arg(132)->Arg(1024)->Arg(4096)->Arg(1 << 20);

void HashKey(benchmark::State& state) {
  std::string key(static_cast<std::size_t>(state.range(0)), 'k');
  for (auto _ : state) {
    benchmark::DoNotOptimize(key.data());
    benchmark::DoNotOptimize(format::HashKey(key, kSeed));
  }
}
BENCHMARK(HashKey)->Arg(16)->Arg(64)->Arg(1024);

void EncodeRecord(benchmark::State& state) {
  const std::string key(16, 'k');
  const std::string value(static_cast<std::size_t>(state.range(0)), 'v');
  const format::Record record = SmallRecord(key, value);
  std::vector<std::byte> out(format::EncodedRecordBytes(record));
  for (auto _ : state) {
    benchmark::DoNotOptimize(format::EncodeRecord(record, kSeed, out));
    benchmark::ClobberMemory();
  }
}
BENCHMARK(EncodeRecord)->Arg(100)->Arg(1000)->Arg(10000);

void DecodeRecord(benchmark::State& state) {
  const std::string key(16, 'k');
  const std::string value(static_cast<std::size_t>(state.range(0)), 'v');
  const format::Record record = SmallRecord(key, value);
  std::vector<std::byte> bytes(format::EncodedRecordBytes(record));
  format::EncodeRecord(record, kSeed, bytes);
  for (auto _ : state) {
    const auto decoded = format::DecodeRecord(bytes, kSeed);
    if (!decoded) state.SkipWithError("record does not decode");
    benchmark::DoNotOptimize(decoded);
  }
}
BENCHMARK(DecodeRecord)->Arg(100)->Arg(1000)->Arg(10000);

void PeekKey(benchmark::State& state) {
  const std::string key(16, 'k');
  const std::string value(100, 'v');
  const format::Record record = SmallRecord(key, value);
  std::vector<std::byte> bytes(format::EncodedRecordBytes(record));
  format::EncodeRecord(record, kSeed, bytes);
  for (auto _ : state) {
    benchmark::DoNotOptimize(bytes.data());
    benchmark::DoNotOptimize(format::PeekKey(bytes) == key);
  }
}
BENCHMARK(PeekKey);

}  // namespace
}  // namespace freyja
