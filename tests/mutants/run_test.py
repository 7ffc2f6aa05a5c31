"""The runner of the mutants itself: that it notices what does not apply, and what survives."""

import pathlib
import stat
import tempfile
import unittest

import run

TREE = {"src/a.cc": "int One() { return 1; }\nint Two() { return 1 + 1; }\n"}


def mutant(id="m", file="src/a.cc", find="return 1;", replace="return 2;", first=()):
    return run.Mutant(id, "breaks", (1,), (run.Edit(file, find, replace),), tuple(first))


class WithFolder(unittest.TestCase):
    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory()
        self.addCleanup(self.temporary.cleanup)
        self.root = pathlib.Path(self.temporary.name)
        for name, text in TREE.items():
            self.write(name, text)

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path


class ApplyTest(WithFolder):
    def problems(self, *mutants, fewest=1):
        return run.problems_of(self.root, list(mutants), fewest)

    def test_a_mutant_whose_text_is_there_once_applies(self):
        self.assertEqual(self.problems(mutant()), [])
        changed = run.mutate(self.root, mutant())["src/a.cc"]
        self.assertEqual(changed, TREE["src/a.cc"].replace("return 1;", "return 2;"))

    def test_several_edits_of_one_file_add_up(self):
        both = run.Mutant("m", "breaks", (), mutant().edits + mutant(find="1 + 1").edits)
        self.assertIn("return 2;", run.mutate(self.root, both)["src/a.cc"])
        self.assertNotIn("1 + 1", run.mutate(self.root, both)["src/a.cc"])

    def test_a_text_that_is_gone_is_a_problem(self):
        self.assertRegex(self.problems(mutant(find="return 3;"))[0], "there 0 times")

    def test_a_text_that_is_there_twice_is_a_problem(self):
        self.assertRegex(self.problems(mutant(find="return 1"))[0], "there 2 times")

    def test_a_missing_file_is_a_problem(self):
        self.assertRegex(self.problems(mutant(file="src/b.cc"))[0], "no such file")

    def test_a_change_that_is_none_is_a_problem(self):
        self.assertRegex(self.problems(mutant(replace="return 1;"))[0], "changes nothing")

    def test_an_id_used_twice_is_a_problem(self):
        self.assertRegex(self.problems(mutant(), mutant())[0], "twice")

    def test_too_few_mutants_are_a_problem(self):
        self.assertRegex(self.problems(mutant(), fewest=2)[0], "at least 2")


class CopyTest(WithFolder):
    def test_a_second_copy_undoes_what_a_mutant_left_and_touches_nothing_else(self):
        with tempfile.TemporaryDirectory() as folder:
            copy = pathlib.Path(folder) / "copy"
            self.write("src/b.h", "same\n")
            first = run.copy_tree(self.root, copy)
            (copy / "src/a.cc").write_text("mutated", encoding="utf-8")
            (copy / "src/stray.cc").write_text("gone in the tree", encoding="utf-8")
            before = (copy / "src/b.h").stat().st_mtime_ns
            self.assertEqual(run.copy_tree(self.root, copy), first)
            self.assertEqual((copy / "src/a.cc").read_text(encoding="utf-8"), TREE["src/a.cc"])
            self.assertFalse((copy / "src/stray.cc").exists())
            self.assertEqual((copy / "src/b.h").stat().st_mtime_ns, before)

    def test_another_tree_has_another_digest(self):
        with tempfile.TemporaryDirectory() as folder:
            copy = pathlib.Path(folder) / "copy"
            first = run.copy_tree(self.root, copy)
            self.write("src/a.cc", "other\n")
            self.assertNotEqual(run.copy_tree(self.root, copy), first)


class ProgramTest(WithFolder):
    def outcome(self, script, limit_s=60):
        path = self.write("program", "#!/bin/sh\n" + script)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        outcome, _, detail = run.run_program([str(path)], self.root, limit_s)
        return outcome, detail

    def test_success_is_no_kill(self):
        self.assertEqual(self.outcome("exit 0"), (run.PASSED, ""))

    def test_a_failed_test_kills_and_is_named(self):
        script = "echo '[  FAILED  ] LogTest.Order (3 ms)'; exit 1"
        self.assertEqual(self.outcome(script), (run.FAILED, "LogTest.Order"))

    def test_a_crash_kills_and_the_running_test_is_named(self):
        script = "echo '[ RUN      ] LogTest.A'; echo '[ RUN      ] LogTest.B'; kill -SEGV $$"
        self.assertEqual(self.outcome(script), (run.CRASHED, "LogTest.B"))

    def test_running_into_the_limit_kills(self):
        self.assertEqual(self.outcome("sleep 600", limit_s=0.5)[0], run.HUNG)


class FakeWorkshop(run.Workshop):
    """Builds nothing: check X fails if the mutated file has the word X."""

    def __init__(self, copy):
        super().__init__(copy, copy, 1)
        self.copy = copy
        self.limits = dict.fromkeys("abc", 1)
        self.ran = []

    def build(self, check):
        return "error" if "does not build" in self.text() else ""

    def run(self, check, limit_s=None, tests="*"):
        self.ran.append(check if tests == "*" else f"{check} {tests}")
        killed = f"'{check}'" in self.text() and tests in ("*", "The.Right")
        return (run.FAILED if killed else run.PASSED), 0, f"Test.{check}"

    def text(self):
        return (self.copy / "src/a.cc").read_text(encoding="utf-8")


class VerdictTest(WithFolder):
    def tried(self, replace, matrix=False, first=()):
        self.workshop = FakeWorkshop(self.root)
        return self.workshop.try_mutant(mutant(replace=replace, first=first), "abc", matrix)

    def test_the_first_check_that_kills_ends_it(self):
        results = self.tried("'b' 'c'")
        self.assertEqual(self.workshop.ran, ["a", "b"])
        self.assertEqual(run.verdict_of(results), "killed")

    def test_a_matrix_runs_every_check(self):
        results = self.tried("'b'", matrix=True)
        self.assertEqual(list(results), ["a", "b", "c"])
        self.assertEqual(run.killers_of(results), ["b"])

    def test_named_checks_come_first(self):
        self.tried("'c'", first=["c"])
        self.assertEqual(self.workshop.ran, ["c"])

    def test_some_tests_of_a_check_kill_for_it_but_clear_nobody(self):
        self.tried("'c'", first=["c The.Right"])
        self.assertEqual(self.workshop.ran, ["c The.Right"])
        results = self.tried("'c'", first=["c The.Wrong"])
        self.assertEqual(self.workshop.ran, ["c The.Wrong", "a", "b", "c"])
        self.assertEqual(run.killers_of(results), ["c"])

    def test_a_check_that_killed_already_is_not_run_again(self):
        self.tried("'c'", matrix=True, first=["c The.Right"])
        self.assertEqual(self.workshop.ran, ["c The.Right", "a", "b"])

    def test_a_mutant_that_no_check_notices_survived(self):
        results = self.tried("nothing wrong")
        self.assertEqual(self.workshop.ran, ["a", "b", "c"])
        self.assertEqual(run.verdict_of(results), "survived")

    def test_a_mutant_that_does_not_build_is_not_killed(self):
        self.assertEqual(run.verdict_of(self.tried("does not build")), "does not build")

    def test_the_file_is_restored(self):
        self.tried("'a'")
        self.assertEqual(self.workshop.text(), TREE["src/a.cc"])

    def test_survivors_and_broken_mutants_are_counted(self):
        results = {"x": self.tried("'a'"), "y": self.tried("fine"),
                   "z": self.tried("does not build")}
        self.assertEqual(run.summary_of(results, 1.2),
                         {"mutants": 3, "killed": 1, "survived": 1, "do_not_build": 1,
                          "seconds": 1})

    def test_the_matrix_has_every_check_and_who_noticed_first(self):
        results = {"m": self.tried("'b'")}
        table = run.matrix_of([mutant()], results, "abc")
        self.assertIn("| `m` | breaks | 1 | passed | killed |  | `Test.b` |", table)

    def test_the_document_says_who_noticed_what_and_where(self):
        mutants = [mutant("x"), mutant("y"), mutant("never tried")]
        results = {"x": self.tried("'b'"), "y": self.tried("fine")}
        results["x"]["b"] = (run.CRASHED, "Test.b")
        document = run.document_of(run.summary_of(results, 1.2),
                                   run.noticed_table_of(mutants, results), "commit `1`")
        self.assertIn("On commit `1`: 1 of 2 mutants killed, 1 survived, 0 did not", document)
        self.assertIn("| `x` | breaks | 1 | `b` (crash) | `Test.b` |", document)
        self.assertIn("| `y` | breaks | 1 | **survived** |  |", document)
        self.assertNotIn("never tried", document)


if __name__ == "__main__":
    unittest.main()
