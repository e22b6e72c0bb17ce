"""Places of methods by one statistic, with what their runs prove about them. No JAX here.

Methods stand in the order of their estimates. Two methods are separated if Welch's t test of their difference is
significant after Holm's correction for all pairs. All that is said here compares the same estimates by the same errors.
"""

import itertools
import string
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.analysis.stats import Estimate, Floats, difference, holm, t_test

ALPHA = 0.05
RESOLUTION = 1e-4  # differences up to this are none: costs are evaluated in float32
RESAMPLES = 2000


class Place(NamedTuple):
    """What a comparison says of one method.

    rank: 1 + the number of methods with a larger estimate
    low, high: ends of the 95 % interval of the rank
    letters: one for each group to which the method belongs; methods that share a letter are not separated
    """

    rank: int
    low: int
    high: int
    letters: str


def corrected_p_values(estimates: Sequence[Estimate]) -> Floats:
    """p-values of the differences between all estimates, "methods methods", corrected for the number of pairs."""
    table = np.ones((len(estimates), len(estimates)))
    upper = np.triu_indices(len(estimates), 1)
    table[upper] = holm(_p_values(estimates)[upper])
    return np.minimum(table, table.T)


def places(estimates: Sequence[Estimate], p_values: Floats) -> list[Place]:
    """Place of each method; `p_values` are those of `corrected_p_values`."""
    values = np.array([estimate.value for estimate in estimates])
    ranks = 1 + np.sum(values[None, :] > values[:, None], axis=1)
    lows, highs = rank_intervals(estimates)
    groups = letters(np.argsort(-values, kind="stable"), p_values <= ALPHA)
    ends = zip(ranks.tolist(), lows.tolist(), highs.tolist(), groups, strict=True)
    return [Place(rank, low, high, group) for rank, low, high, group in ends]


def rank_intervals(estimates: Sequence[Estimate]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Ends of the 95 % interval of each method's rank.

    A rank is at least 1 + the number of methods that are surely better, and those that are surely worse bound it from
    above. A parametric bootstrap says how large the largest t statistic of one method against all others becomes where
    none of them differ: 95 % of those of RESAMPLES resamples are smaller. Source: Mogstad, Romano, Shaikh & Wilhelm,
    *Inference for Ranks* (Rev. Econ. Stud. 91 (2024) 476).
    """
    values, errors = (np.array(each) for each in zip(*(e[:2] for e in estimates), strict=True))
    freedom = np.array([min(e.freedom, 1e6) for e in estimates])
    rng = np.random.default_rng(0)  # a fixed seed, so that an interval does not change from one report to the next
    noise = errors * rng.normal(size=(RESAMPLES, len(estimates)))
    spread = errors**2 * rng.chisquare(freedom, size=(RESAMPLES, len(estimates))) / freedom
    lows, highs = np.ones(len(estimates), int), np.full(len(estimates), len(estimates))
    for i, value in enumerate(values):
        t = np.abs(noise - noise[:, [i]]) / np.sqrt(np.maximum(spread + spread[:, [i]], 1e-300))
        limit = np.quantile(t.max(axis=1), 1 - ALPHA) * np.sqrt(errors**2 + errors[i] ** 2)
        limit = np.maximum(limit, RESOLUTION)
        lows[i] += np.sum(values - value > limit)
        highs[i] -= np.sum(value - values > limit)
    return lows, highs


def letters(order: Sequence[int] | NDArray[np.int64], separated: NDArray[np.bool_]) -> list[str]:
    """Compact letter display: two methods share a letter if and only if they are not separated.

    Groups are found by insertion and absorption (Piepho, J. Comput. Graph. Stat. 13 (2004) 456), and lettered in
    `order`, the methods from best to worst.
    """
    groups = [frozenset(range(len(order)))]
    for i, j in itertools.combinations(range(len(order)), 2):
        if separated[order[i], order[j]]:
            split = [part for group in groups for part in ((group - {i}, group - {j}) if {i, j} <= group else (group,))]
            groups = [part for part in dict.fromkeys(split) if not any(part < other for other in split)]
    groups.sort(key=sorted)
    names = [*string.ascii_letters, *(f"({n})" for n in range(len(string.ascii_letters) + 1, len(groups) + 1))]
    found = [""] * len(order)
    for name, group in zip(names, groups, strict=False):
        for place in group:
            found[order[place]] += name
    return found


def best_group(estimates: Sequence[Estimate]) -> list[bool]:
    """Whether each method may be the best: the one with the largest estimate is not significantly better.

    The tests are one-sided, at the level ALPHA / (methods - 1). The truly best method is left out only if one of the
    methods - 1 others wins against it by chance, so that 95 % of such groups hold it.
    """
    first = int(np.argmax([estimate.value for estimate in estimates]))
    return [bool(p > 2 * ALPHA / max(len(estimates) - 1, 1)) for p in _p_values(estimates)[first]]


def _p_values(estimates: Sequence[Estimate]) -> Floats:
    """Uncorrected two-sided p-values of all differences, "methods methods"."""
    value, error, freedom = (np.array(each) for each in zip(*(e[:3] for e in estimates), strict=True))
    rows = Estimate(value[:, None], error[:, None], freedom[:, None], 0)
    columns = Estimate(value, error, freedom, 0)
    found = difference(rows, columns)
    return np.where(np.abs(found.difference) <= RESOLUTION, 1.0, t_test(*found))
