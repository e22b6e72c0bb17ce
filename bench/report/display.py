"""How numbers are shown to people: the same in the terminal and in markdown. Files for machines keep full precision."""

import math
from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any, NamedTuple

from bench.leaderboard import Leaderboard


class Table(NamedTuple):
    """A title, column heads, and rows of text."""

    title: str
    head: tuple[str, ...]
    rows: list[tuple[str, ...]]


LEGEND = (
    "Scores: 0 is the best constant control, 1 the best known control sequence. IQM is the interquartile mean over "
    "tasks and seeds, of scores clipped to [-1, 1] with -1 for failed runs; so are median, mean and the area under the "
    "learning curve. Methods share a rank where paired permutation tests cannot tell them apart. Tuned says how many "
    "settings were tried, on other tasks, before this one was chosen."
)
AGGREGATE_HEAD = (
    "rank",
    "method",
    "IQM",
    "95 % interval",
    "median",
    "mean",
    "curve area",
    "failed",
    "tasks",
    "seeds",
    "tuned",
)
ROWS_HEAD = ("method", "score", "95 % interval", "curve area", "cost", "failed", "env steps", "train s")


def aggregate_tables(leaderboard: Leaderboard) -> Iterator[Table]:
    """One table per suite: interquartile means over its tasks."""
    rows = leaderboard.aggregate.to_dict("records")
    for suite, group in groupby(rows, lambda row: row["suite"]):
        yield Table(f"{suite}: all tasks", AGGREGATE_HEAD, [_aggregate(row) for row in group])


def task_tables(leaderboard: Leaderboard) -> Iterator[Table]:
    """One table per suite, task and grid."""
    rows = leaderboard.rows.to_dict("records")
    for (suite, task, steps), group in groupby(rows, lambda row: (row["suite"], row["task"], row["num_steps"])):
        yield Table(f"{suite}: {task}, {steps} steps", ROWS_HEAD, [_row(row) for row in group])


def _aggregate(row: Mapping[Any, Any]) -> tuple[str, ...]:
    shown = (number(row["score"]), interval(row), *(number(row[name]) for name in ("median", "mean", "auc")))
    return (
        rank(row["rank"]),
        row["method"],
        *shown,
        *(str(row[name]) for name in ("failed", "tasks", "seeds")),
        tuned(row["trials"]),
    )


def _row(row: Mapping[Any, Any]) -> tuple[str, ...]:
    return (
        row["method"],
        number(row["score"]),
        interval(row),
        number(row["auc"]),
        "" if math.isnan(row["cost"]) else f"{row['cost']:.6g}",
        f"{row['failed']}/{row['seeds']}",
        str(row["env_steps"]),
        f"{row['train_seconds']:.1f}",
    )


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
