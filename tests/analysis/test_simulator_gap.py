"""Gaps of cost and misses of targets: their size, their marks, and how every view shows them."""

import dataclasses
import math

import pytest
from synthetic import record, reference, references

from bench.analysis.leaderboard import build
from bench.analysis.simulator_gap import cost_gap, end_miss
from bench.report import FORMATS
from bench.report.shown import show_percent


def scored_again(run, adaptive: float | None = 1.0, finer: float | None = 1.0, end_error: float | None = 0.0):
    """`run` with costs that are so many times its own."""
    own = run.curve[-1]["cost"]
    costs = {"adaptive": adaptive and adaptive * own, "finer": finer and finer * own}
    return dataclasses.replace(run, rescored={**costs, "end_error": end_error})


def test_the_gap_is_the_larger_change_relative_to_the_cost():
    run = record(score=0.5)
    assert cost_gap(scored_again(run, 1.02, 0.97), reference()) == pytest.approx(0.03)
    assert cost_gap(scored_again(run), reference()) == 0
    assert cost_gap(scored_again(run, None), reference()) == math.inf
    assert math.isnan(cost_gap(run, reference()))  # an older record
    assert math.isnan(cost_gap(record(score=None), reference()))


def test_a_cost_near_zero_has_the_size_of_a_thousandth_of_the_headroom():
    run = record(score=0.0)
    run.curve[-1]["cost"] = 1e-6
    run = dataclasses.replace(run, rescored={"adaptive": 2e-6, "finer": 1e-6, "end_error": 0.0})
    assert cost_gap(run, reference(floor=10.0, best=0.0)) == pytest.approx(1e-6 / 0.01)
    assert cost_gap(run, None) == pytest.approx(1.0)


def test_runs_are_marked_in_every_view():
    runs = [scored_again(record("sound", seed), end_error=0.005) for seed in range(2)]
    runs += [scored_again(record("cheat", 0), 1.02), scored_again(record("cheat", 1), finer=None)]
    runs += [scored_again(record("blind", seed), end_error=0.3) for seed in range(2)]
    runs += [record("old", seed) for seed in range(2)]
    board = build(runs, references(runs))
    rows = board.rows.set_index("method")
    assert rows.loc["cheat", "cost_gap"] == math.inf
    assert rows["cost_gaps"].to_dict() | {"old": None} == {"sound": 0, "cheat": 2, "blind": 0, "old": None}
    assert rows["cost_gaps"].isna().sum() == 1
    assert rows.loc["blind", ["end_miss", "end_misses"]].tolist() == [0.3, 2]
    totals = board.aggregate.set_index("method")
    assert totals.loc["cheat", ["cost_gaps", "end_misses"]].tolist() == [2, 0]
    text = {name: render(board) for files in FORMATS.values() for name, render in files.items()}
    assert "! lost" in text["leaderboard.md"]
    assert "! 30 %" in text["leaderboard.md"]
    assert 'class="n bad" data-v="0.3"' in text["leaderboard.html"]
    assert ",inf,2," in text["leaderboard.csv"]
    assert end_miss(runs[0]) == 0.005


def test_what_was_not_measured_has_no_column():
    board = build([record()], references([record()]))
    (markdown,) = (render(board) for render in FORMATS["markdown"].values())
    assert "| gap" not in markdown
    assert "| miss" not in markdown


def test_shares_are_shown_with_their_mark():
    shown = {0.0: "0.0 %", 0.01: "1.0 %", 0.0149: "! 1.5 %", 0.5: "! 50 %", math.inf: "! lost", math.nan: ""}
    assert {share: show_percent(share) for share in shown} == shown
