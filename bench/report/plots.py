"""Charts as figures for papers, drawn by matplotlib. No JAX here."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.report import figure_style, palette
from bench.report.chart import Chart, grouped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

REFERENCE_LINE: dict[str, Any] = {"color": "black", "linewidth": 2.4, "alpha": 0.55}
TARGET_COLOUR = palette.COLOURS[2]
ACROSS = 4  # panels side by side
FEW_ABSCISSAS = 8  # so many are all marked on a logarithmic axis
MAX_POWERS = 5  # of ten that are marked; more would be printed over each other


def panels(charts: Sequence[Chart], methods: Sequence[str]) -> "Figure":
    """Draw all charts in one figure with one legend, whose order is that of `methods`.

    The charts of a task stand in a block of their own where it has several. Raises UsageError without matplotlib.
    """
    blocks = list(grouped(charts, lambda chart: (chart.suite, chart.task, chart.num_steps)).values())
    if all(len(block) == 1 for block in blocks):
        blocks = [list(charts)]
    columns = min(max(map(len, blocks)), ACROSS)
    rows = sum(math.ceil(len(block) / columns) for block in blocks)
    named = {s.method for c in charts for s in c.series}
    shown = [m for m in methods if m in named]
    places = palette.places(methods)
    with figure_style.figure_style():
        from matplotlib.lines import Line2D

        in_a_row = max(2, 3 * columns // 2)
        legend_rows = math.ceil((len(shown) + (None in named)) / in_a_row)
        height = 2.1 * rows + 0.25 * legend_rows
        figure = figure_style.new_figure((max(2.7 * columns, 3.6), height), dpi=150, layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False)
        first = 0
        for block in blocks:
            below = first + math.ceil(len(block) / columns)
            free = list(axes[first:below].flat)
            for axis, chart in zip(free, block, strict=False):
                draw(axis, chart, places)
                axis.set_title(chart.title, loc="left", parse_math=False)
            for axis in free[len(block) :]:
                axis.remove()
            first = below
        dots = all(chart.dots for chart in charts)
        handles = [Line2D([], [], **(_dot(places[m]) if dots else _line(places[m]))) for m in shown]
        if None in named:
            handles.insert(0, Line2D([], [], **REFERENCE_LINE))
            shown.insert(0, "best known")
        legend = figure.legend(handles, shown, loc="outside lower center", ncols=in_a_row)
        for text in legend.get_texts():
            text.set_parse_math(False)
        return figure


def draw(axis: "Axes", chart: Chart, places: palette.Places) -> None:
    """Draw a chart's curves with their bands, or its dots with their bars."""
    if chart.log_x and any(np.any(series.x > 0) for series in chart.series):
        axis.set_xscale("log")
    steps = "steps-post" if chart.held else "default"
    for series in chart.series:
        if series.method is None:
            axis.plot(series.x, series.y, drawstyle=steps, **REFERENCE_LINE)
            continue
        line = _dot(places[series.method]) if chart.dots else _line(places[series.method])
        axis.plot(series.x, series.y, drawstyle=steps, **line)
        if series.low is not None and series.high is not None:
            if chart.dots:
                axis.vlines(series.x, series.low, series.high, color=line["color"], linewidth=1)
            else:
                axis.fill_between(series.x, series.low, series.high, color=line["color"], alpha=0.15, linewidth=0)
    if chart.target is not None:
        axis.plot(chart.series[0].x[-1], chart.target, "D", color=TARGET_COLOUR, markersize=4, clip_on=False, zorder=3)
    axis.margins(x=0.08 if chart.dots else 0.01)
    _mark_abscissas(axis, chart)
    axis.set_xlabel(chart.x_label)
    axis.set_ylabel(chart.y_label)


def _line(place: int) -> dict[str, Any]:
    return {"color": palette.colour(place), "linestyle": palette.stroke(place)[0]}


def _dot(place: int) -> dict[str, Any]:
    return {"color": palette.colour(place), "marker": palette.marker(place)[0], "markersize": 5, "linestyle": ""}


def _mark_abscissas(axis: "Axes", chart: Chart) -> None:
    """Mark a logarithmic axis with no more labels than fit: all abscissas if they are few, else powers of ten.

    Where there are few powers of ten, 2 and 5 times these are marked, too.
    """
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    if axis.get_xscale() != "log":
        return
    axis.xaxis.set_minor_formatter(NullFormatter())
    grid = sorted({x for series in chart.series for x in series.x})
    low, high = axis.get_xlim()
    if len(grid) <= FEW_ABSCISSAS and not chart.dots:
        axis.set_xticks(grid, [f"{x:g}" for x in grid])
        axis.minorticks_off()
    elif high < 30 * low:
        axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    else:
        axis.xaxis.set_major_locator(LogLocator(numticks=MAX_POWERS))
