// The entry point of libFuzzer; compiled once for each target.
#include <cstddef>
#include <cstdint>

#include "fuzz/targets.h"

// The name and the type are libFuzzer's. An exception that leaves it ends the program where
// it was thrown, with the stack still there to be shown.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) noexcept {
  freyja::fuzz::FREYJA_FUZZ_TARGET(std::as_bytes(std::span(data, size)));
  return 0;
}
