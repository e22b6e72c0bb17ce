"""Charts drawn by matplotlib: panels for papers, and SVG that follows the colours of the page it is put into."""

import io
import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bench import drawing
from bench.report.charts import Chart

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe & Ito's colours without yellow, which white paper swallows; then again with other strokes.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#7F7F7F")
STROKES = (("-", "solid"), ((0, (4, 1.5)), "dashed"), ((0, (1, 1.2)), "dotted"))  # matplotlib's and CSS's
INK = "#010203"  # a colour of no curve: becomes the page's text colour
REFERENCE: dict[str, Any] = {"color": "black", "linewidth": 2.4, "alpha": 0.55}  # of its line, below all others
TARGET = COLOURS[2]
POINTS = 72  # of an inch: matplotlib's SVG is measured in points


def colour(i: int) -> str:
    """The colour of the i-th method."""
    return COLOURS[i % len(COLOURS)]


def stroke(i: int) -> tuple[Any, str]:
    """How the line of the i-th method is drawn: for matplotlib, and for CSS."""
    return STROKES[i // len(COLOURS) % len(STROKES)]


def panels(charts: Sequence[Chart], methods: Sequence[str]) -> "Figure":
    """All charts in one figure with one legend."""
    from matplotlib.lines import Line2D

    columns = min(len(charts), 4)
    rows = math.ceil(len(charts) / columns)
    named = {s.method for c in charts for s in c.series}
    shown = [m for m in methods if m in named]
    with drawing.style():
        in_a_row = max(2, 3 * columns // 2)
        legend_rows = math.ceil((len(shown) + (None in named)) / in_a_row)
        height = 2.1 * rows + 0.25 * legend_rows
        figure = drawing.figure((max(2.7 * columns, 3.6), height), dpi=150, layout="constrained")
        axes = list(figure.subplots(rows, columns, squeeze=False).flat)
        for axis, chart in zip(axes, charts, strict=False):
            draw(axis, chart, methods)
            axis.set_title(chart.title, loc="left", parse_math=False)
        for axis in axes[len(charts) :]:
            axis.remove()
        handles = [Line2D([], [], color=colour(i), linestyle=stroke(i)[0]) for i, m in enumerate(methods) if m in shown]
        if None in named:
            handles.insert(0, Line2D([], [], **REFERENCE))
            shown.insert(0, "best known")
        legend = figure.legend(handles, shown, loc="outside lower center", ncols=in_a_row)
        for text in legend.get_texts():
            text.set_parse_math(False)
        return figure


def draw(axis: "Axes", chart: Chart, methods: Sequence[str]) -> None:
    """Curves with their bands, in the order of `methods`."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    if chart.log_x and any(np.any(series.x > 0) for series in chart.series):
        axis.set_xscale("log")
    steps = "steps-post" if chart.held else "default"
    for series in chart.series:
        if series.method is None:
            axis.plot(series.x, series.y, drawstyle=steps, **REFERENCE)
            continue
        i = methods.index(series.method)
        axis.plot(series.x, series.y, color=colour(i), linestyle=stroke(i)[0], drawstyle=steps, gid=f"line-{i}")
        if series.low is not None and series.high is not None:
            axis.fill_between(
                series.x, series.low, series.high, color=colour(i), alpha=0.15, linewidth=0, gid=f"band-{i}"
            )
    if chart.target is not None:
        axis.plot(chart.series[0].x[-1], chart.target, "D", color=TARGET, markersize=4, clip_on=False, zorder=3)
    grid = sorted({x for series in chart.series for x in series.x})
    if chart.log_x and len(grid) <= 8:
        axis.set_xticks(grid, [f"{x:g}" for x in grid])
        axis.minorticks_off()
    low, high = axis.get_xlim()
    if axis.get_xscale() == "log" and len(grid) > 8 and high < 30 * low:  # too few powers of ten to read it by
        axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.xaxis.set_minor_formatter(NullFormatter())
    axis.set_xlabel(chart.x_label)
    axis.set_ylabel(chart.y_label)
    axis.margins(x=0.01)


def svg(chart: Chart, methods: Sequence[str], number: int) -> tuple[str, dict]:
    """One chart as SVG for a page, and where its axes lie: box (left, top, right, bottom), limits, log_x.

    `number` tells the charts of a page apart. The curves of the i-th method have the class "m" followed by i.
    """
    ink = {f"{what}color": INK for what in ("text.", "axes.edge", "axes.label", "xtick.", "ytick.")}
    size = 4.6, 2.7
    with drawing.style(**ink, **{"svg.fonttype": "none", "svg.hashsalt": str(number), "font.family": "sans-serif"}):
        figure = drawing.figure(size, layout="constrained")
        axis = figure.subplots()
        draw(axis, chart, methods)
        file = io.StringIO()
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
        left, bottom, right, top = axis.get_position().extents
    box = [
        left * size[0] * POINTS,
        (1 - top) * size[1] * POINTS,
        right * size[0] * POINTS,
        (1 - bottom) * size[1] * POINTS,
    ]
    where = {"box": box, "x": list(axis.get_xlim()), "y": list(axis.get_ylim()), "log": axis.get_xscale() == "log"}
    return _inline(file.getvalue()), where


def _inline(text: str) -> str:
    """Only the element, its ids where they are used, coordinates to a hundredth of a point, ink as the page's."""
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'<g id="(?:line|band)-(\d+)">', r'<g class="m\1">', text)
    used = set(re.findall(r"#([\w-]+)", text))
    text = re.sub(r' id="([^"]+)"', lambda found: found[0] if found[1] in used else "", text)
    text = re.sub(r"(\d+\.\d\d)\d+", r"\1", text)
    text = re.sub(r' (?:width|height)="[\d.]+pt"', "", text, count=2)
    return re.sub(r"\s*\n\s*", "\n", text.replace(INK, "currentColor"))
