#include "compaction/history.h"

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/status_macros.h"
#include "format/ids.h"

namespace freyja::compaction {

namespace {

using Json = nlohmann::ordered_json;

std::string LineOf(const CompactionRecord& record) {
  const Json json = {{"job", record.job_id},
                     {"ended_ms", record.ended_at_ms},
                     {"outcome", record.outcome},
                     {"reason", record.reason},
                     {"steps", record.steps},
                     {"input_files", record.input_files},
                     {"output_files", record.output_files},
                     {"bytes_before", record.bytes_before},
                     {"bytes_after", record.bytes_after},
                     {"bytes_copied", record.bytes_copied},
                     {"duration_us", record.duration.count()}};
  // Messages may hold names of files in any encoding.
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

// False if it isn't one of ours.
bool Parse(std::string_view line, CompactionRecord& record) {
  const Json json = Json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return false;
  try {
    record.job_id = json.at("job").get<std::uint64_t>();
    record.ended_at_ms = json.at("ended_ms").get<std::uint64_t>();
    record.outcome = json.at("outcome").get<std::string>();
    record.reason = json.at("reason").get<std::string>();
    record.steps = json.at("steps").get<std::uint64_t>();
    record.input_files = json.at("input_files").get<std::uint64_t>();
    record.output_files = json.at("output_files").get<std::uint64_t>();
    record.bytes_before = json.at("bytes_before").get<std::uint64_t>();
    record.bytes_after = json.at("bytes_after").get<std::uint64_t>();
    record.bytes_copied = json.at("bytes_copied").get<std::uint64_t>();
    record.duration = std::chrono::microseconds(json.at("duration_us").get<std::int64_t>());
  } catch (const Json::exception&) {
    return false;
  }
  return true;
}

std::span<const std::byte> BytesOf(std::string_view text) { return std::as_bytes(std::span(text)); }

}  // namespace

Result<std::string> History::ReadText() const {
  const auto path = directory_.path() / format::kHistoryName;
  FREYJA_ASSIGN_OR_RETURN(const bool exists, directory_.file_system().Exists(path));
  if (!exists) return std::string();
  FREYJA_ASSIGN_OR_RETURN(const auto file,
                          directory_.file_system().Open(path, io::OpenMode::kRead));
  FREYJA_ASSIGN_OR_RETURN(const std::uint64_t size, file->Size());
  std::string text(std::min(size, 2 * kMostBytes), '\0');
  FREYJA_ASSIGN_OR_RETURN(const std::size_t read,
                          file->ReadAt(0, std::as_writable_bytes(std::span(text))));
  text.resize(read);
  return text;
}

Result<std::vector<CompactionRecord>> History::Read() const {
  base::MutexLock lock(mutex_);
  FREYJA_ASSIGN_OR_RETURN(const std::string text, ReadText());
  std::vector<CompactionRecord> records;
  for (std::size_t start = 0; start < text.size();) {
    const std::size_t end = std::min(text.find('\n', start), text.size());
    CompactionRecord record;
    if (Parse(std::string_view(text).substr(start, end - start), record)) {
      records.push_back(std::move(record));
    }
    start = end + 1;
  }
  return records;
}

Status History::Append(const CompactionRecord& record) {
  const auto path = directory_.path() / format::kHistoryName;
  const std::string line = LineOf(record);
  base::MutexLock lock(mutex_);
  FREYJA_ASSIGN_OR_RETURN(std::string text, ReadText());
  // What a crash cut off ends there.
  const std::string separator = text.empty() || text.ends_with('\n') ? "" : "\n";
  if (text.size() + line.size() > kMostBytes) return DropOlderHalf(text + separator + line);
  io::FileSystem& fs = directory_.file_system();
  auto file = fs.Open(path, text.empty() ? io::OpenMode::kCreateNew : io::OpenMode::kReadWrite);
  if (!file && file.error().code() == StatusCode::kAlreadyExists) {
    file = fs.Open(path, io::OpenMode::kReadWrite);
  }
  if (!file) return file.error();
  return (*file)->WriteAt(text.size(), BytesOf(separator + line));
}

Status History::DropOlderHalf(std::string text) {
  const std::size_t cut = text.find('\n', text.size() / 2);
  text.erase(0, cut == std::string::npos ? text.size() : cut + 1);
  const auto temporary = directory_.path() / format::kHistoryTempName;
  FREYJA_ASSIGN_OR_RETURN(const auto file, directory_.CreateAnew(temporary));
  Status kept = file->WriteAt(0, BytesOf(text));
  if (kept.ok()) {
    kept = directory_.file_system().Rename(temporary, directory_.path() / format::kHistoryName);
  }
  if (!kept.ok()) directory_.RemoveBestEffort(temporary);
  return kept;
}

}  // namespace freyja::compaction
