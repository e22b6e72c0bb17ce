"""Scores and their statistics: pure functions of NumPy arrays, random draws from a given generator. No JAX here.

Agarwal et al., *Deep Reinforcement Learning at the Edge of the Statistical Precipice* (NeurIPS 2021) for the
interquartile mean and the bootstrap stratified by task.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

REPETITIONS = 2000
Floats = NDArray[np.float64]
Statistic = Callable[[Floats], Floats | np.float64]  # "... runs" -> "..."


def score(cost: float, floor: float, best: float) -> float:
    """0 at the floor (best constant control), 1 at the best known control sequence, unclipped; costs are minimised."""
    return (floor - cost) / (floor - best)


def mean(runs: Floats) -> Floats | np.float64:
    """Mean over the last axis."""
    return np.mean(runs, axis=-1)


def interquartile_mean(runs: Floats) -> Floats | np.float64:
    """Mean of the middle half of the last axis: a quarter of the values, rounded down, is cut off at either end."""
    cut = runs.shape[-1] // 4
    ordered = np.sort(runs, axis=-1)
    return np.mean(ordered[..., cut : runs.shape[-1] - cut], axis=-1)


def bootstrap_interval(
    strata: Sequence[Floats], statistic: Statistic, rng: np.random.Generator, level: float = 0.95
) -> tuple[float, float]:
    """Percentile interval of `statistic` over all runs, resampled within each stratum (a task's seeds).

    nan where there is nothing to resample: no stratum has two runs.
    """
    if all(len(runs) < 2 for runs in strata):
        return float("nan"), float("nan")
    samples = [runs[rng.integers(len(runs), size=(REPETITIONS, len(runs)))] for runs in strata]
    values = statistic(np.concatenate(samples, axis=1))
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
