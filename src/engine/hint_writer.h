// Writes the hint of one segment.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "base/buffer.h"
#include "engine/directory.h"
#include "format/hint.h"

namespace freyja::engine {

// Takes the entries as they come and holds only the last of them; a crash before Finish has
// returned leaves a file that does not verify. Order of calls: Add…, Finish. The first error is
// kept for Finish: a hint is nothing that anybody must have. Unless Finish has returned Ok, no
// hint is left behind (as far as that can be done).
//
// Memory: kPieceBytes, in Finish twice that and 10 bits an entry. Not thread-safe.
class HintWriter {
 public:
  static constexpr std::size_t kPieceBytes = std::size_t{256} << 10;

  // For `<id>.hint`; replaces one that an earlier attempt left. Does nothing yet.
  HintWriter(Directory& directory, std::uint64_t id);
  ~HintWriter();
  HintWriter(const HintWriter&) = delete;
  HintWriter& operator=(const HintWriter&) = delete;

  // Entries in file order.
  void Add(const format::HintEntry& entry);
  // Completes and syncs the file. `header.record_count` must be the number of entries. The
  // directory is not synced.
  Status Finish(const format::HintHeader& header);

 private:
  Status Open();
  Status Spill();
  // Closes the file and removes it unless it is finished: on a full disk others need the room.
  void Release();
  Status Complete(const format::HintHeader& header);
  // Gives `frame` the entries that are in the file, after checking that they are what was
  // written.
  Status ReadBack(format::HintFrame& frame);
  std::uint64_t spilled_end() const { return format::kHintHeaderBytes + spilled_; }

  Directory& directory_;
  const std::uint64_t id_;
  Status status_;
  std::unique_ptr<io::File> file_;  // from the first piece on
  bool unfinished_ = false;         // there may be a file
  base::PassingBuffer piece_;       // entries that are not in the file yet
  std::uint64_t spilled_ = 0;       // bytes of entries in the file
  std::uint32_t spilled_crc_ = 0;
};

// All at once.
Status WriteHint(Directory& directory, const format::HintHeader& header,
                 std::span<const format::HintEntry> entries);

}  // namespace freyja::engine
