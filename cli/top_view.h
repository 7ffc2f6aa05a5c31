// What `freyja top` shows, as lines of text. No I/O.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "freyja/control.h"
#include "freyja/stats.h"

namespace freyja::cli {

// A store at one moment.
struct TopSample {
  std::chrono::steady_clock::time_point at{};
  Stats stats;
  std::vector<SegmentInfo> segments;
  CompactionStatus compaction;
};

struct TopFrame {
  std::string directory;
  std::string note;  // where the figures come from
  TopSample now;
  // For rates; the same as `now` if there is no earlier sample, and then there are none.
  TopSample before;
};

// At most `rows` lines of at most `columns` characters, without line ends or control characters.
// What does not fit of the segments is summed up in the last line.
std::vector<std::string> RenderTop(const TopFrame& frame, std::size_t columns, std::size_t rows);

// '#' for live and '.' for dead bytes, and spaces up to `width`, which stands for `largest`.
// What is there at all has at least one character.
std::string SegmentBar(std::uint64_t live, std::uint64_t dead, std::uint64_t largest,
                       std::size_t width);

// The first `columns` characters of UTF-8 `text`, control characters escaped.
std::string Fit(const std::string& text, std::size_t columns);

}  // namespace freyja::cli
