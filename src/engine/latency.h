// How long the user's operations take, measured on some of them.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <thread>

namespace freyja::engine {

// Counts of latencies in buckets whose bounds grow by half a power of two from 64 ns on.
struct LatencyCounts {
  static constexpr std::size_t kBuckets = 64;
  std::array<std::uint64_t, kBuckets> buckets{};
  std::uint64_t samples = 0;
  std::uint64_t sum_ns = 0;

  static std::size_t BucketOf(std::uint64_t ns) {
    constexpr int kSmallestBits = 6;
    const auto bits = static_cast<int>(std::bit_width(ns));
    if (bits <= kSmallestBits) return 0;
    const std::uint64_t half = (ns >> (bits - 2)) & 1;  // the bit behind the highest
    const auto bucket = static_cast<std::size_t>(bits - kSmallestBits) * 2 - 1 + half;
    return bucket < kBuckets ? bucket : kBuckets - 1;
  }
  // The highest latency that falls into the bucket, but for the last, which has no bound.
  static std::uint64_t UpperNs(std::size_t bucket) {
    if (bucket == 0) return 63;
    const std::size_t bits = (bucket + 1) / 2 + 6;
    const std::uint64_t lowest = std::uint64_t{1} << (bits - 1);
    return bucket % 2 == 1 ? lowest + lowest / 2 - 1 : 2 * lowest - 1;
  }

  void Record(std::uint64_t ns) {
    ++buckets[BucketOf(ns)];
    ++samples;
    sum_ns += ns;
  }
  void Add(const LatencyCounts& other) {
    for (std::size_t i = 0; i < kBuckets; ++i) buckets[i] += other.buckets[i];
    samples += other.samples;
    sum_ns += other.sum_ns;
  }
  // What was counted since `earlier`.
  LatencyCounts Since(const LatencyCounts& earlier) const {
    LatencyCounts difference = *this;
    for (std::size_t i = 0; i < kBuckets; ++i) difference.buckets[i] -= earlier.buckets[i];
    difference.samples -= earlier.samples;
    difference.sum_ns -= earlier.sum_ns;
    return difference;
  }
  // Upper bound of the bucket in which the quantile lies; 0 without samples.
  std::chrono::nanoseconds Quantile(double quantile) const {
    std::uint64_t counted = 0;
    const double wanted = quantile * static_cast<double>(samples);
    for (std::size_t i = 0; i < kBuckets; ++i) {
      counted += buckets[i];
      if (counted != 0 && static_cast<double>(counted) >= wanted) {
        return std::chrono::nanoseconds(UpperNs(i));
      }
    }
    return std::chrono::nanoseconds(0);
  }
};

// Thread safety: all members may be called from any thread. Threads count in lines of their own
// as far as there are enough, so that readers share no cache line that is written.
class LatencySampler {
 public:
  enum class Kind : std::uint8_t { kRead, kWrite };

  // One in this many operations of a thread is measured: two looks at the clock cost as much as a
  // tenth of a get.
  static constexpr std::uint32_t kOneIn = 64;

  // Runs call() and returns what it returns, measuring it at times.
  template <class Call>
  auto Measure(Kind kind, Call&& call) -> decltype(call()) {
    static thread_local std::uint32_t operations = 0;
    if (++operations % kOneIn != 0) return call();
    const Sample sample(*this, kind);
    return call();
  }

  // While jobs move records, latencies count apart.
  void set_compacting(bool compacting) { compacting_.store(compacting); }

  LatencyCounts Counts(Kind kind, bool compacting) const {
    LatencyCounts counts;
    for (const Stripe& stripe : stripes_) {
      const Cell& cell = stripe.cells[Index(kind, compacting)];
      for (std::size_t i = 0; i < LatencyCounts::kBuckets; ++i) {
        const std::uint64_t count = cell.buckets[i].load(std::memory_order_relaxed);
        counts.buckets[i] += count;
        counts.samples += count;
      }
      counts.sum_ns += cell.sum_ns.load(std::memory_order_relaxed);
    }
    return counts;
  }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr std::size_t kStripes = 8;

  struct Cell {
    std::array<std::atomic<std::uint64_t>, LatencyCounts::kBuckets> buckets{};
    std::atomic<std::uint64_t> sum_ns{0};
  };
  struct alignas(64) Stripe {
    std::array<Cell, 4> cells;
  };

  class Sample {
   public:
    Sample(LatencySampler& sampler, Kind kind) : sampler_(sampler), kind_(kind) {}
    Sample(const Sample&) = delete;
    Sample& operator=(const Sample&) = delete;
    ~Sample() {
      const auto took = std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - begin_);
      sampler_.Record(kind_, static_cast<std::uint64_t>(took.count()));
    }

   private:
    LatencySampler& sampler_;
    const Kind kind_;
    const Clock::time_point begin_ = Clock::now();
  };

  static std::size_t Index(Kind kind, bool compacting) {
    return static_cast<std::size_t>(kind) * 2 + (compacting ? 1 : 0);
  }

  // Relaxed: statistics, they order nothing.
  void Record(Kind kind, std::uint64_t ns) {
    static thread_local const std::size_t stripe =
        std::hash<std::thread::id>()(std::this_thread::get_id()) % kStripes;
    Cell& cell = stripes_[stripe].cells[Index(kind, compacting_.load(std::memory_order_relaxed))];
    cell.buckets[LatencyCounts::BucketOf(ns)].fetch_add(1, std::memory_order_relaxed);
    cell.sum_ns.fetch_add(ns, std::memory_order_relaxed);
  }

  std::array<Stripe, kStripes> stripes_;
  std::atomic<bool> compacting_{false};
};

}  // namespace freyja::engine
