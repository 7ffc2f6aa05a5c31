// Creating, opening and checking data files, reading hints. Stateless.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/huge_pages.h"
#include "engine/directory.h"
#include "engine/record_scanner.h"
#include "engine/segment.h"
#include "format/hint.h"
#include "format/manifest.h"

namespace freyja::engine {

// Creates `path`, which must not exist, and writes its header; nothing is synced.
Result<std::unique_ptr<io::File>> CreateDataFile(Directory& directory,
                                                 const std::filesystem::path& path,
                                                 const format::SegmentIdentity& identity,
                                                 std::uint64_t manifest_generation);

// Opens a listed data file and checks its header: identity, and generation not above the
// manifest's. A missing, short or foreign file is kCorruption.
Result<std::unique_ptr<io::File>> OpenDataFile(Directory& directory,
                                               const format::SegmentIdentity& identity,
                                               std::uint64_t manifest_generation, bool writable);

// Maps a sealed segment read-only, up to its exact end.
Result<std::unique_ptr<Segment>> MapSealedSegment(std::unique_ptr<io::File> file,
                                                  const format::SegmentIdentity& identity,
                                                  const format::SealedSegment& sealed);

// Calls visit(record) for each record of a sealed segment, in file order, and checks the
// whole against `sealed`: the end, the count, the checksum, the bounds. kCorruption names
// file and offset. A visit that returns an error ends the scan with it.
Status ScanSealed(io::File& file, const format::SegmentIdentity& identity,
                  const format::SealedSegment& sealed,
                  const std::function<Status(const ScannedRecord&)>& visit);
// The most records of a run: enough for what is fetched for each to overlap.
inline constexpr std::size_t kScanRun = 16;
// The same with visit(records) for up to kScanRun of them at once, none left out between them. The
// views of all of them are valid during the visit.
Status ScanSealedInRuns(io::File& file, const format::SegmentIdentity& identity,
                        const format::SealedSegment& sealed,
                        const std::function<Status(std::span<const ScannedRecord>)>& visit);

// The entries of the hint of a sealed segment. Any error means: scan the segment instead.
Result<std::vector<format::HintEntry>> ReadHintEntries(Directory& directory,
                                                       const format::HintHeader& expected);
// The same for one who reads many hints: memory that is touched for the first time costs more than
// what is then done with it. What is returned lies in `buffer`.
Result<format::HintEntries> ReadHintEntries(Directory& directory,
                                            const format::HintHeader& expected,
                                            base::HugeBuffer& buffer);
// The filter alone. Any error means: "maybe", for every key.
Result<std::vector<std::byte>> ReadHintFilter(Directory& directory,
                                              const format::HintHeader& expected);

}  // namespace freyja::engine
