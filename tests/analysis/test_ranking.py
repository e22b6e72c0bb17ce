"""Ranks, their intervals and the letters of groups: cases with known answers, and simulated truth."""

import itertools

import numpy as np
import pytest
import scipy.stats

from bench.analysis import ranking, stats


def estimates_of(means, seeds=5, tasks=3, spread=0.05, draw=0):
    rng = np.random.default_rng(draw)
    return [stats.interquartile_mean([rng.normal(mean, spread, size=seeds) for _ in range(tasks)]) for mean in means]


def places_of(estimates):
    return ranking.places(estimates, ranking.corrected_p_values(estimates))


def test_a_rank_is_the_place_by_the_estimate():
    for draw in range(5):
        estimates = estimates_of([0.5, 0.52, 0.9, 0.1, 0.51], draw=draw)
        values = [float(estimate.value) for estimate in estimates]
        assert [place.rank for place in places_of(estimates)] == list(scipy.stats.rankdata(np.negative(values), "min"))


def test_methods_far_apart_are_separated_and_equal_ones_share_a_letter():
    found = places_of(estimates_of([0.5, 0.9, 0.5, 0.1], seeds=10))
    assert [place.letters for place in found] == ["b", "a", "b", "c"]
    assert [(place.low, place.high) for place in found] == [(2, 3), (1, 1), (2, 3), (4, 4)]


def test_p_values_are_those_of_welch_corrected_by_holm():
    rng = np.random.default_rng(0)
    runs = [rng.normal(mean, size=7) for mean in (0, 1, 2)]
    found = ranking.corrected_p_values([stats.mean([each]) for each in runs])
    pairs = list(itertools.combinations(range(3), 2))
    expected = stats.holm([scipy.stats.ttest_ind(runs[i], runs[j], equal_var=False).pvalue for i, j in pairs])
    assert [found[i, j] for i, j in pairs] == pytest.approx(expected, rel=1e-9)
    assert (found == found.T).all()
    assert (np.diag(found) == 1).all()


def test_differences_of_rounding_are_none():
    equal = [stats.mean([np.full(5, value)]) for value in (1.0, 1.0 - 5e-5, 0.9)]
    assert [place.letters for place in places_of(equal)] == ["a", "a", "b"]
    assert [(place.low, place.high) for place in places_of(equal)] == [(1, 2), (1, 2), (3, 3)]
    assert ranking.best_group(equal) == [True, True, False]


def test_the_best_group_has_all_whom_the_first_does_not_beat_one_sided():
    for draw in range(20):
        rng = np.random.default_rng(draw)
        runs = [rng.normal(mean, 0.05, size=5) for mean in np.linspace(0.5, 0.6, 6)]
        first = max(runs, key=np.mean)
        p_values = [scipy.stats.ttest_ind(first, each, equal_var=False, alternative="greater").pvalue for each in runs]
        assert ranking.best_group([stats.mean([each]) for each in runs]) == [p > 0.05 / 5 for p in p_values]


def test_two_methods_share_a_letter_if_and_only_if_they_are_not_separated():
    rng = np.random.default_rng(0)
    for size in (1, 2, 5, 9, 12):
        for density in (0.1, 0.5, 0.9):
            separated = np.triu(rng.random((size, size)) < density, 1)
            separated |= separated.T
            order = rng.permutation(size)
            found = ranking.letters(order, separated)
            assert "a" in found[order[0]]
            for i, j in itertools.combinations(range(size), 2):
                assert bool({*found[i]} & {*found[j]}) != separated[i, j]
            members = {letter: {i for i in range(size) if letter in found[i]} for letter in "".join(found)}
            assert not any(a < b for a in members.values() for b in members.values())  # no letter says nothing


def test_more_groups_than_letters_have_names():
    found = ranking.letters(range(60), ~np.eye(60, dtype=bool))
    assert len(set(found)) == 60


def test_a_method_alone_is_the_first():
    assert places_of(estimates_of([0.3])) == [(1, 1, 1, "a")]


LADDERS = {
    "all equal": np.full(8, 0.5),
    "near ties": 0.5 + 0.004 * np.arange(8),
    "a ladder": 0.3 + 0.05 * np.arange(8),
    "two groups": np.repeat([0.5, 0.6], 4),
}


@pytest.mark.slow
@pytest.mark.parametrize("tasks", [1, 7])
@pytest.mark.parametrize("seeds", [5, 10, 20])
@pytest.mark.parametrize("means", LADDERS.values(), ids=LADDERS)
def test_ranks_and_letters_keep_their_word(means, seeds, tasks):
    """Count how often a rank's interval holds the rank of a known mean, and how often letters separate wrongly."""
    rng, repetitions = np.random.default_rng(seeds), 400
    first = 1 + np.sum(means[None, :] > means[:, None], axis=1)
    last = len(means) - np.sum(means[None, :] < means[:, None], axis=1)
    tasks_shift, tasks_spread = np.linspace(0, 0.2, tasks), 0.1 * np.linspace(0.5, 1.5, tasks)
    covered, false_alarms, best_left_out = 0.0, 0, 0
    for _ in range(repetitions):
        runs = (
            means[:, None, None]
            - tasks_shift[:, None]
            + tasks_spread[:, None] * rng.normal(size=(len(means), tasks, seeds))
        )
        estimates = [stats.interquartile_mean([*of_method]) for of_method in runs]
        p_values = ranking.corrected_p_values(estimates)
        found = ranking.places(estimates, p_values)
        lows, highs = np.array([place[1:3] for place in found]).T
        covered += np.mean((lows <= first) & (last <= highs))
        values = np.array([estimate.value for estimate in estimates])
        observed, true = np.sign(values[None, :] - values[:, None]), np.sign(means[None, :] - means[:, None])
        false_alarms += bool(np.any((p_values <= ranking.ALPHA) & (observed != true)))
        best_left_out += not any(np.array(ranking.best_group(estimates))[means == means.max()])
    print(f"held {covered / repetitions:.3f}, wrong {false_alarms / repetitions:.3f}, best left out {best_left_out}")
    # Four standard errors of 400 repetitions at .05 are .044; intervals of a table's methods vary together.
    assert covered / repetitions >= 0.95 - 0.044
    assert false_alarms / repetitions <= 0.05 + 0.044
    assert best_left_out / repetitions <= 0.05 + 0.044
