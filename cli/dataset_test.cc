#include "dataset.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "dataset_stanza.h"

namespace freyja::cli {
namespace {

class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& content)
      : path_(std::filesystem::temp_directory_path() /
              ("freyja-dataset-test-" + std::to_string(getpid()))) {
    std::ofstream(path_, std::ios::binary) << content;
  }
  ~TemporaryFile() { std::filesystem::remove(path_); }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

TEST(Stanzas, ParagraphIsOneRecordKeyedByItsPackageField) {
  const auto records = ParseStanzas(
      "Package: 0ad\nVersion: 1\nTag: a,\n b,\n c\n\n\nSource: x\nPackage: zip\n", "index");
  ASSERT_TRUE(records) << records.error().message();
  ASSERT_EQ(records->size(), 2U);
  EXPECT_EQ((*records)[0].key, "0ad");
  EXPECT_EQ((*records)[0].text, "Package: 0ad\nVersion: 1\nTag: a,\n b,\n c");
  EXPECT_EQ((*records)[1].key, "zip");
  EXPECT_EQ((*records)[1].text, "Source: x\nPackage: zip");
}

TEST(Stanzas, FirstFieldIsTheKeyWithoutAPackageField) {
  const auto records = ParseStanzas("Name:  Ada Lovelace \nBorn: 1815", "people");
  ASSERT_TRUE(records);
  ASSERT_EQ(records->size(), 1U);
  EXPECT_EQ((*records)[0].key, "Ada Lovelace");
  EXPECT_EQ((*records)[0].text, "Name:  Ada Lovelace \nBorn: 1815");
}

TEST(Stanzas, WhiteSpaceOnlyLineSeparatesToo) {
  const auto records = ParseStanzas("Package: a\n  \t\r\nPackage: b\r\n", "index");
  ASSERT_TRUE(records);
  ASSERT_EQ(records->size(), 2U);
  EXPECT_EQ((*records)[1].key, "b");
}

TEST(Stanzas, PackageInAContinuationLineIsNoKey) {
  const auto records = ParseStanzas("Name: x\n Package: y\n", "index");
  ASSERT_TRUE(records);
  EXPECT_EQ((*records)[0].key, "x");
}

TEST(Stanzas, EmptyContentHoldsNoRecord) {
  const auto records = ParseStanzas("\n\n", "index");
  ASSERT_TRUE(records);
  EXPECT_TRUE(records->empty());
}

TEST(Stanzas, MalformedLineIsNamedByNumber) {
  const auto no_field = ParseStanzas("Package: a\n\nPackage: b\nno field here\n", "index");
  ASSERT_FALSE(no_field);
  EXPECT_EQ(no_field.error().code(), StatusCode::kInvalidArgument);
  EXPECT_NE(no_field.error().message().find("index: line 4"), std::string::npos);
  const auto continuation = ParseStanzas("Package: a\n\n b\n", "index");
  ASSERT_FALSE(continuation);
  EXPECT_NE(continuation.error().message().find("line 3"), std::string::npos);
  const auto empty_key = ParseStanzas("Package:\nVersion: 1\n", "index");
  ASSERT_FALSE(empty_key);
  EXPECT_NE(empty_key.error().message().find("line 1"), std::string::npos);
}

TEST(Stanzas, RepeatedKeyGetsItsVersionAndThenANumber) {
  std::vector<DataRecord> records = {{"a", "Package: a\nVersion: 1"},
                                     {"a", "Package: a\nVersion: 2"},
                                     {"a", "Package: a\nVersion: 2"},
                                     {"a", "Package: a"}};
  MakeKeysUnique(records);
  EXPECT_EQ(records[0].key, "a");
  EXPECT_EQ(records[1].key, "a=2");
  EXPECT_EQ(records[2].key, "a=2#2");
  EXPECT_EQ(records[3].key, "a=?");
}

TEST(DatasetFormat, IsDetectedByTheFirstLine) {
  EXPECT_EQ(DetectFormat("\n {\"key\":\"a\",\"value\":\"b\"}\n"), DataFormat::kNdjson);
  EXPECT_EQ(DetectFormat("a\tb\n"), DataFormat::kTsv);
  EXPECT_EQ(DetectFormat("user:1\tAda\n"), DataFormat::kTsv);
  EXPECT_EQ(DetectFormat("Package: a\nVersion: 1\n"), DataFormat::kStanzas);
  EXPECT_FALSE(DetectFormat("just a line\n"));
  EXPECT_FALSE(DetectFormat("\n\n"));
}

TEST(DatasetFile, LastOfRepeatedKeysWinsInNdjsonAndTsv) {
  for (const std::string content :
       {"{\"key\":\"a\",\"value\":\"1\"}\n{\"key\":\"b\",\"value\":\"2\"}\n"
        "{\"key\":\"a\",\"value\":\"3\"}\n",
        "a\t1\nb\t2\na\t3"}) {
    const TemporaryFile file(content);
    const auto dataset = LoadDatasetFile(file.path());
    ASSERT_TRUE(dataset) << dataset.error().message();
    ASSERT_EQ(dataset->records.size(), 2U);
    EXPECT_EQ(dataset->records[0].key, "a");
    EXPECT_EQ(dataset->records[0].text, "3");
    EXPECT_EQ(dataset->records[1].text, "2");
    EXPECT_EQ(dataset->TextBytes(), 2U);
    EXPECT_NE(dataset->source.find(file.path().string()), std::string::npos);
  }
}

TEST(DatasetFile, MalformedLineNamesFileAndLine) {
  const TemporaryFile file("{\"key\":\"a\",\"value\":\"1\"}\n{\"key\":\n");
  const auto dataset = LoadDatasetFile(file.path());
  ASSERT_FALSE(dataset);
  EXPECT_NE(dataset.error().message().find(file.path().string() + ": line 2"), std::string::npos)
      << dataset.error().message();
}

TEST(DatasetFile, EmptyMissingAndUnknownFilesAreRefused) {
  for (const std::string content : {"", "\n\n", "what is this\n"}) {
    const TemporaryFile file(content);
    const auto dataset = LoadDatasetFile(file.path());
    ASSERT_FALSE(dataset) << content;
    EXPECT_EQ(dataset.error().code(), StatusCode::kInvalidArgument);
    EXPECT_NE(dataset.error().message().find(file.path().string()), std::string::npos);
  }
  const auto missing = LoadDatasetFile("no-such-file");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code(), StatusCode::kIoError);
  EXPECT_FALSE(LoadDatasetFile("."));
}

PackageSources Sources(const std::string& command, const std::filesystem::path& installed) {
  return {.index_command = command,
          .installed_packages = installed,
          .enough_records = 2,
          .made_up_records = 5};
}

TEST(PackageIndex, IndexCommandIsTheFirstChoice) {
  const Dataset dataset =
      LoadPackageIndex(Sources("printf 'Package: a\\n\\nPackage: b\\n'", "no-such-file"));
  ASSERT_EQ(dataset.records.size(), 2U);
  EXPECT_EQ(dataset.records[1].key, "b");
  EXPECT_NE(dataset.source.find("package index"), std::string::npos);
}

TEST(PackageIndex, InstalledPackagesFillInForASmallIndexAndAreRepeated) {
  const TemporaryFile installed("Package: x\nVersion: 1\n\nPackage: y\nVersion: 1\n");
  for (const std::string command : {"printf 'Package: a\\n'", "exit 3", "no-such-command-at-all"}) {
    const Dataset dataset = LoadPackageIndex(Sources(command + " 2>/dev/null", installed.path()));
    ASSERT_EQ(dataset.records.size(), 5U) << command;
    EXPECT_EQ(dataset.records[0].key, "x");
    EXPECT_EQ(dataset.records[2].key, "x~2");
    EXPECT_EQ(dataset.records[4].key, "x~3");
    EXPECT_NE(dataset.source.find("2 installed packages"), std::string::npos);
    EXPECT_NE(dataset.source.find("repeated"), std::string::npos);
  }
}

TEST(PackageIndex, FailingCommandIsNotTrustedWhateverItPrinted) {
  const Dataset dataset =
      LoadPackageIndex(Sources("printf 'Package: a\\n\\nPackage: b\\n'; exit 1", "no-such-file"));
  EXPECT_NE(dataset.source.find("generated"), std::string::npos);
}

TEST(PackageIndex, GeneratedRecordsAreTheLastResort) {
  const Dataset dataset = LoadPackageIndex(Sources("false", "no-such-file"));
  ASSERT_EQ(dataset.records.size(), 5U);
  EXPECT_NE(dataset.source.find("generated"), std::string::npos);
  std::vector<DataRecord> records = dataset.records;
  MakeKeysUnique(records);
  for (std::size_t i = 0; i < records.size(); ++i)
    EXPECT_EQ(records[i].key, dataset.records[i].key);
}

TEST(Dataset, OversizedRecordsAreDroppedAndCounted) {
  Dataset dataset{.records = {{"a", "123"}, {"bb", "1"}, {"c", "1234"}, {"d", ""}}, .source = ""};
  DropOversized(dataset, 1, 4);
  ASSERT_EQ(dataset.records.size(), 2U);
  EXPECT_EQ(dataset.records[0].key, "a");
  EXPECT_EQ(dataset.records[1].key, "d");
  EXPECT_EQ(dataset.skipped, 2U);
}

}  // namespace
}  // namespace freyja::cli
