// What to tell someone whose command line could not be parsed.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace freyja::cli {

// One line: the command, what is wrong with it, the option or command probably meant
// if there is one, and where the help is.
std::string DescribeUsageError(const CLI::App& app, const CLI::ParseError& error);

// The candidate that differs from `word` by the fewest letters, or "" if all differ by
// more than a typing error would.
std::string ClosestWord(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace freyja::cli
