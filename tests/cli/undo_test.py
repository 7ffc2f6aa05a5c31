#!/usr/bin/env python3
"""End-to-end tests of `freyja compact` taking back what it did, and of its history.

    undo_test.py <path to freyja>
"""

import os
import sys
import time
import unittest

import cli_test_case
from cli_test_case import CliTest, EXIT_FAILURE, EXIT_USAGE, SMALL_SEGMENTS


class Undo(CliTest):
    def setUp(self):
        super().setUp()
        for name in ("first", "second", "third"):
            self.load_numbers(3000, name + "v" * 50, *SMALL_SEGMENTS)
        self.ok("delete", self.db, *(f"key{i}" for i in range(500)), "--quiet")
        self.records = self.dump(self.db)

    def compact(self, *options):
        return self.answer("compact", self.db, *SMALL_SEGMENTS, *options)

    def segments_in(self, state):
        return {segment["file"] for segment in self.answer("segments", self.db)["segments"]
                if segment["state"] == state}

    def assert_sound(self):
        self.assertEqual(self.dump(self.db), self.records)
        self.ok("check", self.db)

    def test_what_was_kept_is_listed_and_comes_back(self):
        before = time.time()
        report = self.compact("--keep", "1h")
        self.assertTrue(report["ran"])
        self.assert_sound()
        self.assertEqual(self.segments_in("quarantined"), set(report["input_files"]))
        self.assertIn(b"quarantined", self.ok("segments", self.db))
        stats = self.answer("stats", self.db)
        self.assertEqual(stats["quarantined_segments"], len(report["input_files"]))

        (kept,) = self.answer("compact", self.db, "--quarantine")
        self.assertEqual(kept["job"], report["job"])
        self.assertEqual(kept["input_files"], report["input_files"])
        self.assertEqual(kept["output_files"], report["output_files"])
        self.assertTrue(kept["can_be_undone"])
        self.assertAlmostEqual(kept["keep_until_ms"] / 1000, before + 3600, delta=120)
        self.assertRegex(self.ok("compact", self.db, "--quarantine").decode(),
                         rf" {kept['job']} .* until \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d UTC\n")

        undone = self.answer("compact", self.db, "--undo", str(kept["job"]))
        self.assertEqual(set(undone["output_files"]), set(report["input_files"]))
        self.assert_sound()
        self.assertEqual(self.segments_in("quarantined"), set())
        self.assertLessEqual(set(report["input_files"]), self.segments_in("sealed"))
        self.assertFalse(set(report["output_files"]) & self.segments_in("sealed"))

    def test_the_report_says_how_to_undo_it_and_so_does_the_undo(self):
        text = self.ok("compact", self.db, "--keep", "90").decode()
        self.assertIn("reclaimed", text)
        self.assertRegex(text, r"UTC: 'freyja compact .*/db --undo \d+' puts them back\n")
        job = str(self.answer("compact", self.db, "--quarantine")[0]["job"])
        self.assertRegex(self.ok("compact", self.db, "--undo", job).decode(),
                         rf"^undid job {job}: \d+ segments are back in the place of \d+, in ")
        self.assert_sound()

    def test_writes_made_since_stay(self):
        job = str(self.compact("--keep", "1h")["job"])
        self.ok("put", self.db, "key700", "new")
        self.ok("delete", self.db, "key701")
        self.records[b"key700"] = b"new"
        del self.records[b"key701"]
        self.ok("compact", self.db, "--undo", job)
        self.assert_sound()

    def test_a_second_undo_and_a_wrong_number_say_why_not(self):
        job = str(self.compact("--keep", "1h")["job"])
        self.ok("compact", self.db, "--undo", job, "--quiet")
        for wrong in (job, "12345"):
            for option in ("--undo", "--end-quarantine"):
                self.fails(EXIT_USAGE, "compact", self.db, option, wrong,
                           mentions=[f"nothing of job {wrong}", "already", "--quarantine"])
        for wrong in ("0", "-1", "x"):
            self.fails(EXIT_USAGE, "compact", self.db, "--undo", wrong)
        self.assert_sound()

    def test_a_job_whose_outputs_were_compacted_since_stays_done(self):
        job = self.compact("--keep", "1h")["job"]
        self.load_numbers(3000, "fourth" + "v" * 50, *SMALL_SEGMENTS)
        self.records = self.dump(self.db)
        self.assertTrue(self.compact()["ran"])
        (kept,) = self.answer("compact", self.db, "--quarantine")
        self.assertFalse(kept["can_be_undone"])
        self.assertIn("no: segment", self.ok("compact", self.db, "--quarantine").decode())
        self.fails(EXIT_FAILURE, "compact", self.db, "--undo", str(job),
                   mentions=["can't be undone any more", "compacted since"])
        self.assert_sound()

    def test_quarantine_can_be_ended(self):
        job = str(self.compact("--keep-bytes", "1GiB")["job"])
        self.assertIn(b"without a limit of time", self.ok("compact", self.db, "--quarantine"))
        self.assertIn(b"can't be undone", self.ok("compact", self.db, "--end-quarantine", job))
        self.assertEqual(self.answer("compact", self.db, "--quarantine"), [])
        self.assertIn(b"nothing is in quarantine", self.ok("compact", self.db, "--quarantine"))
        self.assertEqual(self.segments_in("quarantined"), set())
        self.assert_sound()

    def test_too_much_for_the_limit_is_not_kept_and_without_an_option_nothing_is(self):
        text = self.ok("compact", self.db, "--keep-bytes", "1").decode()
        self.assertIn("nothing was kept", text)
        self.load_numbers(3000, "fourth" + "v" * 50, *SMALL_SEGMENTS)
        self.assertNotIn("kept", self.ok("compact", self.db).decode())
        self.assertEqual(self.answer("compact", self.db, "--quarantine"), [])

    def test_kept_segments_go_when_their_time_is_over(self):
        kept = set(self.compact("--keep", "1s")["input_files"])
        holder = self.hold_store()
        deadline = time.monotonic() + cli_test_case.TIMEOUT_S
        while kept & set(self.data_files()):
            self.assertLess(time.monotonic(), deadline, "they never went")
            time.sleep(0.1)
        holder.stdin.close()
        holder.wait(cli_test_case.TIMEOUT_S)
        self.assertEqual(self.answer("compact", self.db, "--quarantine"), [])
        self.assert_sound()

    def test_history_has_the_jobs_in_order(self):
        self.assertFalse(os.path.exists(os.path.join(self.db, "HISTORY")))
        self.assertEqual(self.answer("compact", self.db, "--history"), [])
        for command in ("stats", "segments", "check"):
            self.ok(command, self.db)
        self.assertIn(b"no compaction", self.ok("compact", self.db, "--history"))
        self.assertFalse(os.path.exists(os.path.join(self.db, "HISTORY")))
        report = self.compact("--keep", "1h")
        self.answer("compact", self.db, "--undo", str(report["job"]))
        first, second = self.answer("compact", self.db, "--history")
        self.assertEqual((first["outcome"], second["outcome"]), ("completed", "undone"))
        self.assertEqual(first["job"], report["job"])
        self.assertEqual(first["bytes_before"], report["bytes_before"])
        self.assertEqual(first["input_files"], len(report["input_files"]))
        self.assertIn(f"undoes job {report['job']}", second["reason"])
        self.assertAlmostEqual(second["ended_at_ms"] / 1000, time.time(), delta=300)
        self.assertEqual(self.answer("compact", self.db, "--history", "1"), [second])
        lines = self.ok("compact", self.db, "--history", "5").decode().splitlines()
        self.assertEqual(len(lines), 3)
        self.assertIn("OUTCOME", lines[0])
        self.assertIn("undone", lines[2])

    def test_options_that_exclude_each_other_are_refused(self):
        for wrong in (("--undo", "1", "--plan"), ("--undo", "1", "--quarantine"),
                      ("--history", "--end-quarantine", "1"), ("--quarantine", "--keep", "1h"),
                      ("--undo", "1", "--segments", "3"), ("--history", "--pause"),
                      ("--undo", "1", "--min-saving", "0")):
            self.fails(EXIT_USAGE, "compact", self.db, *wrong, mentions=["exclude"])
        for wrong in (("--keep", "0"), ("--keep", "5x"), ("--keep=-5s",), ("--keep-bytes", "0"),
                      ("--history", "0"), ("--history", "x"), ("--undo",)):
            self.fails(EXIT_USAGE, "compact", self.db, *wrong)
        self.fails(EXIT_USAGE, "compact", self.path("none"), "--undo", "1")
        self.assert_sound()

    def test_on_a_store_that_another_process_has_open(self):
        report = self.compact("--keep", "1h")
        closed = self.answer("compact", self.db, "--quarantine")
        closed_text = self.ok("compact", self.db, "--quarantine")
        closed_history = self.ok("compact", self.db, "--history")
        self.hold_with_control()
        self.assertEqual(self.answer("compact", self.db, "--quarantine"), closed)
        self.assertEqual(self.ok("compact", self.db, "--quarantine"), closed_text)
        self.assertEqual(self.ok("compact", self.db, "--history"), closed_history)
        self.assertIn(b"quarantine ", self.ok("top", self.db, "--once", "--interval", "0.1"))
        for wrong in (("--keep", "1h"), ("--keep-bytes", "1MiB")):
            self.fails(EXIT_USAGE, "compact", self.db, *wrong, mentions=["another process"])
        job = str(report["job"])
        self.fails(EXIT_USAGE, "compact", self.db, "--undo", "12345", mentions=["nothing of job"])
        undone = self.answer("compact", self.db, "--undo", job)
        self.assertEqual(set(undone["output_files"]), set(report["input_files"]))
        self.fails(EXIT_USAGE, "compact", self.db, "--undo", job, mentions=["already"])
        self.fails(EXIT_USAGE, "compact", self.db, "--end-quarantine", job, mentions=["already"])
        self.assertEqual([each["outcome"] for each in
                          self.answer("compact", self.db, "--history")], ["completed", "undone"])
        self.close_store()
        self.assert_sound()

    def test_quarantine_is_ended_in_another_process(self):
        job = str(self.compact("--keep", "1h")["job"])
        self.hold_with_control()
        self.assertEqual(self.answer("compact", self.db, "--end-quarantine", job),
                         {"ended": int(job)})
        self.assertEqual(self.answer("compact", self.db, "--quarantine"), [])
        self.close_store()
        self.assert_sound()


if __name__ == "__main__":
    cli_test_case.FREYJA = sys.argv.pop(1)
    unittest.main()
