#include <memory>

#include "freyja/freyja.h"

std::unique_ptr<freyja::KVStore> Use(std::unique_ptr<freyja::KVStore> store) {
#ifdef MISUSE
  return std::unique_ptr<freyja::KVStore>(new freyja::KVStore(*store));
#else
  return store;
#endif
}
