// How a fuzz target says that something it must be able to rely on is not so.
#pragma once

#include <stdexcept>
#include <string>

namespace freyja::fuzz {

// Under libFuzzer nobody catches it, and the input is kept; the replay program reports it and
// goes on with the next input.
class PropertyViolated : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

[[noreturn]] inline void Fail(const std::string& what) { throw PropertyViolated(what); }

inline void Expect(bool holds, const char* what) {
  if (!holds) Fail(what);
}
// For checks that answer with a text, empty if all is well.
inline void ExpectNone(const std::string& problem, const char* where) {
  if (!problem.empty()) Fail(std::string(where) + ": " + problem);
}

}  // namespace freyja::fuzz
