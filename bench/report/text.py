"""How numbers are shown to people: the same in the terminal and in markdown. Files for machines keep full precision."""

import math
from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any, NamedTuple

from bench.analysis.leaderboard import Leaderboard
from bench.analysis.simulator_gap import MARK_ABOVE


class Table(NamedTuple):
    """A title, column heads, and rows of text."""

    title: str
    head: tuple[str, ...]
    rows: list[tuple[str, ...]]


LEGEND = (
    "Scores: 0 is the best constant control, 1 the best known control sequence. IQM is the interquartile mean over "
    "tasks and seeds, of scores clipped to [-1, 1] with -1 for failed runs; so are median, mean and the area under the "
    "learning curve. Methods share a rank where paired permutation tests cannot tell them apart. Gap: the largest "
    "change of a run's final cost when an adaptive solver, or a grid four times finer, scores the policy again; miss: "
    "the largest distance to an end-state target, of the state's range. Above 1 % they are marked !, and counted as "
    "gaps and misses; empty: not measured. Tuned says how many settings were tried, on other tasks, before this one "
    "was chosen."
)
# In the order of their weight: a narrow terminal leaves out the last.
AGGREGATE_HEAD = ("rank", "method", "IQM", "95 % interval", "failed", "gaps", "misses")
AGGREGATE_HEAD += ("median", "mean", "curve area", "tasks", "seeds", "tuned")
ROWS_HEAD = ("method", "score", "95 % interval", "failed", "gap", "miss", "cost", "curve area", "env steps", "train s")


def aggregate_tables(leaderboard: Leaderboard) -> Iterator[Table]:
    """One table per suite: interquartile means over its tasks."""
    rows = leaderboard.aggregate.to_dict("records")
    for suite, group in groupby(rows, lambda row: row["suite"]):
        yield _used(Table(f"{suite}: all tasks", AGGREGATE_HEAD, [_aggregate(row) for row in group]))


def task_tables(leaderboard: Leaderboard) -> Iterator[Table]:
    """One table per suite, task and grid."""
    rows = leaderboard.rows.to_dict("records")
    for (suite, task, steps), group in groupby(rows, lambda row: (row["suite"], row["task"], row["num_steps"])):
        yield _used(Table(f"{suite}: {task}, {steps} steps", ROWS_HEAD, [_row(row) for row in group]))


def _used(table: Table) -> Table:
    """Without the columns of gaps and misses that say nothing: not measured, or no target to miss."""
    nothing = {"gap": ("",), "gaps": ("",), "miss": ("",), "misses": ("", "0")}
    kept = [i for i, n in enumerate(table.head) if any(row[i] not in nothing.get(n, ()) for row in table.rows)]
    head, *rows = (tuple(row[i] for i in kept) for row in (table.head, *table.rows))
    return Table(table.title, head, rows)


def _aggregate(row: Mapping[Any, Any]) -> tuple[str, ...]:
    marks = (count(row[name]) for name in ("failed", "cost_gaps", "end_misses"))
    others = (number(row[name]) for name in ("median", "mean", "auc"))
    sizes = str(row["tasks"]), str(row["seeds"]), tuned(row["trials"])
    return rank(row["rank"]), row["method"], number(row["score"]), interval(row), *marks, *others, *sizes


def _row(row: Mapping[Any, Any]) -> tuple[str, ...]:
    return (
        row["method"],
        number(row["score"]),
        interval(row),
        f"{row['failed']}/{row['seeds']}",
        percent(row["cost_gap"]),
        percent(row["end_miss"]) if row["end_miss"] else "",
        "" if math.isnan(row["cost"]) else f"{row['cost']:.6g}",
        number(row["auc"]),
        str(row["env_steps"]),
        f"{row['train_seconds']:.1f}",
    )


def missing(value: Any) -> bool:
    """Whether a table has no number here: None, nan, or pandas' own."""
    return not isinstance(value, int | float) or math.isnan(value)


def count(value: Any) -> str:
    """A number of runs; empty where nothing was measured, or there was nothing to count."""
    return "" if missing(value) else str(value)


def percent(share: Any) -> str:
    """A gap of cost or a miss of a target, marked where it is too large; empty where it was not measured."""
    if missing(share):
        return ""
    shown = "lost" if share == math.inf else f"{100 * share:.1f} %" if share < 0.0995 else f"{100 * share:.3g} %"
    return f"! {shown}" if share > MARK_ABOVE else shown


def rank(value: Any) -> str:
    """A rank; an oracle has none."""
    return str(value) if isinstance(value, int) else "oracle"


def tuned(trials: int) -> str:
    """How many settings a method's own was chosen from."""
    return f"{trials} trials" if trials else "no"


def number(value: float) -> str:
    """A score: three decimals, none where it is far below the floor, empty where there is no score."""
    if math.isnan(value):
        return ""
    return f"{value:.0f}" if abs(value) >= 10 else f"{round(value, 3) + 0.0:.3f}"  # + 0.0: no minus before a zero


def interval(row: Mapping[Any, Any]) -> str:
    """The two ends of a score's interval."""
    return "" if math.isnan(row["score_low"]) else f"[{number(row['score_low'])}, {number(row['score_high'])}]"
