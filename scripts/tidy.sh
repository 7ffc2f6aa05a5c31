#!/bin/sh
# clang-tidy over every source a build directory compiles: tidy.sh <build dir> <jobs>.
# Quiet unless something is wrong.
set -eu

log=$1/clang-tidy.log
if ! run-clang-tidy-19 -quiet -p "$1" -j "$2" >"$log" 2>&1; then
  grep -v -e '^\[' -e '^clang-tidy' -e 'warnings generated' -e '^$' "$log" >&2 || cat "$log" >&2
  echo "clang-tidy found the problems above (whole output in $log)" >&2
  exit 1
fi
echo "clang-tidy: nothing found"
