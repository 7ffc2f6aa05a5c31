// For tests of what happens between two steps of a call; only where schedule points are built in.
#pragma once

#include <functional>
#include <string_view>
#include <utility>

#include "base/schedule_point.h"

#if defined(FREYJA_SCHEDULE_POINTS)

namespace freyja::engine::testing {

// Acts once, when this thread comes to the named step.
class AtStep final : public base::ScheduleObserver {
 public:
  AtStep(std::string_view name, std::function<void()> act) : name_(name), act_(std::move(act)) {
    base::schedule_observer = this;
  }
  AtStep(const AtStep&) = delete;
  AtStep& operator=(const AtStep&) = delete;
  ~AtStep() { base::schedule_observer = nullptr; }

  void AtPoint(const char* name, const void* /*operand*/) override {
    if (name_ != name || acted_) return;
    acted_ = true;
    act_();
  }
  void AtYield(const char* /*name*/) override {}
  void BeforeLock(const void* /*mutex*/) override {}
  bool BeforeTryLock(const void* /*mutex*/) override { return true; }
  void AfterUnlock(const void* /*mutex*/) override {}
  void Wait(const void* /*condition*/) override {}
  void Notify(const void* /*condition*/, bool /*all*/) override {}

 private:
  const std::string_view name_;
  const std::function<void()> act_;
  bool acted_ = false;
};

}  // namespace freyja::engine::testing

#endif
