// Exit codes of freyja-bench other than 0.
#pragma once

namespace freyja::bench {

inline constexpr int kExitFailure = 1;
inline constexpr int kExitUsage = 2;
inline constexpr int kExitInterrupted = 130;

}  // namespace freyja::bench
