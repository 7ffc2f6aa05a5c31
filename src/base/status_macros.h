// Early returns for Status and Result.
#pragma once

#include <expected>
#include <utility>

#include "freyja/status.h"

#define FREYJA_CONCAT_INNER(a, b) a##b
#define FREYJA_CONCAT(a, b) FREYJA_CONCAT_INNER(a, b)

// Returns the status from the enclosing function if it is an error. Works in
// functions that return Status as well as Result<T>.
#define FREYJA_RETURN_IF_ERROR(expression)                                  \
  do {                                                                      \
    if (::freyja::Status freyja_status = (expression); !freyja_status.ok()) \
      return ::freyja::base::ErrorReturn(std::move(freyja_status));         \
  } while (false)

// FREYJA_ASSIGN_OR_RETURN(auto file, fs.Open(...));
#define FREYJA_ASSIGN_OR_RETURN(declaration, expression) \
  FREYJA_ASSIGN_OR_RETURN_IMPL(FREYJA_CONCAT(freyja_result_, __LINE__), declaration, expression)

#define FREYJA_ASSIGN_OR_RETURN_IMPL(result, declaration, expression)         \
  auto result = (expression);                                                 \
  if (!result) return ::freyja::base::ErrorReturn(std::move(result).error()); \
  declaration = *std::move(result)

namespace freyja::base {

// Converts to Status or to any Result<T>, whichever the function returns.
class ErrorReturn {
 public:
  explicit ErrorReturn(Status status) : status_(std::move(status)) {}
  operator Status() && { return std::move(status_); }
  template <typename T>
  operator Result<T>() && {
    return std::unexpected(std::move(status_));
  }

 private:
  Status status_;
};

}  // namespace freyja::base
