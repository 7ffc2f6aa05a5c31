#include "freyja/freyja.h"

freyja::Status Use(freyja::KVStore& store) {
#ifdef MISUSE
  store.Put("key", "value");
#endif
  return store.Put("key", "value");
}
