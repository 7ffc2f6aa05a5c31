#include "engine/record_scanner.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/status_macros.h"

namespace freyja::engine {

std::span<const std::byte> RecordScanner::Available() const {
  if (offset_ < buffer_offset_ || offset_ >= buffer_offset_ + buffered_) return {};
  const std::size_t skip = offset_ - buffer_offset_;
  return std::span(buffer_).subspan(skip, buffered_ - skip);
}

Status RecordScanner::Fill(std::size_t bytes) {
  const std::uint64_t rest = end_ > offset_ ? end_ - offset_ : 0;
  if (Available().size() >= std::min<std::uint64_t>(bytes, rest)) return Status::Ok();
  const std::size_t wanted =
      static_cast<std::size_t>(std::min<std::uint64_t>(std::max(bytes, kBufferBytes), rest));
  if (buffer_.size() < wanted) {
    buffer_.clear();
    buffer_.resize(wanted);
  }
  buffered_ = 0;
  FREYJA_ASSIGN_OR_RETURN(buffered_, file_.ReadAt(offset_, std::span(buffer_).first(wanted)));
  buffer_offset_ = offset_;
  return Status::Ok();
}

Result<bool> RecordScanner::Next(ScannedRecord& out) {
  FREYJA_RETURN_IF_ERROR(Fill(format::kRecordHeaderBytes));
  const std::size_t claimed = format::PeekRecordBytes(Available());
  if (claimed == 0 || claimed > end_ - offset_) return false;
  if (Available().size() < claimed) FREYJA_RETURN_IF_ERROR(Fill(claimed));
  std::size_t bytes = 0;
  const std::optional<format::Record> record =
      format::DecodeRecord(Available(), format::RecordSeed(seed_, offset_), &bytes);
  if (!record) return false;
  out.offset = offset_;
  out.bytes = bytes;
  out.checksum = base::Load<std::uint32_t>(Available().data());
  out.record = *record;
  offset_ += bytes;
  return true;
}

bool RecordScanner::IsNextAvailable() const {
  const auto bytes = Available();
  return bytes.size() >= format::kRecordHeaderBytes &&
         format::PeekRecordBytes(bytes) <= bytes.size();
}

Result<std::size_t> RecordScanner::NextRun(std::span<ScannedRecord> out) {
  std::size_t count = 0;
  while (count < out.size() && (count == 0 || IsNextAvailable())) {
    FREYJA_ASSIGN_OR_RETURN(const bool found, Next(out[count]));
    if (!found) break;
    ++count;
  }
  return count;
}

Status RecordScanner::SkipZeros() {
  while (offset_ < end_) {
    if (Available().size() < format::kRecordAlignment) {
      // The end of a log segment, and most of one that nothing was written to, is a hole.
      const std::uint64_t data = file_.NextData(offset_) / format::kRecordAlignment;
      offset_ = std::max(offset_, std::min(end_, data * format::kRecordAlignment));
    }
    FREYJA_RETURN_IF_ERROR(Fill(format::kRecordAlignment));
    const auto bytes = Available();
    std::size_t at = 0;
    while (at + format::kRecordAlignment <= bytes.size() &&
           base::Load<std::uint64_t>(bytes.data() + at) == 0) {
      at += format::kRecordAlignment;
    }
    offset_ += at;
    if (at + format::kRecordAlignment <= bytes.size()) return Status::Ok();
    if (at == 0) offset_ = end_;  // the file ends here
  }
  return Status::Ok();
}

// The search for a record looks at no words but those that can be the second of one.
Status RecordScanner::NoteNonzero(std::uint64_t begin, std::uint64_t end) {
  for (offset_ = begin; offset_ < std::min(end, end_); offset_ += format::kRecordAlignment) {
    FREYJA_RETURN_IF_ERROR(Fill(format::kRecordAlignment));
    const auto bytes = Available();
    const auto word = bytes.first(std::min<std::size_t>(bytes.size(), format::kRecordAlignment));
    if (std::ranges::all_of(word, [](std::byte byte) { return byte == std::byte{0}; })) continue;
    nonzero_end_ = std::max(nonzero_end_, offset_ + word.size());
  }
  return Status::Ok();
}

Result<bool> RecordScanner::Resynchronise(ScannedRecord& out) {
  std::uint64_t candidate = offset_ + format::kRecordAlignment;
  FREYJA_RETURN_IF_ERROR(NoteNonzero(offset_, candidate + format::kRecordAlignment));
  while (candidate + format::kMinRecordBytes <= end_) {
    // A record's second word, its number, is never zero: look for the next such place.
    offset_ = candidate + format::kRecordAlignment;
    FREYJA_RETURN_IF_ERROR(SkipZeros());
    if (offset_ >= end_) return false;
    nonzero_end_ = std::max(nonzero_end_, offset_ + format::kRecordAlignment);
    candidate = offset_ - format::kRecordAlignment;
    offset_ = candidate;
    FREYJA_ASSIGN_OR_RETURN(const bool found, Next(out));
    if (found) {
      nonzero_end_ = std::max(nonzero_end_, offset_);
      return true;
    }
    candidate += format::kRecordAlignment;
  }
  FREYJA_RETURN_IF_ERROR(NoteNonzero(candidate, end_));
  return false;
}

}  // namespace freyja::engine
