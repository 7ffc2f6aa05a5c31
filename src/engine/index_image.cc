#include "engine/index_image.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <new>
#include <string>
#include <unordered_map>
#include <utility>

#include "base/crc32c.h"
#include "base/status_macros.h"
#include "engine/parallel.h"
#include "engine/record_scanner.h"
#include "engine/segment_summary.h"
#include "format/record.h"
#include "format/segment_header.h"

namespace freyja::engine {

namespace {

// Written and read in pieces of this size; a page is smaller unless its keys' hashes hardly differ.
constexpr std::size_t kPieceBytes = std::size_t{1} << 20;

Status Unusable(StatusCode code, std::string_view what) {
  return Status(code, std::string(format::kIndexImageName) + ": " + std::string(what));
}
Status Refused(std::string_view what) { return Unusable(StatusCode::kCorruption, what); }

// A page of 70 % load, as growth makes it, has 2.8 keys a line; one that was just split has half of
// that, and an index of a few keys has one page of some lines. Emptier ones are not worth keeping,
// and whoever made a file up must not get more memory than that.
bool IsTooEmpty(std::uint64_t lines, std::uint64_t keys) { return lines > keys + 1024; }

// What is live in a segment, by the locations that point to it.
struct Live {
  std::uint64_t records = 0;
  std::uint64_t known_bytes = 0;
  std::uint64_t of_unknown_length = 0;

  // 0: of unknown length.
  void AddRecord(std::uint64_t bytes) {
    ++records;
    known_bytes += bytes;
    of_unknown_length += bytes == 0 ? 1 : 0;
  }
  void AddAll(const Live& other) {
    records += other.records;
    known_bytes += other.known_bytes;
    of_unknown_length += other.of_unknown_length;
  }
  bool AgreesWith(const format::ImagedSegment& segment) const {
    if (records != segment.live_records || segment.live_bytes > segment.data_bytes) return false;
    return of_unknown_length == 0 ? known_bytes == segment.live_bytes
                                  : known_bytes < segment.live_bytes;
  }
};

format::ImagedSegment Listed(const format::SealedSegment& sealed) {
  return {.id = sealed.id,
          .nonce = sealed.nonce,
          .data_bytes = sealed.data_bytes,
          .record_count = sealed.record_count,
          .records_crc = sealed.records_crc};
}

bool IsSame(const format::ImagedSegment& a, const format::ImagedSegment& b) {
  return a.id == b.id && a.nonce == b.nonce && a.data_bytes == b.data_bytes &&
         a.record_count == b.record_count && a.records_crc == b.records_crc;
}

// --- Writing --------------------------------------------------------------------------

class ImageWriter {
 public:
  explicit ImageWriter(const IndexImageParts& parts)
      : parts_(parts), manifest_(parts.manifest.Current()) {
    head_.store = manifest_.store;
    head_.generation = manifest_.generation + 1;
  }

  Status Run(const std::filesystem::path& path, std::uint64_t spare_bytes);

 private:
  // The segments in the order in which an image numbers them: the sealed ones of the manifest,
  // then those of the log that have records.
  Status ListSegments();
  Status ListSegment(const Segment* segment, const format::SealedSegment& contents);
  Result<format::SealedSegment> ContentsOfLog(const Segment& segment) const;
  Status ListPages();
  Status WritePages(io::File& file);
  // The page whose hashes begin at `hash`, behind what is in the piece.
  std::uint64_t AddPage(std::uint64_t hash, format::ImagedPage& listed);

  const IndexImageParts parts_;
  const format::Manifest manifest_;
  format::IndexImageHead head_;
  std::vector<std::uint32_t> numbers_;    // by segment slot: 1 + the segment's number
  std::vector<const Segment*> segments_;  // by number
  std::vector<Live> live_;                // by number
  std::vector<std::byte> piece_;
  bool changed_ = false;  // what was not to happen: the index is not what it was
};

Status ImageWriter::Run(const std::filesystem::path& path, std::uint64_t spare_bytes) {
  FREYJA_RETURN_IF_ERROR(ListSegments());
  FREYJA_RETURN_IF_ERROR(ListPages());
  io::FileSystem& file_system = parts_.directory.file_system();
  FREYJA_ASSIGN_OR_RETURN(const std::uint64_t free, file_system.FreeSpace(path.parent_path()));
  if (free < head_.file_bytes() + spare_bytes) {
    return Unusable(StatusCode::kNoSpace, "the disk is nearly full");
  }
  FREYJA_ASSIGN_OR_RETURN(const auto file, parts_.directory.CreateAnew(path));
  FREYJA_RETURN_IF_ERROR(WritePages(*file));
  // Last, so that what a crash leaves does not verify.
  FREYJA_RETURN_IF_ERROR(file->WriteAt(0, format::EncodeIndexImageHead(head_)));
  return file->Sync();
}

Status ImageWriter::ListSegments() {
  std::unordered_map<std::uint64_t, const Segment*> by_id;
  bool faulted = false;
  parts_.segments.ForEach([&](const Segment& segment) {
    if (segment.state() == SegmentState::kRetired) return;
    by_id.emplace(segment.id(), &segment);
    faulted |= segment.mapping().faulted() || segment.damaged();
  });
  if (faulted) return Unusable(StatusCode::kUnsupported, "a segment can't be read");
  const auto find = [&](std::uint64_t id) {
    const auto found = by_id.find(id);
    return found == by_id.end() ? nullptr : found->second;
  };
  for (const format::SealedSegment& sealed : manifest_.sealed) {
    FREYJA_ASSIGN_OR_RETURN(const bool has_hint, parts_.directory.file_system().Exists(
                                                     parts_.directory.HintPath(sealed.id)));
    if (!has_hint) return Unusable(StatusCode::kUnsupported, "a hint is to be made anew");
    FREYJA_RETURN_IF_ERROR(ListSegment(find(sealed.id), sealed));
  }
  for (const format::LogSegment& listed : manifest_.log) {
    const Segment* const segment = find(listed.id);
    if (segment == nullptr || segment->log_records.load() == 0) continue;
    FREYJA_ASSIGN_OR_RETURN(const auto contents, ContentsOfLog(*segment));
    FREYJA_RETURN_IF_ERROR(ListSegment(segment, contents));
  }
  live_.resize(head_.segments.size());
  return Status::Ok();
}

Status ImageWriter::ListSegment(const Segment* segment, const format::SealedSegment& contents) {
  if (segment == nullptr) return Unusable(StatusCode::kIoError, "a segment is not open");
  format::ImagedSegment& imaged = head_.segments.emplace_back(Listed(contents));
  imaged.live_records = segment->live_records();
  imaged.live_bytes = segment->live_bytes();
  if (numbers_.size() <= segment->slot()) numbers_.resize(segment->slot() + 1);
  numbers_[segment->slot()] = static_cast<std::uint32_t>(head_.segments.size());
  segments_.push_back(segment);
  return Status::Ok();
}

Result<format::SealedSegment> ImageWriter::ContentsOfLog(const Segment& segment) const {
  SummaryBuilder summary;
  const std::uint64_t end = segment.log_end.load();
  RecordScanner scanner(segment.file(), segment.seed(), format::kSegmentHeaderBytes, end);
  ScannedRecord scanned;
  while (scanner.offset() < end) {
    FREYJA_ASSIGN_OR_RETURN(const bool found, scanner.Next(scanned));
    if (!found) {
      return std::unexpected(Unusable(StatusCode::kUnsupported, "a record does not verify"));
    }
    summary.Add(scanned);
  }
  return summary.Finish(segment.identity());
}

Status ImageWriter::ListPages() {
  std::uint64_t lines = 0;
  std::uint64_t hash = 0;
  do {
    hash = parts_.index.VisitWholePage(hash, [&](const IndexPage& page, std::uint64_t) {
      head_.pages.push_back({.lines = page.lines(), .depth = page.depth()});
      lines += page.lines();
    });
  } while (++hash != 0);
  if (!IsTooEmpty(lines, parts_.index.size())) return Status::Ok();
  return Unusable(StatusCode::kUnsupported, "a smaller index is to be made");
}

Status ImageWriter::WritePages(io::File& file) {
  std::uint64_t hash = 0;
  std::uint64_t offset = head_.bytes();
  for (format::ImagedPage& page : head_.pages) {
    hash = AddPage(hash, page) + 1;
    if (changed_) return Unusable(StatusCode::kIoError, "the index changed meanwhile");
    if (piece_.size() < kPieceBytes && hash != 0) continue;
    FREYJA_RETURN_IF_ERROR(file.WriteAt(offset, piece_));
    offset += piece_.size();
    piece_.clear();
  }
  for (std::size_t number = 0; number < live_.size(); ++number) {
    if (live_[number].AgreesWith(head_.segments[number])) continue;
    return Unusable(StatusCode::kUnsupported, "what is live does not add up");
  }
  return Status::Ok();
}

std::uint64_t ImageWriter::AddPage(std::uint64_t hash, format::ImagedPage& listed) {
  return parts_.index.VisitWholePage(hash, [&](const IndexPage& page, std::uint64_t) {
    if (page.lines() != listed.lines || page.depth() != listed.depth) {
      changed_ = true;
      return;
    }
    const std::size_t start = piece_.size();
    piece_.resize(start + page.slot_count() * IndexPage::kSlotBytes);
    const auto bytes = std::span(piece_).subspan(start);
    page.Save(bytes, [&](Location location) {
      const std::uint32_t slot = location.slot();
      const std::uint32_t number = slot < numbers_.size() ? numbers_[slot] : 0;
      if (number == 0) {
        changed_ = true;
        return location;
      }
      // By the records' headers where locations don't say: what was counted when a long record
      // became dead may have been read from a damaged one.
      const std::uint64_t known = location.length_bytes();
      live_[number - 1].AddRecord(
          known != 0 ? known : format::PeekRecordBytes(segments_[number - 1]->BytesAt(location)));
      return location.WithSlot(number - 1);
    });
    listed.checksum = base::Crc32c(0, bytes);
  });
}

// --- Reading --------------------------------------------------------------------------

Status ReadExactly(io::File& file, std::uint64_t offset, std::span<std::byte> out) {
  FREYJA_ASSIGN_OR_RETURN(const std::size_t read, file.ReadAt(offset, out));
  return read == out.size() ? Status::Ok() : Refused("ends too early");
}

// What an image must have been made over, and the most that can be live in each.
std::vector<format::ImagedSegment> ExpectedSegments(const format::Manifest& manifest,
                                                    const LogReplay& replay) {
  std::vector<format::ImagedSegment> expected;
  for (const format::SealedSegment& sealed : manifest.sealed) {
    expected.push_back(Listed(sealed));
    // A manifest may say too much.
    const std::uint64_t fit =
        std::min(sealed.data_bytes, kMaxSegmentBytes) / format::kMinRecordBytes;
    expected.back().live_records =
        std::min(fit, sealed.record_count - std::min(sealed.record_count, sealed.tombstone_count));
  }
  for (const ReplayedSegment& log : replay.segments) {
    if (log.last_sequence == 0) continue;
    const std::uint64_t records = log.last_sequence - log.first_sequence + 1;
    expected.push_back({.id = log.listed.id,
                        .nonce = log.listed.nonce,
                        .data_bytes = log.end,
                        .record_count = records,
                        .records_crc = log.records_crc,
                        .live_records = records - log.tombstone_count});
  }
  return expected;
}

// Nothing is believed before it is known to belong to this very state of the store: until then
// no more is read than that state allows.
Result<format::IndexImageHead> ReadHead(io::File& file, const format::Manifest& manifest,
                                        const std::vector<format::ImagedSegment>& expected) {
  std::vector<std::byte> bytes(format::kIndexImageFixedBytes);
  FREYJA_RETURN_IF_ERROR(ReadExactly(file, 0, bytes));
  FREYJA_ASSIGN_OR_RETURN(const format::IndexImagePrefix prefix,
                          format::DecodeIndexImagePrefix(bytes));
  if (!manifest.clean || prefix.store != manifest.store ||
      prefix.generation != manifest.generation) {
    return std::unexpected(Unusable(StatusCode::kNotFound, "of another state of the store"));
  }
  std::uint64_t keys = 0;
  for (const format::ImagedSegment& segment : expected) keys += segment.live_records;
  FREYJA_ASSIGN_OR_RETURN(const std::uint64_t size, file.Size());
  if (prefix.file_bytes != size || prefix.head_bytes() > size ||
      prefix.segments != expected.size() || IsTooEmpty(prefix.pages, keys)) {
    return std::unexpected(Refused("of another length, or over other segments"));
  }
  bytes.resize(prefix.head_bytes());
  FREYJA_RETURN_IF_ERROR(ReadExactly(file, 0, bytes));
  FREYJA_ASSIGN_OR_RETURN(format::IndexImageHead head, format::DecodeIndexImageHead(bytes));
  if (!std::ranges::equal(head.segments, expected, IsSame)) {
    return std::unexpected(Refused("over other segments"));
  }
  return head;
}

Status CheckSizes(const format::IndexImageHead& head,
                  const std::vector<format::ImagedSegment>& expected) {
  std::uint64_t keys = 0;
  for (std::size_t number = 0; number < expected.size(); ++number) {
    keys += head.segments[number].live_records;
    if (head.segments[number].live_records <= expected[number].live_records) continue;
    return Refused("more is live in a segment than is in it");
  }
  std::uint64_t lines = 0;
  for (const format::ImagedPage& page : head.pages) {
    lines += page.lines;
    if (page.depth > Index::MaxDepth(head.pages.size())) return Refused("a page is too deep");
  }
  return IsTooEmpty(lines, keys) ? Refused("it is much larger than its keys") : Status::Ok();
}

class ImageReader {
 public:
  ImageReader(io::File& file, const format::IndexImageHead& head) : file_(file), head_(head) {}

  Result<std::vector<std::unique_ptr<IndexPage>>> Run(unsigned threads);

 private:
  // Pages that follow each other in the file, read at once.
  struct Stretch {
    std::size_t first_page = 0;
    std::size_t pages = 0;
    std::uint64_t first_hash = 0;
    std::uint64_t offset = 0;
    std::uint64_t bytes = 0;
  };
  void PlanStretches();
  Status ReadStretch(const Stretch& stretch, std::vector<std::byte>& buffer,
                     std::vector<Live>& live);
  bool IsPossible(Location location) const;

  io::File& file_;
  const format::IndexImageHead& head_;
  std::vector<Stretch> stretches_;
  std::vector<std::unique_ptr<IndexPage>> pages_;
};

void ImageReader::PlanStretches() {
  std::uint64_t hash = 0;
  std::uint64_t offset = head_.bytes();
  for (std::size_t i = 0; i < head_.pages.size(); ++i) {
    if (stretches_.empty() || stretches_.back().bytes >= kPieceBytes) {
      stretches_.push_back({.first_page = i, .first_hash = hash, .offset = offset});
    }
    const std::uint64_t bytes = std::uint64_t{head_.pages[i].lines} * format::kIndexLineBytes;
    ++stretches_.back().pages;
    stretches_.back().bytes += bytes;
    offset += bytes;
    hash = RangeLast(hash, head_.pages[i].depth) + 1;
  }
}

bool ImageReader::IsPossible(Location location) const {
  const std::uint64_t known = location.length_bytes();
  const std::uint64_t at_least =
      known != 0 ? std::max(known, format::kMinRecordBytes) : Location::kMaxKnownLength + 1;
  return location.slot() < head_.segments.size() &&
         location.offset() >= format::kSegmentHeaderBytes &&
         location.offset() + at_least <= head_.segments[location.slot()].data_bytes;
}

Status ImageReader::ReadStretch(const Stretch& stretch, std::vector<std::byte>& buffer,
                                std::vector<Live>& live) {
  buffer.resize(stretch.bytes);
  FREYJA_RETURN_IF_ERROR(ReadExactly(file_, stretch.offset, buffer));
  std::span<const std::byte> rest = buffer;
  std::uint64_t first_hash = stretch.first_hash;
  for (std::size_t i = stretch.first_page; i < stretch.first_page + stretch.pages; ++i) {
    const format::ImagedPage& listed = head_.pages[i];
    const auto saved = rest.first(std::size_t{listed.lines} * format::kIndexLineBytes);
    rest = rest.subspan(saved.size());
    if (base::Crc32c(0, saved) != listed.checksum) {
      return Refused("the checksum of a page does not match");
    }
    auto page = IndexPage::Create(listed.lines, listed.depth);
    if (page == nullptr) return Unusable(StatusCode::kOutOfMemory, "no memory for its pages");
    const std::uint64_t last_hash = RangeLast(first_hash, listed.depth);
    const bool restored = page->Restore(saved, [&](std::uint64_t hash, Location location) {
      if (hash < first_hash || hash > last_hash || !IsPossible(location)) return false;
      live[location.slot()].AddRecord(location.length_bytes());
      return true;
    });
    if (!restored) return Refused("a slot can't be what it says");
    pages_[i] = std::move(page);
    first_hash = last_hash + 1;
  }
  return Status::Ok();
}

Result<std::vector<std::unique_ptr<IndexPage>>> ImageReader::Run(unsigned threads) {
  PlanStretches();
  pages_.resize(head_.pages.size());
  std::vector<std::vector<Live>> live(threads);
  std::atomic<std::size_t> next{0};
  const Status read = RunParallel(threads, threads, [&](std::size_t thread) -> Status {
    std::vector<std::byte> buffer;
    live[thread].resize(head_.segments.size());
    for (std::size_t i = next.fetch_add(1); i < stretches_.size(); i = next.fetch_add(1)) {
      FREYJA_RETURN_IF_ERROR(ReadStretch(stretches_[i], buffer, live[thread]));
    }
    return Status::Ok();
  });
  FREYJA_RETURN_IF_ERROR(read);
  for (std::size_t number = 0; number < head_.segments.size(); ++number) {
    Live found;
    for (const auto& of_thread : live) found.AddAll(of_thread[number]);
    if (!found.AgreesWith(head_.segments[number])) {
      return std::unexpected(Refused("what is live does not add up"));
    }
  }
  return std::move(pages_);
}

Result<IndexImage> ReadImage(Directory& directory, const format::Manifest& manifest,
                             const LogReplay& replay, unsigned threads) {
  FREYJA_ASSIGN_OR_RETURN(const auto file, directory.file_system().Open(directory.IndexImagePath(),
                                                                        io::OpenMode::kRead));
  const auto expected = ExpectedSegments(manifest, replay);
  FREYJA_ASSIGN_OR_RETURN(format::IndexImageHead head, ReadHead(*file, manifest, expected));
  FREYJA_RETURN_IF_ERROR(CheckSizes(head, expected));
  IndexImage image;
  FREYJA_ASSIGN_OR_RETURN(image.pages, ImageReader(*file, head).Run(threads));
  image.segments = std::move(head.segments);
  return image;
}

}  // namespace

Status WriteIndexImage(const IndexImageParts& parts, std::uint64_t spare_bytes) noexcept try {
  const auto path = parts.directory.IndexImagePath();
  Status written;
  try {
    written = ImageWriter(parts).Run(path, spare_bytes);
  } catch (const std::exception&) {
    written = Status(StatusCode::kOutOfMemory, "");
  }
  // A creation that fails may have happened all the same.
  if (!written.ok()) parts.directory.RemoveBestEffort(path);
  return written;
} catch (const std::exception&) {
  return Status(StatusCode::kOutOfMemory, "");
}

Result<IndexImage> ReadIndexImage(Directory& directory, const format::Manifest& manifest,
                                  const LogReplay& replay, unsigned threads) noexcept try {
  return ReadImage(directory, manifest, replay, threads);
} catch (const std::exception&) {
  return std::unexpected(Status(StatusCode::kOutOfMemory, ""));
}

}  // namespace freyja::engine
