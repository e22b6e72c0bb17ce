"""Statistics against independent implementations and cases with known answers."""

import numpy as np
import pytest
import scipy.stats

from bench.analysis import stats


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7, 16, 41])
def test_interquartile_mean_is_scipys_trimmed_mean(size):
    for runs in np.random.default_rng(size).normal(size=(3, size)):
        # The same numbers in the same order of summation up to rounding.
        assert stats.interquartile_mean([runs]) == pytest.approx(scipy.stats.trim_mean(runs, 0.25), rel=1e-12)


def test_bootstrap_of_a_mean_has_the_width_of_its_standard_error():
    runs = np.random.default_rng(0).normal(size=400)
    low, high = stats.bootstrap_interval([runs], stats.mean)
    # 2000 resamples give a 95 % end to about 3 % of the width; 10 % leaves room.
    assert high - low == pytest.approx(2 * 1.96 * runs.std() / 20, rel=0.1)
    assert (low + high) / 2 == pytest.approx(runs.mean(), abs=0.01)


def test_bootstrap_is_stratified_and_repeatable():
    strata = [np.array([0.0, 0.0]), np.array([1.0, 1.0, 1.0])]
    # Each stratum is constant, so resampling inside strata cannot move the mean; resampling across them would.
    first = stats.bootstrap_interval(strata, stats.mean)
    assert first == pytest.approx((0.5, 0.5))
    noisy = [np.arange(4.0), np.arange(3.0)]
    drawn = stats.bootstrap_interval(noisy, stats.interquartile_mean)
    stats.resample_weights.cache_clear()
    stats.resample_counts.cache_clear()
    assert stats.bootstrap_interval(noisy, stats.interquartile_mean) == drawn


def test_tasks_with_the_same_scores_are_resampled_each_on_its_own():
    runs = np.random.default_rng(0).normal(size=50)
    low, high = stats.bootstrap_interval([runs] * 9, stats.mean)
    # If all tasks shared one draw of resamples, the interval would be three times as wide; for the 10 % see above.
    assert high - low == pytest.approx(2 * 1.96 * runs.std() / np.sqrt(9 * 50), rel=0.1)


def test_one_run_has_no_interval():
    assert np.isnan(stats.bootstrap_interval([np.array([0.5])], stats.mean)).all()
    assert np.isnan(stats.bootstrap_interval([np.array([])], stats.mean)).all()


def brute(strata):
    """Repeat the runs of each task until all tasks have the same number."""
    lcm = int(np.lcm.reduce([len(s) for s in strata]))
    return [np.repeat(s, lcm // len(s)) for s in strata]


def test_tasks_weigh_the_same_whatever_their_number_of_seeds():
    rng = np.random.default_rng(0)
    strata = [rng.normal(i, size=size) for i, size in enumerate((3, 5, 4))]  # 12 runs: a quarter of them is whole
    repeated = np.concatenate(brute(strata))  # 180 values, of which 45 are cut off at either end
    assert stats.interquartile_mean(strata) == pytest.approx(scipy.stats.trim_mean(repeated, 0.25), rel=1e-12)
    assert stats.mean(strata) == pytest.approx(repeated.mean(), rel=1e-12)
    assert stats.median(strata) == sorted(s.mean() for s in strata)[1]


@pytest.mark.parametrize("statistic", [stats.mean, stats.median, stats.interquartile_mean])
def test_statistics_of_weighted_runs_are_those_of_the_runs_drawn(statistic):
    rng = np.random.default_rng(0)
    strata = [rng.normal(size=n).round(1) for n in (3, 5, 5)]  # with ties
    drawn = [rng.integers(len(runs), size=(40, len(runs))) for runs in strata]
    weights = [np.stack([np.bincount(d, minlength=d.size) / d.size for d in draws]) for draws in drawn]
    each = [statistic([runs[d[i]] for runs, d in zip(strata, drawn, strict=True)]) for i in range(40)]
    np.testing.assert_allclose(statistic(strata, weights), each, rtol=1e-12, atol=1e-15)


def test_resamples_hold_as_many_runs_and_each_as_often():
    weights = stats.resample_weights(7, 3)
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-12)
    # The number of times that a run is drawn has a variance of 6/7; four standard errors of 2000 are 0.09 of 1.
    np.testing.assert_allclose(7 * weights.mean(axis=0), 1, atol=4 * np.sqrt(6 / 7 / stats.RESAMPLES))
    assert not np.array_equal(weights, stats.resample_weights(7, 4))


def test_probability_of_improvement_is_the_statistic_of_mann_and_whitney():
    rng = np.random.default_rng(0)
    one = [rng.integers(0, 6, size=n).astype(float) for n in (4, 7)]  # with ties
    other = [rng.integers(0, 6, size=n).astype(float) for n in (5, 3)]
    expected = [scipy.stats.mannwhitneyu(a, b).statistic / (len(a) * len(b)) for a, b in zip(one, other, strict=True)]
    assert stats.probability_of_improvement(one, other) == pytest.approx(np.mean(expected), rel=1e-12)
    assert stats.probability_of_improvement(one, one) == 0.5


def interval(values):
    return tuple(np.quantile(values, [0.025, 0.975]))


def test_intervals_by_products_are_those_of_the_bootstrap():
    """The intervals of means and of the probability of improvement agree with resamples drawn one by one."""
    rng = np.random.default_rng(0)
    one = [rng.normal(0.3, 1.0, size=n) for n in (9, 12)]
    other = [rng.normal(size=n) for n in (7, 10)]
    drawn = [[[rng.choice(runs, len(runs)) for runs in method] for method in (one, other)] for _ in range(2000)]
    halves = interval([stats.probability_of_improvement(*methods) for methods in drawn])
    # Either end is known to 3 % of the width, see above, and the difference of two to 4 %; 15 % is over three of these.
    assert stats.improvement_interval(one, other) == pytest.approx(halves, abs=0.15 * (halves[1] - halves[0]))
    means = interval([stats.mean(mine) for mine, _ in drawn])
    columns = stats.bootstrap_interval([np.stack([runs, 2 * runs], axis=1) for runs in one], stats.mean)
    for factor, low, high in zip((1, 2), *columns, strict=True):
        assert (low / factor, high / factor) == pytest.approx(means, abs=0.15 * (means[1] - means[0]))


def test_without_a_second_run_no_interval_by_products_either():
    single = [np.array([0.5])]
    assert np.isnan(stats.improvement_interval(single, single)).all()
    low, high = stats.bootstrap_interval([np.ones((1, 3))], stats.mean)
    assert np.isnan([low, high]).all()
    assert np.shape(low) == np.shape(high) == (3,)


@pytest.mark.slow
@pytest.mark.parametrize("statistic", [stats.mean, stats.median, stats.interquartile_mean])
def test_the_interval_covers_the_truth_as_often_as_it_says(statistic):
    rng, tasks = np.random.default_rng(0), np.linspace(-0.5, 0.5, 8)
    quantiles = scipy.stats.norm.ppf((np.arange(4000) + 0.5) / 4000)
    truth = statistic([mean + 0.2 * quantiles for mean in tasks])  # the statistic of very many seeds
    hits = 0
    for _ in range(1000):
        low, high = stats.bootstrap_interval([rng.normal(mean, 0.2, size=10) for mean in tasks], statistic)
        hits += low <= truth <= high
    # Percentile intervals of ten seeds are a little narrow: resamples spread sqrt(9/10) as far as the truth, which
    # makes 95 % into 93.7 %; four standard errors of 1000 trials are 3 %.
    assert hits / 1000 == pytest.approx(0.937, abs=0.03)


def test_score_has_its_two_fixed_points():
    assert stats.score(20.0, floor=20.0, best=10.0) == 0
    assert stats.score(10.0, floor=20.0, best=10.0) == 1
    assert stats.score(30.0, floor=20.0, best=10.0) == -1
