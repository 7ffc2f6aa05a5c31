#include "store_session.h"

namespace freyja::cli {

Result<std::unique_ptr<KVStore>> OpenStore(const std::string& directory, Access access,
                                           const StoreSettings& settings) {
  Options options;
  options.read_only = access == Access::kRead;
  options.create_if_missing = access == Access::kCreate;
  options.scheduler.enabled = false;  // a command does what it was told, and nothing else
  options.control_socket = settings.control_socket;
  options.quarantine = settings.quarantine;
  if (settings.segment_bytes != 0) options.segment_bytes = settings.segment_bytes;
  return KVStore::Open(directory, options);
}

}  // namespace freyja::cli
