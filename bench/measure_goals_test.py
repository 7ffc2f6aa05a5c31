#!/usr/bin/env python3
"""Tests of scripts/measure_goals.py.

    measure_goals_test.py FREYJA_BENCH
"""

import importlib.util
import pathlib
import subprocess
import sys
import tempfile
import unittest

SCRIPT = pathlib.Path(__file__).resolve().parents[1] / "scripts" / "measure_goals.py"
_spec = importlib.util.spec_from_file_location("measure_goals", SCRIPT)
goals = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(goals)

PROGRAM = ""


def store(name, is_limit=False, **rates):
    return {"id": name, "is_limit": is_limit,
            "workloads": {measure: {"operations_per_second": {"rounds": rounds}}
                          for measure, rounds in rates.items()}}


def section(*stores):
    return goals.Section({"configuration": {"keys": 10}, "stores": list(stores)})


class Figures(unittest.TestCase):
    def test_the_fastest_peer_is_that_of_each_round(self):
        found = section(store("freyja", get=[20, 30, 80]), store("a", get=[10, 10, 20]),
                        store("b", get=[5, 15, 10]), store("limit", True, get=[99, 99, 99]))
        self.assertEqual(found.over_fastest_peer("get"), (2, "a"))
        self.assertEqual(found.over("limit", "get"), 30 / 99)

    def test_without_peers_or_limits_nothing_is_measured(self):
        found = section(store("freyja", get=[20]), store("limit", True, get=[99]))
        self.assertIsNone(found.over_fastest_peer("get"))
        self.assertIsNone(found.over("limit-growing", "get"))

    def test_a_peer_without_the_workload_is_no_peer(self):
        found = section(store("freyja", get=[20]), store("a", get=[10]), store("b", put=[40]))
        self.assertEqual(found.over_fastest_peer("get"), (2, "a"))


class Lines(unittest.TestCase):
    def test_a_goal_is_met_at_its_figure(self):
        table = goals.Table()
        table.at_least("speed", 2.0, 2)
        table.at_least("speed", 1.99, 2)
        table.at_most("size", 24.0, 24, " bytes")
        table.at_most("size", 24.1, 24, " bytes")
        table.at_least("speed", None, 2)
        self.assertEqual([row[3] for row in table.rows], ["yes", "**no**", "yes", "**no**", "–"])

    def test_what_was_not_measured_is_said_so(self):
        self.assertEqual(goals.table_of({}).markdown().count("not measured"), len(goals.PARTS))

    def test_every_part_has_lines(self):
        self.assertEqual(set(goals.PARTS), set(goals.LINES))


class Arguments(unittest.TestCase):
    def test_options_are_replaced_or_added(self):
        self.assertEqual(goals.with_others(["--keys", "3M", "--rounds", "1"], ["--keys", "9"]),
                         ["--rounds", "1", "--keys", "9"])
        self.assertEqual(goals.with_others(["scheduler", "--keys", "3M"], ["--seconds", "9"]),
                         ["scheduler", "--keys", "3M", "--seconds", "9"])


class WholeRun(unittest.TestCase):
    def test_every_line_is_made(self):
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(
                [sys.executable, str(SCRIPT), folder, "--bench", PROGRAM, "--small"],
                capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual((pathlib.Path(folder) / "goals.md").read_text(encoding="utf-8"),
                             done.stdout)
            for line in ("get, one thread, over the limit", "put, sync always, 8 writers",
                         "sustained overwrite", "memory a key, 2,000 keys",
                         "open 2,000 keys, killed, cold", "cost of overwrite, 1,000 to 3,000 keys",
                         "write amplification at space ≤ 1.5, uniform"):
                self.assertIn(f"| {line}", done.stdout)
            settings = (pathlib.Path(folder) / "sync.md").read_text(encoding="utf-8")
            self.assertIn("what survives", settings)
            # What is there already needs no run.
            again = subprocess.run([sys.executable, str(SCRIPT), folder, "--only"],
                                   capture_output=True, text=True, check=False)
            self.assertEqual(again.stdout, done.stdout)

    def test_a_run_that_fails_leaves_no_line(self):
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(
                [sys.executable, str(SCRIPT), folder, "--bench", "/bin/false", "--only", "open"],
                capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 1)
            self.assertIn("| open | not measured |", done.stdout)

    def test_what_an_interrupted_run_left_is_no_result(self):
        with tempfile.TemporaryDirectory() as folder:
            (pathlib.Path(folder) / "open.json").write_text("", encoding="utf-8")
            done = subprocess.run([sys.executable, str(SCRIPT), folder, "--only"],
                                  capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 0)
            self.assertIn("| open | not measured |", done.stdout)
            self.assertIn("interrupted", done.stderr)


if __name__ == "__main__":
    PROGRAM = sys.argv.pop()
    unittest.main()
