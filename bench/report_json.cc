#include <sys/utsname.h>

#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "figures.h"
#include "keys_values.h"
#include "report.h"

namespace freyja::bench {

namespace {

using nlohmann::json;

json SpreadJson(const std::vector<double>& rounds) {
  const Spread spread = SpreadOf(rounds);
  return {{"median", spread.median},
          {"lowest", spread.lowest},
          {"highest", spread.highest},
          {"rounds", rounds}};
}

json LatencyJson(const Histogram& latency) {
  const double factor = NanosecondsPerTick();
  json object = {{"samples", latency.count()},
                 {"max", static_cast<double>(latency.max()) * factor}};
  for (const Quantile& quantile : kQuantiles) {
    object[std::string(quantile.name)] =
        static_cast<double>(latency.Percentile(quantile.percent)) * factor;
  }
  return object;
}

json MeasureJson(const MeasureFigures& figures) {
  json entry = {{"operations_per_second", SpreadJson(figures.per_second)},
                {"cpu_ns_per_operation", SpreadJson(figures.thread_cpu_ns)},
                {"process_cpu_ns_per_operation", SpreadJson(figures.process_cpu_ns)},
                {"operations", figures.operations},
                {"cut_short", figures.cut_short}};
  if (figures.latency.count() != 0) entry["latency_ns"] = LatencyJson(figures.latency);
  return entry;
}

json StoreJson(const Section& section, const StoreResult& result) {
  json workloads = json::object();
  for (const Measure& measure : section.plan.measures) {
    const auto figures = FiguresOf(section.results, result, measure);
    if (figures) workloads[MeasureName(measure)] = MeasureJson(*figures);
  }
  json object = {{"id", result.kind.id},
                 {"title", result.kind.title},
                 {"settings", result.kind.settings},
                 {"durability", result.kind.durability},
                 {"sync_always", result.kind.sync_always},
                 {"is_limit", result.kind.is_limit},
                 {"disk_over_live", DiskOverLive(section.plan, result).median},
                 {"workloads", std::move(workloads)}};
  if (const auto space = SustainedSpaceOf(section.plan, result)) {
    object["sustained_space"] = {{"mean", SpreadJson(space->mean)},
                                 {"highest", SpreadJson(space->highest)}};
  }
  for (const StoreRound& round : result.rounds) {
    object["disk_bytes"].push_back(round.disk_bytes);
    object["close_seconds"].push_back(round.close_seconds);
  }
  return object;
}

json ProbeJson(const Section& section, const ProbeResult& result) {
  json object = {{"id", result.kind.id}, {"footprints", result.footprints}};
  if (!result.footprints.empty()) {
    const FootprintFigures figures = FiguresOf(result, section.plan.keys);
    object["memory_per_key"] = SpreadJson(figures.memory_per_key);
    object["written_over_put"] = SpreadJson(figures.written_over_put);
    object["cpu_ns_per_operation"] = SpreadJson(figures.cpu_ns);
  }
  for (const auto& [kind, opens] : result.opens) {
    json& entry = object["opens"][std::string(OpenKindName(kind))];
    entry["seconds"] = SpreadJson(OpenSeconds(opens));
    entry["rounds"] = opens;
  }
  return object;
}

json SectionJson(const Section& section) {
  const Plan& plan = section.plan;
  json names = json::array();
  for (const Measure& measure : plan.measures) names.push_back(MeasureName(measure));
  json object = {{"configuration",
                  {{"keys", plan.keys},
                   {"key_bytes", kKeyBytes},
                   {"value_bytes", plan.value_bytes},
                   {"rounds", plan.rounds},
                   {"seed", plan.seed},
                   {"seconds", plan.seconds},
                   {"sync_seconds", plan.sync_seconds},
                   {"latency_every", plan.latency_every},
                   {"memory_cap", plan.memory_cap},
                   {"cache_bytes", plan.cache_bytes},
                   {"workloads", std::move(names)}}},
                 {"stores", json::array()},
                 {"ratios", json::object()}};
  for (const StoreResult& result : section.results) {
    object["stores"].push_back(StoreJson(section, result));
    for (const Measure& measure : plan.measures) {
      const auto figures = FiguresOf(section.results, result, measure);
      if (!figures || figures->ratios.empty()) continue;
      object["ratios"][result.kind.id][MeasureName(measure)] = SpreadJson(figures->ratios);
    }
  }
  for (const ProbeResult& result : section.probes) {
    object["probes"].push_back(ProbeJson(section, result));
  }
  return object;
}

}  // namespace

json MachineJson() {
  json machine = {{"cores", std::thread::hardware_concurrency()}};
  utsname info = {};
  if (::uname(&info) == 0) {
    machine["kernel"] = info.release;
    machine["architecture"] = info.machine;
  }
  return machine;
}

json ToJson(const std::vector<Section>& sections) {
  json object = {
      {"machine", MachineJson()}, {"left_out", AbsentPeers()}, {"sections", json::array()}};
  for (const Section& section : sections) object["sections"].push_back(SectionJson(section));
  return object;
}

}  // namespace freyja::bench
