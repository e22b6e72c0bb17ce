"""Scores and their statistics: pure functions of NumPy arrays, random draws from a given generator. No JAX here.

A statistic takes strata, one array "... runs" for each task, which may hold different numbers of runs; every task
weighs the same. Agarwal et al., *Deep Reinforcement Learning at the Edge of the Statistical Precipice* (NeurIPS 2021).
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

REPETITIONS = 2000
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


def probability_of_improvement(strata: Strata, others: Strata) -> Values:
    """Mean over the tasks of the chance that a run of one method scores above one of the other; a tie counts half."""
    wins = [np.sign(a[..., :, None] - b[..., None, :]) for a, b in zip(strata, others, strict=True)]
    return np.mean([0.5 + 0.5 * np.mean(w, axis=(-2, -1)) for w in wins], axis=0)


def performance_profile(strata: Strata, thresholds: Floats) -> Values:
    """Mean over the tasks of the share of runs with a score above each threshold: "... thresholds"."""
    return np.mean([np.mean(s[..., None, :] > thresholds[:, None], axis=-1) for s in strata], axis=0)


def bootstrap_interval(
    strata: Strata, statistic: Statistic, rng: np.random.Generator, level: float = 0.95
) -> tuple[Values, Values]:
    """Percentile interval of `statistic`, runs resampled within each stratum (a task's seeds).

    nan where there is nothing to resample: no stratum has two runs.
    """
    if all(len(runs) < 2 for runs in strata):
        nothing = np.full(np.shape(statistic(strata)) if all(map(len, strata)) else (), np.nan)
        return nothing, nothing
    values = statistic([runs[rng.integers(len(runs), size=(REPETITIONS, len(runs)))] for runs in strata])
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return low, high


def _means(strata: Strata) -> Floats:
    return np.stack([np.mean(runs, axis=-1) for runs in strata])
