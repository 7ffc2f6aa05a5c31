// Runs stored inputs through a target, without a fuzzer and with any compiler:
//
//   fuzz_replay <target> <file or directory>...          every input must pass
//   fuzz_replay --must-fail <target> <file or directory>...  every input must be found wrong
//
// Directories that don't exist hold no input. Without a single input it fails.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "fuzz/property.h"
#include "fuzz/targets.h"

namespace {

namespace fuzz = freyja::fuzz;
using Target = void (*)(fuzz::Bytes);

const std::map<std::string_view, Target>& Targets() {
  static const std::map<std::string_view, Target> targets = {
      {"record", fuzz::FuzzRecord},
      {"hint", fuzz::FuzzHint},
      {"manifest", fuzz::FuzzManifest},
      {"index_image", fuzz::FuzzIndexImage},
      {"segment_header", fuzz::FuzzSegmentHeader},
      {"directory", fuzz::FuzzDirectory},
      {"store", fuzz::FuzzStore},
      {"ndjson", fuzz::FuzzNdjson},
      {"tsv", fuzz::FuzzTsv},
      {"dataset", fuzz::FuzzDataset},
      {"text", fuzz::FuzzText},
      {"canary_record", fuzz::FuzzCanaryRecord},
      {"canary_store", fuzz::FuzzCanaryStore},
  };
  return targets;
}

std::vector<std::filesystem::path> InputsIn(const std::filesystem::path& path) {
  std::vector<std::filesystem::path> inputs;
  if (std::filesystem::is_directory(path)) {
    for (const auto& entry : std::filesystem::directory_iterator(path)) {
      if (entry.is_regular_file()) inputs.push_back(entry.path());
    }
    std::ranges::sort(inputs);
  } else if (std::filesystem::exists(path)) {
    inputs.push_back(path);
  }
  return inputs;
}

// Whether the target found nothing wrong.
bool Passes(Target target, const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  const std::vector<char> content{std::istreambuf_iterator<char>(stream), {}};
  try {
    target(std::as_bytes(std::span(content)));
    return true;
  } catch (const fuzz::PropertyViolated& violation) {
    std::fprintf(stderr, "%s: %s\n", path.c_str(), violation.what());
    return false;
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> arguments(argv + 1, argv + argc);
  const bool must_fail = !arguments.empty() && arguments[0] == "--must-fail";
  if (must_fail) arguments.erase(arguments.begin());
  const auto target =
      arguments.empty() ? Targets().end() : Targets().find(std::string_view(arguments[0]));
  if (target == Targets().end()) {
    std::fprintf(stderr, "usage: fuzz_replay [--must-fail] <target> <file or directory>...\n");
    return 2;
  }
  std::size_t inputs = 0;
  std::size_t wrong = 0;
  for (std::size_t i = 1; i < arguments.size(); ++i) {
    for (const auto& path : InputsIn(arguments[i])) {
      ++inputs;
      wrong += Passes(target->second, path) == must_fail ? 1U : 0U;
    }
  }
  std::printf("%s: %zu inputs, %zu of them %s\n", arguments[0].c_str(), inputs, wrong,
              must_fail ? "passed but must not" : "failed");
  return inputs > 0 && wrong == 0 ? 0 : 1;
}
