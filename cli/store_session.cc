#include "store_session.h"

namespace freyja::cli {

Result<std::unique_ptr<KVStore>> OpenStore(const std::string& directory, Access access,
                                           std::uint64_t segment_bytes, bool control_socket) {
  Options options;
  options.read_only = access == Access::kRead;
  options.create_if_missing = access == Access::kCreate;
  options.scheduler.enabled = false;  // a command does what it was told, and nothing else
  options.control_socket = control_socket;
  if (segment_bytes != 0) options.segment_bytes = segment_bytes;
  return KVStore::Open(directory, options);
}

}  // namespace freyja::cli
