"""Statistics against independent implementations and cases with known answers."""

import numpy as np
import pytest
import scipy.stats

from bench import stats


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7, 16, 41])
def test_interquartile_mean_is_scipys_trimmed_mean(size):
    runs = np.random.default_rng(size).normal(size=(3, size))
    # The same numbers in the same order of summation up to rounding.
    np.testing.assert_allclose(stats.interquartile_mean(runs), scipy.stats.trim_mean(runs, 0.25, axis=-1), rtol=1e-12)


def test_bootstrap_of_a_mean_has_the_width_of_its_standard_error():
    rng = np.random.default_rng(0)
    runs = rng.normal(size=400)
    low, high = stats.bootstrap_interval([runs], stats.mean, rng)
    # 2000 resamples give a 95 % end to about 3 % of the width; 10 % leaves room.
    assert high - low == pytest.approx(2 * 1.96 * runs.std() / 20, rel=0.1)
    assert (low + high) / 2 == pytest.approx(runs.mean(), abs=0.01)


def test_bootstrap_is_stratified_and_repeatable():
    strata = [np.array([0.0, 0.0]), np.array([1.0, 1.0, 1.0])]
    # Each stratum is constant, so resampling inside strata cannot move the mean; resampling across them would.
    first = stats.bootstrap_interval(strata, stats.mean, np.random.default_rng(0))
    assert first == pytest.approx((0.6, 0.6))
    noisy = [np.arange(4.0), np.arange(3.0)]
    draws = [stats.bootstrap_interval(noisy, stats.interquartile_mean, np.random.default_rng(1)) for _ in range(2)]
    assert draws[0] == draws[1]


def test_one_run_has_no_interval():
    assert np.isnan(stats.bootstrap_interval([np.array([0.5])], stats.mean, np.random.default_rng(0))).all()
    assert np.isnan(stats.bootstrap_interval([np.array([])], stats.mean, np.random.default_rng(0))).all()


def test_score_has_its_two_fixed_points():
    assert stats.score(20.0, floor=20.0, best=10.0) == 0
    assert stats.score(10.0, floor=20.0, best=10.0) == 1
    assert stats.score(30.0, floor=20.0, best=10.0) == -1
