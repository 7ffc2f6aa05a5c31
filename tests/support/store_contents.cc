#include "support/store_contents.h"

#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status_macros.h"

namespace freyja::support {

Result<Contents> ReadContents(const KVStore& store) {
  FREYJA_ASSIGN_OR_RETURN(Iterator it, store.NewIterator());
  Contents contents;
  for (it.Next(); it.Valid(); it.Next()) {
    const auto [entry, is_new] = contents.emplace(it.key(), it.value());
    if (!is_new) {
      return std::unexpected(
          Status(StatusCode::kAborted, "the iterator shows " + entry->first + " twice"));
    }
  }
  FREYJA_RETURN_IF_ERROR(it.status());
  return contents;
}

std::string CompareReads(const KVStore& store, const Contents& expected,
                         const std::set<std::string>& other_keys) {
  const auto walked = ReadContents(store);
  if (!walked) return "iterator: " + walked.error().ToString();
  if (*walked != expected) return "iterator: " + Differences(expected, *walked);

  std::vector<std::string_view> keys(other_keys.begin(), other_keys.end());
  for (const auto& [key, value] : expected) {
    if (!other_keys.contains(key)) keys.push_back(key);
  }
  const auto many = store.MultiGet(keys);
  if (many.size() != keys.size()) return "MultiGet: too few results";
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const auto entry = expected.find(std::string(keys[i]));
    const std::optional<std::string> wanted =
        entry == expected.end() ? std::nullopt : std::optional(entry->second);
    if (!many[i]) return "MultiGet: " + many[i].error().ToString();
    if (*many[i] != wanted) return "MultiGet: wrong answer for " + std::string(keys[i]);
    const auto one = store.Get(keys[i]);
    if (!one) return "Get: " + one.error().ToString();
    if (*one != wanted) return "Get: wrong answer for " + std::string(keys[i]);
  }
  return {};
}

}  // namespace freyja::support
