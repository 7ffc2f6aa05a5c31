#include "demo_final_check.h"

#include <fmt/format.h>

#include <chrono>
#include <memory>
#include <optional>

#include "freyja/kv_store.h"

namespace freyja::cli {
namespace {

// The first thing that differs from the model, or an empty text.
std::string CompareByIterator(const KVStore& store, DemoModel& model, std::uint64_t& keys) {
  IterationCheck check(model);
  Result<Iterator> iterator = store.NewIterator();
  if (!iterator) return iterator.error().ToString();
  check.Opened();
  for (iterator->Next(); iterator->Valid(); iterator->Next()) {
    if (check.Saw(iterator->key(), iterator->value()) != Verdict::kRight) {
      return fmt::format("the iterator's value of key '{}' is wrong", iterator->key());
    }
  }
  if (!iterator->status().ok()) return iterator->status().ToString();
  const IterationCheck::Totals totals = check.Finish();
  keys = totals.seen;
  if (totals.missed != 0) return fmt::format("the iterator left out {} keys", totals.missed);
  const std::uint64_t counted = store.GetStats().keys;
  if (counted != keys) {
    return fmt::format("the store counts {} keys, its iterator shows {}", counted, keys);
  }
  return {};
}

std::string CompareByGet(const KVStore& store, DemoModel& model) {
  std::string value;
  for (std::size_t i = 0; i < model.size(); ++i) {
    const DemoModel::ReadTicket ticket = model.BeginRead(i);
    const Result<bool> found = store.Get(model.key(i), value);
    if (!found) return found.error().ToString();
    std::optional<std::string_view> answer;
    if (*found) answer = value;
    if (model.EndRead(ticket, answer) != Verdict::kRight) {
      return fmt::format("key '{}' isn't what was acknowledged", model.key(i));
    }
  }
  return {};
}

}  // namespace

FinalCheck RunFinalCheck(const std::filesystem::path& path, const Options& options,
                         DemoModel& model) {
  FinalCheck result;
  Options reopen = options;
  reopen.create_if_missing = false;
  reopen.error_if_exists = false;
  const auto begin = std::chrono::steady_clock::now();
  const Result<std::unique_ptr<KVStore>> store = KVStore::Open(path, reopen);
  if (!store) {
    result.problem = store.error().ToString();
    return result;
  }
  result.reopen_ms =
      std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
  result.problem = CompareByIterator(**store, model, result.keys);
  if (result.problem.empty()) result.problem = CompareByGet(**store, model);
  result.reopen_matches_model = result.problem.empty();
  const Status verified = (*store)->VerifyChecksums();
  result.check_ok = verified.ok();
  if (!verified.ok() && result.problem.empty()) result.problem = verified.ToString();
  const Status closed = (*store)->Close();
  if (!closed.ok() && result.problem.empty()) {
    result.problem = closed.ToString();
    result.check_ok = false;
  }
  return result;
}

}  // namespace freyja::cli
