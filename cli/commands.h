// The commands of `freyja`, in groups. Each function adds its commands to `app`; the
// one that is called stores its exit code (exit_code.h) in `*exit_status`, which must
// outlive the parsing.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>

namespace freyja::cli {

void AddPointCommands(CLI::App& app, int* exit_status);       // put, get, delete
void AddScanCommand(CLI::App& app, int* exit_status);         // scan
void AddLoadCommand(CLI::App& app, int* exit_status);         // load
void AddDumpCommand(CLI::App& app, int* exit_status);         // dump
void AddInspectionCommands(CLI::App& app, int* exit_status);  // stats, segments
void AddCompactCommand(CLI::App& app, int* exit_status);      // compact
void AddCheckCommand(CLI::App& app, int* exit_status);        // check
void AddTopCommand(CLI::App& app, int* exit_status);          // top

// Refuses what is no number from `least` to `most` ("nan" included, which CLI::Range takes).
CLI::Validator NumberWithin(double least, double most);

// Options that several commands share.
void AddDirectory(CLI::App& command, std::string* directory);
// A size like 64MiB; 0 unless it is given.
CLI::Option* AddSize(CLI::App& command, const std::string& name, std::uint64_t* bytes,
                     const std::string& help);
// A time like 90s, 30m, 12h or 7d, a number of seconds without a unit; from one second to a
// hundred years.
CLI::Option* AddDuration(CLI::App& command, const std::string& name, std::uint64_t* seconds,
                         const std::string& help);
void AddSegmentSize(CLI::App& command, std::uint64_t* segment_bytes);

}  // namespace freyja::cli
