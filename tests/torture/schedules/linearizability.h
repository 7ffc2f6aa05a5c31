// Whether what several threads did to one key, and saw of it, can be put in one order.
//
// A key is a register with delete: it holds a version, or nothing. A history is linearizable
// (Herlihy & Wing, TOPLAS 1990) if every operation can be given one instant between its begin
// and its end such that each read sees what the last change before it left. The search is
// that of Wing & Gong (JPDC 1993), with visited states remembered as Lowe (CCPE 2017) does;
// histories here have a dozen operations.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "torture/report.h"

namespace freyja::torture::schedules {

// No version: the key is absent. A version that nobody wrote is kNobodys.
using Version = std::optional<std::uint32_t>;
inline constexpr std::uint32_t kNobodys = UINT32_MAX;

struct Operation {
  enum class Kind : std::uint8_t {
    kRead,   // saw `version`
    kWrite,  // left `version`, whatever was there; none: a delete that says nothing
    kDelete  // left nothing, and said whether there was something: `was_present`
  };
  Kind kind = Kind::kRead;
  std::size_t thread = 0;
  Version version = {};
  bool was_present = false;
  // Instants; all differ. Two operations overlap if neither ends before the other begins.
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

struct LinearizabilityError {
  Wrong wrong = Wrong::kOther;
  std::string what;
};

// The operations on one key, at most 32, in any order, and what the key held before.
std::optional<LinearizabilityError> CheckKey(std::span<const Operation> operations, Version before);

std::string Describe(const Operation& operation);

}  // namespace freyja::torture::schedules
