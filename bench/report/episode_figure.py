"""Figures of one episode against time: states with ranges and targets, controls with bounds, and the cost.

No JAX here.
"""

import io
import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench.analysis.stats import Floats
from bench.report.chart import unit_after
from bench.report.figure_style import figure_style, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from bench.simulate import Trajectory
    from tasks.base import AbstractTask, ControlVar, StateVar

# Okabe & Ito's colours, which colour-blind readers can tell apart (Wong, Nature Methods 8 (2011) 441).
STATE_COLOUR, CONTROL_COLOUR, COST_COLOUR, TARGET_COLOUR = "#0072B2", "#D55E00", "#000000", "#009E73"
RANGE_COLOUR = "#E8EFF4"


def episode_figure(task: "AbstractTask", trajectory: "Trajectory", title: str) -> "Figure":
    """Draw one panel for each state and control, and one for the accumulated cost.

    Raises UsageError without matplotlib.
    """
    n, m = len(task.states), len(task.controls)
    columns = 1 if n + m < 3 else 2
    rows = math.ceil((n + m + 1) / columns)
    times = np.linspace(0.0, task.horizon, task.num_steps + 1)
    with figure_style():
        from matplotlib.lines import Line2D

        figure = new_figure((5.4 if columns == 1 else 8.0, 0.8 + 1.4 * rows), dpi=150, layout="constrained")
        grid = figure.subplots(rows, columns, sharex=True, squeeze=False)
        # States stand on the left and controls on the right if they fit, else one after the other; the cost comes last.
        split = columns == 2 and n <= rows and m < rows
        places = [*grid[:n, 0], *grid[:m, 1]] if split else list(grid.T.flat)[: n + m]
        places.append(grid[-1, -1])
        for axis, state, values in zip(places, task.states, np.asarray(trajectory.xs).T, strict=False):
            _draw_state(axis, state, times, values)
        for axis, control, values in zip(places[n:], task.controls, np.asarray(trajectory.us).T, strict=False):
            _draw_control(axis, control, times, values)
        _draw_cost(places[-1], times, trajectory)
        for axis in places:
            axis.margins(x=0.02)
            axis.locator_params(axis="y", nbins=4)
        for column in grid.T:
            lowest = [axis for axis in column if axis in places][-1]
            lowest.set_xlabel(unit_after("time", task.time_unit))
            lowest.tick_params(labelbottom=True)
        for axis in set(grid.flat) - set(places):
            axis.remove()
        target = Line2D([], [], color=TARGET_COLOUR, marker="D", markersize=5.5, linestyle="", label="target")
        if any(not math.isnan(state.target) for state in task.states):
            figure.legend(handles=[target], loc="upper right", borderaxespad=0.1)
        figure.suptitle(title, fontsize=10.5, x=0.01, ha="left")
        return figure


def write_thumbnail(task: "AbstractTask", trajectory: "Trajectory", file: Path, drawn: str) -> None:
    """Write a small .png, 240 by 160 pixels: the states, each in its own scale, above the controls.

    The file keeps under "reference" what was `drawn`, so that one of another reference is told from it.

    Raises UsageError without matplotlib.
    """
    times = np.linspace(0.0, task.horizon, task.num_steps + 1)
    with figure_style():
        figure = new_figure((2.4, 1.6), dpi=100)
        figure.subplots_adjust(0.02, 0.03, 0.98, 0.97, hspace=0.12)
        top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
        for i, values in enumerate(np.asarray(trajectory.xs).T):
            spread = np.ptp(values)
            scaled = (values - np.min(values)) / spread if spread > 0 else np.full_like(values, 0.5)
            top.plot(times, scaled, color=STATE_COLOUR, alpha=1 - 0.7 * i / len(task.states))
        for i, (control, values) in enumerate(zip(task.controls, np.asarray(trajectory.us).T, strict=True)):
            scaled = (values - control.low) / (control.high - control.low)
            bottom.stairs(scaled, times, baseline=None, color=CONTROL_COLOUR, alpha=1 - 0.7 * i / len(task.controls))
        bottom.set_ylim(-0.12, 1.12)
        for axis in (top, bottom):
            axis.set(xticks=[], yticks=[])
        pixels = io.BytesIO()
        figure.savefig(pixels)
    from PIL import Image, PngImagePlugin  # matplotlib's own

    told = PngImagePlugin.PngInfo()
    told.add_text("reference", drawn)
    Image.open(pixels).convert("RGB").quantize(24).save(file, optimize=True, pnginfo=told)  # few colours make it small


def _draw_state(axis: "Axes", state: "StateVar", times: Floats, values: Floats) -> None:
    """Draw a state with its range as a band, if that is finite. An edge of it far from the curve is not shown."""
    axis.plot(times, values, color=STATE_COLOUR)
    shown = [*values[np.isfinite(values)]] or [state.start]
    if not math.isnan(state.target):
        # An angle may reach its target after any number of turns.
        turns = np.round((values[-1] - state.target) / state.period) if state.period else 0
        shown.append(state.target + (state.period or 0) * (turns if np.isfinite(turns) else 0))
        axis.plot(times[-1], shown[-1], "D", color=TARGET_COLOUR, markersize=5.5, clip_on=False, zorder=3)
    low, high = min(shown), max(shown)
    size = high - low or max(abs(high), 1e-9)
    if math.isfinite(state.high - state.low):
        axis.axhspan(state.low, state.high, color=RANGE_COLOUR, zorder=0, linewidth=0)
        low = state.low if 0 < low - state.low < 0.6 * size else low
        high = state.high if 0 < state.high - high < 0.6 * size else high
    axis.set_ylim(low - 0.1 * size, high + 0.1 * size)
    axis.set_title(unit_after(state.name, state.unit), loc="left")


def _draw_control(axis: "Axes", control: "ControlVar", times: Floats, values: Floats) -> None:
    """Draw a control as steps, because it is held, between its bounds."""
    for bound in (control.low, control.high):
        axis.axhline(bound, color=CONTROL_COLOUR, linestyle="--", linewidth=0.7, alpha=0.6)
    axis.stairs(values, times, baseline=None, color=CONTROL_COLOUR, linewidth=1.4)
    axis.set_title(unit_after(control.name, control.unit), loc="left")


def _draw_cost(axis: "Axes", times: Floats, trajectory: "Trajectory") -> None:
    """Draw the accumulated running cost, and the terminal cost as a jump at the end."""
    running = np.concatenate([[0.0], np.cumsum(trajectory.costs)])
    total = float(trajectory.cost)
    axis.plot([*times, times[-1]], [*running, total], color=COST_COLOUR)
    axis.plot(times[-1], total, "o", color=COST_COLOUR, markersize=4, clip_on=False)
    axis.set_title("accumulated cost", loc="left")
