"""The figure of a claim: effects with their intervals, for each comparison and task, as SVG. No JAX."""

import math
from collections.abc import Callable, Iterator, Sequence
from html import escape
from typing import NamedTuple

from bench.claims.verdicts import Comparison, Finding

WIDTH, NAMES, ROW, EDGE = 720, 250, 18, 14  # pixels: the figure, the names on its left, a line, the margins
COLOURS = {"better": "#0072B2", "worse": "#D55E00", "equivalent": "#009E73", "undecided": "#7F7F7F"}


class Line(NamedTuple):
    """A line of the figure: a name, a value with the ends of its interval, and whether it sums up a comparison."""

    name: str
    value: float
    low: float | None
    high: float | None
    colour: str
    summary: bool


def figure(f: Finding) -> str:
    """Draw a finding: below each comparison its tasks, with 95 % intervals; the band around 0 is the margin.

    Comparisons that are decided on different scales stand in parts of their own, each with its axis.
    """
    scales = list(dict.fromkeys(c.scale for c in f.comparisons))
    parts, top = [], EDGE
    for scale in scales:
        part, height = _part(f, scale, [c for c in f.comparisons if c.scale == scale], top)
        parts += part
        top += height
    size = f'viewBox="0 0 {WIDTH} {top}" width="{WIDTH}" height="{top}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img"'
    label = escape(f"Effects of claim {f.claim}", quote=True)
    style = 'font-family="sans-serif" font-size="11" fill="#222"'
    return f'{head} aria-label="{label}" {style}>\n<rect width="{WIDTH}" height="{top}" fill="white"/>\n' + "".join(
        f"{part}\n" for part in (*parts, "</svg>")
    )


def _part(f: Finding, scale: str, comparisons: Sequence[Comparison], top: int) -> tuple[list[str], int]:
    """The elements of one part of the figure, which begins at `top`, and its height."""
    lines = [line for c in comparisons for line in _lines(f, c)]
    ends = [e for line in lines for e in (line.value, line.low, line.high) if e is not None and math.isfinite(e)]
    low, high = min([*ends, -comparisons[0].margin]), max([*ends, comparisons[0].margin])
    room = 0.04 * (high - low)
    low, high = low - room, high + room

    def x(value: float) -> float:
        return round(NAMES + (WIDTH - NAMES - EDGE) * (value - low) / (high - low), 1)

    bottom = top + ROW * len(lines)
    band = comparisons[0].margin
    found = [
        f'<rect x="{x(-band)}" y="{top}" width="{round(x(band) - x(-band), 1)}" height="{bottom - top}" fill="#eee"/>',
        f'<path d="M{x(0.0)} {top}V{bottom}" stroke="#999"/>',
    ]
    for i, line in enumerate(lines):
        found += _drawn(line, top + ROW * i + ROW / 2, x)
    for mark in _ticks(low, high):
        found.append(f'<path d="M{x(mark)} {bottom}v4" stroke="#222"/>')
        found.append(f'<text x="{x(mark)}" y="{bottom + 16}" text-anchor="middle">{mark:g}</text>')
    found.append(f'<path d="M{NAMES} {bottom}H{WIDTH - EDGE}" stroke="#222"/>')
    caption = escape(f"{f.unit}, {scale}: above 0 for the claim; grey: the margin")
    found.append(f'<text x="{(NAMES + WIDTH) / 2}" y="{bottom + 32}" text-anchor="middle">{caption}</text>')
    return found, bottom - top + 3 * ROW


def _lines(f: Finding, c: Comparison) -> Iterator[Line]:
    colour = COLOURS[c.verdict]
    decisive = c.decisive
    name = f.subject if c.other == f.subject else f"against {c.other}"
    yield Line(f"{name}: {c.verdict}", decisive.effect, decisive.low, decisive.high, colour, True)
    yield from (Line(t.task, t.effect, t.low, t.high, colour, False) for t in c.tasks)


def _drawn(line: Line, y: float, x: Callable[[float], float]) -> Iterator[str]:
    weight = ' font-weight="bold"' if line.summary else ""
    yield f'<text x="{NAMES - 8}" y="{y + 4}" text-anchor="end"{weight}>{escape(line.name)}</text>'
    if not math.isfinite(line.value):
        return
    if line.low is not None and line.high is not None:
        stroke = f'stroke="{line.colour}" stroke-width="{3 if line.summary else 1.2}"'
        yield f'<path d="M{x(line.low)} {y}H{x(line.high)}" {stroke}/>'
    yield f'<circle cx="{x(line.value)}" cy="{y}" r="{4.5 if line.summary else 3}" fill="{line.colour}"/>'


def _ticks(low: float, high: float) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten, at most eight of them."""
    power = 10.0 ** math.floor(math.log10((high - low) / 7))
    step = next(n * power for n in (1, 2, 5, 10) if n * power >= (high - low) / 7)
    first = math.ceil(low / step)
    return [round(step * k, 12) for k in range(first, math.floor(high / step) + 1)]
