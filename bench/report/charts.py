"""Leaderboard -> charts as data: learning curves, quality, profiles, regret targets, grids, episodes. No JAX here."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

import numpy as np

from bench.analysis.leaderboard import Leaderboard
from bench.analysis.rows import AggregateRow, CurvePoint, ProfilePoint, RunRow, TargetPoint, TaskRow, from_frame
from bench.report.chart import Chart, Series, grouped
from bench.report.episode_charts import trajectories

UNIT_LABELS = {
    "env_steps": "environment steps",
    "updates": "gradient updates",
    "train_seconds": "seconds of training",
}


MethodPoint = TypeVar("MethodPoint", CurvePoint, ProfilePoint, TargetPoint, TaskRow)


def curves(board: Leaderboard) -> Iterator[Chart]:
    """Mean score at every evaluation, one chart for each task and grid."""
    points = from_frame(CurvePoint, board.curves)
    for (suite, task, steps), group in grouped(points, lambda p: (p.suite, p.task, p.num_steps)).items():
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
    for suite, group in grouped(from_frame(ProfilePoint, board.profiles), lambda p: p.suite).items():
        yield Chart(
            title=f"{suite}: performance profiles",
            x_label="score τ",
            y_label="share of runs above τ",
            series=tuple(_series(group, lambda p: (p.threshold, p.share), lambda p: (p.low, p.high))),
            suite=suite,
        )


def targets(board: Leaderboard) -> Iterator[Chart]:
    """Share of (run, regret target) pairs reached, one chart for each suite and unit of what a run spends."""
    for (suite, unit), group in grouped(from_frame(TargetPoint, board.targets), lambda p: (p.suite, p.unit)).items():
        yield Chart(
            title=f"{suite}: regret targets reached",
            x_label=UNIT_LABELS[unit],
            y_label="share of (run, target)",
            series=tuple(_series(group, lambda p: (p.spent, p.share))),
            suite=suite,
            log_x=True,
        )


def horizon(board: Leaderboard) -> Iterator[Chart]:
    """Mean score against the number of steps, one chart for each task that was run on several grids."""
    scored = [row for row in from_frame(TaskRow, board.rows) if not math.isnan(row.clipped)]
    for (suite, task), group in grouped(scored, lambda row: (row.suite, row.task)).items():
        if len({row.num_steps for row in group}) > 1:
            yield Chart(
                title=f"{task} over its grids",
                x_label="steps of an episode",
                y_label="score (mean over seeds)",
                series=tuple(
                    _series(
                        group, lambda row: (row.num_steps, row.clipped), lambda row: (row.clipped_low, row.clipped_high)
                    )
                ),
                suite=suite,
                task=task,
                log_x=True,
            )


def quality(board: Leaderboard) -> Iterator[Chart]:
    """Interquartile mean against the seconds of training of a run, one chart for each suite.

    Seconds are CPU seconds where every run has them. A method that spends none has no place on their axis.
    """
    runs = grouped(from_frame(RunRow, board.runs), lambda run: (run.suite, run.method))
    for suite, group in grouped(from_frame(AggregateRow, board.aggregate), lambda row: row.suite).items():
        on_cpu = all(not math.isnan(run.cpu_seconds) for row in group for run in runs[suite, row.method])
        series = []
        for row in group:
            spent = [run.cpu_seconds if on_cpu else run.train_seconds for run in runs[suite, row.method]]
            ends = (row.score_low, row.score_high)
            low, high = (None if math.isnan(end) else np.array([end]) for end in ends)
            seconds = math.fsum(spent) / len(spent)
            if seconds > 0:
                series.append(Series(row.method, np.array([seconds]), np.array([row.score]), low, high))
        if series:
            yield Chart(
                title=f"{suite}: quality against cost",
                x_label=f"{'CPU seconds' if on_cpu else 'seconds'} of training, mean of a run",
                y_label="score (IQM)",
                series=tuple(series),
                suite=suite,
                log_x=True,
                dots=True,
            )


KINDS: Mapping[str, Callable[[Leaderboard], Iterator[Chart]]] = {
    "curves": curves,
    "quality": quality,
    "profiles": profiles,
    "targets": targets,
    "horizon": horizon,
    "trajectories": trajectories,
}


def methods(board: Leaderboard) -> list[str]:
    """Every method once, the best first, which is the order of a legend."""
    return list(dict.fromkeys([*board.aggregate["method"], *sorted(board.rows["method"])]))


def _series(
    points: Sequence[MethodPoint],
    xy: Callable[[MethodPoint], tuple[float, float]],
    band: Callable[[MethodPoint], tuple[float, float]] | None = None,
) -> Iterator[Series]:
    """The curve of each method, with its band if that is known everywhere."""
    for method, of_method in grouped(points, lambda point: point.method).items():
        x, y = np.array([xy(point) for point in of_method], float).T
        ends = np.array([band(point) for point in of_method], float).T if band else np.full((2, 1), np.nan)
        yield Series(method, x, y, *ends) if np.all(np.isfinite(ends)) else Series(method, x, y)


def _extended(curve: Series, end: int | float) -> Series:
    """A curve of a single point as a level line until `end`: a method that spends nothing is evaluated once."""
    if len(curve.x) > 1:
        return curve
    low, high = (None if side is None else np.repeat(side, 2) for side in (curve.low, curve.high))
    return Series(curve.method, np.append(curve.x, end), np.repeat(curve.y, 2), low, high)
