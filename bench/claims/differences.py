"""Differences between two methods: per task, over seeds and over tasks. No JAX.

A difference carries its standard error and degrees of freedom. Two units of replication answer two questions:

- over **seeds**: would other seeds on these very tasks show it? Variances within tasks alone, by Welch's test;
- over **tasks**: would other tasks of this kind show it? The tasks are a random sample, one value each.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np

from bench.analysis.stats import Floats, t_quantile, welch

Stratum = tuple[str, int]  # a task and its number of steps
Table = Mapping[Stratum, Mapping[str, Floats]]  # by method: a number for each seed, larger is better
Replication = Literal["seeds", "tasks"]
MIN_TASKS = 5  # with fewer tasks, tasks are not taken for a random sample
FAILED = -math.log10(2)  # decades of a score of -1, which a failed run counts at best
UNKNOWN = math.nan


class Difference(NamedTuple):
    """One difference, as that of `stats.welch`: its standard error and degrees of freedom, nan where unknown."""

    difference: float
    standard_error: float
    freedom: float


def stratum_difference(
    values: Mapping[str, Floats], one: str, other: str, seeds: int, paired: bool
) -> Difference | None:
    """The difference between two methods on a stratum at the first `seeds` seeds; None without a number of each.

    A method that is compared with itself has numbers that are a difference already. nan is a seed without a number. A
    failed run, -inf, gets FAILED, or the smallest number of all methods on the stratum if that is smaller.
    """
    if one not in values or other not in values:
        return None
    numbers = np.concatenate([each[:seeds] for each in values.values()])
    worst = np.min(numbers[np.isfinite(numbers)], initial=FAILED)
    a, b = (np.where(np.isneginf(each), worst, each) for each in (values[one][:seeds], values[other][:seeds]))
    if one == other:
        return one_sample(a[np.isfinite(a)])
    if paired:
        shared = min(len(a), len(b))
        gaps = a[:shared] - b[:shared]
        return one_sample(gaps[np.isfinite(gaps)])
    a, b = a[np.isfinite(a)], b[np.isfinite(b)]
    if not (len(a) and len(b)):
        return None
    if min(len(a), len(b)) < 2:
        return Difference(float(np.mean(a) - np.mean(b)), UNKNOWN, UNKNOWN)
    return Difference(*map(float, welch(a, b)))


def one_sample(values: Floats) -> Difference | None:
    """The mean of values as a difference from 0; None without a value."""
    if not len(values):
        return None
    if len(values) < 2:
        return Difference(float(values[0]), UNKNOWN, UNKNOWN)
    error = float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return Difference(float(np.mean(values)), error, len(values) - 1.0 if error else math.inf)


def combine(weights: Sequence[float] | Floats, differences: Sequence[Difference]) -> Difference:
    """A weighted sum of independent differences, with Satterthwaite's degrees of freedom."""
    parts = np.array([(w * d.standard_error) ** 2 for w, d in zip(weights, differences, strict=True)])
    freedoms = np.array([d.freedom for d in differences])
    variance = float(np.sum(parts))
    freedom = variance**2 / float(np.sum(parts**2 / freedoms)) if variance else math.inf
    total = sum(w * d.difference for w, d in zip(weights, differences, strict=True))
    return Difference(float(total), math.sqrt(variance), freedom)


def by_task(strata: Mapping[Stratum, Difference], trend: bool) -> dict[str, Difference]:
    """One difference a task: the mean over its grids or, for a `trend`, the slope per doubling of the steps.

    A task on one grid has no trend and is left out.
    """
    grids: dict[str, dict[int, Difference]] = {}
    for (task, steps), difference in strata.items():
        grids.setdefault(task, {})[steps] = difference
    found = {}
    for task, each in grids.items():
        weights = np.full(len(each), 1 / len(each))
        if trend:
            if len(each) < 2:
                continue
            doublings = np.log2([*each])
            centred = doublings - doublings.mean()
            weights = centred / (centred @ centred)
        found[task] = combine(weights, [*each.values()])
    return found


def over(replication: Replication, tasks: Mapping[str, Difference]) -> Difference:
    """The mean over tasks, replicated over seeds or over tasks; one task has no replication over tasks."""
    if replication == "seeds":
        return combine(np.full(len(tasks), 1 / len(tasks)), [*tasks.values()])
    found = one_sample(np.array([d.difference for d in tasks.values()]))
    return found or Difference(UNKNOWN, UNKNOWN, UNKNOWN)


def interval(found: Difference, level: float) -> tuple[float, float] | None:
    """The ends of the central interval by Student's t; None where the spread is not known."""
    if math.isnan(found.standard_error):
        return None
    half = float(t_quantile((1 + level) / 2, np.float64(found.freedom))) * found.standard_error
    return found.difference - half, found.difference + half
