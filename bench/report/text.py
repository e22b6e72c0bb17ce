"""Tables and numbers for people: the same in the terminal, in markdown and on the page. No JAX here.

Files for machines keep numbers in full precision (`bench.report.data_files`).
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Generic, Literal, TypeVar

from bench.analysis.leaderboard import Leaderboard
from bench.analysis.rows import AggregateRow, TaskRow, from_frame
from bench.analysis.simulator_gap import MARK_ABOVE

Row = TypeVar("Row")


@dataclass(frozen=True)
class Column:
    """A column of a table of text: its heading, what its cells mean, and the side to which they are aligned."""

    heading: str
    meaning: str = ""
    align: Literal["left", "right"] = "left"


def text_column(heading: str, meaning: str = "") -> Column:
    """A column of names or words."""
    return Column(heading, meaning, "left")


def number_column(heading: str, meaning: str = "") -> Column:
    """A column of numbers."""
    return Column(heading, meaning, "right")


@dataclass(frozen=True)
class Table:
    """A table of text: one cell in each row for each of `columns`."""

    title: str
    columns: tuple[Column, ...]
    rows: list[tuple[str, ...]]

    @property
    def headings(self) -> tuple[str, ...]:
        return tuple(column.heading for column in self.columns)


@dataclass(frozen=True)
class RowColumn(Generic[Row]):
    """A column whose cells are made from the rows of a leaderboard.

    column: its heading, meaning and alignment
    text: the cell of a row
    silent: texts that say nothing; a column in which all cells say nothing is left out
    """

    column: Column
    text: Callable[[Row], str]
    silent: tuple[str, ...] = ()


LEGEND = (
    "Scores: 0 is the best constant control, 1 the best known control sequence. IQM is the interquartile mean over "
    "tasks and seeds, of scores clipped to [-1, 1] with -1 for failed runs; so are median, mean and the area under "
    "the learning curve. Methods share a rank where paired permutation tests cannot tell them apart; planners, which "
    "simulate the task to act, are ranked among themselves, and oracles, which are not charged for all that they "
    "simulate, are not. Gap: the largest change of a run's final cost when an adaptive solver, or a grid four times "
    "finer, scores the policy again; miss: the largest distance to an end-state target, of the state's range. Above 1 "
    "% they are marked !, and counted as gaps and misses; empty: not measured. Tuned says how many settings were "
    "tried, on other tasks, before this one was chosen."
)


def aggregate_tables(leaderboard: Leaderboard) -> Iterator[Table]:
    """One table for each suite: its methods over all tasks."""
    rows = from_frame(AggregateRow, leaderboard.aggregate)
    for suite, group in groupby(rows, lambda row: row.suite):
        yield _table(f"{suite}: all tasks", AGGREGATE_COLUMNS, list(group))


def task_tables(leaderboard: Leaderboard) -> Iterator[Table]:
    """One table for each suite, task and grid."""
    rows = from_frame(TaskRow, leaderboard.rows)
    for (suite, task, steps), group in groupby(rows, lambda row: (row.suite, row.task, row.num_steps)):
        yield _table(f"{suite}: {task}, {steps} steps", TASK_COLUMNS, list(group))


def _table(title: str, columns: Sequence[RowColumn[Row]], rows: Sequence[Row]) -> Table:
    """The rows as text, without the columns that say nothing."""
    cells = [(each, [each.text(row) for row in rows]) for each in columns]
    kept = [(each.column, texts) for each, texts in cells if any(text not in each.silent for text in texts)]
    return Table(title, tuple(column for column, _ in kept), list(zip(*(texts for _, texts in kept), strict=True)))


def show_count(value: int | None) -> str:
    """Show a number of runs; empty where nothing was measured."""
    return "" if value is None else str(value)


def show_percent(share: float) -> str:
    """Show a gap of cost or a miss of a target, marked where it is too large; empty where it was not measured."""
    if math.isnan(share):
        return ""
    shown = "lost" if share == math.inf else f"{100 * share:.1f} %" if share < 0.0995 else f"{100 * share:.3g} %"
    return f"! {shown}" if share > MARK_ABOVE else shown


def show_rank(row: AggregateRow) -> str:
    """Show a rank, and the class of a method that is no learner; an oracle has no rank."""
    if row.rank is None:
        return row.kind
    return str(row.rank) if row.kind == "learner" else f"{row.kind} {row.rank}"


def show_trials(trials: int) -> str:
    """Show the number of settings from which a method's own was chosen."""
    return f"{trials} trials" if trials else "no"


def show_score(value: float) -> str:
    """Show a score with three decimals, or with none far below the floor; empty where there is no score."""
    if math.isnan(value):
        return ""
    return f"{value:.0f}" if abs(value) >= 10 else f"{round(value, 3) + 0.0:.3f}"  # + 0.0: no minus before a zero


def show_interval(low: float, high: float) -> str:
    """Show the ends of a score's interval; empty where there is none."""
    return "" if math.isnan(low) else f"[{show_score(low)}, {show_score(high)}]"


def show_number(value: float, digits: int = 6) -> str:
    """Show a number with so many significant digits; empty where there is none."""
    return "" if math.isnan(value) else f"{value:.{digits}g}"


METHOD = text_column("method", "name of the method, with its settings where a suite has several variants of it")
# Columns stand in the order of their weight, because a narrow terminal leaves out the last.
AGGREGATE_COLUMNS: tuple[RowColumn[AggregateRow], ...] = (
    RowColumn(
        number_column(
            "rank", "among its class; methods share one where paired permutation tests cannot tell them apart"
        ),
        show_rank,
    ),
    RowColumn(METHOD, lambda row: row.method),
    RowColumn(
        number_column("IQM", "interquartile mean of clipped scores over tasks and seeds"),
        lambda row: show_score(row.score),
    ),
    RowColumn(
        number_column("95 % interval", "bootstrap interval of the interquartile mean"),
        lambda row: show_interval(row.score_low, row.score_high),
    ),
    RowColumn(
        number_column("failed", "runs that raised an error or whose cost was not finite"),
        lambda row: show_count(row.failed),
    ),
    RowColumn(
        number_column("gaps", "runs whose cost changes by more than 1 % when scored again"),
        lambda row: show_count(row.cost_gaps),
        silent=("",),
    ),
    RowColumn(
        number_column("misses", "runs that miss an end-state target by more than 1 % of the state's range"),
        lambda row: show_count(row.end_misses),
        silent=("", "0"),
    ),
    RowColumn(
        number_column("median", "median over tasks of the mean clipped score over seeds"),
        lambda row: show_score(row.median),
    ),
    RowColumn(
        number_column("mean", "mean over tasks of the mean clipped score over seeds"),
        lambda row: show_score(row.mean),
    ),
    RowColumn(
        number_column("curve area", "mean clipped score over the budget of environment steps"),
        lambda row: show_score(row.auc),
    ),
    RowColumn(number_column("tasks", "tasks with a score, each on every grid"), lambda row: show_count(row.tasks)),
    RowColumn(number_column("seeds", "smallest number of runs on a task"), lambda row: show_count(row.seeds)),
    RowColumn(
        number_column("tuned", "settings that were tried, on other tasks, before this one was chosen"),
        lambda row: show_trials(row.trials),
    ),
)
TASK_COLUMNS: tuple[RowColumn[TaskRow], ...] = (
    RowColumn(METHOD, lambda row: row.method),
    RowColumn(
        number_column("score", "unclipped mean over the runs that finished"),
        lambda row: show_score(row.score),
    ),
    RowColumn(
        number_column("95 % interval", "bootstrap interval of the score"),
        lambda row: show_interval(row.score_low, row.score_high),
    ),
    RowColumn(
        number_column("failed", "runs that raised an error or whose cost was not finite, of all"),
        lambda row: f"{row.failed}/{row.seeds}",
    ),
    RowColumn(
        number_column(
            "gap", "largest change of a run's final cost when an adaptive solver, or a finer grid, scores it again"
        ),
        lambda row: show_percent(row.cost_gap),
        silent=("",),
    ),
    RowColumn(
        number_column("miss", "largest distance to an end-state target, of the state's range"),
        lambda row: show_percent(row.end_miss) if row.end_miss else "",
        silent=("",),
    ),
    RowColumn(number_column("cost", "mean cost of the runs that finished"), lambda row: show_number(row.cost)),
    RowColumn(
        number_column("curve area", "mean clipped score over the budget of environment steps"),
        lambda row: show_score(row.auc),
    ),
    RowColumn(number_column("env steps", "environment steps per run"), lambda row: show_count(row.env_steps)),
    RowColumn(
        number_column("steps simulated to act", "environment steps that the policy simulates in one judged episode"),
        lambda row: show_count(row.acting_env_steps),
        silent=("0",),
    ),
    RowColumn(
        number_column("train s", "seconds of training per run, without compilation and evaluation"),
        lambda row: f"{row.train_seconds:.1f}",
    ),
)
