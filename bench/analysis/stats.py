"""Scores and their statistics: pure functions of NumPy arrays. No JAX here.

A statistic takes strata: one array "runs" for each task, each with its own number of runs. All tasks have the same
weight. A bootstrap resample is a vector of weights on the runs of a stratum, so that the statistics of all resamples,
"... runs", are matrix products. Source: Agarwal et al., *Deep Reinforcement Learning at the Edge of the Statistical
Precipice* (NeurIPS 2021).
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
MAX_WEIGHTS = 100_000  # weights in one product, so that they fit into a processor's cache
Floats = NDArray[np.float64]
Strata = Sequence[Floats]
Values = Floats | np.float64
Costs = TypeVar("Costs", float, Floats)
# Takes strata and their weights (None: all runs of a stratum weigh the same); returns one value for each resample.
Statistic = Callable[[Strata, Strata | None], Values]


def score(cost: Costs, floor: float, best: float) -> Costs:
    """Place of a cost between the floor (score 0) and the best known cost (score 1), unclipped.

    Costs are minimised. The floor is mostly the cost of the best constant control.
    """
    return (floor - cost) / (floor - best)


def mean(strata: Strata, weights: Strata | None = None) -> Values:
    """Mean over tasks of the mean over their runs. Strata "runs values" give the mean of each value."""
    return np.concatenate(weights or _equal_weights(strata), axis=-1) @ np.concatenate(strata) / len(strata)


def median(strata: Strata, weights: Strata | None = None) -> Values:
    """Median over tasks of the mean over their runs."""
    return np.median([w @ runs for w, runs in zip(weights or _equal_weights(strata), strata, strict=True)], axis=0)


def interquartile_mean(strata: Strata, weights: Strata | None = None) -> Values:
    """Mean of the middle half of all runs: a quarter of them, rounded down, is cut off at either end."""
    runs = np.concatenate(strata)
    order = np.argsort(runs)
    shares = np.concatenate(weights or _equal_weights(strata), axis=-1).take(order, axis=-1) / len(strata)
    ends = np.cumsum(shares, axis=-1)
    cut = len(runs) // 4 / len(runs)
    kept = np.diff(np.clip(ends, cut, 1 - cut), prepend=cut, axis=-1)
    return kept @ runs[order] / (1 - 2 * cut)


def probability_of_improvement(strata: Strata, others: Strata) -> float:
    """Mean over tasks of the chance that a run of one method scores above a run of another; a tie counts half."""
    return float(np.mean([np.mean(_wins(a, b)) for a, b in zip(strata, others, strict=True)]))


class Difference(NamedTuple):
    """A difference of two estimates, with its standard error and the degrees of freedom of its t statistic."""

    difference: float
    standard_error: float
    freedom: float


def welch(a: Floats, b: Floats) -> Difference:
    """Mean of the runs `a` less the mean of the runs `b`, which may have another spread. Each needs two runs.

    The degrees of freedom are those of Welch and Satterthwaite; they are inf where neither sample has any spread.
    """
    parts = np.array([np.var(runs, ddof=1) / len(runs) for runs in (a, b)])
    variance = parts.sum()
    freedom = variance**2 / np.sum(parts**2 / [len(a) - 1, len(b) - 1]) if variance else np.inf
    return Difference(float(np.mean(a) - np.mean(b)), math.sqrt(variance), float(freedom))


def t_quantile(probability: float, freedom: float | Floats) -> Values:
    """Quantile of Student's t; an infinite number of degrees of freedom stands for the normal distribution."""
    from scipy.special import ndtri, stdtrit  # scipy.stats takes half a second to import

    finite = np.where(np.isfinite(freedom), freedom, 1.0)
    return np.where(np.isfinite(freedom), stdtrit(finite, probability), ndtri(probability))[()]


def t_test(difference: Values, standard_error: Values, freedom: Values) -> Values:
    """Two-sided p-value of a difference of 0; without any spread it is 0, or 1 where the difference is 0 too."""
    from scipy.special import ndtr, stdtr

    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(np.equal(difference, 0), 0.0, np.abs(difference) / standard_error)
    finite = np.isfinite(freedom)
    return np.where(finite, 2 * stdtr(np.where(finite, freedom, 1.0), -t), 2 * ndtr(-t))[()]


def holm(p_values: Sequence[float] | Floats) -> Floats:
    """Correct p-values so that accepting those up to alpha makes any false one at most that probable (Holm 1979)."""
    p, order = np.asarray(p_values, np.float64), np.argsort(p_values)
    corrected = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1.0)
    return corrected[np.argsort(order)]


def bootstrap_interval(strata: Strata, statistic: Statistic, level: float = 0.95) -> tuple[Values, Values]:
    """Percentile interval of a statistic, from resamples of the runs within each stratum.

    Both ends are nan where no stratum has two runs.
    """
    if all(len(runs) < 2 for runs in strata):
        nothing = np.full(strata[0].shape[1:], np.nan)
        return nothing, nothing
    parts = min(-(-RESAMPLES * sum(map(len, strata)) // MAX_WEIGHTS), RESAMPLES)
    drawn = [resample_weights(len(runs), stratum) for stratum, runs in enumerate(strata)]
    weights = zip(*(np.array_split(w, parts) for w in drawn), strict=True)
    return _percentile_ends(np.concatenate([statistic(strata, part) for part in weights]), level)


def improvement_interval(strata: Strata, others: Strata, level: float = 0.95) -> tuple[Values, Values]:
    """Percentile interval of `probability_of_improvement`, from resamples of the runs of both methods.

    Both ends are nan where no stratum of either has two runs.
    """
    if all(len(runs) < 2 for runs in (*strata, *others)):
        return np.float64(np.nan), np.float64(np.nan)
    drawn = [resample_counts(len(runs), stratum) for stratum, runs in enumerate((*strata, *others))]
    tasks = zip(strata, others, drawn[: len(strata)], drawn[len(strata) :], strict=True)
    # Single precision is twice as fast. It is exact for up to 2^23 pairs of runs: the sums are halves of whole numbers.
    wins = (np.einsum("ri,ri->r", w @ np.float32(_wins(a, b)), v) / np.float64(len(a) * len(b)) for a, b, w, v in tasks)
    return _percentile_ends(np.mean([*wins], axis=0), level)


@functools.lru_cache(maxsize=256)
def resample_weights(runs: int, stratum: int) -> Floats:
    """Weights of `runs` runs in each resample, "resamples runs". Every stratum has draws of its own."""
    return resample_counts(runs, stratum) / np.float64(runs)


@functools.lru_cache(maxsize=256)
def resample_counts(runs: int, stratum: int) -> NDArray[np.float32]:
    """Number of times that each resample holds each run, "resamples runs".

    The draws have a fixed seed, so that an interval does not depend on which other intervals are computed.
    """
    drawn = np.random.default_rng([stratum, runs]).integers(runs, size=(RESAMPLES, runs))
    drawn += runs * np.arange(RESAMPLES)[:, None]
    counts = np.bincount(drawn.ravel(), minlength=RESAMPLES * runs).reshape(RESAMPLES, runs)
    return counts.astype(np.float32)


def _equal_weights(strata: Strata) -> list[Floats]:
    return [np.full(len(runs), 1 / len(runs)) for runs in strata]


def _wins(one: Floats, other: Floats) -> Floats:
    """Result of each pair of runs, "one other": 1 a win of `one`, 0 a loss, 0.5 a tie."""
    return 0.5 + 0.5 * np.sign(one[:, None] - other[None, :])


def _percentile_ends(values: Values, level: float) -> tuple[Values, Values]:
    """Ends of the central interval of "resamples ..." values: quantiles, linear between order statistics.

    NumPy's quantiles more than double the time that the bands of a learning curve take.
    """
    ordered = np.sort(values, axis=0)
    last = len(ordered) - 1

    def quantile(share: float) -> Values:
        below, rest = divmod(share * last, 1)
        return ordered[int(below)] * (1 - rest) + ordered[math.ceil(share * last)] * rest

    return quantile((1 - level) / 2), quantile((1 + level) / 2)
