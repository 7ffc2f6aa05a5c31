// The small stores that are damaged.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "io/memory_file_system.h"
#include "support/history.h"

namespace freyja::torture {

using Bytes = std::vector<std::byte>;
using Files = std::map<std::string, Bytes>;

struct Subject {
  std::string name;
  bool clean = false;
  std::shared_ptr<io::MemoryFileSystem> disk;
  Files files;  // of the store's directory; RESERVE and LOCK, which mean nothing, are left out
  // The same at earlier moments of the store's life, oldest first.
  std::vector<Files> earlier;
  support::Contents contents;
  std::set<std::string> other_keys;  // deleted ones, and some that never were

  // --- Of a store that was not closed -------------------------------------------------
  // States after each of its writes, by the sequence number of the write's last record.
  std::map<std::uint64_t, support::Contents> states;
  struct LogRecord {
    std::size_t offset = 0;
    std::size_t bytes = 0;
    std::uint64_t sequence = 0;
    std::uint64_t watermark = 0;  // that it carries; 0: none
  };
  std::string active;  // the file that was appended to
  std::vector<LogRecord> log;
  std::uint64_t manifest_watermark = 0;

  // The end of a file beyond which it holds only the zeros it was preallocated with.
  std::size_t MeaningfulBytes(const std::string& file) const;
  // The state in which the log may end if this is what has become of the active file: before
  // the first record that is not there any more, if nothing that is left says that it was
  // durable. Empty: the damage must be detected, or harms nothing.
  std::optional<support::Contents> StateOfTear(const Bytes& damaged) const;
};

// `keys`: how many keys each sealed segment is about; decides the size of the store.
Subject MakeSubject(std::uint64_t seed, int keys, bool clean);

}  // namespace freyja::torture
