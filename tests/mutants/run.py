"""Seeds one fault at a time into a copy of the tree and asks the checks to notice.

    run.py                 builds and runs each mutant until the first check that kills it
    run.py --matrix        runs every check against every mutant
    run.py --only ID ...   these mutants only (shell patterns)
    run.py --checks NAME ...  these checks only (shell patterns)
    run.py --list          the mutants and what each breaks
    run.py --apply         only whether each mutant still applies to the tree; changes nothing
    run.py --json          the result as one object instead of a table

A mutant is an entry of a *.toml here: `id`, `breaks` (one line), `traps` (rows of the table in
docs/testing.md), and either `file`, `find`, `replace` or a list `edits` of such. `find` must
occur exactly once in the file. `first` names checks that are tried before the others, each
with a filter of tests if only they are to be tried at first.

Steps: copy the tree to build/mutants/tree, configure it as the dev preset does, build the
checks, run them unmutated (they must pass, else nothing below means anything), then for each
mutant: apply, build a check, run it, go on to the next check or mutant, restore. A check
kills by failing, by crashing or by running into its time limit. A mutant that does not apply,
does not build or survives makes the command fail. The result goes to build/mutants/report.json
and report.md as well; docs/mutants.md is a copy of the latter.
"""

import argparse
import dataclasses
import fcntl
import fnmatch
import hashlib
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[2]
MUTANTS = pathlib.Path(__file__).resolve().parent
FEWEST = 30
LAYERS = ["base", "io", "format", "engine", "compaction", "api"]
SYSTEM = ["model_test", "crash_test"]
# What does not belong to the tree, or doesn't change what the checks do.
NOT_COPIED = {".git", "build", "out", ".cache", "__pycache__", "mutants"}
LIMIT_AT_LEAST_S = 60
LIMIT_FACTOR = 8  # times the unmutated run, because machines are busy

PASSED, FAILED, CRASHED, HUNG = "passed", "killed", "crash", "hang"
KILLS = {FAILED, CRASHED, HUNG}


# --- Mutants ------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Edit:
    file: str
    find: str
    replace: str


@dataclasses.dataclass(frozen=True)
class Mutant:
    id: str
    breaks: str
    traps: tuple
    edits: tuple
    first: tuple = ()


def parse_mutants(text):
    found = []
    for entry in tomllib.loads(text)["mutant"]:
        edits = entry.get("edits") or [{key: entry[key] for key in ("file", "find", "replace")}]
        found.append(
            Mutant(entry["id"], entry["breaks"], tuple(entry["traps"]),
                   tuple(Edit(**edit) for edit in edits), tuple(entry.get("first", ()))))
    return found


def load_mutants(folder=MUTANTS):
    found = []
    for path in sorted(folder.glob("*.toml")):
        found += parse_mutants(path.read_text(encoding="utf-8"))
    return found


def mutate(root, mutant):
    """The changed files as {path: text}; ValueError if the mutant does not apply."""
    texts = {}
    for edit in mutant.edits:
        path = root / edit.file
        if not path.is_file():
            raise ValueError(f"{mutant.id}: {edit.file}: no such file")
        text = texts.get(edit.file) or path.read_text(encoding="utf-8")
        count = text.count(edit.find)
        if count != 1:
            raise ValueError(f"{mutant.id}: {edit.file}: the text to find is there {count} times")
        if edit.find == edit.replace:
            raise ValueError(f"{mutant.id}: {edit.file}: changes nothing")
        texts[edit.file] = text.replace(edit.find, edit.replace)
    return texts


def problems_of(root, mutants, fewest=FEWEST):
    """Why the mutants as a whole can't be used, one line each."""
    problems = []
    ids = [mutant.id for mutant in mutants]
    twice = sorted({id for id in ids if ids.count(id) > 1})
    problems += [f"{id}: the id is there twice" for id in twice]
    if len(mutants) < fewest:
        problems.append(f"{len(mutants)} mutants, at least {fewest} are wanted")
    for mutant in mutants:
        try:
            mutate(root, mutant)
        except ValueError as error:
            problems.append(str(error))
    return problems


# --- The copy -----------------------------------------------------------------------------


def tree_files(root):
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in NOT_COPIED)
        for name in sorted(files):
            yield (pathlib.Path(folder) / name).relative_to(root)


def write_if_changed(path, data):
    """Keeps the time of what stays as it is, so that only what changed is built again."""
    if path.is_file() and path.read_bytes() == data:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def copy_tree(root, copy):
    """Makes `copy` equal to the tree, whatever an earlier run left; returns a digest."""
    digest = hashlib.sha256()
    wanted = set()
    for relative in tree_files(root):
        data = (root / relative).read_bytes()
        wanted.add(relative)
        write_if_changed(copy / relative, data)
        shutil.copymode(root / relative, copy / relative)
        digest.update(str(relative).encode() + b"\0" + hashlib.sha256(data).digest())
    for relative in list(tree_files(copy)) if copy.is_dir() else []:
        if relative not in wanted:
            (copy / relative).unlink()
    # The mutants' own folder isn't copied, but the build lists it.
    write_if_changed(copy / "tests/mutants/CMakeLists.txt", b"")
    return digest.hexdigest()


def checks_of(root):
    """The programs with tests, as the CMakeLists make them, in the order they are run."""
    checks = [f"{layer}_test" for layer in LAYERS if any((root / "src" / layer).rglob("*_test.cc"))]
    checks += [name for name in SYSTEM if (root / "tests" / f"{name}.cc").exists()]
    torture = (root / "tests" / "torture").rglob("*_test.cc")
    return checks + sorted(f"torture_{path.stem}" for path in torture)


# --- Building and running -----------------------------------------------------------------


class Workshop:
    """A copy of the tree, its build, and what was learned from running it unmutated."""

    def __init__(self, root, scratch, jobs):
        self.root = root
        self.copy = scratch / "tree"
        self.build_dir = scratch / "build"
        self.temporary = scratch / "tmp"
        self.baseline_file = scratch / "baseline.json"
        self.jobs = jobs
        self.limits = {}

    def prepare(self):
        self.digest = copy_tree(self.root, self.copy)
        # The copy's paths differ from the tree's; its objects need not.
        os.environ.update(CCACHE_BASEDIR=str(self.copy), CCACHE_NOHASHDIR="1")
        command = ["cmake", "--preset", "dev", "-S", ".", "-B", str(self.build_dir),
                   "-DFREYJA_BUILD_EXAMPLES=OFF"]
        done = subprocess.run(command, cwd=self.copy, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise SystemExit("the copy can't be configured:\n" + done.stdout + done.stderr)

    def build(self, check):
        """Empty if it was built, else the end of the compiler's output."""
        command = ["ninja", "-C", str(self.build_dir), f"-j{self.jobs}", check]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return "" if done.returncode == 0 else (done.stdout + done.stderr)[-3000:]

    def run(self, check, limit_s=None, tests="*"):
        """(outcome, seconds, what killed)."""
        shutil.rmtree(self.temporary, ignore_errors=True)
        self.temporary.mkdir(parents=True)
        command = [self.build_dir / "bin" / check, "--gtest_fail_fast", f"--gtest_filter={tests}"]
        return run_program(command, self.temporary, limit_s)

    def baseline(self, checks):
        """Runs the checks unmutated, unless they passed on exactly this tree before."""
        known = {}
        if self.baseline_file.exists():
            stored = json.loads(self.baseline_file.read_text(encoding="utf-8"))
            known = stored["seconds"] if stored["digest"] == self.digest else {}
        for check in checks:
            if error := self.build(check):
                raise SystemExit(f"{check} does not build without a mutant:\n{error}")
            if check not in known:
                outcome, seconds, detail = self.run(check)
                if outcome != PASSED:
                    raise SystemExit(f"{check} fails without a mutant ({outcome}): {detail}")
                known[check] = seconds
                say(f"unmutated  {check}  passed  {seconds:.0f} s")
                stored = json.dumps({"digest": self.digest, "seconds": known})
                self.baseline_file.write_text(stored, encoding="utf-8")
            self.limits[check] = max(LIMIT_AT_LEAST_S, LIMIT_FACTOR * known[check])

    def try_mutant(self, mutant, checks, matrix):
        """{check: (outcome, detail)} of those that ran; "build" if it did not compile."""
        results = {}
        texts = mutate(self.copy, mutant)
        originals = {name: (self.copy / name).read_text(encoding="utf-8") for name in texts}
        try:
            for name, text in texts.items():
                (self.copy / name).write_text(text, encoding="utf-8")
            for check, tests in order_of(mutant, checks):
                if check in killers_of(results):
                    continue
                if error := self.build(check):
                    return {"build": ("does not build", error)}
                outcome, _, detail = self.run(check, self.limits[check], tests)
                if outcome in KILLS or tests == "*":  # some tests alone clear nobody
                    results[check] = (outcome, detail)
                if outcome in KILLS and not matrix:
                    break
        finally:
            for name, text in originals.items():
                (self.copy / name).write_text(text, encoding="utf-8")
        return results


def order_of(mutant, checks):
    """(check, filter of its tests): the mutant's own first, then all whole."""
    early = [tuple((name + " *").split()[:2]) for name in mutant.first]
    early = [(check, tests) for check, tests in early if check in checks]
    return early + [(check, "*") for check in checks if (check, "*") not in early]


def run_program(command, folder, limit_s):
    environment = os.environ | {"TMPDIR": str(folder)}
    log = folder / "output.txt"
    start = time.monotonic()
    with open(log, "wb") as output:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=output,
                                   stderr=subprocess.STDOUT, start_new_session=True)
        try:
            code = process.wait(limit_s)
        except subprocess.TimeoutExpired:
            code = None
    try:
        os.killpg(process.pid, signal.SIGKILL)  # with what it may have started
    except ProcessLookupError:
        pass
    process.wait()
    outcome = {None: HUNG, 0: PASSED}.get(code, CRASHED if code is None or code < 0 else FAILED)
    return outcome, time.monotonic() - start, culprit(log.read_text(errors="replace"), outcome)


def culprit(output, outcome):
    """The test that failed, or that ran when the program ended."""
    pattern = r"^\[  FAILED  \] ([\w./]+)" if outcome == FAILED else r"^\[ RUN      \] ([\w./]+)"
    names = re.findall(pattern, output, re.MULTILINE)
    if outcome == PASSED or not names:
        return "" if outcome == PASSED else output[-300:].strip()
    return names[0] if outcome == FAILED else names[-1]


# --- The result ---------------------------------------------------------------------------


def killers_of(results):
    return [check for check, (outcome, _) in results.items() if outcome in KILLS]


def verdict_of(results):
    if killers_of(results):
        return "killed"
    return "does not build" if "build" in results else "survived"


def described(mutant):
    """The cells with which each row begins."""
    traps = ", ".join(str(trap) for trap in mutant.traps)
    return f"| `{mutant.id}` | {mutant.breaks} | {traps} | "


def noticed_table_of(mutants, results):
    """Markdown: which test of which check was the first to notice each mutant."""
    lines = ["| mutant | breaks | traps | check | test |", "| --- " * 5 + "|"]
    for mutant in mutants:
        if mutant.id not in results:
            continue
        ran = results[mutant.id]
        if first := next(iter(killers_of(ran)), None):
            outcome, test = ran[first]
            how = "" if outcome == FAILED else f" ({outcome})"
            noticed = f"`{first}`{how} | `{test}`"
        else:
            noticed = f"**{verdict_of(ran)}** | "
        lines.append(described(mutant) + f"{noticed} |")
    return "\n".join(lines) + "\n"


def matrix_of(mutants, results, checks):
    """Markdown: mutant × check, and which test was the first to notice."""
    lines = ["| mutant | breaks | traps | " + " | ".join(checks) + " | first noticed by |",
             "| --- " * (len(checks) + 4) + "|"]
    for mutant in mutants:
        if mutant.id not in results:
            continue
        ran = results[mutant.id]
        cells = [ran[check][0] if check in ran else "" for check in checks]
        first = next(iter(killers_of(ran)), None)
        name = f"`{ran[first][1]}`" if first else f"**{verdict_of(ran)}**"
        lines.append(described(mutant) + " | ".join(cells) + f" | {name} |")
    return "\n".join(lines) + "\n"


def summary_of(results, seconds):
    verdicts = [verdict_of(ran) for ran in results.values()]
    return {"mutants": len(verdicts), "killed": verdicts.count("killed"),
            "survived": verdicts.count("survived"),
            "do_not_build": verdicts.count("does not build"), "seconds": round(seconds)}


def commit_of(root):
    """The commit of the tree that is mutated, and whether it has changed since."""
    def git(*arguments):
        done = subprocess.run(["git", "-C", root, *arguments], capture_output=True, text=True,
                              check=False)
        return done.stdout.strip() if done.returncode == 0 else ""
    commit = git("rev-parse", "--short", "HEAD")
    if not commit:
        return "a tree without a commit"
    return f"commit `{commit}`" + (" with changes" if git("status", "--porcelain") else "")


def document_of(summary, table, tree):
    """The report as Markdown."""
    return (
        "# Mutants and what notices them\n\n"
        "Each mutant is one fault in the store's own code. `make mutants` builds each and runs\n"
        "the checks until the first that notices, those that the mutant names first;\n"
        "`tests/mutants/run.py --matrix` goes on after it.\n\n"
        f"On {tree}: {summary['killed']} of {summary['mutants']} mutants killed, "
        f"{summary['survived']} survived, {summary['do_not_build']} did not build; "
        f"{summary['seconds']} s.\n\n" + table)


def write_report(scratch, mutants, results, checks, seconds, matrix, tree):
    summary = summary_of(results, seconds)
    table = matrix_of(mutants, results, checks) if matrix else noticed_table_of(mutants, results)
    markdown = document_of(summary, table, tree)
    as_json = summary | {"results": {
        id: {"verdict": verdict_of(ran), "checks": {check: outcome for check, (outcome, _) in
                                                    ran.items()},
             "noticed_by": {check: ran[check][1] for check in killers_of(ran)}}
        for id, ran in results.items()}}
    (scratch / "report.md").write_text(markdown, encoding="utf-8")
    (scratch / "report.json").write_text(json.dumps(as_json, indent=2), encoding="utf-8")
    return markdown, as_json


def say(text):
    print(text, file=sys.stderr, flush=True)


def selected(names, patterns):
    return [name for name in names
            if not patterns or any(fnmatch.fnmatch(name, pattern) for pattern in patterns)]


def run_all(options, mutants):
    scratch = options.scratch
    scratch.mkdir(parents=True, exist_ok=True)
    lock = open(scratch / "lock", "w", encoding="utf-8")  # held until the program ends
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise SystemExit(f"another run uses {scratch}") from None
    start = time.monotonic()
    tree = commit_of(ROOT)
    workshop = Workshop(ROOT, scratch, options.jobs)
    workshop.prepare()
    checks = selected(checks_of(workshop.copy), options.checks)
    workshop.baseline(checks)
    results = {}
    for number, mutant in enumerate(mutants, 1):
        began = time.monotonic()
        ran = results[mutant.id] = workshop.try_mutant(mutant, checks, options.matrix)
        noticed = ", ".join(f"{check} ({ran[check][0]}: {ran[check][1]})" for check in
                            killers_of(ran))
        detail = noticed or ran.get("build", ("", ""))[1]
        say(f"{number}/{len(mutants)}  {mutant.id}  {verdict_of(ran)}  "
            f"{time.monotonic() - began:.0f} s  {detail}")
        markdown, as_json = write_report(scratch, mutants, results, checks,
                                         time.monotonic() - start, options.matrix, tree)
    print(json.dumps(as_json, indent=2) if options.json else markdown, end="")
    return 0 if as_json["killed"] == as_json["mutants"] else 1


def parse_arguments(arguments):
    parser = argparse.ArgumentParser(description="Kill matrix of seeded faults.")
    parser.add_argument("--matrix", action="store_true", help="run all checks for every mutant")
    parser.add_argument("--only", nargs="+", default=[], metavar="ID")
    parser.add_argument("--checks", nargs="+", default=[], metavar="NAME")
    parser.add_argument("--list", action="store_true", help="list the mutants and stop")
    parser.add_argument("--apply", action="store_true", help="only see whether all apply")
    parser.add_argument("--json", action="store_true", help="print one object")
    parser.add_argument("--jobs", type=int, default=2, help="compilers at once (2)")
    parser.add_argument("--scratch", type=pathlib.Path, default=ROOT / "build" / "mutants")
    return parser.parse_args(arguments)


def main(arguments):
    options = parse_arguments(arguments)
    options.scratch = options.scratch.resolve()
    mutants = load_mutants()
    if options.list:
        for mutant in mutants:
            print(f"{mutant.id:44} {mutant.breaks}")
        return 0
    problems = problems_of(ROOT, mutants)
    if problems or options.apply:
        print("\n".join(problems) or f"all {len(mutants)} mutants apply")
        return 1 if problems else 0
    wanted = selected([mutant.id for mutant in mutants], options.only)
    if not wanted:
        raise SystemExit("no mutant has such an id")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # A mutant may allocate for ever: it is to go first if memory runs out.
    pathlib.Path("/proc/self/oom_score_adj").write_text("1000", encoding="utf-8")
    return run_all(options, [mutant for mutant in mutants if mutant.id in wanted])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
