"""Scores and their statistics: pure functions of NumPy arrays. No JAX here.

A statistic takes strata, one array "runs" for each task, which may hold different numbers of runs; every task weighs
the same. Resamples are weights of the same runs, "... runs" for each stratum, so that statistics of all of them are
products. Agarwal et al., *Deep Reinforcement Learning at the Edge of the Statistical Precipice* (NeurIPS 2021).
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

REPETITIONS = 2000
AT_ONCE = 100_000  # runs of resamples
Floats = NDArray[np.float64]
Strata = Sequence[Floats]
Values = Floats | np.float64
Costs = TypeVar("Costs", float, Floats)
Statistic = Callable[[Strata, Strata | None], Values]  # strata and, unless all runs count alike, their weights -> "..."


def score(cost: Costs, floor: float, best: float) -> Costs:
    """0 at the floor (best constant control), 1 at the best known control sequence, unclipped; costs are minimised."""
    return (floor - cost) / (floor - best)


def mean(strata: Strata, weights: Strata | None = None) -> Values:
    """Mean over the tasks of the mean over their runs; of strata "runs values" that of each value."""
    return np.concatenate(weights or _alike(strata), axis=-1) @ np.concatenate(strata) / len(strata)


def median(strata: Strata, weights: Strata | None = None) -> Values:
    """Median over the tasks of the mean over their runs."""
    return np.median([w @ runs for w, runs in zip(weights or _alike(strata), strata, strict=True)], axis=0)


def interquartile_mean(strata: Strata, weights: Strata | None = None) -> Values:
    """Mean of the middle half of all runs: the share of a quarter of them, rounded down, is cut off at either end."""
    runs = np.concatenate(strata)
    order = np.argsort(runs)
    ends = np.cumsum(np.concatenate(weights or _alike(strata), axis=-1).take(order, axis=-1) / len(strata), axis=-1)
    cut = len(runs) // 4 / len(runs)
    kept = np.diff(np.clip(ends, cut, 1 - cut), prepend=cut, axis=-1)
    return kept @ runs[order] / (1 - 2 * cut)


def probability_of_improvement(strata: Strata, others: Strata) -> float:
    """Mean over the tasks of the chance that a run of one method scores above one of the other; a tie counts half."""
    return float(np.mean([np.mean(_wins(a, b)) for a, b in zip(strata, others, strict=True)]))


def bootstrap_interval(strata: Strata, statistic: Statistic, level: float = 0.95) -> tuple[Values, Values]:
    """Percentile interval of `statistic`, runs resampled within each stratum (a task's seeds).

    nan where there is nothing to resample: no stratum has two runs.
    """
    if all(len(runs) < 2 for runs in strata):
        nothing = np.full(strata[0].shape[1:], np.nan)
        return nothing, nothing
    # A few resamples at a time, which fit into a processor's cache.
    parts = min(-(-REPETITIONS * sum(map(len, strata)) // AT_ONCE), REPETITIONS)
    weights = zip(*(np.array_split(drawn, parts) for drawn in _drawn(strata)), strict=True)
    return _ends(np.concatenate([statistic(strata, part) for part in weights]), level)


def improvement_interval(strata: Strata, others: Strata, level: float = 0.95) -> tuple[Values, Values]:
    """`bootstrap_interval` of `probability_of_improvement`: the runs of both methods are resampled."""
    if all(len(runs) < 2 for runs in (*strata, *others)):
        return np.float64(np.nan), np.float64(np.nan)
    drawn = [counts(len(runs), place) for place, runs in enumerate((*strata, *others))]
    tasks = zip(strata, others, drawn[: len(strata)], drawn[len(strata) :], strict=True)
    # Single precision is twice as fast, and exact for up to 2^23 pairs of runs: these are halves of whole numbers.
    wins = (np.einsum("ri,ri->r", w @ np.float32(_wins(a, b)), v) / np.float64(len(a) * len(b)) for a, b, w, v in tasks)
    return _ends(np.mean([*wins], axis=0), level)


@functools.lru_cache(maxsize=256)
def resamples(runs: int, place: int) -> Floats:
    """ "repetitions runs": the weights of runs in resamples of them, another draw for every place among the strata."""
    return counts(runs, place) / np.float64(runs)


@functools.lru_cache(maxsize=256)
def counts(runs: int, place: int) -> NDArray[np.float32]:
    """ "repetitions runs": how often resamples hold each run.

    Drawn once from a fixed seed, so that an interval does not depend on which others are made.
    """
    drawn = np.random.default_rng([place, runs]).integers(runs, size=(REPETITIONS, runs))
    drawn += runs * np.arange(REPETITIONS)[:, None]
    found = np.bincount(drawn.ravel(), minlength=REPETITIONS * runs).reshape(REPETITIONS, runs)
    return found.astype(np.float32)


def _drawn(strata: Strata) -> list[Floats]:
    return [resamples(len(runs), place) for place, runs in enumerate(strata)]


def _alike(strata: Strata) -> list[Floats]:
    """The weights of runs that count alike."""
    return [np.full(len(runs), 1 / len(runs)) for runs in strata]


def _wins(one: Floats, other: Floats) -> Floats:
    return 0.5 + 0.5 * np.sign(one[:, None] - other[None, :])


def _ends(values: Values, level: float) -> tuple[Values, Values]:
    """Quantiles, linear between order statistics. NumPy's more than double the time of a learning curve's bands."""
    ordered = np.sort(values, axis=0)
    last = len(ordered) - 1

    def quantile(share: float) -> Values:
        below, rest = divmod(share * last, 1)
        return ordered[int(below)] * (1 - rest) + ordered[math.ceil(share * last)] * rest

    return quantile((1 - level) / 2), quantile((1 + level) / 2)
