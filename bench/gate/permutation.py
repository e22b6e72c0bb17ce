"""Permutation tests of a difference in means: one p-value for "worse" and one for "better". No JAX here.

A p-value is the share of relabellings whose mean difference is at least as far to one side as the observed one. A test
uses all relabellings where there are at most MAX_RELABELLINGS; else it uses that many random ones, and the observed one
counts too. The random ones have a fixed seed, so that a p-value does not depend on which other tests are made.

The tests are exact where relabelling changes nothing, that is where both groups have one distribution, which is more
than one mean.

Good, *Permutation, Parametric and Bootstrap Tests of Hypotheses* (2005); Phipson & Smyth, *Permutation P-values Should
Never Be Zero* (2010).
"""

import functools
import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bench.analysis.stats import Floats

MAX_RELABELLINGS = 20_000
MIN_P_VALUE = 1 / (MAX_RELABELLINGS + 1)  # the smallest that random relabellings can give
TIE_RTOL = 1e-12  # relative to the largest difference: sums of the same numbers in another order are ties


class Tails(NamedTuple):
    """The p-values of a difference: that the candidate is `worse`, and that it is `better`."""

    worse: float
    better: float


def paired(strata: Sequence[Floats]) -> Tails:
    """Test differences within pairs, under flips of their signs. All strata (tasks) weigh the same."""
    weighted = np.concatenate([d / (len(d) * len(strata)) for d in strata])
    null = _signs(len(weighted)) @ weighted
    return _tails(null, float(weighted.sum()), exact=2 ** len(weighted) <= MAX_RELABELLINGS)


def unpaired(strata: Sequence[tuple[Floats, Floats]]) -> Tails:
    """Test the mean of the second group less that of the first, relabelled within each stratum (task).

    All strata weigh the same.
    """
    null = [_differences(*groups) / len(strata) for groups in strata]
    observed = sum(float(values[0]) for values in null)  # the first relabelling keeps the groups
    if math.prod(map(len, null)) <= MAX_RELABELLINGS:
        return _tails(functools.reduce(np.add.outer, null).ravel(), observed, exact=True)
    if len(null) == 1:  # its relabellings are drawn at random already
        return _tails(null[0][1:], observed, exact=False)
    draws = sum(values[_draws(i, len(values))] for i, values in enumerate(null))
    return _tails(np.asarray(draws), observed, exact=False)


def smallest_paired_p_value(pairs: int) -> float:
    """Smallest p-value that `pairs` pairs can give: all differences have one sign."""
    return max(2.0**-pairs, MIN_P_VALUE)


def smallest_unpaired_p_value(sizes: Sequence[tuple[int, int]]) -> float:
    """Smallest p-value that strata of two groups of these sizes can give: the groups overlap in no stratum."""
    return max(1 / math.prod(math.comb(a + b, b) for a, b in sizes), MIN_P_VALUE)


def _tails(null: Floats, observed: float, exact: bool) -> Tails:
    slack = TIE_RTOL * float(np.max(np.abs(null)))
    counts = np.sum(null <= observed + slack), np.sum(null >= observed - slack)
    return Tails(*(float(c / len(null) if exact else (c + 1) / (len(null) + 1)) for c in counts))


def _differences(a: Floats, b: Floats) -> Floats:
    """mean(b) - mean(a) for every relabelling of the two groups; the first is the given one."""
    both = np.concatenate([b, a])
    sums = _members(len(both), len(b)) @ both
    return sums / len(b) - (both.sum() - sums) / len(a)


@functools.lru_cache(maxsize=32)
def _draws(stratum: int, count: int) -> np.ndarray:
    """Random choices among `count` relabellings of a stratum, independent of those of other strata."""
    return np.random.default_rng(stratum).integers(count, size=MAX_RELABELLINGS)


@functools.lru_cache(maxsize=8)
def _signs(pairs: int) -> np.ndarray:
    """Signs of the pairs, "relabellings pairs"."""
    if 2**pairs <= MAX_RELABELLINGS:
        return np.array(list(itertools.product((1.0, -1.0), repeat=pairs)))
    return 1.0 - 2.0 * np.random.default_rng(0).integers(2, size=(MAX_RELABELLINGS, pairs))


@functools.lru_cache(maxsize=8)
def _members(total: int, size: int) -> np.ndarray:
    """1 for members of a subset of `size` out of `total`, else 0, "relabellings total"; the first: 0 ... size - 1."""
    if math.comb(total, size) <= MAX_RELABELLINGS:
        chosen = np.array(list(itertools.combinations(range(total), size)))
    else:
        order = np.argsort(np.random.default_rng(0).random((MAX_RELABELLINGS, total)), axis=1)[:, :size]
        chosen = np.concatenate([np.arange(size)[None], order])
    members = np.zeros((len(chosen), total))
    np.put_along_axis(members, chosen, 1.0, axis=1)
    return members
