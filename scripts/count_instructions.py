#!/usr/bin/env python3
"""Counts the instructions of the store's hot paths and compares them with what they may take.

    count_instructions.py PROGRAM             table: each operation, its count, its bound
    count_instructions.py PROGRAM --update    writes what was counted as the new bounds

PROGRAM is freyja-hot-paths of a release build. Callgrind counts the same for the same binary,
whatever else the machine does; another compiler or C library counts a little differently, which
is what the tolerance is for. More than the bound and the tolerance fails. So does much less: then
the bounds are to be updated, or the next slower version would pass unnoticed.
"""

import argparse
import json
import pathlib
import re
import subprocess
import sys
import tempfile

BOUNDS = pathlib.Path(__file__).resolve().parents[1] / "bench" / "instructions.json"


def counted(output):
    """Instructions of a callgrind output file."""
    totals = re.search(r"^(?:totals|summary): (\d+)", output, re.MULTILINE)
    if not totals:
        raise ValueError("callgrind wrote no totals")
    return int(totals[1])


def count(program, operation):
    """Instructions for one operation."""
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "callgrind"
        done = subprocess.run(
            ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}",
             "--toggle-collect=freyja::bench::Measured(*", program, operation],
            capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise SystemExit(f"{operation}: exit status {done.returncode}\n{done.stderr[-2000:]}")
        name, operations = done.stdout.split()
        assert name == operation
        instructions = counted(out.read_text(encoding="utf-8"))
    if instructions == 0:
        raise SystemExit(f"{operation}: nothing was counted")
    return instructions / int(operations)


def verdict(found, bound, tolerance):
    if found > bound * (1 + tolerance):
        return "TOO MANY"
    if found < bound * (1 - 2 * tolerance):
        return "FEWER: update the bounds"
    return "ok"


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("--update", action="store_true", help="write the bounds anew")
    parser.add_argument("--bounds", type=pathlib.Path, default=BOUNDS)
    options = parser.parse_args(arguments)
    known = json.loads(options.bounds.read_text(encoding="utf-8"))
    found = {name: count(options.program.resolve(), name) for name in known["instructions"]}
    if options.update:
        known["instructions"] = {name: round(value) for name, value in found.items()}
        options.bounds.write_text(json.dumps(known, indent=2) + "\n", encoding="utf-8")
    verdicts = []
    print(f"{'operation':<12} {'counted':>8} {'bound':>8}")
    for name, bound in known["instructions"].items():
        verdicts.append(verdict(found[name], bound, known["tolerance"]))
        print(f"{name:<12} {found[name]:>8.0f} {bound:>8} {verdicts[-1]}")
    right = verdicts.count("ok")
    print(f"{right} passed, {len(verdicts) - right} failed")
    return 0 if right == len(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
