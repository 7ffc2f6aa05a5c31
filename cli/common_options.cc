#include <fmt/format.h>

#include <cstdlib>
#include <map>

#include "commands.h"
#include "freyja/options.h"

namespace freyja::cli {
namespace {

constexpr std::uint64_t kLongestSeconds = std::uint64_t{100} * 365 * 24 * 60 * 60;

// Neither negative nor a unit alone. Asked before those that are added earlier.
CLI::Validator BeginsWithDigit() {
  return {[](const std::string& text) -> std::string {
            if (text.starts_with('-')) return text + " is negative";
            const bool digit = !text.empty() && text.front() >= '0' && text.front() <= '9';
            return digit ? "" : text + " does not begin with a digit";
          },
          ""};
}

}  // namespace

CLI::Validator NumberWithin(double least, double most) {
  return {[least, most](const std::string& text) -> std::string {
            char* end = nullptr;
            const double number = std::strtod(text.c_str(), &end);
            const bool whole = !text.empty() && *end == '\0';
            if (whole && number >= least && number <= most) return "";
            return fmt::format("{} is no number from {} to {}", text, least, most);
          },
          "NUMBER"};
}

void AddDirectory(CLI::App& command, std::string* directory) {
  command.add_option("DIR", *directory, "The store's directory")->required();
}

CLI::Option* AddSize(CLI::App& command, const std::string& name, std::uint64_t* bytes,
                     const std::string& help) {
  return command.add_option(name, *bytes, help)
      ->transform(CLI::AsSizeValue(false))
      ->transform(BeginsWithDigit())
      ->type_name("SIZE");
}

CLI::Option* AddDuration(CLI::App& command, const std::string& name, std::uint64_t* seconds,
                         const std::string& help) {
  static const std::map<std::string, std::uint64_t> kUnits = {
      {"s", 1}, {"m", 60}, {"h", 60 * 60}, {"d", 24 * 60 * 60}};
  return command.add_option(name, *seconds, help)
      ->transform(CLI::AsNumberWithUnit(kUnits))
      ->transform(BeginsWithDigit())
      ->check(CLI::Range(std::uint64_t{1}, kLongestSeconds))
      ->type_name("DURATION");
}

void AddSegmentSize(CLI::App& command, std::uint64_t* segment_bytes) {
  command
      .add_option("--segment-size", *segment_bytes,
                  "Size of new segment files, 16KiB to 1GiB (default 64MiB); a record must fit "
                  "in one")
      ->transform(CLI::AsSizeValue(false))
      ->check(CLI::Range(kMinSegmentBytes, kMaxSegmentBytes))
      ->type_name("SIZE");
}

}  // namespace freyja::cli
