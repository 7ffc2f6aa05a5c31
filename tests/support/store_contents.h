// Reading a whole store, in all the ways there are.
#pragma once

#include <set>
#include <string>

#include "freyja/kv_store.h"
#include "support/history.h"

namespace freyja::support {

// What an iterator shows.
Result<Contents> ReadContents(const KVStore& store);
// Empty if Get, MultiGet and an iterator agree that the store holds exactly `expected`.
// Keys that aren't in it but might be in the store are looked up as well.
std::string CompareReads(const KVStore& store, const Contents& expected,
                         const std::set<std::string>& other_keys = {});

}  // namespace freyja::support
