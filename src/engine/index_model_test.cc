#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <unordered_map>

#include "engine/index.h"
#include "engine/index_testing.h"

namespace freyja::engine {
namespace {

using testing::HasKey;
using testing::KeyOf;
using testing::kIgnore;
using testing::RecordOf;
using testing::UniformHash;

constexpr IndexOptions kTinyPages{.initial_page_lines = 1, .max_page_lines = 4};

// Random operations compared with a standard map, for hashes that are uniform,
// that collide, and that differ in few bits only.
struct ModelCase {
  const char* name;
  IndexOptions options;
  std::uint64_t (*hash)(std::uint64_t);
};

class IndexModelTest : public ::testing::TestWithParam<ModelCase> {};

class ModelRun {
 public:
  ModelRun(const ModelCase& model_case, std::uint32_t seed)
      : hash_(model_case.hash),
        random_(seed),
        index_(Index::Create(epochs_, model_case.options).value()) {}

  void Step() {
    const std::uint64_t key = random_() % kKeys;
    const auto at = model_.find(key);
    const Location expected = at == model_.end() ? Location() : at->second;
    const Location next = RecordOf(key, ++version_ % (1 << 20));
    const std::uint64_t hash = hash_(key);
    switch (random_() % 8) {
      case 0:
      case 1:
      case 2:
        ASSERT_EQ(index_->Upsert(hash, HasKey(key), next, kIgnore), expected);
        model_[key] = next;
        break;
      case 3:
      case 4:
        ASSERT_EQ(index_->Erase(hash, HasKey(key), kIgnore), expected);
        model_.erase(key);
        break;
      case 5: {
        // Half of the time a location that is out of date.
        const Location old = random_() % 2 == 0 ? RecordOf(key, 0) : expected;
        const bool hit = !expected.is_none() && old == expected;
        ASSERT_EQ(index_->ReplaceExact(hash, old, next, kIgnore), hit);
        if (hit) model_[key] = next;
        break;
      }
      case 6: {
        if (random_() % 4 != 0) break;
        ASSERT_EQ(index_->EraseExact(hash, expected, kIgnore), !expected.is_none());
        model_.erase(key);
        break;
      }
      default:
        ASSERT_EQ(testing::Get(*index_, epochs_, hash, key), expected);
    }
    ASSERT_EQ(index_->size(), model_.size());
  }

  void CompareAll() {
    std::unordered_map<std::uint64_t, Location> visited;
    std::uint64_t first_hash = 0;
    do {
      first_hash = 1 + index_->VisitPage(first_hash, [&](const PageEntries& entries, auto) {
        for (const auto [hash, location] : entries) {
          ASSERT_EQ(hash, hash_(KeyOf(location)));
          ASSERT_TRUE(visited.emplace(KeyOf(location), location).second);
        }
      });
    } while (first_hash != 0);
    ASSERT_EQ(visited, model_);
    for (std::uint64_t key = 0; key < kKeys; ++key) {
      const auto at = model_.find(key);
      ASSERT_EQ(testing::Get(*index_, epochs_, hash_(key), key),
                at == model_.end() ? Location() : at->second);
    }
  }

 private:
  static constexpr std::uint64_t kKeys = 700;

  std::uint64_t (*hash_)(std::uint64_t);
  std::mt19937_64 random_;
  EpochManager epochs_;
  std::unique_ptr<Index> index_;
  std::unordered_map<std::uint64_t, Location> model_;
  std::uint64_t version_ = 0;
};

TEST_P(IndexModelTest, AgreesWithAMapAfterRandomOperations) {
  for (std::uint32_t seed = 1; seed <= 5; ++seed) {
    SCOPED_TRACE(seed);
    ModelRun run(GetParam(), seed);
    for (int step = 0; step < 20'000 && !HasFatalFailure(); ++step) {
      run.Step();
      if (step % 4000 == 0) run.CompareAll();
    }
    ASSERT_FALSE(HasFatalFailure());
    run.CompareAll();
  }
}

INSTANTIATE_TEST_SUITE_P(
    Hashes, IndexModelTest,
    ::testing::Values(
        ModelCase{"UniformTinyPages", kTinyPages, UniformHash},
        ModelCase{
            "UniformOneLinePages", {.initial_page_lines = 1, .max_page_lines = 1}, UniformHash},
        ModelCase{"UniformDefaultPages", {}, UniformHash},
        ModelCase{"SevenHashes", kTinyPages,
                  [](std::uint64_t key) { return UniformHash(key % 7); }},
        ModelCase{"AllEqual", kTinyPages, [](std::uint64_t) { return std::uint64_t{42}; }},
        ModelCase{"LowBitsOnly", kTinyPages, [](std::uint64_t key) { return key; }},
        ModelCase{"HighBitsOnly", kTinyPages, [](std::uint64_t key) { return key << 54; }}),
    [](const auto& param_info) { return param_info.param.name; });

}  // namespace
}  // namespace freyja::engine
