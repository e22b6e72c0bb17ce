"""The headline view of a suite: how far every method comes on every task. No JAX here."""

import math
from collections.abc import Iterator
from typing import NamedTuple

from bench.analysis.leaderboard import Leaderboard
from bench.analysis.rows import AggregateRow, TaskRow, from_frame
from bench.report.text import METHOD, Table, number_column

BOUND = " (score 1: a bound)"  # of a noisy task, whose reference is the optimum without noise
BEST = "*"  # marks the best group of a task
CELL = "mean clipped score and, below it, decades of regret; sorted by the score"


class Grid(NamedTuple):
    """A task on one of its grids, with the name that it has among the grids of a suite."""

    task: str
    num_steps: int
    heading: str


class Overview(NamedTuple):
    """The tasks of one suite that have headroom, across, and its methods in the order of the aggregate, down.

    rows: each method with its row on each of `grids`; None where it has no runs
    """

    suite: str
    grids: tuple[Grid, ...]
    rows: tuple[tuple[str, tuple[TaskRow | None, ...]], ...]

    def parts(self, across: int) -> Iterator["Overview"]:
        """The same, `across` grids at a time."""
        for start in range(0, len(self.grids), across):
            part = slice(start, start + across)
            yield Overview(self.suite, self.grids[part], tuple((m, cells[part]) for m, cells in self.rows))


def overviews(board: Leaderboard) -> Iterator[Overview]:
    """One overview for each suite that has any score."""
    aggregate = from_frame(AggregateRow, board.aggregate)
    scored = [row for row in from_frame(TaskRow, board.rows) if not math.isnan(row.clipped)]
    for suite in dict.fromkeys(row.suite for row in aggregate):
        cells = {(row.method, row.task, row.num_steps): row for row in scored if row.suite == suite}
        grids = sorted({(task, steps) for _, task, steps in cells})
        tasks = [task for task, _ in grids]
        noisy = {(row.task, row.num_steps) for row in cells.values() if row.bound}
        headings = [t if tasks.count(t) == 1 else f"{t}, {n} steps" for t, n in grids]
        named = [Grid(*grid, head + BOUND * (grid in noisy)) for grid, head in zip(grids, headings, strict=True)]
        methods = [row.method for row in aggregate if row.suite == suite]
        rows = tuple((m, tuple(cells.get((m, *grid)) for grid in grids)) for m in methods)
        yield Overview(suite, tuple(named), rows)


def overview_tables(leaderboard: Leaderboard, across: int) -> Iterator[Table]:
    """Tables of `across` tasks at a time for each suite: every method on every task."""
    for whole in overviews(leaderboard):
        for part in whole.parts(across):
            columns = (METHOD, *(number_column(grid.heading, CELL) for grid in part.grids))
            rows = [(method, *map(show_cell, cells)) for method, cells in part.rows]
            yield Table(f"{part.suite}: score and decades of regret", columns, rows)


def show_cell(row: TaskRow | None) -> str:
    """Show a method on a task in two lines: its mean score, and its decades of regret; stars mark the best group."""
    if row is None:
        return ""
    score = show_estimate(row.clipped, row.clipped_low, row.clipped_high, 3)
    decades = show_estimate(row.decades, row.decades_low, row.decades_high, 2)
    return f"{BEST * row.clipped_best}{score}\n{BEST * row.decades_best}{decades}"


def show_estimate(value: float, low: float, high: float, decimals: int) -> str:
    """Show a number with the half-width of its interval, where it has one."""
    shown = f"{round(value, decimals) + 0.0:.{decimals}f}"  # + 0.0: no minus before a zero
    return shown if math.isnan(low) else f"{shown} ± {max(value - low, high - value):.{decimals}f}"
