"""Statistics, their errors and their tests against independent implementations and cases with known answers."""

import numpy as np
import pytest
import scipy.stats

from bench.analysis import stats


def repeated(strata):
    """Repeat the runs of each task until all tasks have the same number."""
    size = int(np.lcm.reduce([len(runs) for runs in strata]))
    return np.concatenate([np.repeat(runs, size // len(runs)) for runs in strata])


@pytest.mark.parametrize("size", [4, 8, 16, 40])
def test_the_interquartile_mean_of_a_multiple_of_four_runs_is_scipys_trimmed_mean(size):
    for runs in np.random.default_rng(size).normal(size=(3, size)):
        # The same numbers in the same order of summation up to rounding.
        assert stats.interquartile_mean([runs]).value == pytest.approx(scipy.stats.trim_mean(runs, 0.25), rel=1e-12)


@pytest.mark.parametrize("sizes", [(5,), (35,), (2, 3), (7, 5, 6), (1, 1, 1)])
def test_a_run_on_the_border_counts_in_part(sizes):
    """Four copies of every run make the middle half whole, and must not change what is estimated."""
    rng = np.random.default_rng(0)
    strata = [rng.normal(i, size=size) for i, size in enumerate(sizes)]
    expected = scipy.stats.trim_mean(np.repeat(repeated(strata), 4), 0.25)
    assert stats.interquartile_mean(strata).value == pytest.approx(expected, rel=1e-12)
    assert stats.mean(strata).value == pytest.approx(repeated(strata).mean(), rel=1e-12)


def test_the_interquartile_mean_by_hand():
    # 5 runs: 1.25 are cut off at either end, so that 2 and 4 count three quarters of 3's weight.
    assert stats.interquartile_mean([np.array([9.0, 1.0, 3.0, 2.0, 4.0])]).value == pytest.approx(
        (0.75 * 2 + 3 + 0.75 * 4) / 2.5
    )


def test_the_error_of_a_mean_is_scipys():
    runs = np.random.default_rng(0).normal(size=9)
    found = stats.mean([runs])
    assert found.standard_error == pytest.approx(scipy.stats.sem(runs), rel=1e-12)
    assert found.freedom == pytest.approx(8, rel=1e-12)
    expected = scipy.stats.t.interval(0.95, 8, runs.mean(), scipy.stats.sem(runs))
    assert stats.interval(found, -9.0, 9.0) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("trim", "statistic"), [(0.0, stats.mean), (0.25, stats.interquartile_mean)])
def test_a_difference_is_the_test_of_welch_and_of_yuen(trim, statistic):
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=16), rng.normal(0.6, 3.0, size=12)  # multiples of four: the middle half is whole
    found, expected = (
        stats.difference(statistic([a]), statistic([b])),
        scipy.stats.ttest_ind(a, b, equal_var=False, trim=trim),
    )
    assert stats.t_test(*found) == pytest.approx(expected.pvalue, rel=1e-9)
    assert found.freedom == pytest.approx(expected.df, rel=1e-9)
    assert statistic is not stats.mean or stats.welch(a, b) == found


def test_the_errors_of_tasks_add_up_by_welch_and_satterthwaite():
    rng = np.random.default_rng(2)
    strata = [rng.normal(size=5), rng.normal(0, 4, size=8), np.full(6, 0.3)]
    parts = np.array([s.var(ddof=1) / len(s) / 9 for s in strata])
    found = stats.mean(strata)
    assert found.standard_error == pytest.approx(np.sqrt(parts.sum()), rel=1e-12)
    assert found.freedom == pytest.approx(parts.sum() ** 2 / (parts[0] ** 2 / 4 + parts[1] ** 2 / 7), rel=1e-12)
    assert found.seeds == 5


def test_values_side_by_side_are_estimated_each_on_its_own():
    values = np.random.default_rng(3).normal(size=(6, 4))
    together = stats.interval(stats.mean([values, values[:5]]), -9.0, 9.0)
    for i, ends in enumerate(zip(*together, strict=True)):
        assert ends == pytest.approx(stats.interval(stats.mean([values[:, i], values[:5, i]]), -9.0, 9.0), rel=1e-12)


def test_fewer_than_five_seeds_have_no_interval():
    for sizes in ((4,), (5, 4), (1,), (9, 1)):
        strata = [np.linspace(0, 1, size) for size in sizes]
        for statistic in (stats.mean, stats.interquartile_mean):
            found = statistic(strata)
            assert np.isfinite(found.value)
            assert np.isnan(stats.interval(found, -1.0, 1.0)).all()
    assert np.isfinite(stats.interval(stats.mean([np.arange(5.0)]), -1.0, 9.0)).all()


def test_runs_without_any_spread_have_an_interval_of_no_width():
    same = stats.mean([np.full(5, 0.3)] * 2)
    assert stats.interval(same, -1.0, 1.0) == pytest.approx((0.3, 0.3))
    assert stats.t_test(*stats.difference(same, same)) == 1
    assert stats.t_test(*stats.welch(np.full(5, 0.3), np.full(5, 0.4))) == 0


def test_an_interval_ends_where_scores_do():
    assert stats.interval(stats.mean([np.array([1.0, 1.0, 1.0, 1.0, 0.0])]), -1.0, 1.0)[1] == 1


def test_quantiles_and_p_values_of_t_are_scipys():
    freedom = np.array([1.0, 4.5, 200.0, np.inf])
    assert stats.t_quantile(0.975, freedom) == pytest.approx(scipy.stats.t.ppf(0.975, freedom), rel=1e-9)
    assert stats.t_test(np.full(4, -0.7), np.full(4, 0.2), freedom) == pytest.approx(
        2 * scipy.stats.t.sf(3.5, freedom), rel=1e-9
    )


def test_corrected_p_values_are_those_of_holm():
    # By hand: .01 x 4, then .03 x 3, then .04 x 2, which may not be smaller than the one before, then .5.
    assert stats.holm([0.01, 0.04, 0.03, 0.5]) == pytest.approx([0.04, 0.09, 0.09, 0.5])
    assert stats.holm([0.9, 0.8]) == pytest.approx([1, 1])
    assert stats.holm([]).size == 0


def test_the_chance_to_win_is_the_statistic_of_mann_and_whitney():
    rng = np.random.default_rng(0)
    one = [rng.integers(0, 6, size=n).astype(float) for n in (5, 7)]  # with ties
    other = [rng.integers(0, 6, size=n).astype(float) for n in (6, 5)]
    expected = [scipy.stats.mannwhitneyu(a, b).statistic / (len(a) * len(b)) for a, b in zip(one, other, strict=True)]
    found = stats.win_chance(one, other)
    assert found.value == pytest.approx(np.mean(expected), rel=1e-12)
    assert stats.win_chance(one, one).value == 0.5
    back = stats.win_chance(other, one)
    assert (back.value, back.standard_error) == pytest.approx((1 - found.value, found.standard_error), rel=1e-12)


def test_the_error_of_the_chance_to_win_is_that_of_the_bootstrap():
    rng = np.random.default_rng(0)
    one, other = rng.normal(0.5, size=40), rng.normal(size=30)
    drawn = [stats.win_chance([rng.choice(one, 40)], [rng.choice(other, 30)]).value for _ in range(1000)]
    # 1000 resamples know a standard deviation to 2 %, and resamples spread by sqrt(29/30) less; 10 % leaves room.
    assert stats.win_chance([one], [other]).standard_error == pytest.approx(np.std(drawn), rel=0.1)


def test_score_has_its_two_fixed_points():
    assert stats.score(20.0, floor=20.0, best=10.0) == 0
    assert stats.score(10.0, floor=20.0, best=10.0) == 1
    assert stats.score(30.0, floor=20.0, best=10.0) == -1
