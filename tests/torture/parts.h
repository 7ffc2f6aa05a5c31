// The parts of the torture suite.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "torture/report.h"

namespace freyja::torture {

struct Part {
  std::string name;
  std::string what;  // a line of help
  void (*run)(const Settings&, Report&);
  // How much of a long run's time it gets, relative to the others.
  double share;
};

std::span<const Part> AllParts();
std::vector<std::string> PartNames();
// Of one that exists.
const Part& FindPart(const std::string& name);

}  // namespace freyja::torture
