"""The sections of the page: rows, columns and figures of a leaderboard as the template reads them. No JAX here."""

import math
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from bench.analysis.leaderboard import Leaderboard
from bench.analysis.rows import AggregateRow, PairRow, TaskRow, from_frame
from bench.analysis.stats import Floats
from bench.report.chart import Chart
from bench.report.charts import curves, horizon, profiles, quality, targets, trajectories
from bench.report.overview import Overview, overviews
from bench.report.palette import Places, colour, marker, stroke
from bench.report.text import number_column

AREA_COLUMNS = (
    number_column("by updates", "curve area over gradient updates"),
    number_column("by seconds", "curve area over seconds of training"),
)


class Figure(NamedTuple):
    """A chart with its caption and what draw.js draws."""

    chart: Chart
    caption: str
    data: dict[str, Any]


class TaskSection(NamedTuple):
    """The part of the page on one task and grid.

    rows: the highest score first
    scored: whether any run has a score
    figure: the learning curves, where there are scores
    misses: whether any run missed an end-state target
    violations: whether any run violated a constraint
    planners: whether any policy simulates the task to act
    episodes: trajectories, where they were kept
    """

    name: str
    num_steps: int
    rows: list[TaskRow]
    scored: bool
    figure: Figure | None
    misses: bool
    violations: bool
    planners: bool
    episodes: list[Figure]


class SuiteSection(NamedTuple):
    """The part of the page on one suite.

    methods: the best first
    overview: every method on every task; None where there is no score
    aggregate: the best method first
    last_rank: the largest rank, and end of its interval
    pairs: method -> other -> their comparison
    figures: quality against cost, performance profiles and regret targets
    misses: whether any run missed an end-state target
    violations: whether any run violated a constraint
    tasks: the parts on its tasks
    horizons: scores over grids
    """

    name: str
    methods: list[str]
    overview: Overview | None
    aggregate: list[AggregateRow]
    last_rank: int
    pairs: dict[str, dict[str, PairRow]]
    figures: list[Figure]
    misses: bool
    violations: bool
    tasks: list[TaskSection]
    horizons: list[Figure]


class MethodStyle(NamedTuple):
    """How the method at place i is drawn, in words of CSS."""

    name: str
    i: int
    colour: str
    stroke: str
    dashes: str


def suite_sections(board: Leaderboard, of: Places) -> list[SuiteSection]:
    """The parts of the page on suites; `of` has the places of all methods, the best first."""
    aggregate, pairs = from_frame(AggregateRow, board.aggregate), from_frame(PairRow, board.pairs)
    headlines = {overview.suite: overview for overview in overviews(board)}
    tasks = _tasks(board, of)
    summaries = [chart for make in (quality, profiles, targets) for chart in make(board)]
    over_grids = list(horizon(board))

    def figures(suite: str, charts: Iterable[Chart]) -> list[Figure]:
        return [figure_of(chart, of) for chart in charts if chart.suite == suite]

    return [
        SuiteSection(
            name=suite,
            methods=[m for m in of if any(m == row.method for task in sections for row in task.rows)],
            overview=headlines.get(suite),
            aggregate=[row for row in aggregate if row.suite == suite],
            last_rank=max((row.rank_high or 0 for row in aggregate if row.suite == suite), default=0),
            pairs=_matrix(pair for pair in pairs if pair.suite == suite),
            figures=figures(suite, summaries),
            misses=any(task.misses for task in sections),
            violations=any(task.violations for task in sections),
            tasks=sections,
            horizons=figures(suite, over_grids),
        )
        for suite, sections in tasks.items()
    ]


def _tasks(board: Leaderboard, of: Places) -> dict[str, list[TaskSection]]:
    """The parts of the page on tasks, by suite."""
    rows: dict[tuple[str, str, int], list[TaskRow]] = defaultdict(list)
    for row in from_frame(TaskRow, board.rows):
        rows[row.suite, row.task, row.num_steps].append(row)
    drawn = {(chart.suite, chart.task, chart.num_steps): chart for chart in curves(board)}
    episodes: dict[tuple[str, str | None, int | None], list[Figure]] = defaultdict(list)
    for chart in trajectories(board):
        # The heading above names the task, so that what a figure shows is caption enough.
        figure = Figure(chart, chart.y_label, _drawing(chart, of, ""))
        episodes[chart.suite, chart.task, chart.num_steps].append(figure)
    sections: dict[str, list[TaskSection]] = defaultdict(list)
    for (suite, task, steps), group in rows.items():
        chart = drawn.get((suite, task, steps))
        section = TaskSection(
            name=task,
            num_steps=steps,
            rows=group,
            scored=any(not math.isnan(row.clipped) for row in group),
            figure=figure_of(chart, of) if chart else None,
            misses=any(row.end_miss > 0 for row in group),
            violations=any(row.violation > 0 for row in group),
            planners=any(row.acting_env_steps for row in group),
            episodes=episodes[suite, task, steps],
        )
        sections[suite].append(section)
    return sections


def figure_of(chart: Chart, of: Places) -> Figure:
    """A chart as the page draws it; `of` has the places of its methods."""
    return Figure(chart, chart.title, _drawing(chart, of, chart.y_label))


def method_styles(of: Places) -> list[MethodStyle]:
    """How methods are drawn, each in the colour and stroke that it has everywhere."""
    return [_style(name, place) for name, place in of.items()]


def _style(name: str, place: int) -> MethodStyle:
    kind = stroke(place)[1]
    dashes = {"solid": "none", "dashed": "5 2", "dotted": "1.3 1.6"}[kind]
    return MethodStyle(name, place, colour(place), kind, dashes)


def _drawing(chart: Chart, of: Places, y_label: str) -> dict[str, Any]:
    """The values that draw.js reads.

    `m` is the place of a curve's method, None for the best known; `xs` are the abscissas if all curves
    share them.
    """
    common = all(np.array_equal(series.x, chart.series[0].x) for series in chart.series)
    lines = []
    for series in chart.series:
        shown = {"x": None if common else series.x, "y": series.y, "low": series.low, "high": series.high}
        lines.append(
            {
                "m": None if series.method is None else of[series.method],
                "name": series.method,
                **{name: _short(values) for name, values in shown.items() if values is not None},
            }
        )
    return {
        "series": lines,
        "xs": _short(chart.series[0].x) if common else None,
        "x_label": chart.x_label,
        "y_label": y_label,
        "log": chart.log_x and any(bool(np.any(series.x > 0)) for series in chart.series),
        "held": chart.held,
        "marks": {s.method: marker(of[s.method])[1] for s in chart.series if chart.dots and s.method},
        "target": chart.target,
    }


def _short(values: Floats) -> list[float]:
    """Values with four digits, which is what a reader sees of them."""
    return [float(f"{v:.4g}") for v in values]


def _matrix(pairs: Iterable[PairRow]) -> dict[str, dict[str, PairRow]]:
    """Pairs by method and other."""
    table: dict[str, dict[str, PairRow]] = defaultdict(dict)
    for pair in pairs:
        table[pair.method][pair.other] = pair
    return table
