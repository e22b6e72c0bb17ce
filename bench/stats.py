"""Scores and their statistics: pure functions of NumPy arrays, random draws from a given generator. No JAX here.

A statistic takes strata, one array "... runs" for each task, which may hold different numbers of runs; every task
weighs the same. Agarwal et al., *Deep Reinforcement Learning at the Edge of the Statistical Precipice* (NeurIPS 2021).
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

REPETITIONS = 2000
AT_ONCE = 100_000  # runs of resamples
Floats = NDArray[np.float64]
Strata = Sequence[Floats]
Values = Floats | np.float64
Statistic = Callable[[Strata], Values]  # strata of "... runs" -> "..." or, for several values, "... values"


def score(cost: float, floor: float, best: float) -> float:
    """0 at the floor (best constant control), 1 at the best known control sequence, unclipped; costs are minimised."""
    return (floor - cost) / (floor - best)


def mean(strata: Strata) -> Values:
    """Mean over the tasks of the mean over their runs."""
    return np.mean(_means(strata), axis=0)


def median(strata: Strata) -> Values:
    """Median over the tasks of the mean over their runs."""
    return np.median(_means(strata), axis=0)


def interquartile_mean(strata: Strata) -> Values:
    """Mean of the middle half of all runs: the share of a quarter of them, rounded down, is cut off at either end."""
    runs = np.concatenate(strata, axis=-1)
    total = runs.shape[-1]
    weights = np.concatenate([np.full(s.shape[-1], 1 / (len(strata) * s.shape[-1])) for s in strata])
    order = np.argsort(runs, axis=-1)
    ends = np.cumsum(weights[order], axis=-1)
    cut = total // 4 / total
    kept = np.clip(ends, cut, 1 - cut) - np.clip(ends - weights[order], cut, 1 - cut)
    return np.sum(np.take_along_axis(runs, order, -1) * kept, axis=-1) / (1 - 2 * cut)


def probability_of_improvement(strata: Strata, others: Strata) -> float:
    """Mean over the tasks of the chance that a run of one method scores above one of the other; a tie counts half."""
    return float(np.mean([np.mean(_wins(a, b)) for a, b in zip(strata, others, strict=True)]))


def bootstrap_interval(
    strata: Strata, statistic: Statistic, rng: np.random.Generator, level: float = 0.95
) -> tuple[Values, Values]:
    """Percentile interval of `statistic`, runs resampled within each stratum (a task's seeds).

    nan where there is nothing to resample: no stratum has two runs.
    """
    if all(len(runs) < 2 for runs in strata):
        nothing = np.full(np.shape(statistic(strata)) if all(map(len, strata)) else (), np.nan)
        return nothing, nothing
    # A few resamples at a time, which fit into a processor's cache.
    parts = -(-REPETITIONS * sum(map(len, strata)) // AT_ONCE)
    values = [
        statistic([runs[rng.integers(len(runs), size=(len(part), len(runs)))] for runs in strata])
        for part in np.array_split(np.arange(REPETITIONS), min(parts, REPETITIONS))
    ]
    return _ends(np.concatenate(values), level)


def resamples(runs: int, rng: np.random.Generator) -> Floats:
    """ "repetitions runs": the weights of runs in resamples of them, so that means over all resamples are a product."""
    drawn = rng.integers(runs, size=(REPETITIONS, runs)) + runs * np.arange(REPETITIONS)[:, None]
    return np.bincount(drawn.ravel(), minlength=REPETITIONS * runs).reshape(REPETITIONS, runs) / runs


def mean_interval(strata: Strata, rng: np.random.Generator, level: float = 0.95) -> tuple[Floats, Floats]:
    """`bootstrap_interval` of each of several means: strata "runs values", over the tasks of the means over runs."""
    if all(len(runs) < 2 for runs in strata):
        nothing = np.full(strata[0].shape[1:], np.nan)
        return nothing, nothing
    low, high = _ends(np.mean([resamples(len(runs), rng) @ runs for runs in strata], axis=0), level)
    return np.asarray(low), np.asarray(high)


def improvement_interval(
    strata: Strata, others: Strata, weights: Strata, other_weights: Strata, level: float = 0.95
) -> tuple[Values, Values]:
    """`bootstrap_interval` of `probability_of_improvement`, with the `resamples` of each method's strata."""
    if all(len(runs) < 2 for runs in (*strata, *others)):
        return np.float64(np.nan), np.float64(np.nan)
    tasks = zip(strata, others, weights, other_weights, strict=True)
    return _ends(np.mean([np.sum(w @ _wins(a, b) * v, axis=1) for a, b, w, v in tasks], axis=0), level)


def _wins(one: Floats, other: Floats) -> Floats:
    return 0.5 + 0.5 * np.sign(one[:, None] - other[None, :])


def _ends(values: Values, level: float) -> tuple[Values, Values]:
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return low, high


def _means(strata: Strata) -> Floats:
    return np.stack([np.mean(runs, axis=-1) for runs in strata])
