"""What the end-to-end tests of the command line share: a scratch directory, ways to run
`freyja` and to say what it must answer."""

import base64
import json
import os
import shutil
import subprocess
import tempfile
import time
import unittest

FREYJA = ""
TIMEOUT_S = 60

EXIT_NOTHING = 1
EXIT_USAGE = 2
EXIT_CORRUPTION = 3
EXIT_FAILURE = 4
EXIT_INTERRUPTED = 130

# Small segments give a small store several of them.
SMALL_SEGMENTS = ("--segment-size", "64KiB")


class CliTest(unittest.TestCase):
    def setUp(self):
        self.root = tempfile.mkdtemp(prefix="freyja-cli-")
        self.addCleanup(shutil.rmtree, self.root, ignore_errors=True)
        self.db = os.path.join(self.root, "db")

    def path(self, name):
        return os.path.join(self.root, name)

    def write(self, name, data):
        with open(self.path(name), "wb") as file:
            file.write(data)
        return self.path(name)

    def read(self, name):
        with open(self.path(name), "rb") as file:
            return file.read()

    def run_freyja(self, *args, stdin=b""):
        return subprocess.run([FREYJA, *args], input=stdin, capture_output=True,
                              timeout=TIMEOUT_S, check=False)

    def ok(self, *args, stdin=b""):
        """Runs a command that must succeed; returns its standard output."""
        done = self.run_freyja(*args, stdin=stdin)
        self.assertEqual(done.returncode, 0, (args, done))
        return done.stdout

    def fails(self, code, *args, stdin=b"", mentions=()):
        """Runs a command that must fail with one line on standard error, which it returns."""
        done = self.run_freyja(*args, stdin=stdin)
        self.assertEqual(done.returncode, code, (args, done))
        self.assert_one_error_line(done.stderr, mentions)
        return done.stderr.decode()

    def assert_one_error_line(self, stderr, mentions=()):
        text = stderr.decode(errors="replace")
        self.assertTrue(text.startswith("freyja: "), text)
        self.assertEqual(text.count("\n"), 1, text)
        for what in mentions:
            self.assertIn(what, text)

    def dump(self, directory):
        """All records, as a dict of bytes."""
        records = {}
        for line in self.ok("dump", directory, "--quiet").splitlines():
            fields = json.loads(line)
            key, value = (base64.b64decode(fields[name + "_base64"])
                          if name + "_base64" in fields else fields[name].encode()
                          for name in ("key", "value"))
            self.assertNotIn(key, records)
            records[key] = value
        return records

    def load_numbers(self, count, value="value", *options):
        lines = "".join(f"key{i}\t{value}-{i}\n" for i in range(count))
        self.ok("load", self.db, "--format", "tsv", "--quiet", *options, stdin=lines.encode())

    def data_files(self):
        return sorted(name for name in os.listdir(self.db) if name.endswith(".data"))

    def hold_store(self):
        """Starts a process that has the store open for writing until its input ends."""
        deadline = time.monotonic() + TIMEOUT_S
        holder = None
        while self.run_freyja("stats", self.db).returncode != EXIT_FAILURE:
            self.assertLess(time.monotonic(), deadline, "the store never became locked")
            # The question itself locks the store for a moment, which may turn a holder away.
            if holder is None or holder.poll() is not None:
                holder = subprocess.Popen(
                    [FREYJA, "load", self.db, "--format", "tsv", "--batch", "1"],
                    stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                self.addCleanup(self.finish, holder)
            time.sleep(0.1)
        return holder

    def hold_with_control(self):
        """Starts a `load --control`, which has the store open until close_store."""
        # Asking for a closed store locks it for a moment, so nothing is asked until it's there.
        # pylint: disable=consider-using-with
        self.holder = subprocess.Popen(
            [FREYJA, "load", self.db, "--format", "tsv", "--control",
             *SMALL_SEGMENTS],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(self.finish, self.holder)
        deadline = time.monotonic() + TIMEOUT_S
        while not os.path.exists(self.socket()):
            self.assertLess(time.monotonic(), deadline, "there was never a socket")
            self.assertIsNone(self.holder.poll())
            time.sleep(0.05)

    def socket(self):
        return os.path.join(self.db, "CONTROL")

    def close_store(self):
        self.holder.stdin.close()
        self.assertEqual(self.holder.wait(TIMEOUT_S), 0)

    def answer(self, *args):
        return json.loads(self.ok(*args, "--json"))

    def finish(self, process):
        if process.stdin and not process.stdin.closed:
            process.stdin.close()
        process.kill()
        process.wait()
