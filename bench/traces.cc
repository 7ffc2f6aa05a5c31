#include "traces.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>
#include <random>
#include <unordered_map>
#include <utility>

namespace freyja::bench {

namespace {

constexpr double kHighestTheta = 3;
constexpr double kHotKeys = 0.1;
constexpr double kHotUpdates = 0.9;
constexpr std::uint32_t kBulkParts = 8;

// Uniform in [0, bound), to within 2^-32 of it.
std::uint32_t Scale(std::uint32_t random, std::uint32_t bound) {
  return static_cast<std::uint32_t>((std::uint64_t{random} * bound) >> 32);
}

// What the draws are seeded with; the rates of the keys depend on the seed alone.
std::uint64_t DrawSeed(std::uint64_t seed, std::uint64_t stream) {
  return seed + stream * 0x9e3779b97f4a7c15;
}

// Draws keys by given weights in constant time: Walker's alias method, with the tables built
// as in Vose, "A Linear Algorithm for Generating Random Numbers with a Given Distribution",
// IEEE TSE 1991.
class WeightedTrace final : public Trace {
 public:
  WeightedTrace(std::vector<double> weights, std::vector<RateGroup> rates, std::uint64_t seed)
      : random_(seed), cells_(weights.size()), rates_(std::move(rates)) {
    const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
    std::vector<std::uint32_t> light;
    std::vector<std::uint32_t> heavy;
    for (std::uint32_t key = 0; key < weights.size(); ++key) {
      weights[key] *= static_cast<double>(weights.size()) / total;
      (weights[key] < 1 ? light : heavy).push_back(key);
      cells_[key] = {.threshold = UINT32_MAX, .other = key};
    }
    while (!light.empty() && !heavy.empty()) {
      const std::uint32_t key = light.back();
      const std::uint32_t other = heavy.back();
      light.pop_back();
      cells_[key] = {.threshold = static_cast<std::uint32_t>(weights[key] * 0x1p32),
                     .other = other};
      weights[other] -= 1 - weights[key];
      if (weights[other] >= 1) continue;
      heavy.pop_back();
      light.push_back(other);
    }
  }

  void Next(std::span<Update> updates) override {
    const auto count = static_cast<std::uint32_t>(cells_.size());
    for (Update& update : updates) {
      const std::uint64_t random = random_();
      const std::uint32_t key = Scale(static_cast<std::uint32_t>(random >> 32), count);
      const Cell& cell = cells_[key];
      update = {.key = static_cast<std::uint32_t>(random) < cell.threshold ? key : cell.other};
    }
  }

  std::uint32_t keys() const override { return static_cast<std::uint32_t>(cells_.size()); }
  std::vector<RateGroup> rates() const override { return rates_; }

 private:
  struct Cell {
    std::uint32_t threshold = 0;
    std::uint32_t other = 0;
  };
  std::mt19937_64 random_;
  std::vector<Cell> cells_;
  std::vector<RateGroup> rates_;
};

std::unique_ptr<Trace> MakeUniform(std::uint32_t keys, std::uint64_t draw_seed) {
  return std::make_unique<WeightedTrace>(std::vector<double>(keys, 1.0),
                                         std::vector<RateGroup>{{1, 1}}, draw_seed);
}

std::unique_ptr<Trace> MakeZipf(double theta, std::uint32_t keys, std::uint64_t seed,
                                std::uint64_t draw_seed) {
  std::vector<double> by_rank(keys);
  for (std::uint32_t rank = 0; rank < keys; ++rank) {
    by_rank[rank] = std::pow(static_cast<double>(rank) + 1, -theta);
  }
  const double total = std::accumulate(by_rank.begin(), by_rank.end(), 0.0);
  std::vector<RateGroup> rates;
  for (std::uint32_t begin = 0; begin < keys;) {
    const std::uint32_t end = std::min(keys, begin + std::max(1U, begin / 16));
    const double updates = std::accumulate(by_rank.begin() + begin, by_rank.begin() + end, 0.0);
    rates.push_back({.keys = static_cast<double>(end - begin) / static_cast<double>(keys),
                     .updates = updates / total});
    begin = end;
  }
  std::mt19937_64 order(seed ^ 0x5eed);
  std::ranges::shuffle(by_rank, order);
  return std::make_unique<WeightedTrace>(std::move(by_rank), std::move(rates), draw_seed);
}

std::unique_ptr<Trace> MakeHotCold(std::uint32_t keys, std::uint64_t seed,
                                   std::uint64_t draw_seed) {
  const auto hot = static_cast<std::uint32_t>(std::ceil(kHotKeys * keys));
  std::vector<double> weights(keys, (1 - kHotUpdates) / (1 - kHotKeys));
  std::fill_n(weights.begin(), hot, kHotUpdates / kHotKeys);
  std::mt19937_64 order(seed ^ 0x5eed);
  std::ranges::shuffle(weights, order);
  return std::make_unique<WeightedTrace>(
      std::move(weights),
      std::vector<RateGroup>{{kHotKeys, kHotUpdates}, {1 - kHotKeys, 1 - kHotUpdates}}, draw_seed);
}

class SequentialTrace final : public Trace {
 public:
  explicit SequentialTrace(std::uint32_t keys) : keys_(keys) {}
  void Next(std::span<Update> updates) override {
    for (Update& update : updates) {
      update = {.key = next_};
      next_ = next_ + 1 == keys_ ? 0 : next_ + 1;
    }
  }
  std::uint32_t keys() const override { return keys_; }

 private:
  const std::uint32_t keys_;
  std::uint32_t next_ = 0;
};

class BulkDeleteTrace final : public Trace {
 public:
  BulkDeleteTrace(std::uint32_t keys, std::uint64_t seed) : keys_(keys), random_(seed) {}
  void Next(std::span<Update> updates) override {
    for (Update& update : updates) update = One();
  }
  std::uint32_t keys() const override { return keys_; }

 private:
  Update One() {
    const std::uint32_t part = std::max(1U, keys_ / kBulkParts);
    const std::uint32_t at = at_;
    at_ = at + 1 == 2 * part + keys_ / 2 ? 0 : at + 1;
    if (at_ == 0) begin_ = begin_ + part >= keys_ ? 0 : begin_ + part;
    if (at >= 2 * part) return {.key = Scale(static_cast<std::uint32_t>(random_() >> 32), keys_)};
    return {.key = std::min(begin_ + at % part, keys_ - 1), .is_delete = at < part};
  }

  const std::uint32_t keys_;
  std::mt19937_64 random_;
  std::uint32_t begin_ = 0;  // of the part that is deleted
  std::uint32_t at_ = 0;     // within the round
};

class RecordedTrace final : public Trace {
 public:
  RecordedTrace(std::vector<Update> updates, std::uint32_t keys)
      : updates_(std::move(updates)), keys_(keys) {}
  void Next(std::span<Update> updates) override {
    for (Update& update : updates) {
      update = updates_[next_];
      next_ = next_ + 1 == updates_.size() ? 0 : next_ + 1;
    }
  }
  std::uint32_t keys() const override { return keys_; }
  std::uint64_t period() const override { return updates_.size(); }

 private:
  const std::vector<Update> updates_;
  const std::uint32_t keys_;
  std::size_t next_ = 0;
};

}  // namespace

std::vector<std::string> TraceNames() {
  return {"uniform",  "zipf:0.6", "zipf:0.8",   "zipf:0.99",
          "zipf:1.2", "hot-cold", "sequential", "bulk-delete"};
}

std::expected<std::unique_ptr<Trace>, std::string> MakeTrace(std::string_view name,
                                                             std::uint32_t keys, std::uint64_t seed,
                                                             std::uint64_t stream) {
  if (keys == 0) return std::unexpected("a trace needs at least one key");
  constexpr std::string_view kZipf = "zipf:";
  if (name.starts_with(kZipf)) {
    const std::string_view digits = name.substr(kZipf.size());
    double theta = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), theta);
    if (error != std::errc() || end != digits.data() + digits.size() || !(theta > 0) ||
        theta > kHighestTheta) {
      return std::unexpected("\"" + std::string(name) +
                             "\": after \"zipf:\" comes a number above 0 and up to 3");
    }
    return MakeZipf(theta, keys, seed, DrawSeed(seed, stream));
  }
  if (name == "uniform") return MakeUniform(keys, DrawSeed(seed, stream));
  if (name == "hot-cold") return MakeHotCold(keys, seed, DrawSeed(seed, stream));
  if (name == "sequential") return std::make_unique<SequentialTrace>(keys);
  if (name == "bulk-delete") return std::make_unique<BulkDeleteTrace>(keys, DrawSeed(seed, stream));
  return std::unexpected("no trace \"" + std::string(name) + "\"");
}

std::expected<std::unique_ptr<Trace>, std::string> ReadTrace(std::istream& in) {
  std::unordered_map<std::string, std::uint32_t> numbers;
  std::vector<Update> updates;
  std::string line;
  for (std::uint64_t number = 1; std::getline(in, line); ++number) {
    if (line.ends_with('\r')) line.pop_back();
    if (line.empty()) continue;
    const auto fail = [&](std::string_view what) {
      return std::unexpected("line " + std::to_string(number) + ": " + std::string(what));
    };
    const bool is_delete = line.front() == '-';
    if (is_delete) line.erase(0, 1);
    if (line.empty()) return fail("'-' without a key");
    const auto found = numbers.find(line);
    if (numbers.size() == UINT32_MAX) return fail("too many different keys");
    const auto next = static_cast<std::uint32_t>(numbers.size());
    const std::uint32_t key =
        found != numbers.end() ? found->second : numbers.emplace(line, next).first->second;
    updates.push_back({.key = key, .is_delete = is_delete});
  }
  if (in.bad()) return std::unexpected("reading failed");
  if (updates.empty()) return std::unexpected("holds no updates");
  return std::make_unique<RecordedTrace>(std::move(updates),
                                         static_cast<std::uint32_t>(numbers.size()));
}

}  // namespace freyja::bench
