"""Charts as figures for papers, drawn by matplotlib. No JAX here."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.report import figure_style
from bench.report.charts import Chart

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe & Ito's colours without yellow, which white paper swallows. Further methods take them again with other strokes.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#7F7F7F")
STROKES = (("-", "solid"), ((0, (4, 1.5)), "dashed"), ((0, (1, 1.2)), "dotted"))  # matplotlib's words, and CSS's
REFERENCE_LINE: dict[str, Any] = {"color": "black", "linewidth": 2.4, "alpha": 0.55}
TARGET_COLOUR = COLOURS[2]
FEW_ABSCISSAS = 8  # so many are all marked on a logarithmic axis


def colour(i: int) -> str:
    """The colour of the i-th method."""
    return COLOURS[i % len(COLOURS)]


def stroke(i: int) -> tuple[Any, str]:
    """The stroke of the i-th method's line, for matplotlib and for CSS."""
    return STROKES[i // len(COLOURS) % len(STROKES)]


def panels(charts: Sequence[Chart], methods: Sequence[str]) -> "Figure":
    """Draw all charts in one figure with one legend. `methods` is the order of their colours.

    Raises UsageError without matplotlib.
    """
    columns = min(len(charts), 4)
    rows = math.ceil(len(charts) / columns)
    named = {s.method for c in charts for s in c.series}
    shown = [m for m in methods if m in named]
    with figure_style.figure_style():
        from matplotlib.lines import Line2D

        in_a_row = max(2, 3 * columns // 2)
        legend_rows = math.ceil((len(shown) + (None in named)) / in_a_row)
        height = 2.1 * rows + 0.25 * legend_rows
        figure = figure_style.new_figure((max(2.7 * columns, 3.6), height), dpi=150, layout="constrained")
        axes = list(figure.subplots(rows, columns, squeeze=False).flat)
        for axis, chart in zip(axes, charts, strict=False):
            draw(axis, chart, methods)
            axis.set_title(chart.title, loc="left", parse_math=False)
        for axis in axes[len(charts) :]:
            axis.remove()
        handles = [Line2D([], [], color=colour(i), linestyle=stroke(i)[0]) for i, m in enumerate(methods) if m in shown]
        if None in named:
            handles.insert(0, Line2D([], [], **REFERENCE_LINE))
            shown.insert(0, "best known")
        legend = figure.legend(handles, shown, loc="outside lower center", ncols=in_a_row)
        for text in legend.get_texts():
            text.set_parse_math(False)
        return figure


def draw(axis: "Axes", chart: Chart, methods: Sequence[str]) -> None:
    """Draw a chart's curves with their bands. `methods` is the order of their colours."""
    if chart.log_x and any(np.any(series.x > 0) for series in chart.series):
        axis.set_xscale("log")
    steps = "steps-post" if chart.held else "default"
    for series in chart.series:
        if series.method is None:
            axis.plot(series.x, series.y, drawstyle=steps, **REFERENCE_LINE)
            continue
        i = methods.index(series.method)
        axis.plot(series.x, series.y, color=colour(i), linestyle=stroke(i)[0], drawstyle=steps)
        if series.low is not None and series.high is not None:
            axis.fill_between(series.x, series.low, series.high, color=colour(i), alpha=0.15, linewidth=0)
    if chart.target is not None:
        axis.plot(chart.series[0].x[-1], chart.target, "D", color=TARGET_COLOUR, markersize=4, clip_on=False, zorder=3)
    _mark_abscissas(axis, chart)
    axis.set_xlabel(chart.x_label)
    axis.set_ylabel(chart.y_label)
    axis.margins(x=0.01)


def _mark_abscissas(axis: "Axes", chart: Chart) -> None:
    """Mark all abscissas of a logarithmic axis if they are few; else 1, 2 and 5 where there are few powers of ten."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    grid = sorted({x for series in chart.series for x in series.x})
    if chart.log_x and len(grid) <= FEW_ABSCISSAS:
        axis.set_xticks(grid, [f"{x:g}" for x in grid])
        axis.minorticks_off()
    low, high = axis.get_xlim()
    if axis.get_xscale() == "log" and len(grid) > FEW_ABSCISSAS and high < 30 * low:
        axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.xaxis.set_minor_formatter(NullFormatter())
