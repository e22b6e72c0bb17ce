"""The sections of the page: rows, columns and figures of a leaderboard as the template reads them. No JAX here."""

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from bench.analysis.leaderboard import Leaderboard
from bench.analysis.rows import AggregateRow, PairRow, RunRow, TaskRow, from_frame
from bench.analysis.stats import Floats
from bench.report.charts import Chart, curves, horizon, profiles, targets, trajectories
from bench.report.plots import colour, stroke
from bench.report.text import METHOD, number_column, show_number, show_percent, text_column

ERROR_CHARACTERS = 400  # the end of a failed run's message, which the list of runs shows


AREA_COLUMNS = (
    number_column("by updates", "curve area over gradient updates"),
    number_column("by seconds", "curve area over seconds of training"),
)


RUN_COLUMNS = (
    text_column("suite", "the suite that the run belongs to"),
    text_column("task", "name of the task"),
    number_column("steps", "control intervals of the task's grid"),
    METHOD,
    number_column("seed", "seed of the run"),
    text_column("status", "ok, diverged or failed"),
    number_column("cost", "mean of the last five evaluations"),
    number_column("score", "unclipped"),
    number_column("gap", "largest change of the final cost when an adaptive solver, or a finer grid, scores it again"),
    number_column("miss", "largest distance to an end-state target, of the state's range"),
    number_column("train s", "seconds of training, without compilation and evaluation"),
    text_column("started", "time at which the run began"),
    number_column("origin", "number of the line above that says what made the run"),
)


ORIGIN_COLUMNS = (
    number_column("origin", "number by which the list of runs names this line"),
    text_column("version", "version of this package"),
    text_column("commit", "commit of this package"),
    text_column("tree", "whether files were changed since that commit"),
    text_column("device", "the processor that the runs were computed on"),
    text_column("precision", "floating-point numbers of the training"),
)


class Figure(NamedTuple):
    """A chart with its caption and what draw.js draws."""

    chart: Chart
    caption: str
    data: dict[str, Any]


class TaskSection(NamedTuple):
    """The part of the page on one task and grid.

    rows: the highest score first
    figure: the learning curves, where there are scores
    misses: whether any run missed an end-state target
    episodes: trajectories, where they were kept
    """

    name: str
    num_steps: int
    rows: list[TaskRow]
    figure: Figure | None
    misses: bool
    episodes: list[Figure]


class SuiteSection(NamedTuple):
    """The part of the page on one suite.

    aggregate: the best method first
    pairs: method -> other -> their comparison
    figures: performance profiles and regret targets
    misses: whether any run missed an end-state target
    tasks: the parts on its tasks
    horizons: scores over grids
    """

    name: str
    aggregate: list[AggregateRow]
    pairs: dict[str, dict[str, PairRow]]
    figures: list[Figure]
    misses: bool
    tasks: list[TaskSection]
    horizons: list[Figure]


class MethodStyle(NamedTuple):
    """How the i-th method is drawn, in words of CSS."""

    name: str
    i: int
    colour: str
    stroke: str
    dashes: str


class Origin(NamedTuple):
    """What made a run: version and commit of this package, whether files were changed since, device, precision."""

    version: str | None
    commit: str | None
    dirty: bool | None
    device: str | None
    precision: str | None


def suite_sections(board: Leaderboard, order: Sequence[str]) -> list[SuiteSection]:
    """The parts of the page on suites; `order` is that of the methods' colours."""
    aggregate, pairs = from_frame(AggregateRow, board.aggregate), from_frame(PairRow, board.pairs)
    tasks = _tasks(board, order)
    summaries = [chart for make in (profiles, targets) for chart in make(board)]
    over_grids = list(horizon(board))

    def figures(suite: str, charts: Iterable[Chart]) -> list[Figure]:
        return [_figure(chart, order) for chart in charts if chart.suite == suite]

    return [
        SuiteSection(
            name=suite,
            aggregate=[row for row in aggregate if row.suite == suite],
            pairs=_matrix(pair for pair in pairs if pair.suite == suite),
            figures=figures(suite, summaries),
            misses=any(task.misses for task in sections),
            tasks=sections,
            horizons=figures(suite, over_grids),
        )
        for suite, sections in tasks.items()
    ]


def _tasks(board: Leaderboard, order: Sequence[str]) -> dict[str, list[TaskSection]]:
    """The parts of the page on tasks, by suite."""
    rows: dict[tuple[str, str, int], list[TaskRow]] = defaultdict(list)
    for row in from_frame(TaskRow, board.rows):
        rows[row.suite, row.task, row.num_steps].append(row)
    drawn = {(chart.suite, chart.task, chart.num_steps): chart for chart in curves(board)}
    episodes: dict[tuple[str, str | None, int | None], list[Figure]] = defaultdict(list)
    for chart in trajectories(board):
        # The heading above names the task, so that what a figure shows is caption enough.
        figure = Figure(chart, chart.y_label, _drawing(chart, order, ""))
        episodes[chart.suite, chart.task, chart.num_steps].append(figure)
    sections: dict[str, list[TaskSection]] = defaultdict(list)
    for (suite, task, steps), group in rows.items():
        chart = drawn.get((suite, task, steps))
        section = TaskSection(
            name=task,
            num_steps=steps,
            rows=group,
            figure=_figure(chart, order) if chart else None,
            misses=any(row.end_miss > 0 for row in group),
            episodes=episodes[suite, task, steps],
        )
        sections[suite].append(section)
    return sections


def _figure(chart: Chart, order: Sequence[str]) -> Figure:
    return Figure(chart, chart.title, _drawing(chart, order, chart.y_label))


def method_style(i: int, name: str) -> MethodStyle:
    kind = stroke(i)[1]
    dashes = {"solid": "none", "dashed": "5 2", "dotted": "1.3 1.6"}[kind]
    return MethodStyle(name, i, colour(i), kind, dashes)


def _drawing(chart: Chart, order: Sequence[str], y_label: str) -> dict[str, Any]:
    """The values that draw.js reads.

    A curve names its method by the place in `order`, None for the best known; `xs` are the abscissas if all curves
    share them.
    """
    common = all(np.array_equal(series.x, chart.series[0].x) for series in chart.series)
    lines = []
    for series in chart.series:
        shown = {"x": None if common else series.x, "y": series.y, "low": series.low, "high": series.high}
        place = None if series.method is None else order.index(series.method)
        lines.append({"m": place, **{name: _short(values) for name, values in shown.items() if values is not None}})
    return {
        "series": lines,
        "xs": _short(chart.series[0].x) if common else None,
        "x_label": chart.x_label,
        "y_label": y_label,
        "log": chart.log_x and any(bool(np.any(series.x > 0)) for series in chart.series),
        "held": chart.held,
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


def origin_of(run: RunRow) -> Origin:
    return Origin(run.version, run.commit, run.dirty, run.device, run.precision)


def run_line(run: RunRow, origin: int) -> list[Any]:
    """The cells of RUN_COLUMNS for a run, then its error; page.js makes a line of the list of runs from them.

    A cell whose text does not sort like its value has both: [value, text].
    """
    return [
        run.suite,
        run.task,
        run.num_steps,
        run.method,
        run.seed,
        run.status,
        show_number(run.cost),
        show_number(run.score, digits=4),
        [sort_key(run.cost_gap), show_percent(run.cost_gap)],
        [sort_key(run.end_miss), show_percent(run.end_miss)],
        show_number(run.train_seconds, digits=3),
        (run.started or "")[:16],
        origin,
        run.error[-ERROR_CHARACTERS:],
    ]


def setting_texts(runs: Sequence[RunRow]) -> Iterator[tuple[str, str]]:
    """Every setting of every cell as text: first of the methods, then of the tasks and budgets.

    Cells of a method with the same settings stand together.
    """
    first_of_cell: dict[tuple[str, str, int, str], RunRow] = {}
    for run in runs:
        first_of_cell.setdefault((run.suite, run.task, run.num_steps, run.method), run)
    methods: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)
    tasks: dict[str, str] = {}
    for run in first_of_cell.values():
        grid = f"{run.task} ({run.num_steps} steps)"
        methods[run.method, json.dumps(run.settings.get("method", {}), indent=1)][grid] = None
        of_task = {name: run.settings.get(name, {}) for name in ("task", "budget")}
        tasks.setdefault(f"{run.suite}: {grid}", json.dumps(of_task, indent=1))
    for (method, settings), grids in methods.items():
        yield f"{method} on {', '.join(grids)}", settings
    yield from tasks.items()


def sort_key(value: int | float | None) -> str:
    """A number in full, by which the page sorts; empty where there is none."""
    if value is None or math.isnan(value):
        return ""
    return repr(float(value)).replace("inf", "Infinity")
