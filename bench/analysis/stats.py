"""Scores and their statistics: pure functions of NumPy arrays. No JAX here.

A statistic takes strata: one array "runs" for each task, each with its own number of runs. All tasks have the same
weight. It returns an Estimate, whose interval is by Student's t: the variance within each task, divided by its number
of runs, adds up over the tasks, and the degrees of freedom are those of Welch and Satterthwaite.
"""

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

MIN_SEEDS = 5  # runs on every task without which there is no interval, no test and no rank
Floats = NDArray[np.float64]
Strata = Sequence[Floats]
Values = Floats | np.float64
Costs = TypeVar("Costs", float, Floats)


class Estimate(NamedTuple):
    """A statistic of one method, or an array of them.

    standard_error: nan where a task has a single run
    freedom: degrees of freedom of the t statistic; inf where no task has any spread
    seeds: the smallest number of runs on a task
    """

    value: Values
    standard_error: Values
    freedom: Values
    seeds: int


class Difference(NamedTuple):
    """A difference of two estimates, with its standard error and the degrees of freedom of its t statistic."""

    difference: Values
    standard_error: Values
    freedom: Values


def score(cost: Costs, floor: float, best: float) -> Costs:
    """Place of a cost between the floor (score 0) and the best known cost (score 1), unclipped.

    Costs are minimised. The floor is mostly the cost of the best constant control.
    """
    return (floor - cost) / (floor - best)


def mean(strata: Strata) -> Estimate:
    """Mean over tasks of the mean over their runs. Strata "runs values" give the mean of each value."""
    value = np.mean([np.mean(runs, axis=0) for runs in strata], axis=0)
    return _estimate(value, strata, scale=1 / len(strata))


def interquartile_mean(strata: Strata) -> Estimate:
    """Mean of the middle half of all runs, with every task weighing the same.

    A run on the border of the middle half counts with the fraction of its weight that lies inside, so that the
    estimated number does not depend on how many runs there are. The standard error is that of Tukey and McLaughlin
    (Sankhya A 25 (1963) 331) within each task: the runs outside the middle half are moved to its ends.
    """
    runs = np.concatenate(strata)
    order = np.argsort(runs, kind="stable")
    shares = np.concatenate([np.full(len(s), 1 / (len(s) * len(strata))) for s in strata])[order]
    kept = np.diff(np.clip(np.cumsum(shares), 0.25, 0.75), prepend=0.25)
    inside = runs[order][kept > 1e-12]  # cumulated shares are rounded
    moved = [np.clip(s, inside[0], inside[-1]) for s in strata]
    estimate = _estimate(np.float64(2 * kept @ runs[order]), moved, scale=2 / len(strata))
    unmoved = [int(np.sum((s >= inside[0]) & (s <= inside[-1]))) for s in strata]
    return _by_the_unmoved(estimate, [len(s) for s in strata], unmoved)


def win_chance(strata: Strata, others: Strata) -> Estimate:
    """Mean over tasks of the chance that a run of one method scores above a run of another; a tie counts half.

    The standard error is that of DeLong, DeLong & Clarke-Pearson (Biometrics 44 (1988) 837): the spread, over the runs
    of either method, of the share of the other's runs that each beats.
    """
    wins = [0.5 + 0.5 * np.sign(a[:, None] - b[None, :]) for a, b in zip(strata, others, strict=True)]
    shares = [*(w.mean(axis=1) for w in wins), *(w.mean(axis=0) for w in wins)]
    return _estimate(np.float64(np.mean([w.mean() for w in wins])), shares, scale=1 / len(wins))


def difference(one: Estimate, other: Estimate) -> Difference:
    """`one` less `other`, which are of independent runs and may have different spreads."""
    parts = np.array(np.broadcast_arrays(one.standard_error, other.standard_error)) ** 2
    variance = parts.sum(axis=0)
    freedom = _satterthwaite(parts, np.array(np.broadcast_arrays(one.freedom, other.freedom)))
    return Difference(one.value - other.value, np.sqrt(variance), freedom)


def welch(a: Floats, b: Floats) -> Difference:
    """Mean of the runs `a` less the mean of the runs `b`, which may have another spread. Each needs two runs.

    The degrees of freedom are those of Welch and Satterthwaite; they are inf where neither sample has any spread.
    """
    return difference(mean([a]), mean([b]))


def interval(estimate: Estimate, low: float, high: float, level: float = 0.95) -> tuple[Values, Values]:
    """Interval of an estimate, cut off at the smallest and largest possible value; nan below MIN_SEEDS runs."""
    half = estimate.standard_error * t_quantile((1 + level) / 2, estimate.freedom)
    half = half if estimate.seeds >= MIN_SEEDS else np.full_like(half, np.nan)
    return np.clip(estimate.value - half, low, high), np.clip(estimate.value + half, low, high)


def t_quantile(probability: float, freedom: Values) -> Values:
    """Quantile of Student's t; an infinite number of degrees of freedom stands for the normal distribution."""
    from scipy.special import ndtri, stdtrit  # scipy.stats takes half a second to import

    finite = np.isfinite(freedom)
    return np.where(finite, stdtrit(np.where(finite, freedom, 1.0), probability), ndtri(probability))[()]


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


def _estimate(value: Values, strata: Strata, scale: float) -> Estimate:
    """An estimate whose error is `scale` times the sum of the errors of the means of `strata`."""
    seeds = min(map(len, strata))
    if seeds < 2:
        nothing = np.full_like(value, np.nan)
        return Estimate(value, nothing, nothing, seeds)
    parts = np.array([np.var(runs, axis=0, ddof=1) / len(runs) for runs in strata]) * scale**2
    freedom = np.array([len(runs) - 1.0 for runs in strata]).reshape(-1, *[1] * np.ndim(value))
    return Estimate(value, np.sqrt(parts.sum(axis=0)), _satterthwaite(parts, freedom), seeds)


def _by_the_unmoved(estimate: Estimate, sizes: Sequence[int], unmoved: Sequence[int]) -> Estimate:
    """The estimate with the error and the degrees of freedom that only the unmoved runs of each task support.

    For a single task this is Yuen's correction (Biometrika 61 (1974) 165); several tasks share it. Tasks whose runs are
    all moved to the same end have no part in it.
    """
    tasks = [(size, left) for size, left in zip(sizes, unmoved, strict=True) if left]
    size, left = (sum(each) for each in zip(*tasks, strict=True))
    free, supported = size - len(tasks), max(left - len(tasks), 1)
    error = estimate.standard_error * np.sqrt(left / supported * max(free, 1) / size)
    freedom = estimate.freedom * supported / max(free, 1)
    return Estimate(estimate.value, error, freedom, estimate.seeds)


def _satterthwaite(variances: Floats, freedom: Floats) -> Values:
    """Degrees of freedom of a sum of variances, "parts ..."; inf where all are 0."""
    total = variances.sum(axis=0)
    shares = variances / np.where(total > 0, total, 1.0)
    with np.errstate(divide="ignore"):
        return (1 / np.sum(shares**2 / freedom, axis=0))[()]
