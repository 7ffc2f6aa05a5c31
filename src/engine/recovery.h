// Recovery: from the files of a directory to an index and a log that can go on.
//
// The steps (docs/architecture.md, "The life of a recovery"):
//  1. Look at every file first: one that is newer than the manifest means that an older
//     manifest was put back; then nothing is changed.
//  2. For writing: sync manifest and directory, clear the clean mark durably.
//  3. Replay the log (log_replay.h). After a clean close it goes on where it ended. After
//     any other end nothing is ever appended to it again: what lies through the watermark
//     is sealed in place, the valid rest is copied to fresh segments, numbers kept.
//  4. Map the sealed segments. Unless a clean close left an index image (index_image.h), load
//     their hints, or scan them; beside the copying, if there is any.
//  5. Commit that as a manifest of its own; a new log starts at the reserved number.
//  6. Build the index: from the image, or for each key the highest number wins.
//  7. Only then delete the files that the manifest doesn't list, and no others. (On a full
//     disk before step 5, so that they don't take the room that the steps need.)
// A crash inside any step leaves a directory for which the steps do the same again.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/environment.h"
#include "base/huge_pages.h"
#include "engine/directory.h"
#include "engine/id_allocator.h"
#include "engine/index.h"
#include "engine/index_builder.h"
#include "engine/index_image.h"
#include "engine/log_replay.h"
#include "engine/manifest_store.h"
#include "engine/reserve.h"
#include "engine/segment_file.h"
#include "engine/segment_table.h"

namespace freyja::engine {

class SealedWriter;

struct Recovered {
  // For a writable store: the log's segments, registered, mapped for writing; may be empty.
  std::vector<Segment*> log;
  std::uint64_t last_sequence = 0;
  std::uint64_t durable_sequence = 0;
  std::uint64_t tail_bytes_discarded = 0;
  std::uint64_t tail_records_copied = 0;
  bool index_from_image = false;
  bool mended = false;       // all that Health::WantFullOpen asks for was done
  Status index_image_error;  // why one of this state could not be used
  // Not ok: asked for writing, but only reading is possible, and why.
  Status read_only_reason;
};

class Recovery {
 public:
  struct Parts {
    Directory& directory;
    ManifestStore& manifest;
    SegmentTable& segments;
    Index& index;
    IdAllocator& ids;
    Reserve& reserve;
    base::Random& random;
    unsigned threads = 1;
    std::uint64_t segment_bytes = 0;
    bool read_only = false;
  };
  explicit Recovery(const Parts& parts) : parts_(parts) {}

  Result<Recovered> Run();

 private:
  // `listed`: a segment of the log, or a sealed one.
  static format::SegmentIdentity IdentityOf(const format::Manifest& manifest, const auto& listed) {
    return {.store = manifest.store, .id = listed.id, .nonce = listed.nonce};
  }
  Status CheckUnlisted(const format::Manifest& manifest);
  Status MakeManifestDurable();
  Status ClearCleanMark();
  Status MapSealed(const format::Manifest& manifest);
  // All that are not loaded yet. LoadSomeSealed does it on one of several threads.
  Status LoadSealed(const format::Manifest& manifest);
  Status LoadSomeSealed(const format::Manifest& manifest, std::size_t thread);
  Result<std::unique_ptr<Segment>> MapListed(const format::Manifest& manifest,
                                             const format::SealedSegment& sealed);
  // From the hint, or by scanning; then a hint is written for the next time, if there is room.
  // `thread`: no other adds with the same meanwhile.
  Status LoadEntries(const format::Manifest& manifest, Segment& segment, std::size_t thread,
                     base::HugeBuffer& buffer);
  // On a full disk what is free is the reserve's; a hint only saves time.
  bool MayWriteHints() const { return !parts_.read_only && parts_.reserve.whole(); }

  Result<bool> AllocateLog(const format::Manifest& manifest, const LogReplay& replay);
  // The three ends of a replay.
  Status ContinueLog(const format::Manifest& manifest, const LogReplay& replay);
  void GiveBackTails(const format::Manifest& manifest, const LogReplay& replay);
  Status SealLog(const format::Manifest& manifest, const LogReplay& replay);
  Status ReadLogInPlace(const format::Manifest& manifest, const LogReplay& replay);

  // A part of a log segment that stays where it is, and its entries.
  struct InPlace {
    std::unique_ptr<Segment> segment;
    format::SealedSegment summary;
    std::vector<format::HintEntry> entries;
  };
  Result<std::unique_ptr<io::File>> OpenLogFile(const format::Manifest& manifest,
                                                const ReplayedSegment& replayed, bool writable);
  Result<InPlace> LoadLogSegment(const format::Manifest& manifest, const ReplayedSegment& replayed,
                                 std::uint64_t last_sequence, bool writable);
  Result<InPlace> LoadWholeLogSegment(const format::Manifest& manifest,
                                      const ReplayedSegment& replayed, bool writable);
  Status MapInPlace(std::unique_ptr<io::File> file, const format::SegmentIdentity& identity,
                    const ReplayedSegment& replayed, bool writable, InPlace& loaded);
  Result<Segment*> RegisterInPlace(InPlace loaded);
  // The valid records behind those that stay in place, in segments of their own.
  using Copies = std::vector<std::unique_ptr<SealedWriter>>;
  unsigned ThreadsToReadLog(const LogReplay& replay) const;
  Status CopyLog(const format::Manifest& manifest, const LogReplay& replay,
                 std::uint64_t after_sequence, Copies& copies);
  Status CopyRest(const format::Manifest& manifest, const ReplayedSegment& replayed,
                  std::uint64_t after_sequence, Copies& copies);
  Status LoadKept(const format::Manifest& manifest, const LogReplay& replay,
                  std::uint64_t last_sequence, std::vector<InPlace>& kept);
  Status RegisterSealedLog(const format::Manifest& manifest, std::vector<InPlace> kept,
                           const Copies& copies);
  Result<Segment*> Register(std::unique_ptr<Segment> segment);
  Status FillIndex();
  void DeleteUnlisted();

  const Parts parts_;
  std::optional<IndexImage> image_;
  std::vector<Segment*> imaged_;  // those of image_, in its order, then any others
  // Without an image: one for each thread.
  std::vector<LoadedEntries> loaded_;
  // A sealed segment of the manifest found. After an error while it was loaded a part of its
  // entries may be in loaded_, and will be there once more: of equals one wins.
  struct Sealed {
    Segment* segment;
    bool is_loaded;
  };
  std::vector<Sealed> sealed_;
  std::atomic<std::size_t> next_sealed_{0};  // the next one that a thread looks at
  std::atomic<bool> lacks_hint_{false};      // a sealed segment does
  Recovered recovered_;
};

}  // namespace freyja::engine
