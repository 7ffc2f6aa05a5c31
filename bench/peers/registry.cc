// Which adapters this binary has. CMake defines FREYJA_BENCH_HAS_* for the packages it found.
#include "../limit.h"
#include "../peer.h"

namespace freyja::bench {

std::vector<PeerKind> BuiltPeers() {
  std::vector<PeerKind> kinds = {FreyjaKind()};
#ifdef FREYJA_BENCH_HAS_LMDB
  kinds.push_back(LmdbKind());
#endif
#ifdef FREYJA_BENCH_HAS_ROCKSDB
  kinds.push_back(RocksDbKind());
#endif
#ifdef FREYJA_BENCH_HAS_LEVELDB
  kinds.push_back(LevelDbKind());
#endif
#ifdef FREYJA_BENCH_HAS_TKRZW
  kinds.push_back(TkrzwAppendingKind());
  kinds.push_back(TkrzwInPlaceKind());
#endif
#ifdef FREYJA_BENCH_HAS_KYOTOCABINET
  kinds.push_back(KyotoCabinetKind());
#endif
#ifdef FREYJA_BENCH_HAS_WIREDTIGER
  kinds.push_back(WiredTigerKind());
#endif
  kinds.push_back(LimitKind());
  kinds.push_back(GrowingLimitKind());
  return kinds;
}

std::vector<std::string> AbsentPeers() {
  std::vector<std::string> lines;
#ifndef FREYJA_BENCH_HAS_LMDB
  lines.emplace_back("LMDB left out: built without liblmdb-dev");
#endif
#ifndef FREYJA_BENCH_HAS_ROCKSDB
  lines.emplace_back("RocksDB left out: built without librocksdb-dev");
#endif
#ifndef FREYJA_BENCH_HAS_LEVELDB
  lines.emplace_back("LevelDB left out: built without libleveldb-dev");
#endif
#ifndef FREYJA_BENCH_HAS_TKRZW
  lines.emplace_back("Tkrzw left out: built without libtkrzw-dev");
#endif
#ifndef FREYJA_BENCH_HAS_KYOTOCABINET
  lines.emplace_back("Kyoto Cabinet left out: built without libkyotocabinet-dev");
#endif
#ifndef FREYJA_BENCH_HAS_WIREDTIGER
  lines.emplace_back("WiredTiger left out: built without libwiredtiger-dev");
#endif
  return lines;
}

}  // namespace freyja::bench
