#include "engine/sealed_writer.h"

#include <utility>

#include "base/status_macros.h"
#include "engine/segment_file.h"
#include "format/segment_header.h"

namespace freyja::engine {

SealedWriter::SealedWriter(Directory& directory, Target target, std::filesystem::path path,
                           std::unique_ptr<io::File> file)
    : directory_(directory),
      target_(std::move(target)),
      seed_(target_.identity.ChecksumSeed()),
      path_(std::move(path)),
      file_(std::move(file)),
      offset_(format::kSegmentHeaderBytes) {
  if (target_.with_hint) hint_.emplace(directory, id());
}

Result<std::unique_ptr<SealedWriter>> SealedWriter::Create(Directory& directory, Target target) {
  const auto path = (target.temp_dir.empty() ? directory.path() : target.temp_dir) /
                    format::DataFileName(target.identity.id);
  auto file = CreateDataFile(directory, path, target.identity, target.manifest_generation);
  if (!file) {
    if (file.error().code() != StatusCode::kAlreadyExists) directory.RemoveBestEffort(path);
    return std::unexpected(file.error());
  }
  return std::unique_ptr<SealedWriter>(
      new SealedWriter(directory, std::move(target), path, *std::move(file)));
}

Result<std::uint64_t> SealedWriter::Append(format::Record record) {
  record.begins_batch = false;
  record.ends_batch = false;
  record.watermark.reset();
  const std::size_t bytes = format::EncodedRecordBytes(record);
  if (piece_bytes_ + bytes > kPieceBytes) FREYJA_RETURN_IF_ERROR(Flush());
  if (const std::size_t needed = piece_bytes_ + bytes; needed > piece_.size()) {
    piece_.resize(std::max(needed, std::min(2 * piece_.size(), kPieceBytes)));
  }
  const auto out = std::span(piece_).subspan(piece_bytes_);
  const std::uint64_t offset = offset_;
  format::EncodeRecord(record, format::RecordSeed(seed_, offset), out);
  const ScannedRecord scanned{.offset = offset,
                              .bytes = bytes,
                              .checksum = base::Load<std::uint32_t>(out.data()),
                              .record = record};
  if (hint_) hint_->Add(MakeHintEntry(scanned, target_.hash_seed));
  summary_.Add(scanned);
  piece_bytes_ += bytes;
  offset_ += bytes;
  return offset;
}

Status SealedWriter::Flush() {
  if (piece_bytes_ == 0) return Status::Ok();
  const std::uint64_t start = offset_ - piece_bytes_;
  const auto piece = std::span(piece_).first(std::exchange(piece_bytes_, 0));
  FREYJA_RETURN_IF_ERROR(file_->WriteAt(start, piece));
  return file_->StartWriteOut(start, piece.size());
}

Status SealedWriter::Seal() {
  FREYJA_RETURN_IF_ERROR(SealData());
  return SealHint();
}

Status SealedWriter::SealData() {
  FREYJA_RETURN_IF_ERROR(Flush());
  piece_ = base::PassingBuffer();  // not {}, which keeps the memory
  FREYJA_RETURN_IF_ERROR(file_->Sync());
  sealed_ = summary_.Finish(target_.identity);
  return Status::Ok();
}

Status SealedWriter::SealHint() {
  if (!hint_) return Status::Ok();
  return hint_->Finish(HintHeaderOf(target_.identity.store, sealed_));
}

Status SealedWriter::Verify() {
  file_->DropCache();
  return ScanSealed(*file_, target_.identity, sealed_,
                    [](const ScannedRecord&) { return Status::Ok(); });
}

Status SealedWriter::MoveIntoPlace() {
  if (target_.temp_dir.empty()) return Status::Ok();
  const auto final_path = directory_.DataPath(id());
  FREYJA_RETURN_IF_ERROR(directory_.file_system().Rename(path_, final_path));
  path_ = final_path;
  return Status::Ok();
}

Result<std::unique_ptr<Segment>> SealedWriter::Map() {
  FREYJA_ASSIGN_OR_RETURN(auto file, directory_.file_system().Open(path_, io::OpenMode::kRead));
  return MapSealedSegment(std::move(file), target_.identity, sealed_);
}

void SealedWriter::Abandon() {
  file_.reset();
  hint_.reset();
  directory_.RemoveBestEffort(path_);
  directory_.RemoveBestEffort(directory_.HintPath(id()));
}

}  // namespace freyja::engine
