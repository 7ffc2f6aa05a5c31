#include "freyja/freyja.h"

bool Use(freyja::KVStore& store) {
#ifdef MISUSE
  store.Delete("key");
#endif
  return store.Delete("key").value_or(false);
}
