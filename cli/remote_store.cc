#include "remote_store.h"

#include <fmt/format.h>

namespace freyja::cli {

Result<StoreControl> ConnectTo(const std::string& directory) {
  auto control = StoreControl::Connect(directory);
  if (control || control.error().code() != StatusCode::kNotFound) return control;
  const auto store = OpenStore(directory, Access::kRead);
  if (store) {
    return std::unexpected(
        Status(StatusCode::kNotFound,
               fmt::format("{}: no process has the store open for writing", directory)));
  }
  if (store.error().code() != StatusCode::kBusy) return std::unexpected(store.error());
  return std::unexpected(
      Status(StatusCode::kBusy,
             fmt::format("{}: another process has the store open, without a control socket; "
                         "Options::control_socket switches it on there, or 'freyja load --control'",
                         directory)));
}

}  // namespace freyja::cli
