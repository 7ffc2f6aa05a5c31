#!/bin/sh
# Installs a build into a fresh prefix, moves it (a package must not care where it lies),
# and builds and runs main.cc against it in every way a user would.
#
#   run.sh <build directory> <work directory> <C++ compiler> [file to take away]
#
# The last argument deletes a file of the installed tree first: the run must then fail.
set -eu

build=$1
work=$2
compiler=$3
sabotage=${4:-}
here=$(cd "$(dirname "$0")" && pwd)

# Runs a step silently; if it fails, shows what it said and ends the test.
step() {
  name=$1
  shift
  if ! "$@" >"$work/log" 2>&1; then
    cat "$work/log" >&2
    echo "install test failed: $name: $*" >&2
    exit 1
  fi
  echo "ok: $name"
}

# Does every command of a shell line, as a step.
shell_step() { step "$1" sh -euc "$2"; }

rm -rf "$work"
mkdir -p "$work/run"
step "install" cmake --install "$build" --prefix "$work/first"
mv "$work/first" "$work/prefix"
prefix=$work/prefix
[ -z "$sabotage" ] || rm "$prefix/$sabotage"

for header in "$prefix"/include/freyja/*.h; do
  step "header $(basename "$header") compiles alone" \
    "$compiler" -std=c++23 -Wall -Wextra -Werror -fsyntax-only -I "$prefix/include" \
    -include "$header" -x c++ /dev/null
done

step "find_package: configure" cmake -S "$here" -B "$work/user" -G Ninja \
  -DCMAKE_CXX_COMPILER="$compiler" -DCMAKE_PREFIX_PATH="$prefix"
step "find_package: build" cmake --build "$work/user"
step "find_package: run static" "$work/user/static_user" "$work/run/cmake-static"
step "find_package: run shared" "$work/user/shared_user" "$work/run/cmake-shared"

pc=$(dirname "$(find "$prefix" -name freyja.pc)")
libdir=$(dirname "$pc")
export PKG_CONFIG_PATH="$pc"
compile="'$compiler' -std=c++23 '$here/main.cc'"
shell_step "pkg-config: build shared" \
  "$compile -o '$work/pc_shared' \$(pkg-config --cflags --libs freyja)"
step "pkg-config: run shared" env LD_LIBRARY_PATH="$libdir" \
  "$work/pc_shared" "$work/run/pc-shared"
shell_step "pkg-config: build static" \
  "$compile -o '$work/pc_static' \$(pkg-config --static --cflags --libs freyja |
     sed 's/-lfreyja/-l:libfreyja.a/')"
step "pkg-config: run static" "$work/pc_static" "$work/run/pc-static"
shell_step "the static program doesn't need the shared library" \
  "! readelf -d '$work/pc_static' | grep libfreyja"
shell_step "the shared library exports the public interface only" \
  "nm -DC --defined-only '$libdir/libfreyja.so' >'$work/symbols'
   grep -q 'freyja::KVStore::Put' '$work/symbols'
   ! grep -E ' [TWVBDRu] (.* )?freyja::[a-z]' '$work/symbols'"

if [ -e "$prefix/bin/freyja" ]; then
  step "the command line runs from the prefix" "$prefix/bin/freyja" --help
fi
step "licence is installed" test -n "$(find "$prefix/share" -name LICENSE)"
echo "install test passed"
