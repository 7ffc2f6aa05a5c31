#include "line_reader.h"

#include <cstring>
#include <utility>

#include "text.h"

namespace freyja::cli {
namespace {
constexpr std::size_t kReadBytes = std::size_t{256} << 10;
}  // namespace

LineReader::LineReader(Source source, std::size_t max_line_bytes)
    : source_(std::move(source)), max_line_bytes_(max_line_bytes) {}

Result<bool> LineReader::Fill() {
  if (at_end_) return false;
  if (begin_ > 0) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  // Doubling keeps the cost of a huge line linear.
  if (buffer_.size() - end_ < kReadBytes) buffer_.resize(buffer_.size() * 2 + kReadBytes);
  auto count = source_(buffer_.data() + end_, buffer_.size() - end_);
  if (!count) return std::unexpected(count.error());
  end_ += *count;
  bytes_read_ += *count;
  at_end_ = *count == 0;
  return !at_end_;
}

void LineReader::TakeLine(std::size_t length, std::size_t line_end_bytes) {
  line_ = std::string_view(buffer_).substr(begin_, length);
  if (line_.ends_with('\r')) line_.remove_suffix(1);
  begin_ += length + line_end_bytes;
}

Result<LineReader::Outcome> LineReader::Next() {
  line_ = {};
  bool too_long = false;
  std::size_t scanned = 0;  // bytes from begin_ on that hold no line end
  for (;;) {
    const char* start = buffer_.data() + begin_;
    const void* found = begin_ + scanned < end_
                            ? std::memchr(start + scanned, '\n', end_ - begin_ - scanned)
                            : nullptr;
    if (found != nullptr) {
      const auto length = static_cast<std::size_t>(static_cast<const char*>(found) - start);
      ++line_number_;
      too_long = too_long || length > max_line_bytes_;
      TakeLine(length, 1);
      return too_long ? Outcome::kTooLong : Outcome::kLine;
    }
    scanned = end_ - begin_;
    if (scanned > max_line_bytes_) {
      too_long = true;
      begin_ = end_;
      scanned = 0;
    }
    auto more = Fill();
    if (!more) return std::unexpected(more.error());
    if (*more) continue;
    if (begin_ == end_ && !too_long) return Outcome::kEnd;
    ++line_number_;
    TakeLine(end_ - begin_, 0);
    return too_long ? Outcome::kTooLong : Outcome::kLine;
  }
}

Result<char> LineReader::FirstVisibleByte() {
  std::size_t scanned = 0;
  for (;;) {
    const std::string_view unread = std::string_view(buffer_).substr(begin_, end_ - begin_);
    const std::size_t place = unread.find_first_not_of(" \t\r\n", scanned);
    if (place != unread.npos) return unread[place];
    if (unread.size() > max_line_bytes_) return '\0';
    scanned = unread.size();
    auto more = Fill();
    if (!more) return std::unexpected(more.error());
    if (!*more) return '\0';
  }
}

}  // namespace freyja::cli
