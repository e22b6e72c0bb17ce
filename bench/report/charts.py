"""Leaderboard -> charts as data: learning curves, profiles, regret targets, horizons, trajectories. No JAX here."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np

from bench.analysis.leaderboard import Leaderboard
from bench.analysis.rows import CurvePoint, ProfilePoint, TargetPoint, from_frame
from bench.analysis.scores import clipped
from bench.analysis.stats import Floats
from bench.analysis.trajectories import MedianTrajectory

UNIT_LABELS = {
    "env_steps": "environment steps",
    "updates": "gradient updates",
    "train_seconds": "seconds of training",
}


@dataclass(frozen=True)
class Series:
    """A curve of one method, with the ends of its band where it has one; `method` is None for the reference.

    x, y, low, high: "points"
    """

    method: str | None
    x: Floats
    y: Floats
    low: Floats | None = None
    high: Floats | None = None


@dataclass(frozen=True)
class Chart:
    """Curves of several methods.

    suite, task, num_steps: the part of the leaderboard that the chart shows; None: all of them
    log_x: whether the axis of abscissas is logarithmic
    held: whether a value lasts until the next point
    target: where the curves should end, where there is such a value
    """

    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    suite: str
    task: str | None = None
    num_steps: int | None = None
    log_x: bool = False
    held: bool = False
    target: float | None = None


class GridMean(NamedTuple):
    """Mean clipped score of a method on one grid of a task."""

    suite: str
    task: str
    method: str
    num_steps: int
    score: float


Key = TypeVar("Key")
Point = TypeVar("Point")
MethodPoint = TypeVar("MethodPoint", CurvePoint, ProfilePoint, TargetPoint, GridMean)


def curves(board: Leaderboard) -> Iterator[Chart]:
    """Mean score at every evaluation, one chart for each task and grid."""
    points = from_frame(CurvePoint, board.curves)
    for (suite, task, steps), group in _grouped(points, lambda p: (p.suite, p.task, p.num_steps)).items():
        end = max(point.env_steps for point in group)
        lines = _series(group, lambda p: (p.env_steps, p.score), lambda p: (p.low, p.high))
        yield Chart(
            title=f"{task}, {steps} steps",
            x_label="environment steps",
            y_label="score (mean over seeds)",
            series=tuple(_extended(line, end) for line in lines),
            suite=suite,
            task=task,
            num_steps=steps,
        )


def profiles(board: Leaderboard) -> Iterator[Chart]:
    """Share of runs above a score, one chart for each suite."""
    for suite, group in _grouped(from_frame(ProfilePoint, board.profiles), lambda p: p.suite).items():
        yield Chart(
            title=f"{suite}: performance profiles",
            x_label="score τ",
            y_label="share of runs above τ",
            series=tuple(_series(group, lambda p: (p.threshold, p.share), lambda p: (p.low, p.high))),
            suite=suite,
        )


def targets(board: Leaderboard) -> Iterator[Chart]:
    """Share of (run, regret target) pairs reached, one chart for each suite and unit of what a run spends."""
    for (suite, unit), group in _grouped(from_frame(TargetPoint, board.targets), lambda p: (p.suite, p.unit)).items():
        yield Chart(
            title=f"{suite}: regret targets reached",
            x_label=UNIT_LABELS[unit],
            y_label="share of (run, target)",
            series=tuple(_series(group, lambda p: (p.spent, p.share))),
            suite=suite,
            log_x=True,
        )


def horizon(board: Leaderboard) -> Iterator[Chart]:
    """Final score against the number of steps, one chart for each task that was run on several grids."""
    with_scores = board.curves[["suite", "task", "num_steps"]].drop_duplicates()
    runs = board.runs.merge(with_scores).assign(score=lambda table: clipped(table["score"].to_numpy(float)))
    means = runs.groupby(["suite", "task", "method", "num_steps"], as_index=False).agg({"score": "mean"})
    points = [GridMean(**line) for line in means.to_dict("records")]
    for (suite, task), group in _grouped(points, lambda p: (p.suite, p.task)).items():
        if len({point.num_steps for point in group}) > 1:
            yield Chart(
                title=f"{task} over its grids",
                x_label="steps of an episode",
                y_label="score (mean over seeds)",
                series=tuple(_series(group, lambda p: (p.num_steps, p.score))),
                suite=suite,
                task=task,
                log_x=True,
            )


class Episodes(NamedTuple):
    """The episodes that the charts of one task and grid show.

    task: what the numbers mean: states, controls and horizon, as stored
    stored: methods with their episodes, as stored; the method is None for the best known control sequence
    """

    suite: str
    name: str
    num_steps: int
    task: Mapping[str, Any]
    stored: Sequence[tuple[str | None, Mapping[str, Any]]]

    @property
    def times(self) -> Floats:
        """Times of the knots, "knots"."""
        return np.linspace(0.0, self.task["horizon"], self.num_steps + 1)

    def chart(self, quantity: str, y_label: str, series: Iterable[Series], **drawn: Any) -> Chart:
        """A chart of one quantity against time."""
        return Chart(
            title=f"{self.name}: {quantity}",
            x_label=unit_after("time", self.task["time_unit"]),
            y_label=y_label,
            series=tuple(series),
            suite=self.suite,
            task=self.name,
            num_steps=self.num_steps,
            **drawn,
        )


def trajectories(board: Leaderboard) -> Iterator[Chart]:
    """Trajectories of the median run of each method beside the best known control sequence.

    Each task and grid has a chart for every state, for every control and for the accumulated cost.
    """
    groups = _grouped(board.trajectories, lambda each: (each.cell.suite, each.cell.task, each.cell.num_steps))
    for (suite, name, steps), group in groups.items():
        episodes = Episodes(suite, name, steps, group[0].stored["task"], _episodes(group))
        yield from _state_charts(episodes)
        yield from _control_charts(episodes)
        yield _cost_chart(episodes)


def _episodes(group: Sequence[MedianTrajectory]) -> list[tuple[str | None, Mapping[str, Any]]]:
    """The best known episode first, so that it is drawn below all others; then that of each method."""
    best = next((each.stored["reference"] for each in group if each.stored["reference"]), None)
    known: list[tuple[str | None, Mapping[str, Any]]] = [(None, best)] if best else []
    return known + [(each.cell.method, each.stored["policy"]) for each in group]


def _state_charts(episodes: Episodes) -> Iterator[Chart]:
    for i, state in enumerate(episodes.task["states"]):
        series = [Series(method, episodes.times, np.array(e["states"])[:, i]) for method, e in episodes.stored]
        label = unit_after(state["name"], state["unit"])
        yield episodes.chart(state["name"], label, series, target=state["target"])


def _control_charts(episodes: Episodes) -> Iterator[Chart]:
    for i, control in enumerate(episodes.task["controls"]):
        values = [(method, np.array(e["controls"])[:, i]) for method, e in episodes.stored]
        series = [Series(method, episodes.times, np.append(us, us[-1])) for method, us in values]
        yield episodes.chart(control["name"], unit_after(control["name"], control["unit"]), series, held=True)


def _cost_chart(episodes: Episodes) -> Chart:
    """The running cost summed up; the terminal cost is a jump at the end."""
    times = np.append(episodes.times, episodes.times[-1])
    costs = [(method, np.array([0.0, *np.cumsum(e["costs"]), e["cost"]])) for method, e in episodes.stored]
    series = [Series(method, times, values) for method, values in costs]
    return episodes.chart("accumulated cost", "accumulated cost", series)


def unit_after(name: str, unit: str) -> str:
    """A name followed by its unit, unless that is 1."""
    return name if unit == "1" else f"{name} ({unit.replace('mm3', 'mm³')})"


KINDS: Mapping[str, Callable[[Leaderboard], Iterator[Chart]]] = {
    "curves": curves,
    "profiles": profiles,
    "targets": targets,
    "horizon": horizon,
    "trajectories": trajectories,
}


def methods(board: Leaderboard) -> list[str]:
    """Every method once, the best first: its place gives a method the same colour on all charts."""
    return list(dict.fromkeys([*board.aggregate["method"], *sorted(board.rows["method"])]))


def _grouped(points: Iterable[Point], key: Callable[[Point], Key]) -> dict[Key, list[Point]]:
    """Points by a key, the keys in the order of their first points."""
    groups: dict[Key, list[Point]] = defaultdict(list)
    for point in points:
        groups[key(point)].append(point)
    return groups


def _series(
    points: Sequence[MethodPoint],
    xy: Callable[[MethodPoint], tuple[float, float]],
    band: Callable[[MethodPoint], tuple[float, float]] | None = None,
) -> Iterator[Series]:
    """The curve of each method, with its band if that is known everywhere."""
    for method, of_method in _grouped(points, lambda point: point.method).items():
        x, y = np.array([xy(point) for point in of_method], float).T
        ends = np.array([band(point) for point in of_method], float).T if band else np.full((2, 1), np.nan)
        yield Series(method, x, y, *ends) if np.all(np.isfinite(ends)) else Series(method, x, y)


def _extended(curve: Series, end: int | float) -> Series:
    """A curve of a single point as a level line until `end`: a method that spends nothing is evaluated once."""
    if len(curve.x) > 1:
        return curve
    low, high = (None if side is None else np.repeat(side, 2) for side in (curve.low, curve.high))
    return Series(curve.method, np.append(curve.x, end), np.repeat(curve.y, 2), low, high)
