"""Permutation tests of a difference in means, and the correction for many tests at once. No JAX here.

A p-value is the share of relabellings whose mean difference is at least as far from 0 as the one that was seen: of all
relabellings where there are at most LIMIT, else of LIMIT random ones and the seen one. These are drawn once from a
fixed seed, so that a p-value does not depend on which other tests are made.

Good, *Permutation, Parametric and Bootstrap Tests of Hypotheses* (2005); Phipson & Smyth, *Permutation P-values Should
Never Be Zero* (2010); Benjamini & Hochberg, J. R. Stat. Soc. B 57 (1995) 289.
"""

import functools
import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np

from bench.analysis.stats import Floats, Values

LIMIT = 20_000
ROUNDING = 1e-12  # of the largest difference: sums of the same numbers in another order are the same


def paired(strata: Sequence[Floats]) -> float:
    """Two-sided p-value of differences within pairs, under flips of their signs; strata (tasks) weigh the same."""
    return float(paired_each([strata])[0])


def paired_each(tests: Sequence[Sequence[Floats]]) -> Floats:
    """`paired` of several tests, 1 where one has no pair. Those of equally many pairs share one product with the flips,
    which are far more numbers than the differences."""
    weighted = [np.concatenate([[], *(d / (len(d) * len(strata)) for d in strata)]) for strata in tests]
    p_values = np.empty(len(tests))
    for pairs in {len(differences) for differences in weighted}:
        alike = [i for i, differences in enumerate(weighted) if len(differences) == pairs]
        differences = np.stack([weighted[i] for i in alike], axis=1)
        null = np.concatenate([part @ differences for part in _signs(pairs)])
        p_values[alike] = _p_values(null, differences.sum(axis=0), exact=2**pairs <= LIMIT)
    return p_values


def unpaired(strata: Sequence[tuple[Floats, Floats]]) -> float:
    """Two-sided p-value of the difference between two groups, relabelled within each stratum; strata weigh the same."""
    null = [_differences(*groups) / len(strata) for groups in strata]
    observed = sum(float(values[0]) for values in null)  # the first relabelling is none
    if math.prod(map(len, null)) <= LIMIT:
        return float(_p_values(functools.reduce(np.add.outer, null).ravel(), observed, exact=True))
    rng = np.random.default_rng(0)
    draws = sum(values[rng.integers(len(values), size=LIMIT)] for values in null)
    return float(_p_values(np.asarray(draws), observed, exact=False))


def smallest_paired(pairs: int) -> float:
    """The least p-value that so many pairs can give: all differences of one sign."""
    return min(1.0, max(2.0 ** (1 - pairs), 1 / (LIMIT + 1)))


def smallest_unpaired(sizes: Sequence[tuple[int, int]]) -> float:
    """The least p-value that strata of two groups of these sizes can give: the groups do not overlap anywhere."""
    relabellings = math.prod(math.comb(a + b, b) for a, b in sizes)
    mirrored = 2 if all(a == b for a, b in sizes) else 1  # exchanging equal groups is as extreme
    return min(1.0, max(mirrored / relabellings, 1 / (LIMIT + 1)))


def adjust(p_values: Sequence[float] | Floats) -> Floats:
    """p-values corrected for their number: taking those at most q keeps the expected share of false ones below q.

    The smallest of n p(k) / k over all k from its rank on. Importing SciPy's takes a sixth of a report's time.
    """
    p, order = np.asarray(p_values, np.float64), np.argsort(p_values)
    found = np.minimum.accumulate((len(p) * p[order] / np.arange(1, len(p) + 1))[::-1])[::-1]
    return found[np.argsort(order)]


def _p_values(null: Floats, observed: Floats | float, exact: bool) -> Values:
    """Of each test, from its differences "relabellings ..."."""
    null = np.abs(null)
    extreme = np.sum(null >= np.abs(observed) - ROUNDING * np.max(null, axis=0), axis=0)
    return extreme / len(null) if exact else (extreme + 1) / (len(null) + 1)


def _differences(a: Floats, b: Floats) -> Floats:
    """mean(b) - mean(a) for every relabelling of the two groups, the given one first."""
    both = np.concatenate([b, a])
    sums = both[_subsets(len(both), len(b))].sum(axis=1)
    return sums / len(b) - (both.sum() - sums) / len(a)


def _signs(n: int) -> Iterator[Floats]:
    """Flips of n pairs, "relabellings pairs", a thousand at a time: floats take eight times the memory."""
    flips = _flips(n)
    for part in np.array_split(flips, math.ceil(len(flips) / 1000)):
        yield 1.0 - 2.0 * part


@functools.lru_cache(maxsize=8)
def _flips(n: int) -> np.ndarray:
    """ "relabellings pairs": 1 where a pair is flipped."""
    if 2**n <= LIMIT:
        return np.array(list(itertools.product((0, 1), repeat=n)), np.uint8)
    bits = np.frombuffer(np.random.default_rng(0).bytes(LIMIT * n // 8), np.uint8)  # `integers` takes ten times as long
    return np.unpackbits(bits).reshape(LIMIT, n)


@functools.lru_cache(maxsize=8)
def _subsets(n: int, size: int) -> np.ndarray:
    """Indices of subsets, the first being 0 ... size - 1."""
    if math.comb(n, size) <= LIMIT:
        return np.array(list(itertools.combinations(range(n), size)))
    order = np.argsort(np.random.default_rng(0).random((LIMIT, n)), axis=1)[:, :size]
    return np.concatenate([np.arange(size)[None], order])
