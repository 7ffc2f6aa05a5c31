// LineReader: cuts a stream of bytes into lines, numbers them, and keeps at most
// one line in memory. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "freyja/status.h"

namespace freyja::cli {

class LineReader {
 public:
  // Reads up to `size` bytes to `data`; 0 at the end, and only there.
  using Source = std::function<Result<std::size_t>(char* data, std::size_t size)>;

  enum class Outcome { kLine, kTooLong, kEnd };

  // Lines longer than `max_line_bytes` are skipped and reported as kTooLong.
  LineReader(Source source, std::size_t max_line_bytes);

  // Advances to the next line. Fails as the source does.
  [[nodiscard]] Result<Outcome> Next();

  // The first byte that is no white space, or '\0' if the stream has none. Consumes
  // nothing; only before the first Next.
  [[nodiscard]] Result<char> FirstVisibleByte();

  // The current line without "\n" or "\r\n"; valid until the next call of Next.
  std::string_view line() const { return line_; }
  // Of the current line, from 1.
  std::uint64_t line_number() const { return line_number_; }
  std::uint64_t bytes_read() const { return bytes_read_; }

 private:
  // Reads more behind what is buffered; false at the end of the stream.
  Result<bool> Fill();
  void TakeLine(std::size_t length, std::size_t line_end_bytes);

  Source source_;
  std::size_t max_line_bytes_;
  std::string buffer_;
  std::size_t begin_ = 0;  // the unread bytes are [begin_, end_) of buffer_
  std::size_t end_ = 0;
  bool at_end_ = false;
  std::string_view line_;
  std::uint64_t line_number_ = 0;
  std::uint64_t bytes_read_ = 0;
};

}  // namespace freyja::cli
