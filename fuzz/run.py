"""Runs the fuzz targets for some time each and reports what they did and found.

    run.py --programs DIR [--seconds N] [--targets a,b] [--canaries-only]

Each target starts from fuzz/seeds, fuzz/found and its corpus of earlier runs (DIR/../corpus).
What it finds is kept in fuzz/found/<target>/, where the tests replay it from then on. Exits
with 1 if anything was found, or if a canary was not: then the set-up finds nothing.
"""

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
# A canary is found within seconds; the rest is for slow machines.
CANARY_SECONDS = 300
# Bytes of an input at most: these open stores, and longer inputs only do so more often.
MAX_LENGTHS = {"store": 320, "canary_store": 320, "directory": 640}
PROGRESS = re.compile(r"cov: (\d+) ft: (\d+)(?: corp: (\d+))?")
STATISTIC = re.compile(r"stat::(\w+):\s+(\d+)")


def programs_in(folder):
    names = [p.name[:-len("_target.cc")] for p in sorted(HERE.glob("*_target.cc"))]
    missing = [name for name in names if not (folder / f"fuzz_{name}").exists()]
    if missing:
        sys.exit(f"fuzz: not built in {folder}: {', '.join(missing)}")
    return names


def run(name, folder, seconds, corpora, artifacts):
    """Runs libFuzzer; its exit code, last progress, statistics and output."""
    dictionary = HERE / "dictionaries" / f"{name}.txt"
    command = [
        str(folder / f"fuzz_{name}"), f"-max_total_time={seconds}",
        f"-artifact_prefix={artifacts}{os.sep}", f"-max_len={MAX_LENGTHS.get(name, 4096)}",
        "-print_final_stats=1", "-timeout=60", "-rss_limit_mb=2048", "-reload=0",
        # Comparisons with counts and lengths are worth solving; a store has too many others.
        f"-use_value_profile={0 if name in MAX_LENGTHS else 1}"
    ]
    if dictionary.exists():
        command.append(f"-dict={dictionary}")
    done = subprocess.run(command + [str(c) for c in corpora], text=True, errors="replace",
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    progress = PROGRESS.findall(done.stdout)
    return (done.returncode, progress[-1] if progress else ("0", "0", ""),
            dict(STATISTIC.findall(done.stdout)), done.stdout)


def is_there(folder):
    return folder.is_dir() and any(folder.iterdir())


def row(name, executed, per_second, coverage, features, units, found):
    print(f"{name:16}{executed:>12}{per_second:>9}{coverage:>8}{features:>10}{units:>8}  {found}",
          flush=True)


def fuzz_target(name, folder, seconds):
    """One target's row; the new files in found/."""
    found = HERE / "found" / name
    found.mkdir(parents=True, exist_ok=True)
    corpus = folder.parent / "corpus" / name
    corpus.mkdir(parents=True, exist_ok=True)
    before = set(found.iterdir())
    inputs = [corpus] + [d for d in (HERE / "seeds" / name, found) if is_there(d)]
    code, (coverage, features, _), stats, output = run(name, folder, seconds, inputs, found)
    new = sorted(set(found.iterdir()) - before)
    row(name, stats.get("number_of_executed_units", "?"), stats.get("average_exec_per_sec", "?"),
        coverage, features, stats.get("new_units_added", "?"),
        ", ".join(p.name for p in new) if new else ("failed" if code else "-"))
    if not is_there(found):
        found.rmdir()
    if code != 0:
        print(output[-6000:])
    return code == 0


def find_canary(name, folder):
    """Whether the planted wrong is found. It is kept nowhere and starts from nothing."""
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        for part in ("corpus", "found"):
            (scratch / part).mkdir()
        seeds = HERE / "seeds" / name
        if is_there(seeds):
            shutil.copytree(seeds, scratch / "corpus", dirs_exist_ok=True)
        code, (coverage, features, _), stats, output = run(
            name, folder, CANARY_SECONDS, [scratch / "corpus"], scratch / "found")
        found = code != 0 and is_there(scratch / "found") and "PropertyViolated" in output
    row(name, stats.get("number_of_executed_units", "?"), stats.get("average_exec_per_sec", "?"),
        coverage, features, "", "found, as it must be" if found else "NOT FOUND")
    if not found:
        print(output[-3000:])
    return found


def main():
    parser = argparse.ArgumentParser(description="Runs the fuzz targets.")
    parser.add_argument("--programs", required=True, type=pathlib.Path,
                        help="folder of the fuzz_* programs")
    parser.add_argument("--seconds", type=int, default=20, help="for each target (default 20)")
    parser.add_argument("--targets", help="only these, separated by commas")
    parser.add_argument("--canaries-only", action="store_true")
    options = parser.parse_args()
    folder = options.programs.resolve()
    names = programs_in(folder)
    if options.targets:
        wanted = options.targets.split(",")
        unknown = sorted(set(wanted) - set(names))
        if unknown:
            sys.exit(f"fuzz: no such target: {', '.join(unknown)}; there are: {', '.join(names)}")
    else:
        wanted = names
    row("target", "executions", "per s", "edges", "features", "new", "found")
    fine = True
    for name in names:
        if name.startswith("canary_"):
            fine &= find_canary(name, folder)
        elif name in wanted and not options.canaries_only:
            fine &= fuzz_target(name, folder, options.seconds)
    if not fine:
        sys.exit("fuzz: something was found or a canary was not; inputs are in fuzz/found")


if __name__ == "__main__":
    main()
