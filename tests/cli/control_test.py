#!/usr/bin/env python3
"""End-to-end tests of `freyja` on a store that another process has open.

    control_test.py <path to freyja>
"""

import json
import os
import pty
import select
import signal
import stat
import subprocess
import sys
import termios
import time
import unittest

import cli_test_case
from cli_test_case import (CliTest, EXIT_FAILURE, EXIT_USAGE, SMALL_SEGMENTS, TIMEOUT_S)


class OpenStore(CliTest):
    """A `load --control` whose input stays open has the store."""

    def setUp(self):
        super().setUp()
        for name in ("first", "second", "third"):
            self.load_numbers(3000, name + "v" * 50, *SMALL_SEGMENTS)
        self.plan_when_closed = json.loads(self.ok("compact", self.db, "--plan", "--json"))
        self.segments_when_closed = json.loads(self.ok("segments", self.db, "--json"))

    def test_socket_is_the_owners_and_goes_at_close(self):
        self.hold_with_control()
        mode = os.lstat(self.socket()).st_mode
        self.assertTrue(stat.S_ISSOCK(mode))
        self.assertEqual(stat.S_IMODE(mode), 0o600)
        self.close_store()
        self.assertFalse(os.path.lexists(self.socket()))

    def test_statistics_and_segments_look_the_same_either_way(self):
        closed = self.answer("stats", self.db)
        closed_text = self.ok("stats", self.db).decode()
        self.hold_with_control()
        opened = self.answer("stats", self.db)
        self.assertEqual(list(opened), list(closed))
        for name in ("keys", "live_bytes", "dead_bytes"):
            self.assertEqual(opened[name], closed[name], name)
        self.assertEqual((closed["read_only"], opened["read_only"]), (True, False))
        labels = [[line[:29] for line in text.splitlines()]
                  for text in (closed_text, self.ok("stats", self.db).decode())]
        self.assertEqual(*labels)
        self.assertIn(b"freyja_keys{", self.ok("stats", self.db, "--format", "prometheus"))
        sealed = [[segment for segment in answer["segments"] if segment["state"] == "sealed"]
                  for answer in (self.segments_when_closed, self.answer("segments", self.db))]
        self.assertGreater(len(sealed[0]), 5)
        self.assertEqual(*sealed)
        self.assertIn(b"sealed", self.ok("segments", self.db))

    def test_plan_and_compaction_are_done_by_the_other_process(self):
        self.hold_with_control()
        plan = self.answer("compact", self.db, "--plan")
        self.assertEqual(list(plan), list(self.plan_when_closed))
        self.assertGreater(plan["bytes_reclaimed"], 300_000)
        self.assertIn(b"would read", self.ok("compact", self.db, "--plan"))
        one = next(segment["id"] for segment in plan["segments"] if segment["chosen"])
        report = self.answer("compact", self.db, "--segments", str(one), "-q")
        self.assertEqual(report["input_files"], [f"{one}.data"])
        os.mkdir(self.path("temp"))
        report = self.answer("compact", self.db, "--temp-dir", self.path("temp"))
        self.assertTrue(report["ran"])
        self.assertGreater(report["space_saved"], 200_000)
        self.assertIn(b"nothing to reclaim", self.ok("compact", self.db))
        self.close_store()
        self.assertEqual(len(self.dump(self.db)), 3000)
        self.ok("check", self.db)

    def test_pause_resume_and_cancel(self):
        self.hold_with_control()
        self.assertEqual(self.answer("compact", self.db, "--pause"), {"paused": True})
        status = self.answer("compact", self.db, "--status")
        self.assertEqual((status["paused"], status["jobs"]), (True, []))
        with subprocess.Popen([cli_test_case.FREYJA, "compact", self.db, "-q"],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE) as waiting:
            deadline = time.monotonic() + TIMEOUT_S
            while not self.answer("compact", self.db, "--status")["jobs"]:
                self.assertLess(time.monotonic(), deadline, "there was never a job")
                time.sleep(0.05)
            self.assertIn(b"job ", self.ok("compact", self.db, "--status"))
            self.assertEqual(self.answer("compact", self.db, "--cancel"), {"cancelled": 1})
            waiting.communicate(timeout=TIMEOUT_S)
            self.assertEqual(waiting.returncode, EXIT_FAILURE)
        self.assertEqual(self.answer("stats", self.db)["compactions_completed"], 0)
        self.assertIn(b"no job", self.ok("compact", self.db, "--cancel"))
        self.assertEqual(self.ok("compact", self.db, "--resume"), b"resumed\n")
        self.assertTrue(self.answer("compact", self.db)["ran"])

    def test_limits(self):
        self.hold_with_control()
        limits = self.answer("compact", self.db, "--limits", "--rate", "20MiB")
        self.assertEqual(limits["bytes_per_second"], 20 << 20)
        limits = self.answer("compact", self.db, "--limits", "--latency-target", "0.002",
                             "--bytes-ceiling", "1GiB")
        self.assertEqual(limits["bytes_per_second"], 20 << 20)
        self.assertEqual(limits["latency_target_us"], 2000)
        self.assertEqual(self.answer("compact", self.db, "--status")["limits"], limits)
        self.assertIn(b"20.0 MiB/s", self.ok("compact", self.db, "--status"))
        limits = self.answer("compact", self.db, "--no-limits")
        self.assertEqual((limits["bytes_per_second"], limits["bytes_ceiling"]), (0, 0))
        for wrong in (("--rate", "20MiB"), ("--segment-size", "64KiB")):
            self.fails(EXIT_USAGE, "compact", self.db, *wrong, mentions=["another process"])

    def test_top_once_is_plain_text(self):
        text = self.ok("top", self.db, "--once").decode()
        self.assertIn("closed: as it was left", text)
        self.assertIn("sealed", text)
        self.hold_with_control()
        self.ok("compact", self.db, "--pause")
        text = self.ok("top", self.db, "--once", "--interval", "0.1").decode()
        self.assertNotIn("\x1b", text)
        for what in ("open in another process", "keys", "latency", "paused; off", "SEGMENT",
                     "sealed"):
            self.assertIn(what, text)
        self.assertRegex(text, r"writes +0/s")
        self.fails(EXIT_USAGE, "top", self.db, mentions=["no terminal", "--once"])
        self.fails(EXIT_USAGE, "top", self.db, "--interval", "0")

    def top_on_a_terminal(self, rows, columns):
        master, slave = pty.openpty()
        self.addCleanup(os.close, master)
        termios.tcsetwinsize(slave, (rows, columns))
        before = termios.tcgetattr(slave)
        # pylint: disable=consider-using-with
        top = subprocess.Popen([cli_test_case.FREYJA, "top", self.db, "--interval", "0.1"],
                               stdin=slave, stdout=slave, stderr=subprocess.DEVNULL)
        self.addCleanup(self.finish, top)
        return top, master, slave, before

    def read_until(self, master, what):
        """What the terminal shows up to and with `what`."""
        seen = b""
        deadline = time.monotonic() + TIMEOUT_S
        while what not in seen:
            ready, _, _ = select.select([master], [], [], deadline - time.monotonic())
            self.assertTrue(ready, (what, seen[-300:]))
            seen += os.read(master, 65536)
        return seen

    def test_top_restores_the_terminal_however_it_ends(self):
        self.hold_with_control()
        for ending in ("q", signal.SIGINT, signal.SIGTERM):
            top, master, slave, before = self.top_on_a_terminal(24, 80)
            self.assertIn(b"\x1b[?1049h", self.read_until(master, b"SEGMENT"))
            if ending == "q":
                os.write(master, b"q")
            else:
                top.send_signal(ending)
            self.assertIn(b"\x1b[?25h", self.read_until(master, b"\x1b[?1049l"))
            self.assertEqual(top.wait(TIMEOUT_S), 0)
            self.assertEqual(termios.tcgetattr(slave), before)
            os.close(slave)

    def test_top_follows_the_terminals_size_and_the_stores_end(self):
        self.hold_with_control()
        top, master, slave, _ = self.top_on_a_terminal(24, 40)
        self.read_until(master, b"SEGMENT")
        termios.tcsetwinsize(slave, (50, 120))
        top.send_signal(signal.SIGWINCH)
        self.read_until(master, b"#" * 30)  # no bar is as long in 40 columns
        self.close_store()
        self.read_until(master, b"closed")
        self.assertIsNone(top.poll())
        os.write(master, b"q")
        self.assertEqual(top.wait(TIMEOUT_S), 0)
        os.close(slave)

    def test_wrong_combinations_are_refused(self):
        for wrong in (("--pause", "--resume"), ("--plan", "--pause"), ("--job", "3"),
                      ("--latency-target", "0.1"), ("--cancel", "--job", "0")):
            self.fails(EXIT_USAGE, "compact", self.db, *wrong)

    def test_controls_need_a_process_that_has_the_store_open(self):
        for control in ("--pause", "--resume", "--cancel", "--status", "--limits"):
            self.fails(EXIT_USAGE, "compact", self.db, control, mentions=["no process"])

    def test_without_a_socket_the_error_says_how_to_switch_it_on(self):
        holder = self.hold_store()
        for command in (("stats",), ("segments",), ("compact",), ("compact", "--pause")):
            self.fails(EXIT_FAILURE, command[0], self.db, *command[1:],
                       mentions=["Options::control_socket", "--control"])
        holder.stdin.close()
        holder.wait(TIMEOUT_S)


if __name__ == "__main__":
    cli_test_case.FREYJA = sys.argv.pop(1)
    unittest.main()
