// The index image: the file INDEX, with which the open after a clean close need not build the
// index from the hints.
//
// It is a cache: whatever is wrong with it, the hints are loaded instead. It counts only
//  - if the manifest says that the store was closed cleanly, in the very generation that the
//    image names. Opening for writing clears that mark before anything is appended, generations
//    never come back, and so no image outlives the first write after it;
//  - if it was made over exactly the segments that the manifest lists, record for record (the
//    running checksum of each says so), which keeps copies of a store that went apart from mixing;
//  - if its checksums match, every location in it lies in one of those segments, and what is live
//    in each adds up.
//
// An index may differ from what a load of all records would give. No image is written if
//  - a key was changed while a record of its hash could not be read: it may have two slots
//    (Health::WantFullOpen);
//  - hints are missing, which only a load makes anew;
//  - deletes left its pages so empty that a load would make a much smaller one.
// What else differs does no harm: after an undo the slot of a record that had expired is missing.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/directory.h"
#include "engine/index.h"
#include "engine/log_replay.h"
#include "engine/manifest_store.h"
#include "engine/segment_table.h"
#include "format/index_image.h"
#include "format/manifest.h"

namespace freyja::engine {

// Writes and syncs the image, 16 bytes a slot, for the manifest that will follow the current one;
// the directory is not synced. Nobody may write to the store meanwhile. Without success no image
// is left behind (as far as that can be done). kNoSpace also if less than `spare_bytes` of the
// disk would be left; kUnsupported: this index should not be kept (above). Throws nothing.
//
// Memory: 1 MiB and one page, and 20 bytes for each page of the index (16 KiB).
struct IndexImageParts {
  Directory& directory;
  const ManifestStore& manifest;
  const Index& index;
  const SegmentTable& segments;
};
Status WriteIndexImage(const IndexImageParts& parts, std::uint64_t spare_bytes) noexcept;

// What was read: the pages' locations name segments by their number in `segments`.
struct IndexImage {
  std::vector<format::ImagedSegment> segments;
  std::vector<std::unique_ptr<IndexPage>> pages;
};

// Reads and verifies an image, on several threads. Any error means: load the hints instead.
// kNotFound: there is none of this state of the store; kCorruption: it is damaged.
// Memory: of the index. Nothing is allocated beyond what the segments' records can fill.
Result<IndexImage> ReadIndexImage(Directory& directory, const format::Manifest& manifest,
                                  const LogReplay& replay, unsigned threads) noexcept;

}  // namespace freyja::engine
