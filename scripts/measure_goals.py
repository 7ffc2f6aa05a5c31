#!/usr/bin/env python3
"""Measures what FreyjaDB is meant to reach, and says line by line whether it does.

    measure_goals.py FOLDER                       everything; hours, nothing else may run meanwhile
    measure_goals.py FOLDER --only open memory    some parts of it
    measure_goals.py FOLDER --only                nothing: the table of what is in FOLDER

Runs freyja-bench once for each part, which leaves FOLDER/PART.json (and PART.md with the settings
of the stores, for all but the scheduler), and writes the table to FOLDER/goals.md and to standard
output. Parts that were measured earlier keep their lines. The exit
status says whether everything could be measured, not whether goals are met.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
CORES = os.cpu_count() or 1

# The arguments of freyja-bench for each part.
PARTS = {
    "comparison": [
        "--keys", "3M", "--threads", f"1,{CORES}" if CORES > 1 else "1",
        "--workloads", "fill,get,miss,multiget16,overwrite", "--seconds", "6", "--probes", "none"],
    "sync": [
        "--keys", "1M", "--workloads", "sync", "--sync-writers", "8", "--probes", "none"],
    # So much that the log, five segments at most, is a small part of it.
    "sustained": [
        "--keys", "3M", "--value-bytes", "1000", "--live-bytes", "4GiB", "--workloads", "sustained",
        "--stores", "freyja,rocksdb", "--probes", "none"],
    "memory": [
        "--keys", "1M,10M,50M", "--live-bytes", "8GiB", "--rounds", "1", "--stores", "freyja",
        "--workloads", "fill", "--probes", "footprint"],
    "open": [
        "--keys", "10M", "--live-bytes", "2GiB", "--stores", "freyja", "--workloads", "fill",
        "--probes", "open"],
    # 100M keys need 90 GB of disk.
    "growth": [
        "--keys", "1M,10M,50M", "--live-bytes", "8GiB", "--rounds", "1", "--seconds", "20",
        "--stores", "freyja,limit-growing", "--workloads", "fill,get,overwrite",
        "--probes", "none"],
}
# The scheduler's load: values long enough for hints to be a small part of the ceiling.
STEADY = [
    "scheduler", "--keys", "500k", "--value-bytes", "4000", "--segment-bytes", "2097152",
    "--writes-per-second", "2500", "--reads-per-second", "3000", "--slice-seconds", "0.8",
    "--warm-up", "4"]
for distribution in ("zipf", "hotcold", "uniform"):
    PARTS[f"scheduler-{distribution}"] = STEADY + ["--distribution", distribution]

# The same, so small that the figures mean nothing: to try the script.
SMALL = {
    "comparison": ["--keys", "2000", "--rounds", "1"],
    "sync": ["--keys", "1000", "--rounds", "1", "--sync-seconds", "0.1"],
    "sustained": ["--keys", "1000", "--rounds", "1", "--sustained-seconds", "0.2"],
    "memory": ["--keys", "1000,2000"],
    "open": ["--keys", "2000", "--rounds", "1"],
    "growth": ["--keys", "1000,3000"],
}
SMALL_STEADY = ["--keys", "2000", "--segment-bytes", "65536", "--value-bytes", "1000",
                "--warm-up", "1", "--seconds", "2", "--slice-seconds", "0.2"]


def arguments_of(part, options):
    arguments = list(PARTS[part])
    steady = part.startswith("scheduler")
    if options.small:
        arguments = with_others(arguments, SMALL_STEADY if steady else SMALL[part])
    elif steady:
        arguments += ["--seconds", str(options.seconds)]
    elif "--rounds" not in arguments:
        arguments += ["--rounds", str(options.rounds)]
    return arguments + ["--seed", str(options.seed)]


def with_others(arguments, others):
    """`arguments` with those of `others` in the place of the same options."""
    named = dict(zip(others[::2], others[1::2]))
    kept = []
    skip = False
    for argument in arguments:
        if skip or argument in named:
            skip = not skip
            continue
        kept.append(argument)
    return kept + others


# --- What is in the results -------------------------------------------------------------


class Section:
    """One length of values and one number of keys of a comparison."""

    def __init__(self, json_section):
        self.keys = json_section["configuration"]["keys"]
        self.stores = {store["id"]: store for store in json_section["stores"]}
        self.probes = {probe["id"]: probe for probe in json_section.get("probes", [])}

    def rates(self, store, measure):
        """Operations a second, round by round."""
        return self.stores[store]["workloads"][measure]["operations_per_second"]["rounds"]

    def peers(self, measure):
        return [name for name, store in self.stores.items()
                if name != "freyja" and not store["is_limit"] and measure in store["workloads"]]

    def over_fastest_peer(self, measure, of_peers=None):
        """The median over the rounds, and who was the fastest most often."""
        of_peers = of_peers or measure
        peers = {name: self.rates(name, of_peers) for name in self.peers(of_peers)}
        if not peers:
            return None
        ours = self.rates("freyja", measure)
        fastest = [max(peers, key=lambda name: peers[name][i]) for i in range(len(ours))]
        ratio = statistics.median(ours[i] / peers[fastest[i]][i] for i in range(len(ours)))
        return ratio, statistics.mode(fastest)

    def over(self, other, measure):
        if other not in self.stores or measure not in self.stores[other]["workloads"]:
            return None
        pairs = zip(self.rates("freyja", measure), self.rates(other, measure))
        return statistics.median(ours / theirs for ours, theirs in pairs)

    def latency(self, store, measure, quantile):
        return self.stores[store]["workloads"][measure]["latency_ns"][quantile]


def sections(results, part):
    return [Section(section) for section in results[part]["sections"]]


# --- The table --------------------------------------------------------------------------


class Table:
    def __init__(self):
        self.rows = []

    def add(self, what, measured, goal, met, unit=""):
        shown = "not measured" if measured is None else f"{measured:.3g}{unit}"
        verdict = "–" if measured is None else "yes" if met(measured) else "**no**"
        self.rows.append((what, shown, goal, verdict))

    def at_least(self, what, measured, goal, unit=" ×"):
        self.add(what, measured, f"≥ {goal:g}{unit}", lambda value: value >= goal, unit)

    def at_most(self, what, measured, goal, unit):
        self.add(what, measured, f"≤ {goal:g}{unit}", lambda value: value <= goal, unit)

    def beside(self, what, measured):
        """No goal: what a goal's figure is to be read with."""
        self.rows.append((what, measured, "–", "–"))

    def markdown(self):
        lines = ["| line | measured | goal | met |", "| --- | --- | --- | --- |"]
        return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in self.rows]) + "\n"


def against_peers(table, section, name, measure, goal, of_peers=None):
    found = section.over_fastest_peer(measure, of_peers)
    who = f" ({found[1]})" if found else ""
    table.at_least(f"{name}, over the fastest peer{who}", found and found[0], goal)


def comparison_lines(table, results):
    section, = sections(results, "comparison")
    gets = [("get, one thread", "get")]
    if CORES > 1 and f"get/{CORES}" in section.stores["freyja"]["workloads"]:
        gets.append((f"get, {CORES} threads", f"get/{CORES}"))
    for name, measure in gets:
        against_peers(table, section, name, measure, 2)
        table.at_least(f"{name}, over the limit", section.over("limit", measure), 0.9)
    against_peers(table, section, "missing get", "miss", 2.5)
    against_peers(table, section, "MultiGet of 16, a key, over a get of it", "multiget16", 8, "get")
    table.at_least("MultiGet of 16, over the limit", section.over("limit", "multiget16"), 0.8)
    against_peers(table, section, "overwrite", "overwrite", 2.5)
    table.at_least("overwrite, over the limit", section.over("limit", "overwrite"), 0.9)
    against_peers(table, section, "fill", "fill", 2.5)
    table.at_least("fill, over the limit with a growing table",
                   section.over("limit-growing", "fill"), 0.8)
    ratio = None
    if "limit" in section.stores:
        ratio = (section.latency("freyja", "fill", "p99.99") /
                 section.latency("limit", "fill", "p99.99"))
    table.at_most("p99.99 of the puts of a fill, over the presized limit's", ratio, 1.1, " ×")


def sync_lines(table, results):
    section, = sections(results, "sync")
    against_peers(table, section, "put, sync always, 8 writers", "sync/8", 1.5)


def sustained_lines(table, results):
    section, = sections(results, "sustained")
    table.at_least("sustained overwrite, over RocksDB", section.over("rocksdb", "sustained"), 5)
    space = section.stores["freyja"].get("sustained_space")
    table.at_most("space amplification meanwhile, highest",
                  space and space["highest"]["highest"], 1.5, "")


def scheduler_lines(table, results, distribution, most):
    run = results[f"scheduler-{distribution}"]
    table.at_most(f"write amplification at space ≤ 1.5, {distribution}",
                  run["write_amplification"]["records"], most, "")
    table.at_most(f"space amplification, {distribution}, highest",
                  run["space_amplification"]["highest"], 1.5, "")
    if distribution != "zipf":
        return
    for what in ("reads", "writes"):
        ratios = run[what]["p999_ratio"]
        table.at_most(f"p99.9 of {what} from when they were due, compaction on over off",
                      ratios["response"].get("median"), 1.1, " ×")
        call = ratios["call"].get("median")
        table.beside(f"the same of {what}, of the call alone",
                     "not measured" if call is None else f"{call:.3g} ×")
    table.at_most("longest hold of a page lock by a swap",
                  run["compaction"]["longest_publish_us"], 50, " µs")
    most = run["compaction"].get("publish_p9999_us")
    table.beside("all but one in 10,000 of these holds",
                 "not measured" if most is None else f"≤ {most:.3g} µs")


def memory_lines(table, results):
    for section in sections(results, "memory"):
        table.at_most(f"memory a key, {section.keys:,} keys",
                      section.probes["freyja"]["memory_per_key"]["median"], 24, " bytes")


def open_lines(table, results):
    section, = sections(results, "open")
    opens = section.probes["freyja"]["opens"]
    for kind, goal in (("clean", 0.3), ("killed", 1), ("killed, cold", 2)):
        found = opens.get(kind)
        table.at_most(f"open {section.keys:,} keys, {kind}",
                      found and found["seconds"]["median"], goal, " s")


def growth_lines(table, results):
    found = sections(results, "growth")
    smallest = found[0]
    for measure in ("fill", "get", "overwrite"):
        for section in found[1:]:
            slower = [statistics.median(smallest.rates(store, measure)) /
                      statistics.median(section.rates(store, measure))
                      for store in ("freyja", "limit-growing")]
            table.at_most(f"cost of {measure}, {smallest.keys:,} to {section.keys:,} keys, "
                          "over how the limit's grows", slower[0] / slower[1], 1.1, " ×")


LINES = {
    "comparison": comparison_lines,
    "sync": sync_lines,
    "scheduler-zipf": lambda table, results: scheduler_lines(table, results, "zipf", 1.65),
    "scheduler-hotcold": lambda table, results: scheduler_lines(table, results, "hotcold", 1.45),
    "scheduler-uniform": lambda table, results: scheduler_lines(table, results, "uniform", 1.75),
    "sustained": sustained_lines,
    "memory": memory_lines,
    "open": open_lines,
    "growth": growth_lines,
}


def table_of(results):
    table = Table()
    for part, lines in LINES.items():
        if part in results:
            lines(table, results)
        else:
            table.beside(part, "not measured")
    return table


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path, help="where the results are put")
    parser.add_argument("--bench", type=pathlib.Path, metavar="PROGRAM",
                        default=ROOT / "build" / "bench" / "bin" / "freyja-bench",
                        help="freyja-bench of a release build")
    parser.add_argument("--only", nargs="*", choices=list(PARTS), default=list(PARTS),
                        metavar="PART", help="of " + ", ".join(PARTS))
    parser.add_argument("--rounds", type=int, default=3, help="of the comparisons; 3")
    parser.add_argument("--seconds", type=float, default=600, help="of each scheduler run; 600")
    parser.add_argument("--seed", type=int, default=1, help="of all random choices; 1")
    parser.add_argument("--small", action="store_true",
                        help="so small that the figures mean nothing: to try the script")
    options = parser.parse_args(arguments)
    options.folder.mkdir(parents=True, exist_ok=True)

    failed = False
    for part in options.only:
        command = [str(options.bench), *arguments_of(part, options), "--json"]
        out = options.folder / f"{part}.json"
        print(f"{part}: freyja-bench {' '.join(command[1:])}", file=sys.stderr)
        tables = out.with_suffix(".md")
        for path in (out, tables):
            path.unlink(missing_ok=True)
        if part.startswith("scheduler"):
            with out.open("wb") as file:
                done = subprocess.run([*command, "--quiet"], stdout=file, check=False)
        else:
            done = subprocess.run(
                [*command, str(out), "--markdown", str(tables), "--quiet"],
                stdout=subprocess.DEVNULL, check=False)
        if done.returncode != 0:
            print(f"{part}: freyja-bench ended with {done.returncode}", file=sys.stderr)
            out.unlink(missing_ok=True)
            failed = True

    results = {}
    for part in PARTS:
        path = options.folder / f"{part}.json"
        if not path.exists():
            continue
        try:
            results[part] = json.loads(path.read_text(encoding="utf-8"))
        except json.JSONDecodeError:
            print(f"{path}: of a run that was interrupted; left out", file=sys.stderr)
    markdown = table_of(results).markdown()
    (options.folder / "goals.md").write_text(markdown, encoding="utf-8")
    print(markdown, end="")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
