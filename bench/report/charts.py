"""Leaderboard -> charts: learning curves, performance profiles, regret targets and horizons, as data. No JAX here."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.cells import clipped
from bench.leaderboard import Leaderboard
from bench.stats import Floats

if TYPE_CHECKING:
    import pandas as pd

Line = Mapping[Any, Any]  # of a table


@dataclass(frozen=True)
class Series:
    """A curve of one method, with the ends of its band where it has one."""

    method: str
    x: Floats
    y: Floats
    low: Floats | None = None
    high: Floats | None = None


@dataclass(frozen=True)
class Chart:
    """Curves of several methods. `place` says which of the suite, task and number of steps it belongs to."""

    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    place: Mapping[str, Any] = field(default_factory=dict)
    log_x: bool = False


def curves(board: Leaderboard) -> Iterator[Chart]:
    """Mean score at every evaluation, one chart for each task and grid."""
    for (suite, task, steps), lines in _groups(board.curves, "suite", "task", "num_steps"):
        place = {"suite": suite, "task": task, "num_steps": steps}
        end = max(line["env_steps"] for line in lines)
        series = tuple(_level(curve, end) for curve in _series(lines, "env_steps", "score"))
        yield Chart(f"{task}, {steps} steps", "environment steps", "score (mean over seeds)", series, place)


def profiles(board: Leaderboard) -> Iterator[Chart]:
    """Share of runs above a score, one chart for each suite."""
    for (suite,), lines in _groups(board.profiles, "suite"):
        series = tuple(_series(lines, "threshold", "share"))
        yield Chart(f"{suite}: performance profiles", "score τ", "share of runs above τ", series, {"suite": suite})


def targets(board: Leaderboard) -> Iterator[Chart]:
    """Share of (run, regret target) pairs reached, one chart for each suite and unit of what is spent."""
    words = {"env_steps": "environment steps", "train_seconds": "seconds of training"}
    for (suite, unit), lines in _groups(board.targets, "suite", "unit"):
        series = tuple(_series(lines, "spent", "share"))
        title = f"{suite}: regret targets by {words[unit]}"
        yield Chart(title, words[unit], "share of (run, target) pairs", series, {"suite": suite}, log_x=True)


def horizon(board: Leaderboard) -> Iterator[Chart]:
    """Final score against the number of steps, one chart for each task that was run on several grids."""
    scored = {cell for cell, _ in _groups(board.curves, "suite", "task", "num_steps")}
    for (suite, task), runs in _groups(board.runs, "suite", "task"):
        scores: dict[tuple[str, int], list[float]] = defaultdict(list)
        for run in runs:
            if (suite, task, run["num_steps"]) in scored:
                scores[run["method"], run["num_steps"]].append(float(clipped(np.array(run["score"]))))
        lines = [{"method": m, "num_steps": n, "score": np.mean(of)} for (m, n), of in sorted(scores.items())]
        if len({line["num_steps"] for line in lines}) > 1:
            series = tuple(_series(lines, "num_steps", "score"))
            place = {"suite": suite, "task": task}
            yield Chart(f"{task} over its grids", "steps of an episode", "score (mean over seeds)", series, place, True)


KINDS: Mapping[str, Callable[[Leaderboard], Iterator[Chart]]] = {
    "curves": curves,
    "profiles": profiles,
    "targets": targets,
    "horizon": horizon,
}


def methods(board: Leaderboard) -> list[str]:
    """Every method once, the best first, so that it has the same colour on all charts."""
    return list(dict.fromkeys([*board.aggregate["method"], *sorted(board.rows["method"])]))


def _groups(table: "pd.DataFrame", *columns: str) -> Iterator[tuple[tuple, list[Line]]]:
    """The lines of a table by the values of some columns, in the order of their first lines."""
    groups: dict[tuple, list[Line]] = {}
    for line in table.to_dict("records"):
        groups.setdefault(tuple(line[column] for column in columns), []).append(line)
    yield from groups.items()


def _level(curve: Series, end: int | float) -> Series:
    """A method that spends nothing is evaluated once, and its score holds until `end`."""
    if len(curve.x) > 1:
        return curve
    bands = [None if band is None else np.repeat(band, 2) for band in (curve.low, curve.high)]
    return Series(curve.method, np.append(curve.x, end), np.repeat(curve.y, 2), *bands)


def _series(lines: Sequence[Line], x: str, y: str) -> Iterator[Series]:
    of_method: dict[str, list[Line]] = defaultdict(list)
    for line in lines:
        of_method[line["method"]].append(line)
    for method, of in of_method.items():
        columns = {name: np.array([line.get(name, np.nan) for line in of], float) for name in (x, y, "low", "high")}
        bands = [columns[end] for end in ("low", "high") if np.all(np.isfinite(columns[end]))]
        yield Series(method, columns[x], columns[y], *bands)
