#!/usr/bin/env python3
"""Shows that releases have no scheduling points (src/base/schedule_point.h).

    check_release_objects.py SOURCE_DIR CXX

Configures the preset `release`, looks at all its compile commands, and runs those of some
instrumented sources. With the macro defined the same commands must yield what is looked for,
so it is known that it would be found.
"""
import json
import pathlib
import shlex
import subprocess
import sys
import tempfile

MACRO = "FREYJA_SCHEDULE_POINTS"
SOURCES = ["src/engine/epoch.cc", "src/engine/index.cc", "src/engine/reaper.cc",
           "src/engine/writer.cc"]
TRACES = [b"schedule_observer", b"epoch.announce", b"index.change", b"segment.retire"]


def presets_with_points(source):
    """Presets for releases that could switch the option on."""
    presets = json.loads((source / "CMakePresets.json").read_text())["configurePresets"]
    by_name = {preset["name"]: preset for preset in presets}
    wrong = []
    for name in ("release", "bench"):
        values, at = {}, by_name[name]
        while at:
            values = at.get("cacheVariables", {}) | values
            at = by_name.get(at.get("inherits"))
        if values.get("FREYJA_BUILD_TESTS") != "OFF" or MACRO in values:
            wrong.append(name)
    return wrong


def traces_in(command, directory, extra):
    """Compiles it; which traces of scheduling points the object holds."""
    words = shlex.split(command)
    target = pathlib.Path(directory) / "object.o"
    words[words.index("-o") + 1] = str(target)
    subprocess.run(words + extra, cwd=directory, check=True)
    found = [trace.decode() for trace in TRACES if trace in target.read_bytes()]
    target.unlink()
    return found


def main(source, compiler):
    source = pathlib.Path(source).resolve()
    problems = [f"preset {name} may have points" for name in presets_with_points(source)]
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run(["cmake", "--preset", "release", "-B", directory,
                        f"-DCMAKE_CXX_COMPILER={compiler}"],
                       cwd=source, check=True, stdout=subprocess.DEVNULL)
        commands = json.loads((pathlib.Path(directory) / "compile_commands.json").read_text())
        problems += [f"{entry['file']} is compiled with {MACRO}" for entry in commands
                     if MACRO in entry["command"]]
        would_be_found = set()
        for name in SOURCES:
            entry = next(e for e in commands if pathlib.Path(e["file"]) == source / name)
            found = traces_in(entry["command"], directory, [])
            problems += [f"{name} holds {trace}" for trace in found]
            would_be_found |= set(traces_in(entry["command"], directory, [f"-D{MACRO}"]))
        missing = {trace.decode() for trace in TRACES} - would_be_found
        problems += [f"{trace} is not found where it is" for trace in missing]
    print("\n".join(problems) or f"{len(commands)} sources are compiled without scheduling points")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]) if len(sys.argv) == 3 else print(__doc__) or 2)
