// What a store runs on: file system, clock and randomness, owned by the store.
#pragma once

#include <memory>

#include "base/environment.h"
#include "io/file_system.h"

namespace freyja::engine {

struct Environment {
  std::shared_ptr<io::FileSystem> file_system;
  std::shared_ptr<base::Clock> clock;
  std::shared_ptr<base::Random> random;
};

}  // namespace freyja::engine
