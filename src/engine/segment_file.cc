#include "engine/segment_file.h"

#include <array>

#include "base/status_macros.h"
#include "engine/segment_summary.h"
#include "format/segment_header.h"

namespace freyja::engine {

namespace {

Status CorruptionAt(const std::string& file, std::uint64_t offset, std::string_view what) {
  return Status(StatusCode::kCorruption,
                file + ": offset " + std::to_string(offset) + ": " + std::string(what));
}

Status ReadExactly(io::File& file, std::uint64_t offset, std::span<std::byte> out) {
  FREYJA_ASSIGN_OR_RETURN(const std::size_t read, file.ReadAt(offset, out));
  if (read == out.size()) return Status::Ok();
  return CorruptionAt(file.path(), offset + read, "file ends too early");
}
Result<std::vector<std::byte>> ReadExactly(io::File& file, std::uint64_t offset,
                                           std::uint64_t bytes) {
  std::vector<std::byte> out(bytes);
  FREYJA_RETURN_IF_ERROR(ReadExactly(file, offset, out));
  return out;
}

}  // namespace

Result<std::unique_ptr<io::File>> CreateDataFile(Directory& directory,
                                                 const std::filesystem::path& path,
                                                 const format::SegmentIdentity& identity,
                                                 std::uint64_t manifest_generation) {
  FREYJA_ASSIGN_OR_RETURN(auto file, directory.file_system().Open(path, io::OpenMode::kCreateNew));
  std::array<std::byte, format::kSegmentHeaderBytes> header{};
  format::EncodeSegmentHeader({.identity = identity, .generation = manifest_generation}, header);
  FREYJA_RETURN_IF_ERROR(file->WriteAt(0, header));
  return file;
}

Result<std::unique_ptr<io::File>> OpenDataFile(Directory& directory,
                                               const format::SegmentIdentity& identity,
                                               std::uint64_t manifest_generation, bool writable) {
  const std::string name = format::DataFileName(identity.id);
  auto opened = directory.file_system().Open(
      directory.DataPath(identity.id), writable ? io::OpenMode::kReadWrite : io::OpenMode::kRead);
  if (!opened) {
    if (opened.error().code() != StatusCode::kNotFound) return opened;
    return std::unexpected(Status(StatusCode::kCorruption,
                                  name + ": listed in the manifest, but the file is missing"));
  }
  std::array<std::byte, format::kSegmentHeaderBytes> bytes{};
  FREYJA_ASSIGN_OR_RETURN(const std::size_t read, (*opened)->ReadAt(0, bytes));
  const auto header = format::DecodeSegmentHeader(std::span(bytes).first(read));
  if (!header) {
    return std::unexpected(
        Status(header.error().code(), name + ": offset 0: " + header.error().message()));
  }
  if (header->identity != identity) {
    return std::unexpected(CorruptionAt(name, 0, "the header is that of another segment or store"));
  }
  if (header->generation > manifest_generation) {
    return std::unexpected(CorruptionAt(
        name, 0, "the segment is newer than the manifest: an older MANIFEST was put back"));
  }
  return opened;
}

Result<std::unique_ptr<Segment>> MapSealedSegment(std::unique_ptr<io::File> file,
                                                  const format::SegmentIdentity& identity,
                                                  const format::SealedSegment& sealed) {
  FREYJA_ASSIGN_OR_RETURN(const std::uint64_t size, file->Size());
  if (size < sealed.data_bytes) {
    return std::unexpected(CorruptionAt(format::DataFileName(identity.id), size,
                                        "the file is shorter than the manifest says (" +
                                            std::to_string(sealed.data_bytes) + " bytes)"));
  }
  FREYJA_ASSIGN_OR_RETURN(auto mapping, file->Map(sealed.data_bytes, /*writable=*/false));
  mapping->AdviseRandom();
  auto segment = std::make_unique<Segment>(identity, std::move(file), std::move(mapping));
  segment->set_sealed(sealed);
  segment->set_state(SegmentState::kSealed);
  return segment;
}

Status ScanSealed(io::File& file, const format::SegmentIdentity& identity,
                  const format::SealedSegment& sealed,
                  const std::function<Status(const ScannedRecord&)>& visit) {
  const auto visit_each = [&](std::span<const ScannedRecord> run) -> Status {
    for (const ScannedRecord& record : run) FREYJA_RETURN_IF_ERROR(visit(record));
    return Status::Ok();
  };
  return ScanSealedInRuns(file, identity, sealed, visit_each);
}

Status ScanSealedInRuns(io::File& file, const format::SegmentIdentity& identity,
                        const format::SealedSegment& sealed,
                        const std::function<Status(std::span<const ScannedRecord>)>& visit) {
  const std::string name = format::DataFileName(identity.id);
  RecordScanner scanner(file, identity.ChecksumSeed(), format::kSegmentHeaderBytes,
                        sealed.data_bytes);
  SummaryBuilder builder;
  std::array<ScannedRecord, kScanRun> records;
  while (scanner.offset() < sealed.data_bytes) {
    FREYJA_ASSIGN_OR_RETURN(const std::size_t count, scanner.NextRun(records));
    if (count == 0) return CorruptionAt(name, scanner.offset(), "the record does not verify");
    const auto run = std::span(records).first(count);
    for (const ScannedRecord& record : run) builder.Add(record);
    FREYJA_RETURN_IF_ERROR(visit(run));
  }
  format::SealedSegment found_here = builder.Finish(identity);
  found_here.restored = sealed.restored;  // where it has been, not what it holds
  if (found_here != sealed) {
    return CorruptionAt(name, format::kSegmentHeaderBytes,
                        "the records are not those the manifest lists (count, checksum or bounds)");
  }
  return Status::Ok();
}

namespace {

struct OpenHint {
  std::unique_ptr<io::File> file;
  format::HintLayout layout;
};

Result<OpenHint> OpenMatchingHint(Directory& directory, const format::HintHeader& expected) {
  FREYJA_ASSIGN_OR_RETURN(
      auto file,
      directory.file_system().Open(directory.HintPath(expected.identity.id), io::OpenMode::kRead));
  FREYJA_ASSIGN_OR_RETURN(const auto bytes, ReadExactly(*file, 0, format::kHintHeaderBytes));
  const std::string name = format::HintFileName(expected.identity.id);
  const auto header = format::DecodeHintHeader(bytes);
  if (!header) return std::unexpected(CorruptionAt(name, 0, header.error().message()));
  FREYJA_ASSIGN_OR_RETURN(const std::uint64_t size, file->Size());
  const format::HintLayout layout = format::LayoutOf(*header);
  if (*header != expected || size != layout.file_bytes) {
    return std::unexpected(
        CorruptionAt(name, 0, "the hint belongs to another state of its data file"));
  }
  return OpenHint{std::move(file), layout};
}

Result<format::HintEntries> TryReadEntries(Directory& directory, const format::HintHeader& expected,
                                           base::HugeBuffer& buffer) {
  FREYJA_ASSIGN_OR_RETURN(const OpenHint hint, OpenMatchingHint(directory, expected));
  const auto bytes = buffer.Get(hint.layout.entries_bytes + 8);
  FREYJA_RETURN_IF_ERROR(ReadExactly(*hint.file, hint.layout.entries_offset, bytes));
  auto decoded = format::DecodeHintEntries(expected, bytes);
  if (decoded) return decoded;
  return std::unexpected(CorruptionAt(format::HintFileName(expected.identity.id),
                                      hint.layout.entries_offset, decoded.error().message()));
}

Result<std::vector<std::byte>> TryReadFilter(Directory& directory,
                                             const format::HintHeader& expected) {
  FREYJA_ASSIGN_OR_RETURN(const OpenHint hint, OpenMatchingHint(directory, expected));
  FREYJA_ASSIGN_OR_RETURN(const auto bytes, ReadExactly(*hint.file, hint.layout.filter_offset,
                                                        hint.layout.filter_bytes + 8));
  auto filter = format::DecodeHintFilter(expected, bytes);
  if (filter) return filter;
  return std::unexpected(CorruptionAt(format::HintFileName(expected.identity.id),
                                      hint.layout.filter_offset, "the filter is damaged"));
}

// A hint that can't be used is made anew by an open that asks for it; a missing one as well, but
// that may be of a segment that is no longer listed, and whoever cares looks.
void Note(Directory& directory, const Status& error) {
  if (error.code() != StatusCode::kNotFound) directory.health().WantFullOpen();
}

}  // namespace

Result<format::HintEntries> ReadHintEntries(Directory& directory,
                                            const format::HintHeader& expected,
                                            base::HugeBuffer& buffer) {
  auto read = TryReadEntries(directory, expected, buffer);
  if (!read) Note(directory, read.error());
  return read;
}

Result<std::vector<format::HintEntry>> ReadHintEntries(Directory& directory,
                                                       const format::HintHeader& expected) {
  base::HugeBuffer buffer;
  FREYJA_ASSIGN_OR_RETURN(const auto entries, ReadHintEntries(directory, expected, buffer));
  return entries.Copy();
}

Result<std::vector<std::byte>> ReadHintFilter(Directory& directory,
                                              const format::HintHeader& expected) {
  auto read = TryReadFilter(directory, expected);
  if (!read) Note(directory, read.error());
  return read;
}

}  // namespace freyja::engine
