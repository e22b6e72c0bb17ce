"""Leaderboard -> charts: learning curves, profiles, regret targets, horizons and trajectories, as data. No JAX here."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.analysis.leaderboard import Leaderboard
from bench.analysis.scores import clipped
from bench.analysis.stats import Floats
from bench.analysis.trajectories import MedianTrajectory

if TYPE_CHECKING:
    import pandas as pd

Line = Mapping[Any, Any]  # of a table


@dataclass(frozen=True)
class Series:
    """A curve of one method, or of the reference (None), with the ends of its band where it has one."""

    method: str | None
    x: Floats
    y: Floats
    low: Floats | None = None
    high: Floats | None = None


@dataclass(frozen=True)
class Chart:
    """Curves of several methods. `place` says which of the suite, task and number of steps it belongs to; with `held`,
    a value is that until the next point. `target` is where the curves should end."""

    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    place: Mapping[str, Any] = field(default_factory=dict)
    log_x: bool = False
    held: bool = False
    target: float | None = None


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
    words = {"env_steps": "environment steps", "updates": "gradient updates", "train_seconds": "seconds of training"}
    for (suite, unit), lines in _groups(board.targets, "suite", "unit"):
        series = tuple(_series(lines, "spent", "share"))
        title = f"{suite}: regret targets reached"
        yield Chart(title, words[unit], "share of (run, target)", series, {"suite": suite}, log_x=True)


def horizon(board: Leaderboard) -> Iterator[Chart]:
    """Final score against the number of steps, one chart for each task that was run on several grids."""
    scored = board.curves[["suite", "task", "num_steps"]].drop_duplicates()
    runs = board.runs.merge(scored).assign(score=lambda table: clipped(table["score"].to_numpy(float)))
    means = runs.groupby(["suite", "task", "method", "num_steps"], as_index=False).agg({"score": "mean"})
    for (suite, task), lines in _groups(means, "suite", "task"):
        if len({line["num_steps"] for line in lines}) > 1:
            series = tuple(_series(lines, "num_steps", "score"))
            place = {"suite": suite, "task": task}
            yield Chart(f"{task} over its grids", "steps of an episode", "score (mean over seeds)", series, place, True)


def trajectories(board: Leaderboard) -> Iterator[Chart]:
    """States, controls and accumulated cost of the median run of each method beside the best known control sequence,
    one chart for each of them, task and grid."""
    groups: dict[tuple[str, str, int], list[MedianTrajectory]] = defaultdict(list)
    for shown in board.trajectories:
        groups[shown.cell.suite, shown.cell.task, shown.cell.num_steps].append(shown)
    for (suite, task, steps), group in groups.items():
        of = group[0].stored["task"]
        episodes: list[tuple[str | None, Line]] = [(s.cell.method, s.stored["policy"]) for s in group]
        best = next((s.stored["reference"] for s in group if s.stored["reference"]), None)
        if best:
            episodes.insert(0, (None, best))  # below all others
        times = np.linspace(0.0, of["horizon"], steps + 1)
        time = unit_after("time", of["time_unit"])
        place = {"suite": suite, "task": task, "num_steps": steps}
        for i, state in enumerate(of["states"]):
            lines = tuple(Series(name, times, np.array(e["states"])[:, i]) for name, e in episodes)
            yield Chart(
                f"{task}: {state['name']}",
                time,
                unit_after(state["name"], state["unit"]),
                lines,
                place,
                target=state["target"],
            )
        for i, control in enumerate(of["controls"]):
            values = [np.array(e["controls"])[:, i] for _, e in episodes]
            lines = tuple(Series(n, times, np.append(v, v[-1])) for (n, _), v in zip(episodes, values, strict=True))
            label = unit_after(control["name"], control["unit"])
            yield Chart(f"{task}: {control['name']}", time, label, lines, place, held=True)
        # The terminal cost is a jump at the end.
        ends = np.append(times, times[-1])
        lines = tuple(Series(n, ends, np.array([0.0, *np.cumsum(e["costs"]), e["cost"]])) for n, e in episodes)
        yield Chart(f"{task}: accumulated cost", time, "accumulated cost", lines, place)


def unit_after(name: str, unit: str) -> str:
    """A name, and its unit unless that is 1."""
    return name if unit == "1" else f"{name} ({unit.replace('mm3', 'mm³')})"


KINDS: Mapping[str, Callable[[Leaderboard], Iterator[Chart]]] = {
    "curves": curves,
    "profiles": profiles,
    "targets": targets,
    "horizon": horizon,
    "trajectories": trajectories,
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
