#include "io/memory_namespace.h"

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
  for (const EntryChange& entry : change) {
    const auto old = current_.find(entry.path);
    if (old != current_.end() && !old->second.is_directory()) old->second.inode->RemoveUser();
    Apply(entry, current_);
  }
  pending_.push_back(std::move(change));
}

void Namespace::SyncDirectory(const std::string& directory) {
  for (Change& change : pending_) {
    std::erase_if(change, [&](const EntryChange& entry) {
      if (ParentOf(entry.path) != directory) return false;
      Apply(entry, durable_);
      return true;
    });
  }
  std::erase_if(pending_, [](const Change& change) { return change.empty(); });
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
  for (const Change& change : pending_) {
    Change& converted = copy->pending_.emplace_back();
    for (const EntryChange& entry : change) {
      converted.push_back({entry.path, entry.node.transform(convert_node)});
    }
  }
  return copy;
}

std::unique_ptr<Namespace> Namespace::AfterPowerLoss(
    Coin* coin, const std::function<std::shared_ptr<Inode>(const Inode&)>& convert) const {
  Tree survivors = durable_;
  for (const Change& change : pending_) {
    if (coin == nullptr || !coin->Keep()) continue;
    for (const EntryChange& entry : change) Apply(entry, survivors);
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

void Namespace::Apply(const EntryChange& change, Tree& tree) {
  if (change.node) {
    tree.insert_or_assign(change.path, *change.node);
  } else {
    tree.erase(change.path);
  }
}

}  // namespace freyja::io::memory
