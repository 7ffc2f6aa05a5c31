// Loop devices that fail, as disks do. Both must run in a mount namespace of their own.
#pragma once

#include <cstdint>
#include <filesystem>

#include "torture/report.h"

namespace freyja::torture::real {

// Reads of a sealed segment end with EIO.
void FailReads(const std::filesystem::path& scratch, std::uint64_t seed, Report& report);
// Writes end with an error, which the store learns from an fsync.
void FailSyncs(const std::filesystem::path& scratch, std::uint64_t seed, Report& report);

}  // namespace freyja::torture::real
