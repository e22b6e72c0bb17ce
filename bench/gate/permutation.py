"""Permutation tests of a difference in means, and the correction for many tests. No JAX here.

A p-value is the share of relabellings whose mean difference is at least as far from 0 as the observed one. A test uses
all relabellings where there are at most MAX_RELABELLINGS; else it uses that many random ones, and the observed one
counts too. The random ones have a fixed seed, so that a p-value does not depend on which other tests are made.

Good, *Permutation, Parametric and Bootstrap Tests of Hypotheses* (2005); Phipson & Smyth, *Permutation P-values Should
Never Be Zero* (2010); Benjamini & Hochberg, J. R. Stat. Soc. B 57 (1995) 289.
"""

import functools
import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np

from bench.analysis.stats import Floats

MAX_RELABELLINGS = 20_000
MIN_P_VALUE = 1 / (MAX_RELABELLINGS + 1)  # the smallest that random relabellings can give
TIE_RTOL = 1e-12  # relative to the largest difference: sums of the same numbers in another order are ties


def paired(differences: Floats) -> float:
    """Two-sided p-value of the mean of the differences within pairs, under flips of their signs."""
    null = np.concatenate([part @ differences for part in _signs(len(differences))])
    return _p_value(null, float(differences.sum()), exact=2 ** len(differences) <= MAX_RELABELLINGS)


def unpaired(strata: Sequence[tuple[Floats, Floats]]) -> float:
    """Two-sided p-value of the difference between two groups, which are relabelled within each stratum (task).

    All strata weigh the same.
    """
    null = [_differences(*groups) / len(strata) for groups in strata]
    observed = sum(float(values[0]) for values in null)  # the first relabelling keeps the groups
    if math.prod(map(len, null)) <= MAX_RELABELLINGS:
        return _p_value(functools.reduce(np.add.outer, null).ravel(), observed, exact=True)
    rng = np.random.default_rng(0)
    draws = sum(values[rng.integers(len(values), size=MAX_RELABELLINGS)] for values in null)
    return _p_value(np.asarray(draws), observed, exact=False)


def smallest_paired_p_value(pairs: int) -> float:
    """Smallest p-value that `pairs` pairs can give: all differences have one sign."""
    return min(1.0, max(2.0 ** (1 - pairs), MIN_P_VALUE))


def smallest_unpaired_p_value(sizes: Sequence[tuple[int, int]]) -> float:
    """Smallest p-value that strata of two groups of these sizes can give: the groups overlap in no stratum."""
    relabellings = math.prod(math.comb(a + b, b) for a, b in sizes)
    mirrored = 2 if all(a == b for a, b in sizes) else 1  # exchanging equal groups is as extreme
    return min(1.0, max(mirrored / relabellings, MIN_P_VALUE))


def benjamini_hochberg(p_values: Sequence[float] | Floats) -> Floats:
    """Correct p-values for their number: to accept those up to q keeps the expected share of false ones below q.

    The corrected value is the smallest of n p(k) / k over all k from the value's rank on. SciPy has the same function;
    importing it takes a sixth of a report's time.
    """
    p, order = np.asarray(p_values, np.float64), np.argsort(p_values)
    corrected = np.minimum.accumulate((len(p) * p[order] / np.arange(1, len(p) + 1))[::-1])[::-1]
    return corrected[np.argsort(order)]


def _p_value(null: Floats, observed: float, exact: bool) -> float:
    """p-value of a test from its differences under the null hypothesis, "relabellings", and the observed one."""
    null = np.abs(null)
    extreme = int(np.sum(null >= abs(observed) - TIE_RTOL * np.max(null)))
    return extreme / len(null) if exact else (extreme + 1) / (len(null) + 1)


def _differences(a: Floats, b: Floats) -> Floats:
    """mean(b) - mean(a) for every relabelling of the two groups; the first is the given one."""
    both = np.concatenate([b, a])
    sums = both[_subsets(len(both), len(b))].sum(axis=1)
    return sums / len(b) - (both.sum() - sums) / len(a)


def _signs(pairs: int) -> Iterator[Floats]:
    """Signs of the pairs, "relabellings pairs", a thousand relabellings at a time.

    As floats all of them would take eight times the memory of `_flips`.
    """
    flips = _flips(pairs)
    for part in np.array_split(flips, math.ceil(len(flips) / 1000)):
        yield 1.0 - 2.0 * part


@functools.lru_cache(maxsize=8)
def _flips(pairs: int) -> np.ndarray:
    """Which pairs a relabelling flips, "relabellings pairs": 1 where it does, else 0."""
    if 2**pairs <= MAX_RELABELLINGS:
        return np.array(list(itertools.product((0, 1), repeat=pairs)), np.uint8)
    # The generator's `integers` takes ten times as long.
    bits = np.frombuffer(np.random.default_rng(0).bytes(MAX_RELABELLINGS * pairs // 8), np.uint8)
    return np.unpackbits(bits).reshape(MAX_RELABELLINGS, pairs)


@functools.lru_cache(maxsize=8)
def _subsets(total: int, size: int) -> np.ndarray:
    """Indices of subsets of `size` out of `total`, "relabellings size"; the first is 0 ... size - 1."""
    if math.comb(total, size) <= MAX_RELABELLINGS:
        return np.array(list(itertools.combinations(range(total), size)))
    order = np.argsort(np.random.default_rng(0).random((MAX_RELABELLINGS, total)), axis=1)[:, :size]
    return np.concatenate([np.arange(size)[None], order])
