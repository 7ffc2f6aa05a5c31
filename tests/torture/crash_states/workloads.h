// Short workloads, each around one thing that a store does. Their values, sizes and order
// come from the seed.
#pragma once

#include <functional>
#include <span>
#include <string_view>

#include "torture/crash_states/world.h"

namespace freyja::torture {

struct Workload {
  std::string_view name;
  std::function<void(World&)> run;
};
std::span<const Workload> Workloads();

}  // namespace freyja::torture
