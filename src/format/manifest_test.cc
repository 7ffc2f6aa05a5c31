#include "format/manifest.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <string>

#include "format/damage_for_test.h"
#include "format/preamble.h"

namespace freyja::format {
namespace {

constexpr std::size_t kFlags = 108;

SealedSegment Sealed(std::uint64_t id) {
  return {.id = id,
          .nonce = id * 0x9E3779B97F4A7C15,
          .data_bytes = 4096 + id * 8,
          .record_count = 100,
          .lowest_sequence = 5,
          .highest_sequence = 900,
          .highest_expiry_ms = 1'700'000'000'000,
          .tombstone_count = 3,
          .tombstone_bytes = 96,
          .records_crc = 0xC0FFEE00};
}

Manifest Example() {
  return {.generation = 12,
          .store = {.high = 0x1122334455667788, .low = 0x99AABBCCDDEEFF00},
          .hash_seed = 77,
          .log = {{.id = 9, .nonce = 91}, {.id = 10, .nonce = 101}},
          .log_first_sequence = 901,
          .sealed = {Sealed(4), Sealed(2), Sealed(7)},
          .quarantine = {{.id = 5,
                          .keep_until_ms = 1'700'000'000'000,
                          .segments = {Sealed(3), Sealed(5)},
                          .outputs = {7, 4}},
                         {.id = 6, .segments = {Sealed(6)}, .outputs = {}}},
          .watermark = 905,
          .reserved_id = 16,
          .reserved_sequence = 2000,
          .clean = true,
          .clean_last_sequence = 910};
}

StatusCode CodeOf(std::span<const std::byte> bytes) {
  const auto manifest = DecodeManifest(bytes);
  return manifest ? StatusCode::kOk : manifest.error().code();
}

void ResealManifest(Bytes& bytes) { Reseal(bytes, bytes.size() - 4); }

std::vector<SealedSegment> AnySealed(std::uint64_t first_id) {
  std::vector<SealedSegment> segments(*rc::gen::inRange<std::size_t>(0, 5));
  for (SealedSegment& segment : segments) {
    segment = *rc::gen::build<SealedSegment>(
        rc::gen::set(&SealedSegment::nonce), rc::gen::set(&SealedSegment::data_bytes),
        rc::gen::set(&SealedSegment::record_count), rc::gen::set(&SealedSegment::lowest_sequence),
        rc::gen::set(&SealedSegment::highest_sequence),
        rc::gen::set(&SealedSegment::highest_expiry_ms),
        rc::gen::set(&SealedSegment::tombstone_count),
        rc::gen::set(&SealedSegment::tombstone_bytes), rc::gen::set(&SealedSegment::records_crc),
        rc::gen::set(&SealedSegment::restored));
    segment.id = first_id++;
  }
  return segments;
}

std::vector<QuarantinedJob> AnyJobs(std::uint64_t first_id) {
  std::vector<QuarantinedJob> jobs(*rc::gen::inRange<std::size_t>(0, 4));
  for (QuarantinedJob& job : jobs) {
    job.id = *rc::gen::arbitrary<std::uint64_t>();
    job.keep_until_ms = *rc::gen::arbitrary<std::uint64_t>();
    job.outputs = *rc::gen::arbitrary<std::vector<std::uint64_t>>();
    job.segments = AnySealed(first_id);
    if (job.segments.empty()) job.segments.push_back(Sealed(first_id));
    first_id += job.segments.size();
  }
  return jobs;
}

RC_GTEST_PROP(ManifestTest, DecodesToWhatWasEncoded,
              (std::uint64_t generation, std::uint64_t high, std::uint64_t low,
               std::uint64_t hash_seed, std::uint64_t watermark, bool clean,
               std::uint64_t clean_last_sequence)) {
  Manifest manifest{.generation = generation,
                    .store = {.high = high, .low = low},
                    .hash_seed = hash_seed,
                    .log_first_sequence = *rc::gen::positive<std::uint64_t>(),
                    .sealed = AnySealed(100),
                    .quarantine = AnyJobs(200),
                    .watermark = watermark,
                    .reserved_id = *rc::gen::inRange<std::uint64_t>(300, 1000),
                    .reserved_sequence = ~std::uint64_t{0},
                    .clean = clean,
                    .clean_last_sequence = clean_last_sequence};
  const auto log_segments = *rc::gen::inRange<std::uint64_t>(0, 4);
  for (std::uint64_t i = 0; i < log_segments; ++i) {
    manifest.log.push_back({.id = 300 - i, .nonce = *rc::gen::arbitrary<std::uint64_t>()});
  }
  const auto decoded = DecodeManifest(EncodeManifest(manifest));
  RC_ASSERT(decoded.has_value());
  RC_ASSERT(*decoded == manifest);
}

TEST(ManifestTest, AnEmptyOneRoundTrips) {
  const auto decoded = DecodeManifest(EncodeManifest({}));
  ASSERT_TRUE(decoded.has_value());
  EXPECT_EQ(*decoded, Manifest{});
}

TEST(ManifestTest, EveryFlippedBitIsCorruption) {
  for (const Manifest& manifest : {Example(), Manifest{}}) {
    ForEachFlippedBit(EncodeManifest(manifest), [](const Bytes& damaged, std::size_t bit) {
      EXPECT_EQ(CodeOf(damaged), StatusCode::kCorruption) << "bit " << bit;
    });
  }
}

TEST(ManifestTest, EveryTruncationIsCorruption) {
  ForEachTruncation(EncodeManifest(Example()), [](const Bytes& cut) {
    EXPECT_EQ(CodeOf(cut), StatusCode::kCorruption) << cut.size() << " bytes";
  });
}

TEST(ManifestTest, TrailingBytesAreCorruption) {
  for (const std::size_t extra : {1U, 8U, 80U}) {
    Bytes bytes = EncodeManifest(Example());
    bytes.resize(bytes.size() + extra);
    EXPECT_EQ(CodeOf(bytes), StatusCode::kCorruption) << extra;
    ResealManifest(bytes);
    EXPECT_EQ(CodeOf(bytes), StatusCode::kCorruption) << extra << ", with a right checksum";
  }
}

TEST(ManifestTest, RandomBytesAreCorruption) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 20000; ++round) {
    Bytes bytes = RandomBytes(random, random() % 400);
    EXPECT_EQ(CodeOf(bytes), StatusCode::kCorruption);
    if (bytes.size() < 128) continue;
    // Everything right but the content.
    EncodePreamble(kManifestMagic, std::span(bytes).first<kPreambleBytes>());
    base::Store(bytes.data() + 16, std::uint64_t{bytes.size()});
    base::Store(bytes.data() + kFlags, std::uint32_t{0});
    if (round % 2 == 0) base::Store(bytes.data() + 96, std::uint64_t{random() % 4});
    base::Store(bytes.data() + bytes.size() - 8, std::uint32_t{0});
    ResealManifest(bytes);
    EXPECT_EQ(CodeOf(bytes), StatusCode::kCorruption);
  }
}

TEST(ManifestTest, HugeCountsAreCorruptionAndAllocateNothing) {
  for (const std::size_t offset : {96U, 100U, 104U, 112U, 116U}) {
    Bytes bytes = EncodeManifest(Example());
    base::Store(bytes.data() + offset, ~std::uint32_t{0});
    ResealManifest(bytes);
    EXPECT_EQ(CodeOf(bytes), StatusCode::kCorruption) << offset;
  }
}

TEST(ManifestTest, CountsThatDoNotAddUpToTheLengthAreCorruption) {
  Bytes bytes = EncodeManifest(Example());
  base::Store(bytes.data() + 96, std::uint32_t{1});
  ResealManifest(bytes);
  EXPECT_EQ(CodeOf(bytes), StatusCode::kCorruption);
}

TEST(ManifestTest, AnIdListedTwiceIsCorruption) {
  Manifest in_log = Example();
  in_log.log[1].id = in_log.log[0].id;
  EXPECT_EQ(CodeOf(EncodeManifest(in_log)), StatusCode::kCorruption);
  Manifest in_log_and_sealed = Example();
  in_log_and_sealed.log[0].id = in_log_and_sealed.sealed[2].id;
  EXPECT_EQ(CodeOf(EncodeManifest(in_log_and_sealed)), StatusCode::kCorruption);
  Manifest in_sealed_and_quarantined = Example();
  in_sealed_and_quarantined.quarantine[0].segments[0].id = in_sealed_and_quarantined.sealed[0].id;
  EXPECT_EQ(CodeOf(EncodeManifest(in_sealed_and_quarantined)), StatusCode::kCorruption);
}

TEST(ManifestTest, AnIdThatWasNeverGivenOutIsCorruption) {
  Manifest zero = Example();
  zero.sealed[0].id = 0;
  EXPECT_EQ(CodeOf(EncodeManifest(zero)), StatusCode::kCorruption);
  Manifest above = Example();
  above.log[1].id = above.reserved_id + 1;
  EXPECT_EQ(CodeOf(EncodeManifest(above)), StatusCode::kCorruption);
  Manifest highest = Example();
  highest.log[1].id = highest.reserved_id;
  EXPECT_EQ(CodeOf(EncodeManifest(highest)), StatusCode::kOk);
}

TEST(ManifestTest, ANumberThatWasNeverGivenOutIsCorruption) {
  const std::uint64_t reserved = Example().reserved_sequence;
  const auto code_with = [](auto change) {
    Manifest manifest = Example();
    change(manifest);
    return CodeOf(EncodeManifest(manifest));
  };
  for (const std::uint64_t number : {reserved, reserved + 1}) {
    const StatusCode wanted = number == reserved ? StatusCode::kOk : StatusCode::kCorruption;
    EXPECT_EQ(code_with([&](Manifest& m) { m.log_first_sequence = number + 1; }), wanted);
    EXPECT_EQ(code_with([&](Manifest& m) { m.watermark = number; }), wanted);
    EXPECT_EQ(code_with([&](Manifest& m) { m.clean_last_sequence = number; }), wanted);
    EXPECT_EQ(code_with([&](Manifest& m) { m.sealed[1].highest_sequence = number; }), wanted);
    EXPECT_EQ(
        code_with([&](Manifest& m) { m.quarantine[0].segments[0].highest_sequence = number; }),
        wanted);
  }
  EXPECT_EQ(code_with([](Manifest& m) { m.log_first_sequence = 0; }), StatusCode::kCorruption);
}

TEST(ManifestTest, ReservedBytesAndUnknownFlagsAreCorruptionThoughTheChecksumIsRight) {
  const Bytes intact = EncodeManifest(Example());
  const std::size_t first_sealed_end = 120 + 2 * 16 + 80;
  for (const std::size_t offset : {kFlags + 1, first_sealed_end - 1, intact.size() - 5}) {
    Bytes bytes = intact;
    bytes[offset] ^= std::byte{2};
    ResealManifest(bytes);
    EXPECT_EQ(CodeOf(bytes), StatusCode::kCorruption) << offset;
  }
}

TEST(ManifestTest, AQuarantineThatDoesNotAddUpIsCorruptionThoughTheLengthIsRight) {
  const Bytes intact = EncodeManifest(Example());
  const std::size_t jobs = 120 + 2 * 16 + 3 * 80;
  // Segments and outputs of the first job, then the whole second job's segments.
  for (const std::size_t count : {jobs + 16, jobs + 20, jobs + 24 + 16}) {
    for (const std::uint32_t by : {~std::uint32_t{0}, std::uint32_t{1}}) {
      Bytes bytes = intact;
      base::Store(bytes.data() + count, base::Load<std::uint32_t>(bytes.data() + count) + by);
      ResealManifest(bytes);
      EXPECT_EQ(CodeOf(bytes), StatusCode::kCorruption) << count << " by " << by;
    }
  }
  // The sums are right, but one job has nothing.
  Bytes bytes = intact;
  base::Store(bytes.data() + jobs + 16, std::uint32_t{3});
  base::Store(bytes.data() + jobs + 24 + 16, std::uint32_t{0});
  ResealManifest(bytes);
  EXPECT_EQ(CodeOf(bytes), StatusCode::kCorruption);
}

TEST(ManifestTest, ANewerVersionIsUnsupportedWhateverFollows) {
  Bytes bytes = EncodeManifest(Example());
  base::Store(bytes.data() + 8, kFormatVersion + 1);
  Reseal(bytes, 12);
  const auto decoded = DecodeManifest(bytes);
  ASSERT_FALSE(decoded.has_value());
  EXPECT_EQ(decoded.error().code(), StatusCode::kUnsupported);
  const std::string& message = decoded.error().message();
  EXPECT_NE(message.find("version " + std::to_string(kFormatVersion + 1)), std::string::npos);
  EXPECT_NE(message.find("version " + std::to_string(kFormatVersion) + ","), std::string::npos);
  bytes.resize(50);
  EXPECT_EQ(CodeOf(bytes), StatusCode::kUnsupported);
}

TEST(ManifestTest, AVersionNumberThatDoesNotVerifyIsCorruptionHoweverHigh) {
  Bytes bytes = EncodeManifest(Example());
  base::Store(bytes.data() + 8, kFormatVersion + 1);
  ResealManifest(bytes);
  EXPECT_EQ(CodeOf(bytes), StatusCode::kCorruption);
}

}  // namespace
}  // namespace freyja::format
