// What stands behind a KVStore: the engine and the compactions that run on it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <vector>

#include "api/control_service.h"
#include "compaction/events.h"
#include "compaction/job_manager.h"
#include "compaction/scheduler.h"
#include "engine/environment.h"
#include "engine/latency.h"
#include "engine/store.h"
#include "freyja/kv_store.h"

namespace freyja::api {

// In the order of their lives: jobs use the store, both emit events.
struct StoreParts {
  explicit StoreParts(std::unique_ptr<engine::Store> opened)
      : store(std::move(opened)),
        jobs(*store, events),
        scheduler(*store, jobs, events, latencies, store->options().scheduler) {
    store->quarantine().SetOnRemoved([this](std::uint64_t job_id, std::uint64_t segment_id) {
      CompactionEvent event;
      event.type = CompactionEventType::kRetired;
      event.job_id = job_id;
      event.input_files = {format::DataFileName(segment_id)};
      events.Emit(event);
    });
  }

  // With what the scheduler and the latency sampler know.
  Stats GetStats() const;
  // Of a job with that config, with what the scheduler says about its own.
  Result<CompactionPlan> Plan(const HotSwapConfig& config);
  // As of HotSwapCompactor, but they may throw std::bad_alloc.
  std::vector<QuarantinedJob> GetQuarantine() const;
  Status EndQuarantine(std::uint64_t job_id);

  compaction::EventDispatcher events;
  std::unique_ptr<engine::Store> store;
  engine::LatencySampler latencies;
  compaction::JobManager jobs;
  compaction::Scheduler scheduler;
  std::unique_ptr<ControlService> control;  // null: not switched on
};

// KVStore::Open on a given file system, clock and source of randomness.
Result<std::unique_ptr<KVStore>> OpenStore(const std::filesystem::path& path,
                                           const Options& options, engine::Environment environment);

}  // namespace freyja::api
