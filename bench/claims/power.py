"""The power of a comparison, by simulation with the spreads of its records. No JAX.

A repetition draws, for each task, the effect (the same on all tasks or, over tasks, a random one with the spread that
the tasks have beyond their seeds) and as many differences between runs as there are seeds. It is tested at every look.
"""

from dataclasses import replace

import numpy as np

from bench.analysis.stats import t_test
from bench.claims.differences import Replication
from bench.claims.sequential import ALPHA, LOOKS, nominal_levels
from bench.claims.verdicts import Comparison, Finding

REPETITIONS = 2000  # a chance of a half is then known to .022 (two standard errors)
WITHIN = 10  # seeds


def with_power(f: Finding) -> Finding:
    """The finding with the chances to find an effect as large as the margin, and as half of it."""
    return replace(f, comparisons=[_with_power(c) for c in f.comparisons])


def _with_power(c: Comparison) -> Comparison:
    if not c.level:
        return c
    units: tuple[Replication, ...] = ("seeds", "tasks") if c.over == "tasks" else ("seeds",)
    sizes = (c.margin, c.margin / 2)
    chances = {f"{size:g} over {over}": chance(c, size, over) for over in units for size in sizes}
    return replace(c, power=chances)


def chance(c: Comparison, effect: float, over: Replication, within: int = WITHIN) -> float:
    """The chance that a comparison with the spreads of `c` finds a true `effect` `within` so many seeds."""
    errors = np.array([task.standard_error or 0.0 for task in c.tasks])
    spreads = errors * np.sqrt(c.seeds)  # of one difference between two runs
    means = np.array([task.effect for task in c.tasks])
    looks = [n for n in LOOKS if n <= within]
    rng = np.random.default_rng(0)
    between = max(float(np.var(means, ddof=1)) - float(np.mean(errors**2)), 0.0) ** 0.5 if over == "tasks" else 0.0
    true = effect + between * rng.normal(size=(REPETITIONS, len(means), 1))
    # Half of the variance is in either method's runs, so that Welch's degrees of freedom are those of two samples.
    runs = rng.normal(size=(2, REPETITIONS, len(means), looks[-1])) * spreads[:, None] / np.sqrt(2)
    found = np.zeros(REPETITIONS, bool)
    waiting = np.ones(REPETITIONS, bool)
    for look, n in enumerate(looks):
        difference, error, freedom = _estimate(true + runs[0, ..., :n], runs[1, ..., :n], over)
        significant = waiting & (t_test(difference, error, freedom) <= nominal_levels(ALPHA)[look])
        found |= significant & (difference > 0)
        waiting &= ~significant
    return float(np.mean(found))


def _estimate(a: np.ndarray, b: np.ndarray, over: Replication) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Differences, standard errors and degrees of freedom of "repetitions tasks seeds", as in `differences.over`."""
    means = a.mean(axis=2) - b.mean(axis=2)
    count, n = a.shape[1], a.shape[2]
    if over == "tasks":
        return means.mean(axis=1), means.std(axis=1, ddof=1) / np.sqrt(count), np.full(len(means), count - 1.0)
    parts = np.concatenate([np.var(each, axis=2, ddof=1) for each in (a, b)], axis=1) / n / count**2
    variance = parts.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        freedom = np.where(variance > 0, variance**2 / np.sum(parts**2 / (n - 1), axis=1), np.inf)
    return means.mean(axis=1), np.sqrt(variance), freedom
