// Opening and closing the store a command works on, with errors said the one way.
#pragma once

#include <concepts>
#include <cstdint>
#include <memory>
#include <string>

#include "exit_code.h"
#include "freyja/kv_store.h"

namespace freyja::cli {

enum class Access {
  kRead,    // changes nothing in the directory
  kWrite,   // the store must be there
  kCreate,  // made if the directory does not exist or is empty
};

// What a command may set of Options.
struct StoreSettings {
  std::uint64_t segment_bytes = 0;  // 0: the default
  bool control_socket = false;
  QuarantineOptions quarantine = {};
};

Result<std::unique_ptr<KVStore>> OpenStore(const std::string& directory, Access access,
                                           const StoreSettings& settings = {});

// Calls `work` for its exit code and closes. A failure to close is printed and turns kExitOk into
// its own exit code.
template <std::invocable<KVStore&> Work>
int RunAndClose(KVStore& store, const std::string& directory, Work&& work) {
  const int code = work(store);
  const Status closed = store.Close();
  if (closed.ok()) return code;
  const int close_code = Fail(closed, directory);
  return code == kExitOk ? close_code : code;
}

// Opens, and the same.
template <std::invocable<KVStore&> Work>
int WithStore(const std::string& directory, Access access, const StoreSettings& settings,
              Work&& work) {
  auto store = OpenStore(directory, access, settings);
  return store ? RunAndClose(**store, directory, work) : Fail(store.error(), directory);
}

}  // namespace freyja::cli
