// The fuzz targets. Each takes any bytes, and throws PropertyViolated (property.h) if the
// code under test does not keep what it promises; docs of the properties are in each file.
#pragma once

#include <cstddef>
#include <span>

namespace freyja::fuzz {

using Bytes = std::span<const std::byte>;

void FuzzRecord(Bytes data);         // one record after another
void FuzzHint(Bytes data);           // a hint file
void FuzzManifest(Bytes data);       // a manifest file
void FuzzIndexImage(Bytes data);     // the head of an index image
void FuzzSegmentHeader(Bytes data);  // the header of a data file
void FuzzDirectory(Bytes data);      // opening a directory of manifest, data and hint files
void FuzzStore(Bytes data);          // operations, faults and crashes against std::map
void FuzzNdjson(Bytes data);         // what `load` reads, both formats
void FuzzTsv(Bytes data);
void FuzzDataset(Bytes data);  // what `demo` reads
void FuzzText(Bytes data);     // escapes, base64, UTF-8

// With a planted wrong each. A fuzzer that doesn't find them finds nothing.
void FuzzCanaryRecord(Bytes data);
void FuzzCanaryStore(Bytes data);

}  // namespace freyja::fuzz
