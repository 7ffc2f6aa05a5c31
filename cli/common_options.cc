#include <fmt/format.h>

#include <cstdlib>

#include "commands.h"
#include "freyja/options.h"

namespace freyja::cli {

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
  const auto no_minus = [](const std::string& text) {
    return text.starts_with('-') ? text + " is negative" : std::string();
  };
  return command.add_option(name, *bytes, help)
      ->transform(CLI::AsSizeValue(false))
      ->transform(CLI::Validator(no_minus, ""))  // asked first
      ->type_name("SIZE");
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
