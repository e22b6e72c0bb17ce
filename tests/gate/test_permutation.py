"""Permutation tests against SciPy's, against enumeration by hand, and under a true null hypothesis."""

import itertools

import numpy as np
import pytest
import scipy.stats

from bench.gate import permutation


def mean_difference(a, b, axis=-1):
    return np.mean(b, axis=axis) - np.mean(a, axis=axis)


def test_the_unpaired_test_is_scipys():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=9), rng.normal(0.7, size=3)
    for side, p_value in zip(("less", "greater"), permutation.unpaired([(a, b)]), strict=True):
        expected = scipy.stats.permutation_test((a, b), mean_difference, n_resamples=np.inf, alternative=side)
        assert p_value == pytest.approx(expected.pvalue, rel=1e-12)


def test_the_paired_test_is_scipys():
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=10), rng.normal(0.5, size=10)
    for side, p_value in zip(("less", "greater"), permutation.paired([b - a]), strict=True):
        expected = scipy.stats.permutation_test(
            (a, b), mean_difference, permutation_type="samples", n_resamples=np.inf, alternative=side
        )
        assert p_value == pytest.approx(expected.pvalue, rel=1e-12)


def test_strata_are_relabelled_each_on_its_own():
    strata = [(np.array([0.1, 0.4, 0.3]), np.array([0.9, 0.2])), (np.array([5.0, 5.5]), np.array([5.2, 6.0]))]
    null = []
    for labels in itertools.product(itertools.combinations(range(5), 2), itertools.combinations(range(4), 2)):
        parts = []
        for (a, b), chosen in zip(strata, labels, strict=True):
            both = np.concatenate([a, b])
            others = [i for i in range(len(both)) if i not in chosen]
            parts.append(both[list(chosen)].mean() - both[others].mean())
        null.append(np.mean(parts))
    seen = np.mean([b.mean() - a.mean() for a, b in strata])
    expected = np.mean(null <= seen + 1e-12), np.mean(null >= seen - 1e-12)
    assert permutation.unpaired(strata) == pytest.approx(expected, rel=1e-12)


def test_random_relabellings_estimate_the_exact_p_value(monkeypatch):
    rng = np.random.default_rng(2)
    groups = [(rng.normal(size=7), rng.normal(0.6, size=3)) for _ in range(2)]  # 120 * 120 relabellings
    pairs = [rng.normal(0.5, size=14)]  # 2^14
    exact = *permutation.unpaired(groups), *permutation.paired(pairs)
    monkeypatch.setattr(permutation, "MAX_RELABELLINGS", 14_000)
    for cached in (permutation._signs, permutation._draws):
        cached.cache_clear()
    estimated = *permutation.unpaired(groups), *permutation.paired(pairs)
    for cached in (permutation._signs, permutation._draws):
        cached.cache_clear()
    assert estimated != exact
    # Four standard errors of a share of 14000 draws: at most 4 * 0.5 / sqrt(14000).
    assert estimated == pytest.approx(exact, abs=0.017)


@pytest.mark.parametrize("sizes", [[(5, 2)], [(4, 2), (3, 1)], [(3, 3)], [(2, 2), (2, 2)]])
def test_the_smallest_unpaired_p_value_is_that_of_groups_without_overlap(sizes):
    strata = [(np.arange(a) / 10, 9 + np.arange(b) / 10) for a, b in sizes]
    smallest = permutation.smallest_unpaired_p_value(sizes)
    assert permutation.unpaired(strata).better == pytest.approx(smallest, rel=1e-12)


@pytest.mark.parametrize("pairs", [1, 2, 5, 8])
def test_the_smallest_paired_p_value_is_that_of_one_sign(pairs):
    smallest = permutation.smallest_paired_p_value(pairs)
    assert permutation.paired([np.arange(pairs) + 1.0]).better == pytest.approx(smallest, rel=1e-12)


def test_no_difference_is_no_evidence():
    same = np.full(5, 0.3)
    assert permutation.unpaired([(same, same[:2])]) == (1, 1)
    assert permutation.paired([same - same]) == (1, 1)


def test_p_values_are_uniform_under_the_null_hypothesis():
    rng = np.random.default_rng(3)
    unpaired = [permutation.unpaired([tuple(np.split(rng.normal(size=9), [6])) for _ in range(2)]) for _ in range(400)]
    paired = [permutation.paired([rng.standard_t(2, size=9)]) for _ in range(400)]
    for p_values in (*zip(*unpaired, strict=True), *zip(*paired, strict=True)):
        # At most q of a true null's p-values lie below q; four standard errors of 400 draws at q = 0.1 are 0.06.
        assert np.mean(np.array(p_values) <= 0.1) == pytest.approx(0.1, abs=0.06)
        assert np.mean(np.array(p_values) <= 0.5) == pytest.approx(0.5, abs=0.1)
