"""Tables and numbers for people: the same in the terminal, in markdown and on the page. No JAX here.

Files for machines keep numbers in full precision (`bench.report.data_files`).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Generic, Literal, TypeVar

from bench.analysis.leaderboard import Leaderboard
from bench.analysis.rows import AggregateRow, TaskRow, from_frame
from bench.report.shown import show_count, show_interval, show_number, show_percent, show_rank, show_score, show_trials

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
    "Scores: 0 is the best constant control, 1 the best known control sequence. Methods are compared by scores "
    "clipped to [-1, 1], with -1 for failed runs. The table of all tasks has in each cell the mean score over seeds "
    "and, below it, the decades of regret: the mean of -log10 of the share of the headroom that is left, at least "
    "1e-4; after ± the half-width of the 95 % interval. A star: the method may be the best of the task on this scale "
    "(Welch's t, one-sided, 0.05 for all comparisons with the best). IQM is the interquartile mean over tasks and "
    "seeds; won: tasks where no ranked method has a higher mean score. A rank is a method's place by IQM, with its 95 "
    "% interval. Methods that share a letter are not separated (Welch's t of their IQMs, Holm over all pairs, level "
    "0.05). Fewer than 5 seeds have no interval, and without 5 seeds on every task there is no rank. Planners, which "
    "simulate the task to act, are ranked among themselves; oracles, which are not charged for all that they simulate, "
    "are not ranked. Gap: the largest change of a run's final cost when an adaptive solver, or a grid four times "
    "finer, scores the policy again; miss: the largest distance to an end-state target, of the state's range; "
    "violation: the largest of a constraint, of its range. Above 1 % they are marked ! and counted; empty: not "
    "measured. Tuned says how many settings all searches "
    "tried, on other tasks, before this one was chosen."
)
COVERAGE = (
    "On smoothed distributions of published records, the interval of the IQM holds the truth in 96, 96 and 95 % of "
    "cases at 5, 10 and 20 seeds, that of the mean over tasks in 92 to 93 % (80 % for a method with rare successes), "
    "and that of the mean score on one task, whose runs are skewed, in 89, 92 and 93 %."
)
NOISE_FREE = " (score 1: a bound, the optimum without noise)"
METHOD = text_column("method", "name of the method, with its settings where a suite has several variants of it")


def aggregate_tables(leaderboard: Leaderboard) -> Iterator[Table]:
    """One table for each suite: its methods over all tasks."""
    rows = from_frame(AggregateRow, leaderboard.aggregate)
    for suite, group in groupby(rows, lambda row: row.suite):
        yield _table(f"{suite}: all tasks", AGGREGATE_COLUMNS, list(group))


def task_tables(leaderboard: Leaderboard) -> Iterator[Table]:
    """One table for each suite, task and grid."""
    rows = from_frame(TaskRow, leaderboard.rows)
    for (suite, task, steps), group in groupby(rows, lambda row: (row.suite, row.task, row.num_steps)):
        each = list(group)
        yield _table(f"{suite}: {task}, {steps} steps{NOISE_FREE * each[0].bound}", TASK_COLUMNS, each)


def _table(title: str, columns: Sequence[RowColumn[Row]], rows: Sequence[Row]) -> Table:
    """The rows as text, without the columns that say nothing."""
    cells = [(each, [each.text(row) for row in rows]) for each in columns]
    kept = [(each.column, texts) for each, texts in cells if any(text not in each.silent for text in texts)]
    return Table(title, tuple(column for column, _ in kept), list(zip(*(texts for _, texts in kept), strict=True)))


# Columns stand in the order of their weight, because a narrow terminal leaves out the last.
AGGREGATE_COLUMNS: tuple[RowColumn[AggregateRow], ...] = (
    RowColumn(
        number_column("rank", "place in its class by the interquartile mean, with the 95 % interval of the rank"),
        show_rank,
    ),
    RowColumn(METHOD, lambda row: row.method),
    RowColumn(
        text_column("group", "methods that share a letter are not separated by a test of their interquartile means"),
        lambda row: row.letters,
        silent=("",),
    ),
    RowColumn(
        number_column("IQM", "interquartile mean of clipped scores over tasks and seeds"),
        lambda row: show_score(row.score),
    ),
    RowColumn(
        number_column("95 % interval", "of the interquartile mean"),
        lambda row: show_interval(row.score_low, row.score_high),
        silent=("",),
    ),
    RowColumn(
        number_column("mean", "mean over tasks of the mean clipped score over seeds"),
        lambda row: show_score(row.mean),
    ),
    RowColumn(
        number_column("won", "tasks where no ranked method has a higher mean clipped score"),
        lambda row: show_count(row.won),
        silent=("",),
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
        number_column("violations", "runs that violate a constraint by more than 1 % of its range"),
        lambda row: show_count(row.violations),
        silent=("", "0"),
    ),
    RowColumn(
        number_column("curve area", "mean clipped score over the budget of environment steps"),
        lambda row: show_score(row.auc),
    ),
    RowColumn(number_column("tasks", "tasks with a score, each on every grid"), lambda row: show_count(row.tasks)),
    RowColumn(number_column("seeds", "smallest number of runs on a task"), lambda row: show_count(row.seeds)),
    RowColumn(
        number_column("tuned", "settings that all searches tried, on other tasks, before this one was chosen"),
        lambda row: show_trials(row.trials),
    ),
)
TASK_COLUMNS: tuple[RowColumn[TaskRow], ...] = (
    RowColumn(METHOD, lambda row: row.method),
    RowColumn(
        number_column("unclipped", "mean unclipped score of the runs that finished"),
        lambda row: show_score(row.score),
    ),
    RowColumn(
        number_column("95 % interval", "of the unclipped mean score"),
        lambda row: show_interval(row.score_low, row.score_high),
        silent=("",),
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
    RowColumn(
        number_column("violation", "largest violation of a constraint, of its range"),
        lambda row: show_percent(row.violation) if row.violation else "",
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
