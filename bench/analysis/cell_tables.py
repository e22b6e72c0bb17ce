"""The rows of one cell: a method on a task and grid, as its seeds scored and learned. No JAX here."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from bench.analysis import learning_curves, simulator_gap, stats
from bench.analysis.rows import CurvePoint, RunRow, TaskRow
from bench.analysis.scores import CellKey, clipped, scores
from bench.analysis.stats import Estimate, Floats
from bench.records.reference import Reference
from bench.records.run import RunRecord

MIN_SHARE_LEFT = 1e-4  # of the headroom; a smaller share counts as this one, so that a solved task is 4 decades
DECADES = (-math.log10(2), -math.log10(MIN_SHARE_LEFT))  # of a score of -1, and of the smallest share
UNITS = ("env_steps", "updates", "train_seconds")  # what areas and targets count, named as in records
NOTHING = Estimate(np.float64(np.nan), np.float64(np.nan), np.float64(np.nan), 0)


class Best(NamedTuple):
    """Whether a method is in the best group of a task: by its mean clipped score, and by its decades of regret."""

    score: bool
    decades: bool


NO_BEST = Best(False, False)


class CellScores(NamedTuple):
    """A cell: its records by seed, and what the table of its task shows of each run.

    scores: "runs", unclipped; nan for an unfinished run, and on a task without a reference or headroom
    cost_gaps, end_misses, violations: one number for each run, by `bench.analysis.simulator_gap`
    """

    key: CellKey
    runs: list[RunRecord]
    reference: Reference | None
    scores: Floats
    cost_gaps: list[float]
    end_misses: list[float]
    violations: list[float]


class CellLearning(NamedTuple):
    """A cell of a task with headroom: what curves and aggregates show of it.

    clipped: "runs", final scores in [-1, 1], -1 for a run that did not finish
    score, decades: the means of these scores, and of `decades_of_regret`, over the runs
    curves: "runs points", scores at the evaluations, clipped alike
    spent: by UNITS, "runs points": what a run had spent at an evaluation
    areas: by UNITS, "runs": area under the curve over what is spent
    """

    cell: CellScores
    clipped: Floats
    score: Estimate
    decades: Estimate
    curves: Floats
    spent: dict[str, Floats]
    areas: dict[str, Floats]


def score_cell(key: CellKey, runs: list[RunRecord], reference: Reference | None) -> CellScores:
    """Score the runs of a cell, and measure their gaps, misses and violations."""
    return CellScores(
        key,
        runs,
        reference,
        scores(runs, reference),
        [simulator_gap.cost_gap(run, reference) for run in runs],
        [simulator_gap.end_miss(run) for run in runs],
        [simulator_gap.violation(run) for run in runs],
    )


def learning_of(cell: CellScores, reference: Reference, largest: Mapping[str, float]) -> CellLearning:
    """Follow the learning of a cell's runs on a task with headroom.

    Args:
        reference: the reference of the cell's task.
        largest: the largest amounts that a run on the cell's grid spent, by `most_spent`. Areas over updates and over
            seconds take them as the budget.
    """
    curves = learning_curves.score_curves(cell.runs, reference)
    spent = {unit: learning_curves.values_at_evaluations(cell.runs, unit, 0.0) for unit in UNITS}
    budgets = {**largest, "env_steps": cell.runs[0].settings["budget"]["env_steps"]}
    areas = {unit: learning_curves.area(spent[unit], curves, budgets[unit]) for unit in UNITS}
    scores = clipped(cell.scores)
    decades = stats.mean([decades_of_regret(scores)])
    return CellLearning(cell, scores, stats.mean([scores]), decades, curves, spent, areas)


def decades_of_regret(clipped: Floats) -> Floats:
    """-log10 of the share of the headroom that clipped scores leave: 0 at the floor, 1 where a tenth is left."""
    return -np.log10(np.maximum(1 - clipped, MIN_SHARE_LEFT))


def most_spent(runs: Iterable[RunRecord]) -> dict[str, float]:
    """The largest amount that any of the runs spent, by UNITS; 0 where none spent anything."""
    amounts = {
        unit: [learning_curves.spent_at(run.curve[-1], unit) or 0 for run in runs if run.curve] for unit in UNITS
    }
    return {unit: float(max(values, default=0)) for unit, values in amounts.items()}


def task_row(cell: CellScores, learning: CellLearning | None, best: Best = NO_BEST) -> TaskRow:
    """The row of a cell in the table of its task; without `learning` it has no areas, and is not compared."""
    key, runs = cell.key, cell.runs
    finished = cell.scores[np.isfinite(cell.scores)]
    score, score_low, score_high = with_interval(stats.mean([finished]) if len(finished) else NOTHING)
    mean, mean_low, mean_high = with_interval(learning.score if learning else NOTHING, -1.0, 1.0)
    decades, decades_low, decades_high = with_interval(learning.decades if learning else NOTHING, *DECADES)
    costs = [r.cost for r in runs if r.cost is not None]
    areas = {unit: float(np.mean(learning.areas[unit])) if learning else math.nan for unit in UNITS}
    return TaskRow(
        suite=key.suite,
        task=key.task,
        num_steps=key.num_steps,
        method=key.method,
        seeds=len(runs),
        failed=count_failed(runs),
        cost=float(np.mean(costs)) if costs else math.nan,
        score=score,
        score_low=score_low,
        score_high=score_high,
        clipped=mean,
        clipped_low=mean_low,
        clipped_high=mean_high,
        clipped_best=best.score,
        decades=decades,
        decades_low=decades_low,
        decades_high=decades_high,
        decades_best=best.decades,
        auc=areas["env_steps"],
        auc_updates=areas["updates"],
        auc_seconds=areas["train_seconds"],
        cost_gap=simulator_gap.largest_measured(cell.cost_gaps),
        cost_gaps=simulator_gap.count_marked(cell.cost_gaps),
        end_miss=simulator_gap.largest_measured(cell.end_misses),
        end_misses=simulator_gap.count_marked(cell.end_misses),
        violation=simulator_gap.largest_measured(cell.violations),
        violations=simulator_gap.count_marked(cell.violations),
        env_steps=int(_mean_usage(runs, "env_steps")),
        acting_env_steps=max(int(run.usage.get("acting_env_steps", 0)) for run in runs),
        train_seconds=_mean_usage(runs, "train_seconds"),
        compile_seconds=_mean_usage(runs, "compile_seconds"),
        bound=bool(cell.reference and cell.reference.bound),
    )


def run_rows(cell: CellScores, learning: CellLearning | None) -> Iterator[RunRow]:
    """One row for each record of a cell; without `learning` they have no areas."""
    areas = learning.areas["env_steps"].tolist() if learning else [math.nan] * len(cell.runs)
    of_run = zip(cell.runs, cell.scores.tolist(), areas, cell.cost_gaps, cell.end_misses, cell.violations, strict=True)
    for run, score, area, cost_gap, end_miss, violation in of_run:
        made_by = run.provenance
        yield RunRow(
            suite=run.suite,
            task=run.task,
            horizon=run.horizon,
            num_steps=run.num_steps,
            method=run.method,
            seed=run.seed,
            status=run.status,
            cost=math.nan if run.cost is None else run.cost,
            score=score,
            auc=area,
            env_steps=int(run.usage["env_steps"]),
            train_seconds=run.usage["train_seconds"],
            cpu_seconds=run.usage.get("cpu_seconds", math.nan),
            cost_gap=cost_gap,
            end_miss=end_miss,
            violation=violation,
            version=made_by.get("version"),
            commit=made_by.get("commit"),
            dirty=made_by.get("dirty"),
            device=made_by.get("device"),
            precision=made_by.get("precision"),
            started=made_by.get("started"),
            settings=run.settings,
            error=run.error,
        )


def curve_points(learning: CellLearning) -> Iterator[CurvePoint]:
    """One point for each evaluation; a run that failed before it counts as -1."""
    key, runs = learning.cell.key, learning.cell.runs
    evaluations = np.array([len(run.curve) for run in runs])
    longest = runs[evaluations.argmax()].curve
    known = np.arange(len(longest)) < evaluations[:, None]
    scores = np.where(known, learning.curves[:, : len(longest)], -1)
    means = stats.mean([scores])
    numbers = np.column_stack((means.value, *stats.interval(means, -1.0, 1.0))).tolist()
    for evaluation, (score, low, high) in zip(longest, numbers, strict=True):
        yield CurvePoint(
            suite=key.suite,
            task=key.task,
            horizon=key.horizon,
            num_steps=key.num_steps,
            method=key.method,
            env_steps=int(_or_nan(evaluation["env_steps"])),
            updates=_or_nan(evaluation.get("updates")),
            train_seconds=_or_nan(evaluation["train_seconds"]),
            score=score,
            low=low,
            high=high,
        )


def with_interval(estimate: Estimate, low: float = -math.inf, high: float = math.inf) -> tuple[float, float, float]:
    """An estimate and the ends of its interval, which `low` and `high` cut off."""
    ends = stats.interval(estimate, low, high)
    return float(estimate.value), float(ends[0]), float(ends[1])


def _mean_usage(runs: Sequence[RunRecord], name: str) -> float:
    return float(np.mean([run.usage[name] for run in runs]))


def _or_nan(value: int | float | None) -> int | float:
    return math.nan if value is None else value


def count_failed(runs: Sequence[RunRecord]) -> int:
    return sum(run.status != "ok" for run in runs)
