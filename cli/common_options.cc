#include "commands.h"

#include "freyja/options.h"

namespace freyja::cli {

void AddDirectory(CLI::App& command, std::string* directory) {
  command.add_option("DIR", *directory, "The store's directory")->required();
}

void AddSegmentSize(CLI::App& command, std::uint64_t* segment_bytes) {
  command
      .add_option("--segment-size", *segment_bytes,
                  "Size of new segment files, 16KiB to 1GiB (default 128MiB); a record must fit "
                  "in one")
      ->transform(CLI::AsSizeValue(false))
      ->check(CLI::Range(kMinSegmentBytes, kMaxSegmentBytes))
      ->type_name("SIZE");
}

}  // namespace freyja::cli
