"""What Prometheus' own checker says of `freyja stats --format prometheus` and of the alert
rules, and that the rules speak of metrics that there are. Skipped without promtool, which is
in Debian's package prometheus. Run by cli_e2e_test.py."""

import pathlib
import re
import shutil
import subprocess
import unittest

from cli_test_case import CliTest, EXIT_USAGE, SMALL_SEGMENTS, TIMEOUT_S

MONITORING = pathlib.Path(__file__).resolve().parents[2] / "monitoring"
RULES = "freyja.rules.yml"
RULES_TEST = "freyja_rules_test.yml"
PROMTOOL = shutil.which("promtool")
needs_promtool = unittest.skipUnless(PROMTOOL, "there is no promtool (package prometheus)")


def promtool(*args, stdin=b"", cwd=MONITORING):
    return subprocess.run([PROMTOOL, *args], input=stdin, capture_output=True, cwd=cwd,
                          timeout=TIMEOUT_S, check=False)


def alerts_of(rules):
    return re.findall(r"^ *- alert: (\w+)$", rules, re.MULTILINE)


class PrometheusFormat(CliTest):
    def prometheus(self, directory):
        return self.ok("stats", directory, "--format", "prometheus")

    @needs_promtool
    def test_promtool_accepts_the_metrics_of_a_real_store_without_a_word(self):
        self.load_numbers(3000, "v" * 30, *SMALL_SEGMENTS)
        self.load_numbers(2000, "w" * 30)
        self.ok("delete", self.db, "key7")
        quoted = self.path('odd "\\ \n name')
        shutil.copytree(self.db, quoted)
        for directory in (self.db, quoted):
            done = promtool("check", "metrics", stdin=self.prometheus(directory))
            self.assertEqual((done.returncode, done.stdout, done.stderr), (0, b"", b""))

    @needs_promtool
    def test_promtool_notices_a_counter_without_its_suffix(self):
        self.ok("put", self.db, "k", "v")
        wrong = self.prometheus(self.db).replace(b"freyja_puts_total", b"freyja_puts")
        self.assertNotEqual(promtool("check", "metrics", stdin=wrong).returncode, 0)

    def test_every_series_names_the_store_by_its_absolute_path(self):
        self.ok("put", self.db, "k", "v")
        text = self.prometheus(self.db + "/../db/").decode()
        samples = [line for line in text.splitlines() if not line.startswith("#")]
        self.assertIn(f'freyja_keys{{store="{self.db}"}} 1', samples)
        self.assertTrue(all(f'{{store="{self.db}"' in line for line in samples))

    def test_directory_that_is_not_utf8_is_escaped(self):
        self.ok("put", self.path("d").encode() + b"\xff", "k", "v")
        text = self.prometheus(self.path("d").encode() + b"\xff").decode()
        self.assertIn(f'freyja_keys{{store="{self.path("d")}\\\\xff"}} 1', text.splitlines())

    def test_formats_of_stats(self):
        self.ok("put", self.db, "k", "v")
        json = self.ok("stats", self.db, "--json")
        self.assertTrue(json.startswith(b'{"keys":1,'), json)
        for same in (("--format", "json"), ("--json", "--format", "json")):
            self.assertEqual(self.ok("stats", self.db, *same), json)
        self.assertEqual(self.ok("stats", self.db, "--format", "text"),
                         self.ok("stats", self.db))

    def test_json_and_another_format_contradict_each_other(self):
        self.ok("put", self.db, "k", "v")
        for other in ("text", "prometheus"):
            done = self.run_freyja("stats", self.db, "--json", "--format", other)
            self.assertEqual((done.returncode, done.stdout), (EXIT_USAGE, b""))
            self.assert_one_error_line(done.stderr, ["--json", "--format " + other,
                                                     "freyja stats --help"])
        self.fails(EXIT_USAGE, "stats", self.db, "--format", "xml", mentions=["--format", "xml"])
        self.fails(EXIT_USAGE, "stats", self.db, "--format", "", mentions=["--format"])


class AlertRules(CliTest):
    def setUp(self):
        super().setUp()
        self.rules = (MONITORING / RULES).read_text(encoding="utf-8")

    def test_rules_and_their_descriptions_speak_only_of_metrics_that_there_are(self):
        self.ok("put", self.db, "k", "v")
        text = self.ok("stats", self.db, "--format", "prometheus").decode()
        metrics = set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))
        named = set(re.findall(r"\bfreyja_\w+", self.rules))
        self.assertGreater(len(named), 8)
        self.assertEqual(named - metrics, set())

    def test_every_alert_is_tested_and_documented(self):
        tests = (MONITORING / RULES_TEST).read_text(encoding="utf-8")
        document = (MONITORING.parent / "docs/monitoring_metrics.md").read_text(encoding="utf-8")
        alerts = set(alerts_of(self.rules))
        self.assertEqual(set(re.findall(r"alertname: (\w+)", tests)), alerts)
        self.assertEqual(set(re.findall(r"^\| `(Freyja\w+)`", document, re.MULTILINE)), alerts)

    @needs_promtool
    def test_promtool_accepts_the_rules_and_they_fire_when_they_should(self):
        for command, file in (("check", RULES), ("test", RULES_TEST)):
            done = promtool(command, "rules", file)
            self.assertEqual(done.returncode, 0, done)

    @needs_promtool
    def test_the_tests_of_the_rules_notice_each_alert_that_never_or_always_fires(self):
        shutil.copy(MONITORING / RULES_TEST, self.root)
        expression = re.compile(r"expr: .*?(?=\n        (?:for|labels):)", re.DOTALL)
        for planted in ("vector(0) > 1", "vector(1)"):
            wrong, count = expression.subn("expr: " + planted, self.rules)
            self.assertEqual(count, len(alerts_of(self.rules)))
            with open(self.path(RULES), "w", encoding="utf-8") as file:
                file.write(wrong)
            done = promtool("test", "rules", RULES_TEST, cwd=self.root)
            self.assertNotEqual(done.returncode, 0)
            noticed = set(re.findall(r"alertname: (\w+)", (done.stdout + done.stderr).decode()))
            self.assertEqual(noticed, set(alerts_of(self.rules)), planted)
