#include "probe.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/status_macros.h"
#include "disk_space.h"
#include "driver.h"
#include "keys_values.h"
#include "process_usage.h"
#include "workloads.h"

namespace freyja::bench {

namespace {

constexpr Measure kFill = {Workload::kFill, 1};

std::uint64_t Less(std::uint64_t after, std::uint64_t before) {
  return after > before ? after - before : 0;
}

OpenParameters ToOpen(const ProbeParameters& parameters) {
  return {.directory = parameters.directory,
          .keys = parameters.keys,
          .writes = parameters.keys * 2,
          .key_bytes = kKeyBytes,
          .value_bytes = parameters.value_bytes,
          .cache_bytes = parameters.cache_bytes};
}

RunParameters ToRun(const ProbeParameters& parameters) {
  return {.keys = parameters.keys, .value_bytes = parameters.value_bytes, .seed = parameters.seed};
}

Result<std::unique_ptr<Peer>> FillNew(const PeerKind& kind, const ProbeParameters& parameters,
                                      History& history) {
  std::unique_ptr<Peer> peer = kind.make();
  FREYJA_RETURN_IF_ERROR(peer->Open(ToOpen(parameters)));
  const auto run = RunMeasure(*peer, kFill, ToRun(parameters), history);
  if (!run) return std::unexpected(run.error());
  return peer;
}

}  // namespace

Result<Footprint> MeasureFootprint(const PeerKind& kind, const ProbeParameters& parameters) {
  const RunParameters run_parameters = ToRun(parameters);
  const MemoryUsage before = ReadMemoryUsage();
  const std::uint64_t written_before = ReadWrittenBytes();
  const double cpu_before = ReadCpuSeconds();
  History history;
  FREYJA_ASSIGN_OR_RETURN(std::unique_ptr<Peer> peer, FillNew(kind, parameters, history));
  const auto read = RunMeasure(*peer, {Workload::kGet, 1}, run_parameters, history);
  if (!read) return std::unexpected(read.error());
  const MemoryUsage after = ReadMemoryUsage();
  const std::uint64_t cache = peer->CacheBytes();
  const auto overwrite = RunMeasure(*peer, {Workload::kOverwrite, 1}, run_parameters, history);
  if (!overwrite) return std::unexpected(overwrite.error());
  FREYJA_RETURN_IF_ERROR(CheckContents(*peer, run_parameters, history));
  FREYJA_RETURN_IF_ERROR(peer->Close());
  peer.reset();
  const std::uint64_t puts = parameters.keys + overwrite->operations;
  return Footprint{.anonymous_bytes = Less(after.anonymous, before.anonymous),
                   .page_table_bytes = Less(after.page_tables, before.page_tables),
                   .resident_bytes = Less(after.resident, before.resident),
                   .cache_bytes = cache,
                   .put_bytes = puts * (kKeyBytes + parameters.value_bytes),
                   .written_bytes = ReadWrittenBytes() - written_before,
                   .disk_bytes = AllocatedBytes(parameters.directory),
                   .operations = puts + read->operations,
                   .cpu_seconds = ReadCpuSeconds() - cpu_before};
}

Status FillAndClose(const PeerKind& kind, const ProbeParameters& parameters) {
  History history;
  FREYJA_ASSIGN_OR_RETURN(const std::unique_ptr<Peer> peer, FillNew(kind, parameters, history));
  return peer->Close();
}

Result<std::unique_ptr<Peer>> FillAndKeep(const PeerKind& kind, const ProbeParameters& parameters) {
  History history;
  return FillNew(kind, parameters, history);
}

Result<OpenFigures> MeasureOpen(const PeerKind& kind, const ProbeParameters& parameters,
                                bool may_miss) {
  constexpr std::uint64_t kCheckedKeys = 20'000;
  constexpr std::uint64_t kFirstVersion = 1;
  const std::unique_ptr<Peer> peer = kind.make();
  KeyMaker keys(parameters.seed);
  const ValueMaker values(parameters.value_bytes);
  std::string value;
  OpenFigures figures;
  const double cpu_before = ReadCpuSeconds();
  const auto start = std::chrono::steady_clock::now();
  FREYJA_RETURN_IF_ERROR(peer->Open(ToOpen(parameters)));
  FREYJA_ASSIGN_OR_RETURN(std::unique_ptr<PeerSession> session, peer->NewSession());
  Sequence sample(Mix(parameters.seed));
  for (; figures.checked < std::min(kCheckedKeys, parameters.keys); ++figures.checked) {
    const std::uint64_t index = sample.Below(parameters.keys);
    const Outcome outcome = session->Get(keys.Present(index), value);
    if (figures.checked == 0) {
      figures.seconds =
          std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      figures.cpu_seconds = ReadCpuSeconds() - cpu_before;
    }
    if (outcome == Outcome::kFailed) {
      return std::unexpected(Status(StatusCode::kIoError, session->last_error()));
    }
    if (outcome == Outcome::kMissing) {
      ++figures.missing;
    } else if (!values.Verify(value, index, kFirstVersion)) {
      return std::unexpected(
          Status(StatusCode::kCorruption, fmt::format("wrong value of key {}", index)));
    }
  }
  session.reset();
  FREYJA_RETURN_IF_ERROR(peer->Close());
  if (figures.missing != 0 && !may_miss) {
    return std::unexpected(Status(
        StatusCode::kCorruption,
        fmt::format("{} of {} keys are missing after opening", figures.missing, figures.checked)));
  }
  return figures;
}

void to_json(nlohmann::json& json, const Footprint& footprint) {
  json = {{"anonymous_bytes", footprint.anonymous_bytes},
          {"page_table_bytes", footprint.page_table_bytes},
          {"resident_bytes", footprint.resident_bytes},
          {"cache_bytes", footprint.cache_bytes},
          {"put_bytes", footprint.put_bytes},
          {"written_bytes", footprint.written_bytes},
          {"disk_bytes", footprint.disk_bytes},
          {"operations", footprint.operations},
          {"cpu_seconds", footprint.cpu_seconds}};
}

void from_json(const nlohmann::json& json, Footprint& footprint) {
  json.at("anonymous_bytes").get_to(footprint.anonymous_bytes);
  json.at("page_table_bytes").get_to(footprint.page_table_bytes);
  json.at("resident_bytes").get_to(footprint.resident_bytes);
  json.at("cache_bytes").get_to(footprint.cache_bytes);
  json.at("put_bytes").get_to(footprint.put_bytes);
  json.at("written_bytes").get_to(footprint.written_bytes);
  json.at("disk_bytes").get_to(footprint.disk_bytes);
  json.at("operations").get_to(footprint.operations);
  json.at("cpu_seconds").get_to(footprint.cpu_seconds);
}

void to_json(nlohmann::json& json, const OpenFigures& figures) {
  json = {{"seconds", figures.seconds},
          {"cpu_seconds", figures.cpu_seconds},
          {"checked", figures.checked},
          {"missing", figures.missing}};
}

void from_json(const nlohmann::json& json, OpenFigures& figures) {
  json.at("seconds").get_to(figures.seconds);
  json.at("cpu_seconds").get_to(figures.cpu_seconds);
  json.at("checked").get_to(figures.checked);
  json.at("missing").get_to(figures.missing);
}

}  // namespace freyja::bench
