"""Checks the rules of the tree that no compiler checks.

    check_style.py ROOT        prints "file:line: rule: what" per finding; exits 1 if any
    check_style.py --self-test plants each kind of violation in a copy of a clean tree

Rules: dependencies (which folder may include which), length, width, words, test
(every *_test.cc is built), guard (#pragma once), links (of documents).
"""

import os
import pathlib
import re
import sys
import tempfile

MAX_LINES = 600
MAX_WIDTH = 100
CODE = {".h", ".cc"}
TEXT = CODE | {".py", ".sh", ".cmake", ".txt", ".md", ".json", ".map", ".in"}
TEXT_NAMES = {"Makefile", "run", ".clang-format", ".clang-tidy", ".gitignore"}
SKIPPED = {".git", "build", "out", ".cache", "__pycache__"}

# Layer -> the layers it may include. All but base may include all of freyja/.
LAYERS = {
    "base": {"base"},
    "io": {"io", "base"},
    "format": {"format", "base"},
    "control": {"control", "format", "io", "base"},
    "engine": {"engine", "format", "io", "base"},
    "compaction": {"compaction", "engine", "format", "io", "base"},
    "api": {"api", "compaction", "engine", "control", "format", "io", "base"},
}
BASE_MAY_INCLUDE = {"freyja/status.h"}
FACES = {"cli", "server", "examples"}  # bench and tests may use src

INCLUDE = re.compile(r'\s*#\s*include\s*["<]([^">]+)[">]')
LINK = re.compile(r"\]\(([^()\s]+)\)")
# Put together from pieces, so that this file doesn't contain them.
WORDS = re.compile("|".join(
    [r"\b(?:%s)\b" % "|".join(["to" + "do", "fix" + "me", "xx" + "x"])]
    + [r"(?<![\w.$})/-])/%s/" % folder for folder in ("work", "root", "home")]), re.IGNORECASE)


def text_files(root):
    for path in sorted(root.rglob("*")):
        relative = path.relative_to(root)
        if SKIPPED & set(relative.parts) or not path.is_file():
            continue
        if path.suffix in TEXT or path.name in TEXT_NAMES:
            yield relative


def include_problem(relative, included):
    """Why `relative` must not include `included`, or None."""
    top = relative.parts[0]
    target = included.split("/")[0] if "/" in included else None
    if target == "src":
        return f"includes {included}: paths start at include/ or src/"
    if ".." in included.split("/"):
        reached = pathlib.PurePath(os.path.normpath(relative.parent / included))
        if top in ("include", "src") or reached.parts[0] != top:
            return f"includes {included}: paths start at include/ or src/"
    if top == "include":
        if target in LAYERS:
            return f"public header includes {included}"
    elif top in FACES:
        if target in LAYERS:
            return f"{top} includes {included}: it may use include/freyja only"
    elif top == "src" and len(relative.parts) > 2:
        layer = relative.parts[1]
        if target in LAYERS and target not in LAYERS.get(layer, set()):
            return f"layer {layer} includes {included}"
        if layer == "base" and target == "freyja" and included not in BASE_MAY_INCLUDE:
            return f"layer base includes {included}"
    return None


def check_code(relative, lines):
    if relative.suffix == ".h" and "#pragma once" not in lines:
        yield 1, "guard", "header without #pragma once"
    for number, line in enumerate(lines, 1):
        match = INCLUDE.match(line)
        problem = match and include_problem(relative, match.group(1))
        if problem:
            yield number, "dependencies", problem


def check_links(root, relative, lines):
    fenced = False
    for number, line in enumerate(lines, 1):
        fenced ^= line.lstrip().startswith("```")
        for target in [] if fenced else LINK.findall(line):
            path = target.split("#")[0]
            if not path or re.match(r"[a-z]+:", target):
                continue
            if not (root / relative.parent / path).exists():
                yield number, "links", f"no such file: {target}"


def is_built(relative):
    """Whether a *_test.cc is in a place where the build picks it up."""
    parts = relative.parts
    if parts[0] == "src":
        return len(parts) > 2 and parts[1] in LAYERS
    if parts[:2] == ("tests", "torture"):
        return True
    return parts[0] in ("tests", "cli", "server", "bench") and len(parts) == 2


def check_file(root, relative):
    lines = (root / relative).read_text(encoding="utf-8").splitlines()
    if len(lines) > MAX_LINES:
        yield len(lines), "length", f"{len(lines)} lines, at most {MAX_LINES}"
    for number, line in enumerate(lines, 1):
        if len(line) > MAX_WIDTH and relative.suffix != ".md":
            yield number, "width", f"{len(line)} characters, at most {MAX_WIDTH}"
        word = WORDS.search(line)
        if word:
            yield number, "words", f"'{word.group(0)}'"
    if relative.suffix in CODE:
        yield from check_code(relative, lines)
    if relative.suffix == ".md":
        yield from check_links(root, relative, lines)
    if relative.name.endswith("_test.cc") and not is_built(relative):
        yield 1, "test", "no CMakeLists.txt picks this test up"


def check_tree(root):
    found = []
    for relative in text_files(root):
        for number, rule, message in check_file(root, relative):
            found.append((str(relative), number, rule, message))
    return found


CLEAN = {
    "include/freyja/a.h": "#pragma once\n#include <vector>\n#include \"freyja/status.h\"\n",
    "src/base/a.h": "#pragma once\n#include \"base/b.h\"\n#include \"freyja/status.h\"\n",
    "src/engine/deep/a_test.cc": "#include \"io/a.h\"\n#include \"freyja/a.h\"\n",
    "src/compaction/a.cc": "#include \"engine/a.h\"\n",
    "cli/a.cc": "#include <freyja/a.h>\n#include \"text.h\"\n// a/work/b is relative\n",
    "bench/a.cc": "#include \"engine/a.h\"\n",
    "bench/peers/a.cc": "#include \"../a.h\"\n",
    "tests/a_test.cc": "#include \"compaction/a.h\"\n",
    "docs/a.md": "[b](../cli/a.cc#part) [c](https://example.org)\n```\n[x](gone.md)\n```\n",
}
PLANTED = [
    ("dependencies", "include/freyja/p.h", "#pragma once\n#include \"engine/a.h\"\n"),
    ("dependencies", "include/freyja/p.h", "#pragma once\n#include <base/a.h>\n"),
    ("dependencies", "src/base/p.cc", "#include \"io/a.h\"\n"),
    ("dependencies", "src/base/p.cc", "#include \"freyja/options.h\"\n"),
    ("dependencies", "src/io/p.cc", "#include \"format/a.h\"\n"),
    ("dependencies", "src/format/p.cc", "#include \"io/a.h\"\n"),
    ("dependencies", "src/engine/p_test.cc", "  #  include \"compaction/a.h\"\n"),
    ("dependencies", "src/engine/p.cc", "#include \"../compaction/a.h\"\n"),
    ("dependencies", "src/control/p.cc", "#include \"engine/a.h\"\n"),
    ("dependencies", "src/compaction/p.cc", "#include \"control/a.h\"\n"),
    ("dependencies", "cli/p.cc", "#include \"base/a.h\"\n"),
    ("dependencies", "cli/p.cc", "#include \"../src/base/a.h\"\n"),
    ("dependencies", "server/p.cc", "#include \"src/base/a.h\"\n"),
    ("length", "src/io/p.cc", "//\n" * (MAX_LINES + 1)),
    ("width", "src/io/p.cc", "//" + "é" * (MAX_WIDTH - 1) + "\n"),
    ("words", "docs/p.md", "a Fix" + "me\n"),
    ("words", "src/io/p.cc", "// TO" + "DO: later\n"),
    ("words", "scripts/p.sh", "cat /ro" + "ot/file\n"),
    ("words", "src/io/p.cc", "auto p = \"/wo" + "rk/main\";\n"),
    ("test", "src/p_test.cc", "\n"),
    ("test", "src/other/p_test.cc", "\n"),
    ("test", "tests/deep/p_test.cc", "\n"),
    ("guard", "src/io/p.h", "// nothing\n"),
    ("links", "docs/p.md", "see [b](gone.md)\n"),
    ("links", "docs/p.md", "see [b](gone.md#part)\n"),
]


def write(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def self_test():
    """The clean tree has no finding; each planted file has exactly its own."""
    wrong = []
    for rule, name, text in [("", "src/io/p.cc", "\n")] + PLANTED:
        with tempfile.TemporaryDirectory() as directory:
            root = pathlib.Path(directory)
            write(root, CLEAN | {name: text})
            found = [(entry[0], entry[2]) for entry in check_tree(root)]
        expected = [(name, rule)] if rule else []
        if found != expected:
            wrong.append(f"planted {text[:40]!r} in {name}: expected {expected}, found {found}")
    return wrong


def main(arguments):
    if arguments == ["--self-test"]:
        wrong = self_test()
        print("\n".join(wrong) or f"found all {len(PLANTED)} planted violations")
        return 1 if wrong else 0
    if len(arguments) != 1 or not (pathlib.Path(arguments[0]) / "CMakeLists.txt").exists():
        print(__doc__)
        return 2
    found = check_tree(pathlib.Path(arguments[0]))
    for name, number, rule, message in found:
        print(f"{name}:{number}: {rule}: {message}")
    print(f"{len(found)} findings")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
