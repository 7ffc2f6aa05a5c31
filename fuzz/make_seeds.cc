// Writes the inputs that fuzzing begins with: valid structures, texts, and programs for the
// makers of directories and stores. Always the same ones.
//
//   fuzz_make_seeds <fuzz folder>            writes seeds/<target>/ and canary/<target>/
//   fuzz_make_seeds --compare <fuzz folder>  fails if what is there is something else
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "format/bloom.h"
#include "format/hint.h"
#include "format/index_image.h"
#include "format/manifest.h"
#include "format/record.h"
#include "format/segment_header.h"

namespace {

namespace fs = std::filesystem;
namespace format = freyja::format;
using Bytes = std::vector<std::byte>;
// Path below the fuzz folder -> content.
using Seeds = std::map<std::string, std::string>;

std::string Text(const Bytes& bytes) { return std::string(freyja::base::AsChars(bytes)); }

// Without std::uniform_int_distribution, whose results differ between libraries.
std::string RandomText(std::uint64_t seed, std::size_t bytes) {
  std::mt19937_64 engine(seed);
  std::string text(bytes, '\0');
  for (char& c : text) c = static_cast<char>(engine());
  return text;
}

std::string Encoded(const format::Record& record) {
  Bytes bytes(format::EncodedRecordBytes(record));
  format::EncodeRecord(record, 0, bytes);
  return Text(bytes);
}

void AddRecords(Seeds& seeds) {
  const std::string choices(4, '\0');
  const std::string put = Encoded({.sequence = 1, .key = "key", .value = "value"});
  const std::string whole_words = Encoded({.sequence = 2, .key = "four", .value = ""});
  const std::string tombstone = Encoded({.sequence = 3, .key = "gone", .is_tombstone = true});
  const std::string everything = Encoded({.sequence = 1ULL << 40,
                                          .expires_at_ms = 1'700'000'000'000,
                                          .watermark = 17,
                                          .key = "a key",
                                          .value = std::string_view("with all fields"),
                                          .begins_batch = true,
                                          .ends_batch = true});
  seeds["seeds/record/put"] = choices + put;
  seeds["seeds/record/no_padding"] = choices + whole_words;
  seeds["seeds/record/several"] = choices + put + tombstone + everything + whole_words;
  seeds["seeds/record/cut"] = choices + everything.substr(0, 30);
  // The canary has to come from this to expiry and watermark together by itself.
  seeds["seeds/canary_record/put"] = put;
  seeds["canary/canary_record/expiry_and_watermark"] =
      Encoded({.sequence = 1, .expires_at_ms = 2, .watermark = 3, .key = "k"}).substr(0, 32);
}

const format::StoreUuid kStore = {.high = 1, .low = 2};

void AddHints(Seeds& seeds) {
  std::vector<format::HintEntry> entries;
  std::uint32_t offset_units = format::kSegmentHeaderBytes / format::kRecordAlignment;
  for (std::uint32_t i = 0; i < 3; ++i) {
    entries.push_back({.hash = format::HashKey("key" + std::to_string(i), 4),
                       .sequence = 10 + i,
                       .offset_units = offset_units,
                       .length_units = 4 + i,
                       .is_tombstone = i == 1,
                       .has_expiry = i == 2});
    offset_units += 4 + i;
  }
  const format::HintHeader header{.identity = {.store = kStore, .id = 3, .nonce = 4},
                                  .data_bytes = offset_units * format::kRecordAlignment,
                                  .records_crc = 5};
  const std::string hint = Text(format::EncodeHint(header, entries));
  seeds["seeds/hint/as_is"] = std::string(1, '\0') + hint;
  seeds["seeds/hint/sealed_again"] = std::string(1, '\x1b') + hint;
  seeds["seeds/hint/lengths"] = std::string("\x1f\x03", 2) + hint;
  seeds["seeds/hint/empty"] = std::string(1, '\x1b') + Text(format::EncodeHint(header, {}));
}

void AddIndexImages(Seeds& seeds) {
  const format::IndexImageHead head{.store = kStore,
                                    .generation = 5,
                                    .segments = {{.id = 3,
                                                  .nonce = 4,
                                                  .data_bytes = 400,
                                                  .record_count = 5,
                                                  .records_crc = 6,
                                                  .live_records = 4,
                                                  .live_bytes = 300}},
                                    .pages = {{.lines = 2, .depth = 1, .checksum = 7},
                                              {.lines = 1, .depth = 2, .checksum = 8},
                                              {.lines = 3, .depth = 2, .checksum = 9}}};
  const std::string bytes = Text(format::EncodeIndexImageHead(head));
  seeds["seeds/index_image/as_is"] = std::string(1, '\0') + bytes;
  seeds["seeds/index_image/sealed_again"] = std::string(1, '\x03') + bytes;
  seeds["seeds/index_image/counts"] = std::string("\x07\x01\x01", 3) + bytes;
}

void AddManifests(Seeds& seeds) {
  format::Manifest manifest;
  manifest.generation = 5;
  manifest.store = kStore;
  manifest.hash_seed = 6;
  manifest.reserved_id = 64;
  manifest.reserved_sequence = 1000;
  seeds["seeds/manifest/empty"] = std::string(1, '\0') + Text(format::EncodeManifest(manifest));
  manifest.log = {{.id = 4, .nonce = 40}, {.id = 5, .nonce = 50}};
  manifest.sealed = {{.id = 1, .nonce = 10, .data_bytes = 200, .record_count = 3},
                     {.id = 2, .nonce = 20, .data_bytes = 300, .record_count = 4}};
  manifest.quarantine = {
      {.id = 7,
       .keep_until_ms = 70,
       .segments = {{.id = 3, .nonce = 30, .data_bytes = 400, .record_count = 5}},
       .outputs = {1, 2}}};
  manifest.watermark = 8;
  const std::string full = Text(format::EncodeManifest(manifest));
  seeds["seeds/manifest/full"] = std::string(1, '\0') + full;
  seeds["seeds/manifest/sealed_again"] = std::string(1, '\x07') + full;
  seeds["seeds/manifest/counts"] = std::string("\x0f\x02\x02\x01", 4) + full;
}

void AddSegmentHeaders(Seeds& seeds) {
  Bytes bytes(format::kSegmentHeaderBytes);
  format::EncodeSegmentHeader({.identity = {.store = kStore, .id = 3, .nonce = 4}, .generation = 5},
                              std::span(bytes).first<format::kSegmentHeaderBytes>());
  seeds["seeds/segment_header/as_is"] = std::string(1, '\0') + Text(bytes);
  seeds["seeds/segment_header/sealed_again"] = std::string(1, '\x07') + Text(bytes);
  seeds["seeds/segment_header/newer"] = std::string(1, '\x06') + Text(bytes);
}

void AddTexts(Seeds& seeds) {
  // The first byte: the size of the pieces that are read.
  seeds["seeds/ndjson/records"] =
      "?{\"key\":\"a\",\"value\":\"1\"}\n{\"key_base64\":\"/w==\",\"value\":\"\\u0000\\t\"}\n\n"
      "{\"value\":\"later\",\"key\":\"a\",\"expires_at_ms\":1700000000000}\r\n";
  seeds["seeds/ndjson/refused"] = "\x03{\"key\":\"a\"}\n{\"key\":\"b\",\"value\":[1]}\nnot JSON";
  seeds["seeds/ndjson/long_line"] = "!{\"key\":\"a\",\"value\":\"" + std::string(300, 'x') +
                                    "\"}\n{\"key\":\"b\",\"value\":\"\"}";
  seeds["seeds/tsv/records"] = "?a\t1\nb\\t\\\\\t\\xff\\n\n\na\tlater\r\nempty\t";
  seeds["seeds/tsv/refused"] = "\x05no tab\na\tb\tc\nbad\\q\tescape\n\tno key\n";
  seeds["seeds/dataset/stanzas"] =
      std::string(1, '\0') +
      "Package: one\nVersion: 1.0\nDescription: first\n goes on\n\nPackage: one\nVersion: 1.0\n\n"
      "Name: other\n";
  seeds["seeds/dataset/detected"] = std::string(1, '\x01') + "\n\nPackage: one\nVersion: 2\n";
  seeds["seeds/dataset/ndjson"] = std::string(1, '\x01') + "{\"key\":\"a\",\"value\":\"1\"}\n";
  seeds["seeds/dataset/tsv"] = std::string(1, '\x01') + "a\t1\nb\t2\n";
  seeds["seeds/text/escapes"] = "a\\tb\\n\\r\\\\\\x00\\xFF\tr\xc3\xa4w\x7f";
  seeds["seeds/text/base64"] = "YW55IGJ5dGVzLi4=";
  seeds["seeds/text/utf8"] = "\xf0\x9f\x8c\xb2\xe2\x82\xac\xed\xa0\x80\xc0\xaf\xf4\x90\x80\x80";
}

// Every sequence of bytes is a program for these; the fuzzer finds out which are good.
void AddPrograms(Seeds& seeds) {
  for (std::uint64_t i = 0; i < 24; ++i) {
    const std::string name = "random_" + std::to_string(i);
    seeds["seeds/directory/" + name] = RandomText(100 + i, 60 + 20 * i);
    seeds["seeds/store/" + name] = RandomText(200 + i, 80 + 40 * i);
  }
  // Zeros: no lies, and the first choice everywhere.
  seeds["seeds/directory/nothing"] = std::string(1, '\0');
  seeds["seeds/store/nothing"] = std::string(1, '\0');
  // Options, seed; put (23) a value of one byte class; a power loss (5) that keeps nothing (1).
  const std::string put("\x17\x01\x20\x00\x00", 5);
  const std::string lose_all("\x05\x01\x00\x00\x00", 5);
  seeds["canary/canary_store/put_and_power_loss"] = std::string(2, '\0') + put + lose_all;
  seeds["seeds/canary_store/puts"] = std::string(2, '\0') + put + put + put;
}

Seeds MakeAll() {
  Seeds seeds;
  AddRecords(seeds);
  AddHints(seeds);
  AddManifests(seeds);
  AddIndexImages(seeds);
  AddSegmentHeaders(seeds);
  AddTexts(seeds);
  AddPrograms(seeds);
  return seeds;
}

Seeds ReadAll(const fs::path& folder) {
  Seeds seeds;
  for (const char* part : {"seeds", "canary"}) {
    if (!fs::is_directory(folder / part)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(folder / part)) {
      if (!entry.is_regular_file()) continue;
      std::ifstream stream(entry.path(), std::ios::binary);
      seeds[fs::relative(entry.path(), folder).generic_string()] =
          std::string(std::istreambuf_iterator<char>(stream), {});
    }
  }
  return seeds;
}

void WriteAll(const Seeds& seeds, const fs::path& folder) {
  fs::remove_all(folder / "seeds");
  fs::remove_all(folder / "canary");
  for (const auto& [name, content] : seeds) {
    fs::create_directories((folder / name).parent_path());
    std::ofstream(folder / name, std::ios::binary) << content;
  }
}

}  // namespace

int main(int argc, char** argv) {
  const bool compare = argc == 3 && std::string_view(argv[1]) == "--compare";
  if (argc != 2 && !compare) {
    std::fprintf(stderr, "usage: fuzz_make_seeds [--compare] <fuzz folder>\n");
    return 2;
  }
  const fs::path folder = argv[argc - 1];
  if (!fs::exists(folder / "make_seeds.cc")) {
    std::fprintf(stderr, "%s is not the fuzz folder\n", folder.c_str());
    return 2;
  }
  const Seeds seeds = MakeAll();
  if (!compare) WriteAll(seeds, folder);
  if (ReadAll(folder) == seeds) return 0;
  std::fprintf(stderr,
               "the seeds in %s are not what this program makes: run it without --compare\n",
               folder.c_str());
  return 1;
}
