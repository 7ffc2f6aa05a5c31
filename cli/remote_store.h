// A store that another process has open: the same questions, asked through its control socket.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "freyja/control.h"
#include "freyja/kv_store.h"
#include "store_session.h"

namespace freyja::cli {

// kBusy: another process has the store open, and no control socket for it. kNotFound: no process
// has, or there is no store.
Result<StoreControl> ConnectTo(const std::string& directory);

// The same question to either.
inline Result<Stats> StatsOf(KVStore& store) { return store.GetStats(); }
inline Result<Stats> StatsOf(StoreControl& control) { return control.GetStats(); }
inline Result<std::vector<SegmentInfo>> SegmentsOf(KVStore& store) { return store.GetSegments(); }
inline Result<std::vector<SegmentInfo>> SegmentsOf(StoreControl& control) {
  return control.GetSegments();
}

// As WithStore, but where another process has the store open `work` gets its control.
template <class Work>
  requires std::invocable<Work&, KVStore&> && std::invocable<Work&, StoreControl&>
int WithStoreOrControl(const std::string& directory, Access access, const StoreSettings& settings,
                       Work&& work) {
  auto store = OpenStore(directory, access, settings);
  if (store) return RunAndClose(**store, directory, work);
  if (store.error().code() != StatusCode::kBusy) return Fail(store.error(), directory);
  auto control = ConnectTo(directory);
  return control ? work(*control) : Fail(control.error(), directory);
}

}  // namespace freyja::cli
