#include "torture/real/verify.h"

#include <stdlib.h>

#include <set>
#include <string>
#include <system_error>
#include <utility>

#include "freyja/freyja.h"
#include "support/store_contents.h"

namespace freyja::torture::real {

namespace {

Finding Failed(const std::string& what, const Status& status) {
  // Damage where nothing was damaged is a loss of its own kind; the text says which.
  return {Wrong::kOther, what + ": " + status.ToString()};
}

}  // namespace

Verified OpenAndJudge(const std::filesystem::path& directory, const Options& options,
                      const Ledger& ledger, const Ledger::Floor& floor) {
  Verified verified;
  for (const bool again : {false, true}) {
    auto store = KVStore::Open(directory, options);
    if (!store) {
      verified.finding = Failed(again ? "second open" : "open", store.error());
      return verified;
    }
    const Stats stats = (*store)->GetStats();
    if (stats.read_only) {
      verified.finding = Failed("opened read-only", stats.background_error);
      return verified;
    }
    auto contents = support::ReadContents(**store);
    if (!contents) {
      verified.finding = Failed("iterator", contents.error());
      return verified;
    }
    if (again && *contents != verified.contents) {
      verified.finding = Finding{Wrong::kOther, "the second open changed the contents"};
      return verified;
    }
    verified.finding = ledger.Judge(*contents, floor);
    if (verified.finding) return verified;
    if (std::string wrong = support::CompareReads(**store, *contents); !wrong.empty()) {
      verified.finding = Finding{Wrong::kMissed, std::move(wrong)};
      return verified;
    }
    const Status sums = (*store)->VerifyChecksums();
    const Status closed = (*store)->Close();
    if (!sums.ok() || !closed.ok()) {
      verified.finding = Failed("verify or close", sums.ok() ? closed : sums);
      return verified;
    }
    verified.contents = *std::move(contents);
  }
  return verified;
}

ScratchDirectory::ScratchDirectory(const std::filesystem::path& parent) {
  std::string name = (parent / "freyja-real-XXXXXX").native();
  if (::mkdtemp(name.data()) == nullptr) {
    throw std::system_error(errno, std::generic_category(), name);
  }
  path_ = name;
}

ScratchDirectory::~ScratchDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace freyja::torture::real
