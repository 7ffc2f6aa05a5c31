// The workloads in which every call fails once.
#pragma once

#include <vector>

#include "torture/faults/fault_driver.h"

namespace freyja::torture {

struct FaultWorkload {
  const char* name = "";
  void (*run)(Driver&) = nullptr;
};

const std::vector<FaultWorkload>& FaultWorkloads();

}  // namespace freyja::torture
