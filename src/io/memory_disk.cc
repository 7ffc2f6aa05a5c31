#include "io/memory_disk.h"

#include "base/status_macros.h"

namespace freyja::io::memory {

std::string KeyOf(const std::filesystem::path& path) {
  std::string key = (std::filesystem::path("/") / path).lexically_normal().native();
  if (key.size() > 1 && key.back() == '/') key.pop_back();
  return key;
}

Status Failure(StatusCode code, std::string_view operation, const std::filesystem::path& path,
               std::string_view reason) {
  return {code, std::string(operation) + " " + path.native() + ": " + std::string(reason)};
}

Status CheckDirectory(const Disk& disk, std::string_view operation,
                      const std::filesystem::path& path, const std::string& key) {
  const Node* const node = disk.names->Find(key);
  if (node == nullptr) {
    return Failure(StatusCode::kNotFound, operation, path, "no such directory");
  }
  if (!node->is_directory()) {
    return Failure(StatusCode::kIoError, operation, path, "not a directory");
  }
  return Status::Ok();
}

Status CheckChange(const Disk& disk, std::string_view operation, const std::filesystem::path& path,
                   const std::string& key) {
  if (disk.read_only) return Failure(StatusCode::kReadOnly, operation, path, "read-only");
  return CheckDirectory(disk, operation, path, ParentOf(key));
}

Result<std::shared_ptr<Inode>> FindFile(const Disk& disk, std::string_view operation,
                                        const std::filesystem::path& path) {
  const Node* const node = disk.names->Find(KeyOf(path));
  if (node == nullptr) {
    return std::unexpected(Failure(StatusCode::kNotFound, operation, path, "no such file"));
  }
  if (node->is_directory()) {
    return std::unexpected(Failure(StatusCode::kIoError, operation, path, "is a directory"));
  }
  return node->inode;
}

Result<std::shared_ptr<Inode>> CreateFile(Disk& disk, const std::filesystem::path& path) {
  const std::string key = KeyOf(path);
  FREYJA_RETURN_IF_ERROR(CheckChange(disk, "create", path, key));
  if (disk.names->Find(key) != nullptr) {
    return std::unexpected(Failure(StatusCode::kAlreadyExists, "create", path, "exists"));
  }
  if (disk.space.free_blocks() == 0) {
    return std::unexpected(Failure(StatusCode::kNoSpace, "create", path, "no space left"));
  }
  auto inode = std::make_shared<Inode>(disk.space);
  disk.names->Commit({{key, Node{inode}}});
  return inode;
}

}  // namespace freyja::io::memory
