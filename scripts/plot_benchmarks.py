#!/usr/bin/env python3
"""Draws what freyja-bench has measured as SVG.

    plot_benchmarks.py RESULTS.json FOLDER     RESULTS.json is from freyja-bench --json

Writes FOLDER/throughput-BYTES.svg, cpu-BYTES.svg, latency-BYTES.svg, footprint-BYTES.svg and
open-BYTES.svg for every length of values in the results (BYTES-KEYS where there are several
numbers of keys), and FOLDER/sections.svg where there are several of either. Standard
library only; the same input gives the same bytes.
"""

import json
import math
import pathlib
import sys
from xml.sax.saxutils import escape

COLUMNS = 3
PANEL_WIDTH, LABELS, FIGURES = 330, 110, 60  # of a panel: names on the left, numbers on the right
ROW, HEAD, GAP = 17, 26, 22
TOP, MARGIN = 56, 16
LATENCY_HEIGHT = 190
# Colours that people with colour-blindness can tell apart (Okabe and Ito), greys for the limits.
COLORS = {
    "freyja": "#0072b2",
    "lmdb": "#e69f00",
    "rocksdb": "#d55e00",
    "leveldb": "#cc79a7",
    "tkrzw": "#009e73",
    "tkrzw-inplace": "#66c2a5",
    "kyotocabinet": "#56b4e9",
    "wiredtiger": "#8c6d31",
    "limit": "#555555",
    "limit-growing": "#999999",
}
OTHER = "#bbbbbb"
QUANTILES = ["p50", "p99", "p99.9", "p99.99", "max"]


def short(value):
    """Three digits and a unit."""
    if value == 0:
        return "0"
    for factor, unit in ((1e6, " M"), (1e3, " k")):
        if abs(value) >= factor:
            return f"{value / factor:.3g}{unit}"
    return f"{value:.3g}"


def text(x, y, words, anchor="start", extra=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{extra}>{escape(words)}</text>'


def document(title, subtitle, body, width, height):
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height:.0f}" '
        'font-family="sans-serif" font-size="11">',
        "<style>.grid { stroke: #dddddd; } .range { stroke: #222222; } "
        "text { fill: #222222; }</style>",
        f'<rect width="{width}" height="{height:.0f}" fill="#ffffff"/>',
        text(MARGIN, 22, title, extra=' font-size="15"'),
        text(MARGIN, 40, subtitle),
        *body,
        "</svg>",
    ]) + "\n"


def bars(panel, left, top):
    """A panel is a title and rows of (name, colour, median, lowest, highest)."""
    title, rows = panel
    yield text(left, top + 12, title, extra=' font-weight="bold"')
    width = PANEL_WIDTH - LABELS - FIGURES
    most = max((row[4] for row in rows), default=0)
    scale = width / most if most > 0 else 0
    for number, (name, color, median, lowest, highest) in enumerate(rows):
        y = top + HEAD + number * ROW
        start = left + LABELS
        yield text(start - 6, y + 9, name, "end")
        yield (f'<rect x="{start}" y="{y}" width="{max(median, 0) * scale:.1f}" height="11" '
               f'fill="{color}"/>')
        if highest > lowest:
            yield (f'<line x1="{start + max(lowest, 0) * scale:.1f}" y1="{y + 5.5}" '
                   f'x2="{start + max(highest, 0) * scale:.1f}" y2="{y + 5.5}" class="range"/>')
        yield text(start + max(highest, 0) * scale + 5, y + 9, short(median))


def bar_chart(title, subtitle, panels):
    """Panels in columns, each row of them as high as its highest panel."""
    body, y = [], TOP
    for first in range(0, len(panels), COLUMNS):
        group = panels[first:first + COLUMNS]
        for column, panel in enumerate(group):
            body += bars(panel, MARGIN + column * (PANEL_WIDTH + GAP), y)
        y += HEAD + ROW * max(len(rows) for _, rows in group) + GAP
    return document(title, subtitle, body, MARGIN * 2 + COLUMNS * (PANEL_WIDTH + GAP), y)


def lines(panel, left, top, lowest, highest):
    """A panel is a title and rows of (name, colour, microseconds by QUANTILES)."""
    title, rows = panel
    yield text(left, top + 12, title, extra=' font-weight="bold"')
    start, width = left + 40, PANEL_WIDTH - 60
    bottom = top + HEAD + LATENCY_HEIGHT - 40
    decades = max(highest - lowest, 1)

    def x(number):
        return start + width * number / (len(QUANTILES) - 1)

    def y(value):
        share = (math.log10(max(value, 10 ** lowest)) - lowest) / decades
        return bottom - share * (bottom - top - HEAD)

    for decade in range(lowest, highest + 1):
        at = y(10 ** decade)
        yield f'<line x1="{start}" y1="{at:.1f}" x2="{start + width}" y2="{at:.1f}" class="grid"/>'
        yield text(start - 6, at + 4, short(10.0 ** decade), "end")
    for number, quantile in enumerate(QUANTILES):
        yield text(x(number), bottom + 16, quantile, "middle")
    for _, color, values in rows:
        points = " ".join(f"{x(number):.1f},{y(value):.1f}" for number, value in enumerate(values))
        yield f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="2"/>'


def legend(rows, y):
    at = MARGIN
    for name, color in rows:
        yield f'<rect x="{at}" y="{y - 9}" width="12" height="10" fill="{color}"/>'
        yield text(at + 17, y, name)
        at += 30 + 6.2 * len(name)


def latency_chart(title, subtitle, panels):
    values = [value for _, rows in panels for row in rows for value in row[2] if value > 0]
    lowest = math.floor(math.log10(min(values, default=1)))
    highest = math.ceil(math.log10(max(values, default=10)))
    names = dict.fromkeys((row[0], row[1]) for _, rows in panels for row in rows)
    body = list(legend(names, TOP + 6))
    y = TOP + 24
    for first in range(0, len(panels), COLUMNS):
        for column, panel in enumerate(panels[first:first + COLUMNS]):
            body += lines(panel, MARGIN + column * (PANEL_WIDTH + GAP), y, lowest, highest)
        y += HEAD + LATENCY_HEIGHT + GAP
    return document(title, subtitle, body, MARGIN * 2 + COLUMNS * (PANEL_WIDTH + GAP), y)


def row(store, spread):
    return (store["id"], COLORS.get(store["id"], OTHER), spread["median"], spread["lowest"],
            spread["highest"])


def spread_of(values):
    ordered = sorted(values)
    middle = len(ordered) // 2
    median = ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
    return {"median": median, "lowest": ordered[0], "highest": ordered[-1]}


def measure_panels(section, figure):
    for name in section["configuration"]["workloads"]:
        stores = [store for store in section["stores"] if name in store["workloads"]]
        if stores:
            yield name, [row(store, store["workloads"][name][figure]) for store in stores]


def latency_panels(section):
    for name in section["configuration"]["workloads"]:
        rows = []
        for store in section["stores"]:
            latency = store["workloads"].get(name, {}).get("latency_ns")
            if latency:
                rows.append((store["id"], COLORS.get(store["id"], OTHER),
                             [latency[quantile] / 1e3 for quantile in QUANTILES]))
        if rows:
            yield name, rows


def footprint_panels(section):
    probes = [probe for probe in section.get("probes", []) if probe["footprints"]]
    for key, title in (("memory_per_key", "memory per key, bytes"),
                       ("written_over_put", "bytes written / put"),
                       ("cpu_ns_per_operation", "CPU per operation, ns")):
        if probes:
            yield title, [row(probe, probe[key]) for probe in probes]
    keys = section["configuration"]["keys"]
    for key, title, per in (("resident_bytes", "resident per key, bytes", keys),
                            ("disk_bytes", "on disk, bytes per key", keys)):
        if probes:
            yield title, [row(probe, spread_of([footprint[key] / per for footprint in
                                                probe["footprints"]])) for probe in probes]


def open_panels(section):
    probes = [probe for probe in section.get("probes", []) if probe.get("opens")]
    for kind in dict.fromkeys(kind for probe in probes for kind in probe["opens"]):
        yield f"{kind}, s", [row(probe, probe["opens"][kind]["seconds"])
                             for probe in probes if kind in probe["opens"]]


def section_panels(sections):
    """One panel for each section and each of a few workloads."""
    for name in ("fill", "get", "overwrite"):
        for section in sections:
            for title, rows in measure_panels(section, "operations_per_second"):
                if title == name:
                    configuration = section["configuration"]
                    yield (f'{name}, {configuration["value_bytes"]} bytes, '
                           f'{short(configuration["keys"])} keys'), rows


def charts(results):
    sections = results["sections"]
    for section in sections:
        configuration = section["configuration"]
        length = configuration["value_bytes"]
        several = sum(other["configuration"]["value_bytes"] == length for other in sections) > 1
        suffix = f'{length}-{configuration["keys"]}' if several else f"{length}"
        subtitle = (f'{configuration["keys"]:,} keys, values of {length:,} bytes, median of '
                    f'{configuration["rounds"]} (line: lowest to highest), '
                    f'{results["machine"]["cores"]} cores')
        yield (f"throughput-{suffix}", bar_chart, "Operations per second", subtitle,
               list(measure_panels(section, "operations_per_second")))
        yield (f"cpu-{suffix}", bar_chart, "CPU time of the whole process per operation, ns",
               subtitle, list(measure_panels(section, "process_cpu_ns_per_operation")))
        yield (f"latency-{suffix}", latency_chart, "Latency of single calls, microseconds",
               subtitle, list(latency_panels(section)))
        yield (f"footprint-{suffix}", bar_chart, "Memory, bytes written and CPU, a process each",
               subtitle, list(footprint_panels(section)))
        yield (f"open-{suffix}", bar_chart, "Seconds to open and get one key", subtitle,
               list(open_panels(section)))
    if len(sections) > 1:
        yield ("sections", bar_chart, "Operations per second, by length of values and keys",
               "each panel has a scale of its own", list(section_panels(sections)))


def main(arguments):
    if len(arguments) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        results = json.loads(pathlib.Path(arguments[0]).read_text(encoding="utf-8"))
        drawn = [(name, chart(title, subtitle, panels))
                 for name, chart, title, subtitle, panels in charts(results) if panels]
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"plot_benchmarks.py: {arguments[0]}: {error!r}", file=sys.stderr)
        return 1
    folder = pathlib.Path(arguments[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in drawn:
        path = folder / f"{name}.svg"
        path.write_text(picture, encoding="utf-8")
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
