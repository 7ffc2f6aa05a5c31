#!/usr/bin/env python3
"""Draws curves of write amplification against space amplification as SVG.

    plot_curves.py RESULTS.json FOLDER     RESULTS.json is from freyja-simulate --json

Writes FOLDER/write-amplification-TRACE.svg for every trace in the results. Standard library
only; the same input gives the same bytes.
"""

import json
import pathlib
import re
import sys
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 640, 420
LEFT, RIGHT, TOP, BOTTOM = 60, 200, 50, 55
LOWEST, HIGHEST = 1.0, 5.0  # write amplification; what lies above is cut off
# Colours that people with colour-blindness can tell apart (Okabe and Ito); dashes help, too.
STYLES = {
    "age-classes": ("FreyjaDB (age classes)", "#0072b2", ""),
    "age-classes-by-record": ("age classes by record", "#56b4e9", "2 3"),
    "cost-benefit": ("cost-benefit", "#009e73", "8 3"),
    "greedy": ("greedy", "#d55e00", "4 3"),
    "1/r": ("1/r law", "#555555", "1 4"),
    "known rates": ("rates known, analytic", "#cc79a7", "10 3 2 3"),
}


def scales(points):
    ceilings = [point["ceiling"] for point in points]
    low, high = min(ceilings), max(ceilings)
    span = (high - low) or 1.0

    def x(ceiling):
        return LEFT + (ceiling - low) / span * (WIDTH - LEFT - RIGHT)

    def y(written):
        return HEIGHT - BOTTOM - (written - LOWEST) / (HIGHEST - LOWEST) * (HEIGHT - TOP - BOTTOM)

    return x, y


def axes(x, y, ceilings):
    for tick in range(int(LOWEST), int(HIGHEST) + 1):
        at = y(tick)
        yield f'<line x1="{LEFT}" y1="{at:.1f}" x2="{WIDTH - RIGHT}" y2="{at:.1f}" class="grid"/>'
        yield f'<text x="{LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">{tick}</text>'
    last = -100.0
    for ceiling in ceilings:
        at = x(ceiling)
        yield f'<line x1="{at:.1f}" y1="{TOP}" x2="{at:.1f}" y2="{HEIGHT - BOTTOM}" class="grid"/>'
        if at - last >= 18:
            yield (f'<text x="{at:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">'
                   f'{ceiling:g}</text>')
            last = at
    middle = (LEFT + WIDTH - RIGHT) / 2
    yield (f'<text x="{middle}" y="{HEIGHT - 14}" text-anchor="middle">'
           'space amplification, at most</text>')
    half = (TOP + HEIGHT - BOTTOM) / 2
    yield (f'<text x="16" y="{half}" text-anchor="middle" transform="rotate(-90 16 {half})">'
           'write amplification</text>')


def curve(points, x, y, color, dashes):
    ordered = sorted((point["ceiling"], point["write_amplification"]) for point in points)
    path = " ".join(f"{x(ceiling):.1f},{y(written):.1f}" for ceiling, written in ordered)
    yield (f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2" '
           f'stroke-dasharray="{dashes}" clip-path="url(#plot)"/>')
    if any(point.get("analytic") for point in points):
        return
    for ceiling, written in ordered:
        if written <= HIGHEST:
            yield f'<circle cx="{x(ceiling):.1f}" cy="{y(written):.1f}" r="3" fill="{color}"/>'


def draw(trace, points, configuration):
    x, y = scales(points)
    subtitle = (f'{configuration["keys"]:,} keys, {configuration["segment_records"]:,} records a '
                f'segment, steps of up to {configuration["step_segments"]} segments')
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        "<style>.grid { stroke: #dddddd; } text { fill: #222222; }</style>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        f'<clipPath id="plot"><rect x="{LEFT}" y="{TOP}" width="{WIDTH - LEFT - RIGHT}" '
        f'height="{HEIGHT - TOP - BOTTOM}"/></clipPath>',
        f'<text x="{LEFT}" y="20" font-size="15">{escape(trace)}</text>',
        f'<text x="{LEFT}" y="38">{escape(subtitle)}</text>',
    ]
    lines += axes(x, y, sorted({point["ceiling"] for point in points}))
    row = TOP + 10
    for policy, (title, color, dashes) in STYLES.items():
        of_policy = [point for point in points if point["policy"] == policy]
        if not of_policy:
            continue
        lines += curve(of_policy, x, y, color, dashes)
        start = WIDTH - RIGHT + 14
        lines.append(f'<line x1="{start}" y1="{row}" x2="{start + 28}" y2="{row}" '
                     f'stroke="{color}" stroke-width="2" stroke-dasharray="{dashes}"/>')
        lines.append(f'<text x="{start + 34}" y="{row + 4}">{escape(title)}</text>')
        row += 20
    lines.append("</svg>")
    return "\n".join(lines) + "\n"


def main(arguments):
    if len(arguments) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        results = json.loads(pathlib.Path(arguments[0]).read_text(encoding="utf-8"))
        points, configuration = results["points"], results["configuration"]
    except (OSError, ValueError, KeyError) as error:
        print(f"plot_curves.py: {arguments[0]}: {error!r}", file=sys.stderr)
        return 1
    folder = pathlib.Path(arguments[1])
    folder.mkdir(parents=True, exist_ok=True)
    for trace in dict.fromkeys(point["trace"] for point in points):
        of_trace = [point for point in points if point["trace"] == trace]
        name = re.sub(r"[^A-Za-z0-9.]+", "-", pathlib.PurePath(trace).name).strip("-.")
        path = folder / f"write-amplification-{name}.svg"
        path.write_text(draw(trace, of_trace, configuration), encoding="utf-8")
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
