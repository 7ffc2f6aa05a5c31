#include "io/memory_namespace.h"

#include <algorithm>
#include <utility>

namespace freyja::io::memory {

std::string ParentOf(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
}

Namespace::Namespace() {
  current_.emplace("/", Node{});
  durable_.emplace("/", Node{});
}

const Node* Namespace::Find(const std::string& path) const {
  const auto entry = current_.find(path);
  return entry == current_.end() ? nullptr : &entry->second;
}

std::vector<std::string> Namespace::List(const std::string& directory) const {
  const std::string prefix = directory == "/" ? directory : directory + "/";
  std::vector<std::string> names;
  for (auto entry = current_.upper_bound(prefix);
       entry != current_.end() && entry->first.starts_with(prefix); ++entry) {
    std::string name = entry->first.substr(prefix.size());
    if (!name.contains('/')) names.push_back(std::move(name));
  }
  return names;
}

void Namespace::Commit(Change change) {
  // New users before old ones go, so that a rename never leaves its file without one and
  // the file's disk space isn't given away.
  for (const EntryChange& entry : change) {
    if (entry.node && !entry.node->is_directory()) entry.node->inode->AddUser();
  }
  Pending pending;
  for (const EntryChange& entry : change) {
    const auto old = current_.find(entry.path);
    if (entry.node && !entry.node->is_directory()) pending.stamp = entry.node->inode->Observe();
    if (old != current_.end() && !old->second.is_directory()) {
      pending.stamp = std::max(pending.stamp, old->second.inode->Observe());
      pending.replaces |= entry.node.has_value();
      old->second.inode->RemoveUser();
    }
    Apply(entry, current_);
  }
  pending.change = std::move(change);
  pending_.push_back(std::move(pending));
}

void Namespace::SyncDirectory(const std::string& directory) {
  for (Pending& pending : pending_) {
    pending.journalled = true;
    std::erase_if(pending.change, [&](const EntryChange& entry) {
      if (ParentOf(entry.path) != directory) return false;
      Apply(entry, durable_);
      return true;
    });
  }
  std::erase_if(pending_, [](const Pending& pending) { return pending.change.empty(); });
}

std::unique_ptr<Namespace> Namespace::Clone(
    const std::function<std::shared_ptr<Inode>(const Inode&)>& convert) const {
  const auto convert_node = [&](const Node& node) {
    return node.is_directory() ? Node{} : Node{convert(*node.inode)};
  };
  auto copy = std::make_unique<Namespace>();
  for (const auto& [path, node] : current_) {
    const Node converted = convert_node(node);
    if (!converted.is_directory()) converted.inode->AddUser();
    copy->current_.insert_or_assign(path, converted);
  }
  for (const auto& [path, node] : durable_) {
    copy->durable_.insert_or_assign(path, convert_node(node));
  }
  for (const Pending& pending : pending_) {
    Pending& converted = copy->pending_.emplace_back();
    converted.stamp = pending.stamp;
    converted.replaces = pending.replaces;
    converted.journalled = pending.journalled;
    for (const EntryChange& entry : pending.change) {
      converted.change.push_back({entry.path, entry.node.transform(convert_node)});
    }
  }
  return copy;
}

std::vector<std::shared_ptr<Inode>> Namespace::Files() const {
  std::vector<std::shared_ptr<Inode>> files;
  const auto add = [&](const Node& node) {
    if (!node.is_directory() && std::ranges::find(files, node.inode) == files.end()) {
      files.push_back(node.inode);
    }
  };
  for (const auto& [path, node] : current_) add(node);
  for (const auto& [path, node] : durable_) add(node);
  for (const Pending& pending : pending_) {
    for (const EntryChange& entry : pending.change) {
      if (entry.node) add(*entry.node);
    }
  }
  return files;
}

std::unique_ptr<Namespace> Namespace::Thaw(
    const FrozenNames& frozen, const std::function<std::shared_ptr<Inode>(const Inode&)>& convert) {
  Namespace names;
  names.durable_ = names.current_ = frozen.durable;
  names.pending_ = frozen.pending;
  for (const Pending& pending : frozen.pending) {
    for (const EntryChange& entry : pending.change) Apply(entry, names.current_);
  }
  return names.Clone(convert);
}

std::unique_ptr<Namespace> Namespace::AfterPowerLoss(
    Coin* coin, const std::function<std::shared_ptr<Inode>(const Inode&)>& convert) const {
  Tree survivors = durable_;
  for (const Pending& pending : pending_) {
    if (coin == nullptr || !coin->Keep()) continue;
    for (const EntryChange& entry : pending.change) Apply(entry, survivors);
  }
  auto image = std::make_unique<Namespace>();
  for (const auto& [path, node] : survivors) {
    // A parent sorts before its children. What lies in a lost directory is lost.
    const auto parent = image->current_.find(ParentOf(path));
    if (parent == image->current_.end() || !parent->second.is_directory()) continue;
    const Node converted = node.is_directory() ? Node{} : Node{convert(*node.inode)};
    if (!converted.is_directory()) converted.inode->AddUser();
    image->current_.insert_or_assign(path, converted);
  }
  image->durable_ = image->current_;
  return image;
}

void Apply(const EntryChange& change, Tree& tree) {
  if (change.node) {
    tree.insert_or_assign(change.path, *change.node);
  } else {
    tree.erase(change.path);
  }
}

}  // namespace freyja::io::memory
