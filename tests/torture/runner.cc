#include "torture/runner.h"

#include <spawn.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <ostream>
#include <sstream>
#include <string>
#include <thread>
#include <utility>

namespace freyja::torture {

namespace {

using Json = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::minutes kMostOvertime{10};

struct Child {
  Part part;
  std::vector<std::string> command;  // that repeats it
  std::filesystem::path report;
  pid_t pid = -1;
  Clock::time_point begin;
  Clock::time_point end;  // it is killed then
};

std::string Joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

std::string FileSystemOf(const std::filesystem::path& directory) {
  struct statfs info{};
  if (::statfs(directory.c_str(), &info) != 0) return "unknown";
  switch (static_cast<unsigned long>(info.f_type)) {
    case 0xEF53:
      return "ext4";
    case 0x01021994:
      return "tmpfs";
    case 0x9123683E:
      return "btrfs";
    case 0x58465342:
      return "xfs";
    case 0x794C7630:
      return "overlayfs";
    default: {
      std::ostringstream text;
      text << "type 0x" << std::hex << info.f_type;
      return text.str();
    }
  }
}

std::string Kernel() {
  struct utsname name{};
  return ::uname(&name) == 0 ? std::string(name.sysname) + " " + name.release : "unknown";
}

// Milliseconds for each part: what its share of all processes' time gives it.
std::chrono::milliseconds TimeOf(const Part& part, const RunPlan& plan) {
  double shares = 0;
  for (const Part& each : plan.parts) shares += each.share;
  const auto processes = std::min<std::size_t>(plan.jobs, plan.parts.size());
  const double time =
      static_cast<double>(plan.time.count()) * static_cast<double>(processes) * part.share / shares;
  return std::min(plan.time, std::chrono::milliseconds(static_cast<std::int64_t>(time)));
}

Child Start(const Part& part, const RunPlan& plan, const std::filesystem::path& scratch) {
  Child child;
  child.part = part;
  const auto time = TimeOf(part, plan);
  std::ostringstream seconds;
  seconds << static_cast<double>(time.count()) / 1000.0;
  child.command = {"freyja-torture",          "--parts",   part.name,     "--seed",
                   std::to_string(plan.seed), "--seconds", seconds.str(), "--directory",
                   plan.directory.string()};
  child.report = scratch / part.name;
  std::vector<std::string> words = child.command;
  words[1] = "--child";
  words.insert(words.end(), {"--report", child.report.string()});
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);

  // Parts may print; the outcome alone goes to standard output.
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
  const int failed =
      ::posix_spawn(&child.pid, "/proc/self/exe", &actions, nullptr, arguments.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) child.pid = -1;
  child.begin = Clock::now();
  child.end = child.begin + time * 2 + kMostOvertime;
  return child;
}

Json ReportOf(const Child& child, int status) {
  Json report;
  std::string problem;
  if (child.pid < 0) {
    problem = "could not be started";
  } else if (WIFSIGNALED(status)) {
    problem = std::string("died: ") + ::strsignal(WTERMSIG(status));
  } else if (WEXITSTATUS(status) != 0) {
    problem = "ended with " + std::to_string(WEXITSTATUS(status));
  } else {
    report = Json::parse(std::ifstream(child.report), nullptr, /*allow_exceptions=*/false);
    if (report.is_discarded()) problem = "left no report";
  }
  if (!problem.empty()) {
    Report died;
    died.Violation(Wrong::kOther, "part " + child.part.name + " " + problem);
    report = Json::parse(died.AsJson());
  }
  report["wall_seconds"] = std::chrono::duration<double>(Clock::now() - child.begin).count();
  report["command"] = Joined(child.command);
  return report;
}

// Waits until one has ended and takes it out.
std::pair<std::string, Json> Reap(std::vector<Child>& running) {
  for (;;) {
    for (auto child = running.begin(); child != running.end(); ++child) {
      int status = 0;
      const pid_t ended = child->pid < 0 ? -1 : ::waitpid(child->pid, &status, WNOHANG);
      if (ended == 0 && Clock::now() >= child->end) ::kill(child->pid, SIGKILL);
      if (ended == 0 || (ended < 0 && child->pid >= 0 && errno == EINTR)) continue;
      std::pair<std::string, Json> result{child->part.name, ReportOf(*child, status)};
      running.erase(child);
      return result;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

void AppendOnce(Json& list, const Json& texts) {
  for (const auto& text : texts) {
    if (std::find(list.begin(), list.end(), text) == list.end()) list.push_back(text);
  }
}

Json PutTogether(const Json& parts) {
  Json sum = {{"figures", Json::object()}, {"must_be_zero", Json::object()},
              {"violations", 0},           {"problems", Json::array()},
              {"skipped", Json::array()},  {"not_modelled", Json::array()}};
  std::uint64_t violations = 0;
  for (const auto& part : parts) {
    for (const auto& [name, count] : part["figures"].items()) {
      sum["figures"][name] =
          sum["figures"].value(name, std::uint64_t{0}) + count.get<std::uint64_t>();
    }
    for (const auto& [name, count] : part["must_be_zero"].items()) {
      sum["must_be_zero"][name] =
          sum["must_be_zero"].value(name, std::uint64_t{0}) + count.get<std::uint64_t>();
      violations += count.get<std::uint64_t>();
    }
    for (const char* list : {"problems", "skipped", "not_modelled"}) {
      AppendOnce(sum[list], part[list]);
    }
  }
  sum["violations"] = violations;
  return sum;
}

}  // namespace

Json RunParts(const RunPlan& plan) {
  const auto begin = Clock::now();
  const auto scratch =
      plan.directory / ("freyja-torture-" + std::to_string(static_cast<long>(::getpid())));
  std::filesystem::create_directories(scratch);
  // Those that take longest first.
  std::vector<Part> waiting = plan.parts;
  std::ranges::sort(waiting, std::greater{}, &Part::share);
  std::vector<Child> running;
  std::map<std::string, Json> reports;
  std::size_t next = 0;
  while (next < waiting.size() || !running.empty()) {
    if (next < waiting.size() && running.size() < plan.jobs) {
      running.push_back(Start(waiting[next++], plan, scratch));
    } else {
      reports.insert(Reap(running));
    }
  }
  std::filesystem::remove_all(scratch);

  Json parts = Json::object();
  for (const Part& part : plan.parts) parts[part.name] = reports[part.name];
  Json outcome = {{"seed", plan.seed},
                  {"file_system", FileSystemOf(plan.directory)},
                  {"kernel", Kernel()},
                  {"wall_seconds", std::chrono::duration<double>(Clock::now() - begin).count()}};
  outcome.update(PutTogether(parts));
  outcome["parts"] = std::move(parts);
  return outcome;
}

void PrintOutcome(const Json& outcome, std::ostream& out) {
  const auto line = [&](const std::string& name, const Json& value) {
    out << "  " << name << std::string(name.size() < 44 ? 44 - name.size() : 1, ' ')
        << (value.is_string() ? value.get<std::string>() : value.dump()) << '\n';
  };
  for (const char* name : {"seed", "file_system", "kernel", "wall_seconds"}) {
    line(name, outcome[name]);
  }
  for (const auto& [name, part] : outcome["parts"].items()) {
    out << name << "  (" << part["command"].get<std::string>() << ")\n";
    for (const auto& [figure, count] : part["figures"].items()) line(figure, count);
  }
  out << "must be zero\n";
  for (const auto& [name, count] : outcome["must_be_zero"].items()) line(name, count);
  for (const auto& text : outcome["problems"])
    out << "VIOLATION " << text.get<std::string>() << '\n';
  for (const auto& text : outcome["skipped"]) out << "skipped: " << text.get<std::string>() << '\n';
  for (const auto& text : outcome["not_modelled"]) {
    out << "not modelled: " << text.get<std::string>() << '\n';
  }
  if (outcome.contains("mutants")) out << "mutants: " << outcome["mutants"].dump() << '\n';
  out << (outcome["violations"] == 0 ? "nothing went wrong\n" : "SOMETHING WENT WRONG\n");
}

}  // namespace freyja::torture
