#!/usr/bin/env python3
"""End-to-end tests of the command line: every command, every documented exit code.

Usage: cli_e2e_test.py PATH_TO_FREYJA [unittest arguments]
"""

import base64
import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
import unittest

import cli_test_case
from cli_test_case import (CliTest, EXIT_CORRUPTION, EXIT_FAILURE, EXIT_INTERRUPTED,
                           EXIT_NOTHING, EXIT_USAGE, SMALL_SEGMENTS, TIMEOUT_S)
from monitoring_test import AlertRules, PrometheusFormat  # run with the rest  # noqa: F401


class PointCommands(CliTest):
    def test_put_makes_the_store_and_get_returns_the_value(self):
        self.assertEqual(self.ok("put", self.db, "user:1", "Ada"), b"")
        self.assertEqual(self.ok("get", self.db, "user:1"), b"Ada")
        self.ok("put", self.db, "user:1", "Grace", "--sync")
        self.assertEqual(self.ok("get", self.db, "user:1", "--newline"), b"Grace\n")

    def test_missing_key_exits_1_and_prints_nothing(self):
        self.ok("put", self.db, "k", "v")
        done = self.run_freyja("get", self.db, "other")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (EXIT_NOTHING, b"", b""))

    def test_empty_value_is_a_value(self):
        self.ok("put", self.db, "k", "")
        self.assertEqual(self.ok("get", self.db, "k"), b"")

    def test_value_from_standard_input_and_file_is_kept_byte_for_byte(self):
        value = bytes(range(256)) * 300
        self.ok("put", self.db, "in", "-", stdin=value)
        self.ok("put", self.db, "file", "--file", self.write("value", value))
        self.assertEqual(self.ok("get", self.db, "in"), value)
        self.assertEqual(self.ok("get", self.db, "file"), value)

    def test_binary_keys(self):
        self.ok("put", self.db, b"\xff\xfe", "1")
        self.assertEqual(self.ok("get", self.db, b"\xff\xfe"), b"1")
        self.ok("put", "--escaped", self.db, r"a\x00b", r"\t\\")
        self.assertEqual(self.ok("get", "-e", self.db, r"a\x00b"), b"\t\\")
        self.assertEqual(self.dump(self.db), {b"\xff\xfe": b"1", b"a\0b": b"\t\\"})

    def test_keys_that_look_like_something_else(self):
        for key in ("stats", "[a,b]", "-k", "--sync", "-", "", "{}"):
            if key == "":
                self.fails(EXIT_USAGE, "put", self.db, "", "v", mentions=["key"])
                continue
            self.ok("put", self.db, "--", key, "is " + key)
        for key in ("stats", "[a,b]", "-k", "--sync", "-", "{}"):
            self.assertEqual(self.ok("get", self.db, "--", key), b"is " + key.encode())
        self.ok("put", self.db, "a", "stays")
        self.assertEqual(self.ok("delete", self.db, "[a,b]", "--", "-k", "--sync"),
                         b"deleted 3\n")
        self.assertEqual(self.ok("get", self.db, "a"), b"stays")

    def test_terminal_gets_a_newline(self):
        self.ok("put", self.db, "k", "v")
        master, slave = pty.openpty()
        subprocess.run([cli_test_case.FREYJA, "get", self.db, "k"], stdout=slave,
                       timeout=TIMEOUT_S, check=True)
        self.assertEqual(os.read(master, 100), b"v\r\n")
        os.close(slave)
        os.close(master)

    def test_delete_counts_what_was_there(self):
        self.load_numbers(3)
        self.assertEqual(self.ok("delete", self.db, "key0", "nope", "key1"), b"deleted 2\n")
        done = self.run_freyja("delete", self.db, "key0", "nope")
        self.assertEqual((done.returncode, done.stdout), (EXIT_NOTHING, b"deleted 0\n"))
        self.assertEqual(self.ok("delete", self.db, "key2", "--quiet"), b"")
        self.assertEqual(self.dump(self.db), {})

    def test_key_over_the_limit_names_it(self):
        self.ok("put", self.db, "k" * 65536, "v")
        self.fails(EXIT_USAGE, "put", self.db, "k" * 65537, "v", mentions=["65537", "65536"])

    def test_value_over_the_limit_names_it(self):
        self.fails(EXIT_USAGE, "put", self.db, "k", "-", *SMALL_SEGMENTS, stdin=b"v" * 70000,
                   mentions=["value", "70000"])

    def test_missing_value_file_makes_no_store(self):
        self.fails(EXIT_USAGE, "put", self.db, "k", "--file", self.path("none"),
                   mentions=["none", "No such file"])
        self.assertFalse(os.path.exists(self.db))

    def test_full_output_is_a_failure(self):
        self.ok("put", self.db, "k", "v")
        with open("/dev/full", "wb") as full:
            done = subprocess.run([cli_test_case.FREYJA, "get", self.db, "k"], stdout=full,
                                  stderr=subprocess.PIPE, timeout=TIMEOUT_S, check=False)
        self.assertEqual(done.returncode, EXIT_FAILURE)
        self.assert_one_error_line(done.stderr, ["standard output", "No space left"])


class Usage(CliTest):
    def test_help_documents_exit_codes_and_every_command_has_examples(self):
        text = self.ok("--help").decode()
        for line in ("Exit codes:", "  1  ", "  2  ", "  3  ", "  4  ", "130"):
            self.assertIn(line, text)
        for command in ("put", "get", "delete", "scan", "load", "dump", "stats", "segments",
                        "compact", "check"):
            self.assertIn(command, text)
            self.assertIn("freyja " + command, self.ok(command, "--help").decode())

    def test_version(self):
        self.assertRegex(self.ok("--version").decode(), r"^freyja \d+\.\d+\.\d+\n$")

    def test_wrong_arguments_are_explained_with_a_hint(self):
        self.fails(EXIT_USAGE, mentions=["a command is needed", "freyja --help"])
        self.fails(EXIT_USAGE, "stast", mentions=["unknown command 'stast'", "mean stats"])
        self.fails(EXIT_USAGE, "stats", self.db, "--jsno",
                   mentions=["unknown option --jsno", "mean --json", "freyja stats --help"])
        self.fails(EXIT_USAGE, "get", self.db, mentions=["KEY", "freyja get --help"])
        self.fails(EXIT_USAGE, "get", self.db, "k", "more", mentions=["too many", "'more'"])
        self.fails(EXIT_USAGE, "put", self.db, "k", mentions=["VALUE"])
        self.fails(EXIT_USAGE, "put", self.db, "k", "v", "--file", "f", mentions=["--file"])
        self.fails(EXIT_USAGE, "put", self.db, "k", "v", "--segment-size", "1",
                   mentions=["--segment-size"])
        self.fails(EXIT_USAGE, "scan", self.db, "--limit", "many", mentions=["--limit"])
        self.fails(EXIT_USAGE, "load", self.db, "--format", "xml", mentions=["--format", "xml"])
        self.fails(EXIT_USAGE, "load", self.db, "--batch", "0", mentions=["--batch"])
        self.fails(EXIT_USAGE, "compact", self.db, "--min-saving", "1.5",
                   mentions=["--min-saving"])
        self.fails(EXIT_USAGE, "compact", self.db, "--min-saving", "nan",
                   mentions=["--min-saving", "nan"])
        self.fails(EXIT_USAGE, "compact", self.db, "--timeout=-1", mentions=["--timeout"])
        self.fails(EXIT_USAGE, "scan", self.db, "--limit=-1", mentions=["--limit"])
        self.fails(EXIT_USAGE, "get", "-e", self.db, r"\q", mentions=["KEY", "column 1"])
        self.assertFalse(os.path.exists(self.db))


class WrongDirectories(CliTest):
    READERS = (("get", "k"), ("delete", "k"), ("scan",), ("dump",), ("stats",), ("segments",),
               ("compact",), ("check",))

    def test_nonexistent_directory(self):
        for command, *rest in self.READERS:
            self.fails(EXIT_USAGE, command, self.db, *rest, mentions=[self.db])
            self.assertFalse(os.path.exists(self.db), command)

    def test_directory_that_is_no_store(self):
        os.mkdir(self.db)
        with open(os.path.join(self.db, "letter.txt"), "w", encoding="ascii") as file:
            file.write("Dear Ada")
        for command, *rest in (*self.READERS, ("put", "k", "v"), ("load",)):
            self.fails(EXIT_USAGE, command, self.db, *rest, mentions=[self.db])
            self.assertEqual(os.listdir(self.db), ["letter.txt"], command)

    def test_file_instead_of_a_directory(self):
        self.write("db", b"")
        for command, *rest in (*self.READERS, ("put", "k", "v")):
            done = self.run_freyja(command, self.db, *rest)
            self.assertIn(done.returncode, (EXIT_USAGE, EXIT_FAILURE), done)
            self.assert_one_error_line(done.stderr, [self.db])

    def test_locked_store_fails_every_command_and_is_unharmed(self):
        self.ok("put", self.db, "k", "v")
        holder = self.hold_store()
        for command, *rest in (*self.READERS, ("put", "k", "x"), ("load",)):
            self.fails(EXIT_FAILURE, command, self.db, *rest, mentions=[self.db])
        holder.stdin.close()
        self.assertEqual(holder.wait(TIMEOUT_S), 0)
        self.assertEqual(self.ok("get", self.db, "k"), b"v")

    @unittest.skipIf(os.geteuid() == 0, "root may write anywhere")
    def test_read_only_directory(self):
        os.mkdir(self.db, 0o500)
        self.fails(EXIT_FAILURE, "put", self.db, "k", "v", mentions=[self.db])


class Transfer(CliTest):
    BINARY = {b"plain": b"text", b"\xff\x00": b"\x00\xff", b"tab\t": b"line\r\nend\\",
              "käse".encode(): "größe".encode(), b"empty": b"", b"{": b"}"}

    def load_binary(self):
        lines = [json.dumps({"key_base64": base64.b64encode(key).decode(),
                             "value_base64": base64.b64encode(value).decode()})
                 for key, value in self.BINARY.items()]
        self.ok("load", self.db, "--quiet", stdin="\n".join(lines).encode())

    def test_dump_piped_into_load_gives_an_equal_store(self):
        self.load_binary()
        for form in ("ndjson", "tsv"):
            other = self.path("other-" + form)
            with subprocess.Popen([cli_test_case.FREYJA, "dump", self.db, "--format", form],
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as dump:
                load = subprocess.run([cli_test_case.FREYJA, "load", other, "--format", form],
                                      stdin=dump.stdout, capture_output=True, timeout=TIMEOUT_S,
                                      check=False)
            self.assertEqual((dump.returncode, load.returncode), (0, 0), load.stderr)
            self.assertEqual(self.dump(other), self.BINARY)
            self.assertEqual(sorted(self.ok("dump", other).splitlines()),
                             sorted(self.ok("dump", self.db).splitlines()))

    def test_files_choose_the_format_by_extension(self):
        self.load_binary()
        for name in ("all.ndjson", "all.jsonl", "all.tsv"):
            self.ok("dump", self.db, self.path(name), "--quiet")
            self.assertEqual(self.read(name).startswith(b"{\""), not name.endswith(".tsv"))
            self.ok("load", self.path("from-" + name), self.path(name))
            self.assertEqual(self.dump(self.path("from-" + name)), self.BINARY)

    def test_dump_replaces_a_file_whole_and_leaves_no_other(self):
        self.load_binary()
        self.write("out.tsv", b"old")
        self.ok("dump", self.db, self.path("out.tsv"))
        self.assertEqual(len(self.read("out.tsv").splitlines()), len(self.BINARY))
        self.assertEqual(sorted(os.listdir(self.root)), ["db", "out.tsv"])
        self.fails(EXIT_USAGE, "dump", self.db, self.path("none/out"), mentions=["none/out"])

    def test_dump_to_a_closed_pipe_is_quiet(self):
        self.load_numbers(20000, "v" * 50)
        for command in ("dump", "scan"):
            with subprocess.Popen([cli_test_case.FREYJA, command, self.db], stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE) as process:
                process.stdout.read(10)
                process.stdout.close()
                self.assertEqual(process.wait(TIMEOUT_S), 0)
                self.assertEqual(process.stderr.read(), b"")

    def test_dump_to_a_full_disk_fails(self):
        self.load_numbers(10)
        self.fails(EXIT_FAILURE, "dump", self.db, "/dev/full", mentions=["/dev/full", "No space"])

    def test_auto_format_goes_by_the_first_visible_byte(self):
        self.ok("load", self.db, "-", stdin=b'\n {"key":"json","value":"1"}\n')
        self.ok("load", self.db, stdin=b"tsv\t2\r\n\r\n")
        self.assertEqual(self.dump(self.db), {b"json": b"1", b"tsv": b"2"})

    def test_empty_input_loads_nothing_and_makes_the_store(self):
        self.assertIn(b"loaded 0 records", self.run_freyja("load", self.db).stderr)
        self.assertEqual(self.dump(self.db), {})

    def test_later_lines_win(self):
        self.ok("load", self.db, "--batch", "2", stdin=b"k\t1\nk\t2\nk\t3\n")
        self.assertEqual(self.dump(self.db), {b"k": b"3"})

    def test_malformed_line_stops_with_file_line_and_reason_and_keeps_what_was_before(self):
        bad = {
            "missing.tsv": (b"a\t1\n\nno tab\nb\t2\n", ["line 3", "no tab"]),
            "escape.tsv": (b"a\t1\nb\tx\\q\n", ["line 2", "escape", "column 2"]),
            "json.ndjson": (b'{"key":"a","value":"1"}\n{"key":"b"\n', ["line 2", "not valid"]),
            "field.ndjson": (b'{"key":"a","value":"1"}\n{"key":"b"}\n', ["line 2", "value"]),
            "type.ndjson": (b'{"key":"a","value":"1"}\n{"key":2}\n', ["line 2", "number"]),
            "twice.ndjson": (b'{"key":"a","value":"1"}\n{"key":"b","key":"c","value":""}\n',
                             ["line 2", "second key"]),
            "empty.ndjson": (b'{"key":"a","value":"1"}\n{"key":"","value":"1"}\n',
                             ["line 2", "empty"]),
            "long.tsv": (b"a\t1\n" + b"k" * 65537 + b"\tv\n", ["line 2", "65537", "65536"]),
        }
        for name, (content, reasons) in bad.items():
            store = self.path("store-" + name)
            self.fails(EXIT_USAGE, "load", store, self.write(name, content),
                       mentions=[name, "loaded 1 record", *reasons])
            self.assertEqual(self.dump(store), {b"a": b"1"})

    def test_value_over_this_stores_limit_names_the_line(self):
        content = b"a\t1\nb\t" + b"v" * 70000 + b"\nc\t3\n"
        self.fails(EXIT_USAGE, "load", self.db, *SMALL_SEGMENTS, stdin=content,
                   mentions=["line 2", "value", "70000"])
        self.assertEqual(self.dump(self.db), {b"a": b"1"})

    def test_bad_lines_can_be_skipped(self):
        done = self.run_freyja("load", self.db, "--on-error", "skip",
                               stdin=b"a\t1\nbad\nb\t2\n\\q\t\nc\t3")
        self.assertEqual(done.returncode, 0, done)
        text = done.stderr.decode()
        self.assertIn("line 2", text)
        self.assertIn("line 4", text)
        self.assertIn("loaded 3 records", text)
        self.assertIn("2 bad lines skipped", text)
        self.assertEqual(self.dump(self.db), {b"a": b"1", b"b": b"2", b"c": b"3"})

    def test_missing_file_makes_no_store(self):
        self.fails(EXIT_USAGE, "load", self.db, self.path("none.tsv"), mentions=["none.tsv"])
        self.assertFalse(os.path.exists(self.db))

    def test_expiry_survives_dump_and_load(self):
        self.ok("load", self.db,
                stdin=b'{"key":"k","value":"v","expires_at_ms":99999999999999}\n'
                      b'{"key":"old","value":"v","expires_at_ms":1}\n')
        lines = self.ok("dump", self.db, "--quiet")
        self.assertEqual(lines, b'{"key":"k","value":"v","expires_at_ms":99999999999999}\n')
        done = self.run_freyja("dump", self.db, "--format", "tsv", "--quiet")
        self.assertIn(b"TSV can't say", done.stderr)

    def test_interrupted_load_keeps_what_it_read(self):
        holder = self.hold_store()
        holder.stdin.write(b"a\t1\nb\t2\n")
        holder.stdin.flush()
        time.sleep(0.3)
        holder.send_signal(signal.SIGINT)
        self.assertEqual(holder.wait(TIMEOUT_S), EXIT_INTERRUPTED)
        self.assertEqual(self.dump(self.db), {b"a": b"1", b"b": b"2"})

    def test_progress_is_redrawn_on_a_terminal_and_plain_elsewhere(self):
        master, slave = pty.openpty()
        with subprocess.Popen([cli_test_case.FREYJA, "load", self.db, "--format", "tsv"],
                              stdin=subprocess.PIPE, stderr=slave) as process:
            os.close(slave)
            for i in range(3):  # slower than the bar is redrawn
                process.stdin.write(b"key%d\tvalue\n" % i)
                process.stdin.flush()
                time.sleep(0.2)
            process.stdin.close()
            seen = b""
            while True:
                try:
                    seen += os.read(master, 65536)
                except OSError:  # the other end was closed
                    break
        os.close(master)
        self.assertEqual(process.returncode, 0)
        self.assertIn(b"\r\x1b[Kloading ", seen)
        self.assertIn(b"\r\x1b[Kloaded 3 records", seen)
        source = self.write("many.tsv", b"".join(b"key%d\tvalue\n" % i for i in range(200000)))
        plain = self.run_freyja("load", self.path("plain"), source).stderr
        self.assertNotIn(b"\r", plain)
        self.assertIn(b"loaded 200,000 records", plain)
        self.assertEqual(self.run_freyja("load", self.path("quiet"), source, "-q").stderr, b"")


class Scan(CliTest):
    def setUp(self):
        super().setUp()
        self.ok("load", self.db, stdin=b"a:1\tone\na:2\ttwo\nb:1\t\\x00\nb\\t\t4\n")

    def lines(self, *options):
        return sorted(self.ok("scan", self.db, *options).splitlines())

    def test_all_prefix_limit_keys(self):
        self.assertEqual(self.lines(), [b"a:1\tone", b"a:2\ttwo", b"b:1\t\\x00", b"b\\t\t4"])
        self.assertEqual(self.lines("--prefix", "a:"), [b"a:1\tone", b"a:2\ttwo"])
        self.assertEqual(self.lines("--keys"), [b"a:1", b"a:2", b"b:1", b"b\\t"])
        self.assertEqual(self.lines("-e", "--prefix", r"b\t"), [b"b\\t\t4"])
        self.assertEqual(len(self.lines("--limit", "3")), 3)
        self.assertEqual(self.lines("--limit", "0"), [])
        self.assertEqual(self.lines("--prefix", "none"), [])

    def test_json(self):
        self.assertEqual(self.lines("--json", "--prefix", "b:"),
                         [b'{"key":"b:1","value":"\\u0000"}'])
        self.assertEqual(self.lines("--json", "--keys", "--prefix", "b:"), [b'{"key":"b:1"}'])


class Inspection(CliTest):
    def test_stats(self):
        self.load_numbers(100)
        self.load_numbers(50, "newer")
        fields = json.loads(self.ok("stats", self.db, "--json"))
        self.assertEqual(fields["keys"], 100)
        self.assertGreater(fields["dead_bytes"], 0)
        self.assertGreater(fields["live_bytes"], 0)
        self.assertGreaterEqual(fields["disk_bytes"], fields["live_bytes"])
        self.assertTrue(fields["read_only"])
        self.assertEqual(fields["background_error"], "")
        self.assertTrue(all(name == name.lower() for name in fields))
        text = self.ok("stats", self.db).decode()
        self.assertIn("keys", text)
        self.assertIn("KiB", text)

    def test_segments(self):
        self.load_numbers(5000, "v" * 20, *SMALL_SEGMENTS)
        segments = json.loads(self.ok("segments", self.db, "--json"))["segments"]
        self.assertGreater(len(segments), 3)
        self.assertEqual(sum(segment["live_records"] for segment in segments), 5000)
        self.assertIn("sealed", {segment["state"] for segment in segments})
        text = self.ok("segments", self.db).decode()
        self.assertIn(".data", text)
        self.assertIn("####", text)

    def test_inspection_changes_nothing(self):
        self.load_numbers(100)
        before = {name: os.stat(os.path.join(self.db, name)).st_mtime_ns
                  for name in os.listdir(self.db)}
        for command in ("stats", "segments", "check", "dump", "scan"):
            self.ok(command, self.db)
        after = {name: os.stat(os.path.join(self.db, name)).st_mtime_ns
                 for name in os.listdir(self.db)}
        self.assertEqual(before, after)


class Compact(CliTest):
    def make_garbage(self):
        for round_name in ("first", "second", "third"):
            self.load_numbers(3000, round_name + "v" * 50, *SMALL_SEGMENTS)
        self.ok("delete", self.db, *(f"key{i}" for i in range(1000)), "--quiet")

    def test_space_is_reclaimed_and_every_record_stays(self):
        self.make_garbage()
        before = self.dump(self.db)
        self.assertEqual(len(before), 2000)
        report = json.loads(self.ok("compact", self.db, "--json", *SMALL_SEGMENTS))
        self.assertTrue(report["ran"])
        self.assertGreater(report["space_saved"], 300_000)
        self.assertEqual(report["space_saved"], report["bytes_before"] - report["bytes_after"])
        self.assertEqual(self.dump(self.db), before)
        self.ok("check", self.db)
        stats = json.loads(self.ok("stats", self.db, "--json"))
        self.assertLess(stats["dead_bytes"], stats["live_bytes"] // 4)

    def test_report_for_people(self):
        self.make_garbage()
        text = self.ok("compact", self.db).decode()
        self.assertIn("reclaimed", text)
        self.assertIn("KiB", text)

    def test_a_plan_changes_nothing_and_says_of_each_segment_what_and_why(self):
        self.make_garbage()
        generation = json.loads(self.ok("stats", self.db, "--json"))["segments"]
        plan = json.loads(self.ok("compact", self.db, "--plan", "--json", *SMALL_SEGMENTS))
        self.assertGreater(plan["bytes_reclaimed"], 300_000)
        self.assertEqual(plan["bytes_read"], plan["bytes_written"] + plan["bytes_reclaimed"])
        for segment in plan["segments"]:
            self.assertEqual(segment["chosen"], segment["reason"] == "")
        self.assertEqual(json.loads(self.ok("stats", self.db, "--json"))["segments"], generation)
        self.assertIn("would read", self.ok("compact", self.db, "--plan").decode())

    def test_chosen_segments_steps_and_bounds(self):
        self.make_garbage()
        before = self.dump(self.db)
        plan = json.loads(self.ok("compact", self.db, "--plan", "--json", *SMALL_SEGMENTS))
        chosen = [segment["id"] for segment in plan["segments"] if segment["chosen"]][:2]
        report = json.loads(self.ok("compact", self.db, "--json", "--step", "1", "--segments",
                                    ",".join(map(str, chosen)), *SMALL_SEGMENTS))
        self.assertEqual(report["input_files"], [f"{id}.data" for id in chosen])
        self.assertEqual((report["steps"], report["complete"]), (2, True))
        report = json.loads(self.ok("compact", self.db, "--json", "--max-bytes", "1",
                                    "--step", "1", *SMALL_SEGMENTS))
        self.assertEqual(len(report["input_files"]), 1)
        self.assertEqual(self.dump(self.db), before)
        self.fails(EXIT_USAGE, "compact", self.db, "--segments", str(chosen[0]),
                   mentions=(f"no sealed segment {chosen[0]}",))
        for wrong in (["--rate", "0"], ["--rate", "5"], ["--segments", "x"], ["--step", "-1"]):
            self.fails(EXIT_USAGE, "compact", self.db, *wrong)

    def test_nothing_to_reclaim_is_no_failure_and_says_why(self):
        self.load_numbers(100)
        text = self.ok("compact", self.db).decode()
        self.assertRegex(text, "nothing to reclaim: .+")
        self.assertFalse(json.loads(self.ok("compact", self.db, "--json"))["ran"])

    def test_temp_dir(self):
        self.make_garbage()
        os.mkdir(self.path("temp"))
        report = json.loads(self.ok("compact", self.db, "--json", "--temp-dir",
                                    self.path("temp")))
        self.assertTrue(report["ran"])
        self.assertEqual(os.listdir(self.path("temp")), [])

    @unittest.skipUnless(os.path.isdir("/dev/shm"), "no other file system to try")
    def test_temp_dir_on_another_file_system_is_refused(self):
        if os.stat("/dev/shm").st_dev == os.stat(self.root).st_dev:
            self.skipTest("no other file system to try")
        self.make_garbage()
        self.fails(EXIT_USAGE, "compact", self.db, "--temp-dir", "/dev/shm",
                   mentions=["/dev/shm"])
        self.assertEqual(len(self.dump(self.db)), 2000)

    def test_interrupt_or_time_limit_leaves_the_store_as_it_was(self):
        self.load_numbers(60000, "v" * 100)
        self.load_numbers(60000, "w" * 100)
        before = self.dump(self.db)
        timed = self.run_freyja("compact", self.db, "--timeout", "0.001")
        # A machine may be quick enough; then it simply is compacted.
        self.assertIn(timed.returncode, (0, EXIT_FAILURE), timed)
        with subprocess.Popen([cli_test_case.FREYJA, "compact", self.db, "-q"],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            time.sleep(0.1)
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=TIMEOUT_S)
        self.assertIn(process.returncode, (0, -signal.SIGINT, EXIT_INTERRUPTED))
        self.assertEqual(self.dump(self.db), before)
        self.ok("check", self.db)


class Check(CliTest):
    def test_sound_store(self):
        self.load_numbers(3000, "v" * 50, *SMALL_SEGMENTS)
        self.assertRegex(self.ok("check", self.db).decode(),
                         r"^ok: \d+ segments?, 3,000 records, [\d,]+ bytes\n$")
        fields = json.loads(self.ok("check", self.db, "--json"))
        self.assertTrue(fields["ok"])
        self.assertEqual(fields["records"], 3000)

    def damage(self, name, offset):
        path = os.path.join(self.db, name)
        with open(path, "r+b") as file:
            file.seek(offset)
            byte = file.read(1)
            file.seek(offset)
            file.write(bytes([byte[0] ^ 0x10]))

    def test_flipped_bits_are_found_with_file_and_offset(self):
        self.load_numbers(3000, "v" * 50, *SMALL_SEGMENTS)
        segments = json.loads(self.ok("segments", self.db, "--json"))["segments"]
        full = [segment for segment in segments if segment["records"] > 0]
        self.assertGreater(len(full), 2)
        for segment in (full[0], full[len(full) // 2]):
            for offset in (3, segment["file_bytes"] // 2, segment["file_bytes"] - 9):
                self.damage(segment["file"], offset)
                message = self.fails(EXIT_CORRUPTION, "check", self.db,
                                     mentions=[segment["file"], "offset"])
                self.assertIn("Corruption", message)
                done = self.run_freyja("check", self.db, "--json")
                self.assertEqual(done.returncode, EXIT_CORRUPTION)
                self.assertFalse(json.loads(done.stdout)["ok"])
                self.damage(segment["file"], offset)
                self.ok("check", self.db)

    def test_damaged_hint_and_manifest_are_found(self):
        self.load_numbers(3000, "v" * 50, *SMALL_SEGMENTS)
        hints = [name for name in os.listdir(self.db) if name.endswith(".hint")]
        self.assertTrue(hints)
        for name in (hints[0], "MANIFEST"):
            size = os.path.getsize(os.path.join(self.db, name))
            self.damage(name, size // 2)
            # One checksum covers the file or a part of it: there is no closer place to name.
            self.fails(EXIT_CORRUPTION, "check", self.db, mentions=[name, "Corruption"])
            self.damage(name, size // 2)
            self.ok("check", self.db)

    def test_missing_and_shortened_files_are_corruption(self):
        self.load_numbers(3000, "v" * 50, *SMALL_SEGMENTS)
        segments = json.loads(self.ok("segments", self.db, "--json"))["segments"]
        sealed = next(segment for segment in segments if segment["state"] == "sealed")
        path = os.path.join(self.db, sealed["file"])
        shutil.copy(path, self.path("copy"))
        os.truncate(path, sealed["file_bytes"] - 100)
        self.fails(EXIT_CORRUPTION, "check", self.db, mentions=[sealed["file"]])
        os.remove(path)
        self.fails(EXIT_CORRUPTION, "check", self.db, mentions=[sealed["file"]])
        shutil.copy(self.path("copy"), path)
        self.ok("check", self.db)

    def test_damaged_record_is_not_returned(self):
        self.ok("put", self.db, "k", "v" * 100)
        segments = json.loads(self.ok("segments", self.db, "--json"))["segments"]
        segment = next(segment for segment in segments if segment["records"] > 0)
        self.damage(segment["file"], segment["file_bytes"] - 50)
        for command, *rest in (("get", "k"), ("dump",), ("scan",)):
            done = self.run_freyja(command, self.db, *rest)
            self.assertEqual(done.returncode, EXIT_CORRUPTION, done)
            self.assertEqual(done.stdout, b"")
            self.assert_one_error_line(done.stderr, [segment["file"], "offset"])


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    cli_test_case.FREYJA = os.path.abspath(sys.argv.pop(1))
    unittest.main()
