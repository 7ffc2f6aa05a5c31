#include "engine/hint_writer.h"

#include <algorithm>
#include <exception>

#include "base/crc32c.h"
#include "base/status_macros.h"

namespace freyja::engine {

HintWriter::HintWriter(Directory& directory, std::uint64_t id) : directory_(directory), id_(id) {}

HintWriter::~HintWriter() {
  try {
    Release();
    // Without memory for the path the file stays, and does not verify.
  } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch)
  }
}

void HintWriter::Add(const format::HintEntry& entry) {
  if (!status_.ok()) return;
  if (piece_.size() == kPieceBytes) {
    status_ = Spill();
    if (!status_.ok()) return Release();
  }
  const std::size_t at = piece_.size();
  piece_.resize(at + format::kHintEntryBytes);
  format::EncodeHintEntry(entry, std::span(piece_).subspan(at).first<format::kHintEntryBytes>());
}

Status HintWriter::Open() {
  if (file_ != nullptr) return Status::Ok();
  const auto path = directory_.HintPath(id_);
  unfinished_ = true;  // a creation that fails may have happened all the same
  FREYJA_ASSIGN_OR_RETURN(file_, directory_.CreateAnew(path));
  return Status::Ok();
}

Status HintWriter::Spill() {
  FREYJA_RETURN_IF_ERROR(Open());
  FREYJA_RETURN_IF_ERROR(file_->WriteAt(spilled_end(), piece_));
  spilled_crc_ = base::Crc32c(spilled_crc_, piece_);
  spilled_ += piece_.size();
  piece_.clear();
  return Status::Ok();
}

Status HintWriter::ReadBack(format::HintFrame& frame) {
  base::PassingBuffer bytes(std::min<std::uint64_t>(kPieceBytes, spilled_));
  std::uint32_t crc = 0;
  for (std::uint64_t at = format::kHintHeaderBytes; at < spilled_end(); at += bytes.size()) {
    bytes.resize(std::min<std::uint64_t>(kPieceBytes, spilled_end() - at));
    FREYJA_ASSIGN_OR_RETURN(const std::size_t read, file_->ReadAt(at, bytes));
    if (read != bytes.size()) break;
    crc = base::Crc32c(crc, bytes);
    frame.Add(bytes);
  }
  if (crc == spilled_crc_) return Status::Ok();
  return Status(StatusCode::kIoError,
                format::HintFileName(id_) + ": what was just written reads differently");
}

Status HintWriter::Complete(const format::HintHeader& header) {
  FREYJA_RETURN_IF_ERROR(status_);
  FREYJA_RETURN_IF_ERROR(Open());
  format::HintFrame frame(header);
  FREYJA_RETURN_IF_ERROR(ReadBack(frame));
  frame.Add(piece_);
  const auto tail = frame.Tail();
  if (spilled_ == 0) {
    // One write for a small one.
    piece_.insert(piece_.begin(), frame.Head().begin(), frame.Head().end());
    piece_.insert(piece_.end(), tail.begin(), tail.end());
    FREYJA_RETURN_IF_ERROR(file_->WriteAt(0, piece_));
  } else {
    piece_.insert(piece_.end(), tail.begin(), tail.end());
    FREYJA_RETURN_IF_ERROR(file_->WriteAt(spilled_end(), piece_));
    FREYJA_RETURN_IF_ERROR(file_->WriteAt(0, frame.Head()));
  }
  return file_->Sync();
}

void HintWriter::Release() {
  file_.reset();
  piece_ = base::PassingBuffer();  // not {}, which keeps the memory
  if (!unfinished_) return;
  directory_.RemoveBestEffort(directory_.HintPath(id_));
  unfinished_ = false;
}

Status HintWriter::Finish(const format::HintHeader& header) {
  Status status = Complete(header);
  if (status.ok()) unfinished_ = false;
  Release();
  return status;
}

Status WriteHint(Directory& directory, const format::HintHeader& header,
                 std::span<const format::HintEntry> entries) {
  HintWriter writer(directory, header.identity.id);
  for (const format::HintEntry& entry : entries) writer.Add(entry);
  return writer.Finish(header);
}

}  // namespace freyja::engine
