#!/bin/sh
# Installs the Debian packages that building FreyjaDB needs, and nothing that is there
# already. The lists below are the only ones in the repository.
#
#   scripts/setup.sh [group...]     groups: build test lint bench; default: build
#
# FREYJA_SKIP_SETUP=1 skips it, for systems other than Debian and for the impatient.
set -eu

# Compiler, build tools, and what the library and the command line link.
build="build-essential g++ make cmake ninja-build ccache pkgconf git apt
  libisal-dev libxxhash-dev
  libcli11-dev libspdlog-dev libfmt-dev nlohmann-json3-dev"
# Test frameworks, and what the test scripts call: of prometheus, promtool.
test="libgtest-dev libgmock-dev librapidcheck-dev python3 strace binutils e2fsprogs"
command -v promtool >/dev/null || test="$test prometheus"
# clang for thread-safety analysis, formatting, static checks and sanitizers.
lint="clang-19 clang-tidy-19 clang-format-19 libclang-rt-19-dev llvm-19"
# The harness, and the stores that freyja-bench compares with.
bench="valgrind libbenchmark-dev librocksdb-dev libleveldb-dev liblmdb-dev libtkrzw-dev
  libkyotocabinet-dev libwiredtiger-dev"

say() { echo "setup: $*" >&2; }
fail() {
  say "$@"
  exit 1
}

[ "${FREYJA_SKIP_SETUP:-0}" != 1 ] || exit 0
[ $# -gt 0 ] || set -- build

wanted=
for group in "$@"; do
  case $group in
    build) wanted="$wanted $build" ;;
    test) wanted="$wanted $test" ;;
    lint) wanted="$wanted $lint" ;;
    bench) wanted="$wanted $bench" ;;
    *) fail "no group '$group'; groups are: build test lint bench" ;;
  esac
done

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  say "this isn't a Debian-like system (no dpkg-query or apt-get), so nothing was installed."
  say "Install the equivalents of:" $wanted
  fail "then run the same command again with FREYJA_SKIP_SETUP=1 in the environment."
fi

missing() {
  # Unknown packages make dpkg-query fail, but it still prints the others.
  have=" $(dpkg-query -W -f='${db:Status-Status}:${Package} ' $wanted 2>/dev/null || true)"
  for package in $wanted; do
    case $have in
      *" installed:$package "*) ;;
      *) printf ' %s' "$package" ;;
    esac
  done
}

packages=$(missing)
[ -n "$packages" ] || exit 0

if [ "$(id -u)" -eq 0 ]; then
  as_root=
elif command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
  as_root=sudo
else
  say "these Debian packages are missing, and installing them needs root or sudo:"
  say "   $packages"
  fail "as root, run: apt-get update && apt-get install -y --no-install-recommends$packages"
fi

apt() {
  $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 "$@" </dev/null
}
update() {
  say "fetching the package lists (apt-get update)"
  apt update || fail "apt-get update failed (its message is above)"
}

say "FreyjaDB needs Debian packages for: $*. Installing what is missing:$packages"
case "$packages " in
  *" prometheus "*)
    # The package has a server, too, which would start now and at every boot.
    if [ -d /run/systemd/system ]; then
      $as_root systemctl --quiet mask prometheus.service ||
        fail "could not keep the Prometheus server from starting (systemctl's message is above)"
      say "masked prometheus.service: only promtool is needed (systemctl unmask undoes it)"
    fi
    ;;
esac
updated=0
if ! apt-cache show $packages >/dev/null 2>&1; then
  update
  updated=1
fi
if ! apt install -y --no-install-recommends $packages; then
  # Old lists name versions that the mirrors no longer have.
  [ "$updated" -eq 0 ] || fail "apt-get could not install:$packages (its message is above)"
  update
  apt install -y --no-install-recommends $packages ||
    fail "apt-get could not install:$packages (its message is above)"
fi
packages=$(missing)
[ -z "$packages" ] || fail "still missing after installation:$packages"
say "done"
