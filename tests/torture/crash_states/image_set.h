// The hashes of images met so far.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "io/memory_versions.h"

namespace freyja::torture {

// Millions of them in 16 bytes each and a little air. Not thread-safe.
class ImageSet {
 public:
  // Whether it wasn't there yet.
  bool Insert(io::memory::Hash128 hash) {
    if (hash == io::memory::Hash128{}) hash.low = 1;  // stands for a free place
    if ((count_ + 1) * 10 > places_.size() * 7) Grow();
    if (!Put(hash)) return false;
    ++count_;
    return true;
  }
  std::size_t size() const { return count_; }

 private:
  bool Put(const io::memory::Hash128& hash) {
    const std::size_t mask = places_.size() - 1;
    for (std::size_t at = hash.low & mask;; at = (at + 1) & mask) {
      if (places_[at] == hash) return false;
      if (places_[at] != io::memory::Hash128{}) continue;
      places_[at] = hash;
      return true;
    }
  }
  void Grow() {
    std::vector<io::memory::Hash128> old(places_.size() * 2);
    old.swap(places_);
    for (const auto& hash : old) {
      if (hash != io::memory::Hash128{}) Put(hash);
    }
  }

  std::vector<io::memory::Hash128> places_ = std::vector<io::memory::Hash128>(1024);
  std::size_t count_ = 0;
};

}  // namespace freyja::torture
