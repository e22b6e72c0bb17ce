"""The rows of a suite: its methods against each other, over all cells. No JAX here."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import combinations
from typing import get_args

import numpy as np

from bench.analysis import learning_curves, ranking, simulator_gap, stats
from bench.analysis.cell_tables import UNITS, CellLearning, count_failed
from bench.analysis.rows import AggregateRow, PairRow, ProfilePoint, TargetPoint
from bench.analysis.scores import GridKey
from bench.analysis.stats import Floats
from bench.records.run import Kind

THRESHOLDS = np.linspace(-1, 1, 81)  # scores at which a performance profile is evaluated
TARGET_POINTS = 60  # points of a curve of regret targets


Methods = Mapping[str, Mapping[GridKey, CellLearning]]  # method -> grid -> cell, within one suite


def kind_of(cells: Iterable[CellLearning]) -> Kind:
    """The class of a method: the last of its runs' in the order learner, planner, oracle."""
    found: set[Kind] = {run.kind for learning in cells for run in learning.cell.runs}
    return max(found, key=get_args(Kind).index)


def pairwise_p_values(methods: Methods) -> Floats:
    """Corrected p-values of the differences between all methods, "methods methods"."""
    return ranking.pairwise_p_values(_scores_by_seed(methods))


def ranks(methods: Methods, p_values: Floats) -> dict[str, int]:
    """Rank of each method, from `pairwise_p_values`."""
    return dict(zip(methods, ranking.ranks(_scores_by_seed(methods), p_values), strict=True))


def aggregate_rows(
    suite: str, methods: Methods, ranks: Mapping[str, int], trials: Mapping[str, int]
) -> Iterator[AggregateRow]:
    """One row for each method; one without trials was not tuned."""
    for method, cells in methods.items():
        strata = [learning.clipped for learning in cells.values()]
        score, score_low, score_high = _with_interval(strata, stats.interquartile_mean)
        median, median_low, median_high = _with_interval(strata, stats.median)
        mean, mean_low, mean_high = _with_interval(strata, stats.mean)
        areas = {unit: float(stats.mean([learning.areas[unit] for learning in cells.values()])) for unit in UNITS}
        yield AggregateRow(
            suite=suite,
            method=method,
            kind=kind_of(cells.values()),
            rank=ranks.get(method),
            trials=trials.get(method, 0),
            tasks=len(strata),
            seeds=min(map(len, strata)),
            failed=sum(count_failed(learning.cell.runs) for learning in cells.values()),
            score=score,
            score_low=score_low,
            score_high=score_high,
            median=median,
            median_low=median_low,
            median_high=median_high,
            mean=mean,
            mean_low=mean_low,
            mean_high=mean_high,
            auc=areas["env_steps"],
            auc_updates=areas["updates"],
            auc_seconds=areas["train_seconds"],
            cost_gaps=_total(simulator_gap.count_marked(learning.cell.cost_gaps) for learning in cells.values()),
            end_misses=_total(simulator_gap.count_marked(learning.cell.end_misses) for learning in cells.values()),
        )


def pair_rows(suite: str, methods: Methods, p_values: Floats) -> Iterator[PairRow]:
    """Two rows for each pair of methods that share a task, one for either order."""
    for (i, (one, cells)), (j, (other, others)) in combinations(enumerate(methods.items()), 2):
        common = [grid for grid in cells if grid in others]
        if not common:
            continue
        mine, theirs = [cells[grid].clipped for grid in common], [others[grid].clipped for grid in common]
        chance = stats.probability_of_improvement(mine, theirs)
        low, high = map(float, stats.improvement_interval(mine, theirs))
        p_value = float(p_values[i, j])
        pair = PairRow(suite, one, other, probability=chance, low=low, high=high, p_value=p_value)
        yield pair
        yield pair._replace(method=other, other=one, probability=1 - chance, low=1 - high, high=1 - low)


def profile_points(suite: str, methods: Methods) -> Iterator[ProfilePoint]:
    """One point for each method and threshold: the mean over tasks of the share of runs with a score above it."""
    for method, cells in methods.items():
        above = [(learning.clipped[:, None] > THRESHOLDS).astype(float) for learning in cells.values()]
        lows, highs = stats.bootstrap_interval(above, stats.mean)
        numbers = np.column_stack((THRESHOLDS, stats.mean(above), lows, highs)).tolist()
        for threshold, share, low, high in numbers:
            yield ProfilePoint(suite, method, threshold, share, low, high)


def target_points(suite: str, methods: Methods) -> Iterator[TargetPoint]:
    """TARGET_POINTS points for each unit and method, between the first and the last evaluation of any run.

    Methods whose older records do not say what was spent are left out.
    """
    for unit in UNITS:
        spent = {method: [learning.spent[unit] for learning in cells.values()] for method, cells in methods.items()}
        positive = np.concatenate([amounts[amounts > 0] for strata in spent.values() for amounts in strata])
        if not len(positive):
            continue
        grid = np.geomspace(positive.min(), positive.max(), TARGET_POINTS)
        for method, cells in methods.items():
            if any(np.isnan(amounts).any() for amounts in spent[method]):
                continue
            strata = [learning_curves.first_reached(cell.spent[unit], cell.curves) for cell in cells.values()]
            shares = learning_curves.share_reached(strata, grid)
            for amount, share in zip(grid.tolist(), shares.tolist(), strict=True):
                yield TargetPoint(suite, method, unit, amount, share)


def _with_interval(strata: stats.Strata, statistic: Callable[..., stats.Values]) -> tuple[float, float, float]:
    """A statistic and the ends of its interval."""
    low, high = stats.bootstrap_interval(strata, statistic)
    return float(statistic(strata)), float(low), float(high)


def _total(counts: Iterable[int | None]) -> int | None:
    """Sum of the counts that were measured; None if none was."""
    measured = [count for count in counts if count is not None]
    return sum(measured) if measured else None


def _scores_by_seed(methods: Methods) -> list[ranking.SeedScores]:
    return [
        {
            grid: {run.seed: float(score) for run, score in zip(each.cell.runs, each.clipped, strict=True)}
            for grid, each in cells.items()
        }
        for cells in methods.values()
    ]
