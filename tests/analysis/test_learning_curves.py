"""Learning curves and the tables of a suite: cases with known answers, and brute force."""

import dataclasses

import numpy as np
import pytest
from synthetic import record, reference

from bench.analysis import cell_tables, learning_curves
from bench.analysis.leaderboard import build
from bench.analysis.scores import group_by_cell


def test_a_curve_is_the_clipped_score_of_every_evaluation():
    run = record(score=0.5)
    run.curve[2]["cost"] = None  # not finite
    run.curve[3]["cost"] = 1e6
    failed = dataclasses.replace(run, status="failed")
    found, nothing = learning_curves.score_curves([run, failed], reference())
    assert found == pytest.approx([0, 0.2, -1, -1, 0.5, 0.5])
    assert list(nothing) == [-1] * 6


def test_what_is_added_to_shorter_curves_changes_no_area_and_no_first_time():
    brief, old, none = record(score=0.9995, points=3), record(score=0.97), record(score=None)
    for point in old.curve:
        del point["updates"]
    runs = [record(score=0.999, points=8), brief, old, none]
    for unit in cell_tables.UNITS:
        spent = learning_curves.values_at_evaluations(runs, unit, 0.0)
        curves = learning_curves.score_curves(runs, reference())
        assert spent.shape == curves.shape == (4, 9)
        areas, reached = learning_curves.area(spent, curves, 700), learning_curves.first_reached(spent, curves)
        for run, area, first in zip(runs, areas, reached, strict=True):
            amounts = learning_curves.values_at_evaluations([run], unit, 0.0)
            alone = amounts, learning_curves.score_curves([run], reference())
            assert alone[0].shape == alone[1].shape == (1, max(1, len(run.curve)))
            np.testing.assert_allclose([area], learning_curves.area(*alone, 700), rtol=1e-12)
            np.testing.assert_array_equal([first], learning_curves.first_reached(*alone))
    assert areas[3] == -1  # failed before its first evaluation
    assert np.isinf(reached[3]).all()


def test_the_area_is_the_mean_score_over_the_budget():
    steps = np.array([[0.0, 50.0, 100.0]])
    assert learning_curves.area(steps, np.array([[0.0, 1.0, 1.0]]), 100) == pytest.approx([0.75])
    # Level before the first evaluation and after the last: 20 % at -1, 60 % rising to 1, 20 % at 1.
    assert learning_curves.area(np.array([[20.0, 80.0]]), np.array([[-1.0, 1.0]]), 100) == pytest.approx([0])
    # A method that learns nothing is evaluated once.
    assert learning_curves.area(np.array([[0.0]]), np.array([[0.3]]), 100) == pytest.approx([0.3])
    failed = [record(score=None)]  # before its first evaluation
    updates = learning_curves.values_at_evaluations(failed, "updates", 0.0)
    assert list(learning_curves.area(updates, learning_curves.score_curves(failed, reference()), 100)) == [-1]
    assert np.isnan(learning_curves.area(steps, steps, 0)).all()  # nobody spent anything


def test_targets_are_first_reached_where_brute_force_says():
    rng = np.random.default_rng(0)
    for _ in range(20):
        spent, scores = np.arange(12.0) * 10, rng.uniform(0.9, 1.001, size=12) * rng.integers(0, 2, size=12)
        (found,) = learning_curves.first_reached(spent[None], scores[None])
        for target, first in zip(learning_curves.REGRET_TARGETS, found, strict=True):
            hits = [x for x, s in zip(spent, scores, strict=True) if 1 - s <= target + learning_curves.SCORE_ATOL]
            assert first == (hits[0] if hits else np.inf)


def test_the_share_reached_weighs_tasks_alike():
    strata = [np.array([[10.0, np.inf]]), np.array([[20.0, 30.0], [40.0, np.inf], [10.0, 10.0]])]
    share = learning_curves.share_reached(strata, np.array([5.0, 10.0, 30.0, 1e9]))
    assert share == pytest.approx([0, (1 / 2 + 2 / 6) / 2, (1 / 2 + 4 / 6) / 2, (1 / 2 + 5 / 6) / 2])


def test_the_tables_of_a_suite_have_the_known_answers():
    six = {"a": (0.2, 0.4) * 3, "b": (0.4, None) * 3}
    runs = [
        record(m, seed, score, task)
        for m, each in six.items()
        for task in ("t", "u")
        for seed, score in enumerate(each)
    ]
    board = build(runs, {name: reference(fingerprint=name) for name in ("t-10", "u-10")})
    totals = board.aggregate.set_index("method")
    assert totals.loc["a", "mean"] == pytest.approx(0.3)
    assert totals.loc["b", "mean"] == pytest.approx((0.4 - 1) / 2)
    assert list(totals["failed"]) == [0, 6]
    assert list(totals["rank"]) == [1, 2]
    assert list(totals["won"]) == [2, 0]
    # The curve rises from the floor in strides of 2/5 of the score: 0, .4, .8, 1, 1, 1; both ends count half.
    assert totals.loc["a", "auc"] == pytest.approx(0.3 * (0.4 + 0.8 + 1 + 1 + 0.5) / 5)
    assert totals.loc["b", "auc"] == pytest.approx((0.4 * 3.7 / 5 - 1) / 2)
    # The run that spends most spends 500 steps, 50 updates and .5 s, evenly.
    assert totals["auc_updates"].tolist() == pytest.approx(totals["auc"].tolist())
    assert totals["auc_seconds"].tolist() == pytest.approx(totals["auc"].tolist())
    chance = board.pairs.set_index(["method", "other"])["probability"]
    assert chance["a", "b"] == pytest.approx((0 + 0.5 + 1 + 1) / 4)
    assert chance["a", "b"] + chance["b", "a"] == 1
    profile = board.profiles[board.profiles["method"] == "a"].set_index("threshold")["share"]
    assert profile[-1.0] == 1
    assert profile.loc[0.25:0.35].unique() == pytest.approx([0.5])
    reached = board.targets[(board.targets["method"] == "a") & (board.targets["unit"] == "env_steps")]
    assert reached["share"].iloc[-1] == pytest.approx(1 / len(learning_curves.REGRET_TARGETS))  # the floor only
    assert set(board.targets["unit"]) == set(cell_tables.UNITS)
    last = board.curves[board.curves["env_steps"] == 500].set_index(["method", "task"])["score"]
    assert last["a", "t"] == pytest.approx(0.3)
    assert last["b", "t"] == pytest.approx((0.4 - 1) / 2)
    assert len(board.runs) == len(runs) == sum(map(len, group_by_cell(runs).values()))


def test_the_area_over_updates_lasts_as_long_as_the_run_that_made_most():
    brief = record("brief", points=5)
    for point in brief.curve:
        point["updates"] //= 10
    board = build([brief, record("long")], {"t-10": reference(fingerprint="t-10")})
    totals = board.aggregate.set_index("method")
    assert totals.loc["brief", "auc"] == totals.loc["long", "auc"]
    # Five updates to learn, and the score of 1/2 for the other 45.
    assert totals.loc["brief", "auc_updates"] == pytest.approx(0.1 * totals.loc["long", "auc_updates"] + 0.9 * 0.5)


def test_older_records_do_not_say_their_updates_and_are_left_out_of_what_counts_them():
    old = record("old")
    for point in old.curve:
        del point["updates"]
    board = build([old, record("new")], {"t-10": reference(fingerprint="t-10")})
    totals = board.aggregate.set_index("method")
    assert np.isnan(totals.loc["old", "auc_updates"])
    assert np.isfinite(totals.loc["new", "auc_updates"])
    assert np.isfinite(totals.loc["old", "auc_seconds"])
    by_updates = board.targets[board.targets["unit"] == "updates"]
    assert set(by_updates["method"]) == {"new"}
