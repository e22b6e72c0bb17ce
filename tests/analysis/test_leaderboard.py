"""Leaderboards from made-up records with known answers."""

import dataclasses
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest

from bench.analysis.leaderboard import build
from bench.analysis.rows import AggregateRow, RunRow, from_frame, to_frame
from bench.analysis.scores import MixtureError
from bench.records.reference import Reference
from bench.records.run import RunRecord
from bench.records.tuning import Tuning
from bench.report import FORMATS


def reference(fingerprint="f", floor=20.0, best=10.0):
    return Reference("t", 1.0, 10, fingerprint, floor, [0.0], best, "C", 0.0, "", [[0.0]], [best])


def record(method="m", seed=0, cost: float | None = 15.0, task="t", fingerprint="f", **changes):
    made = RunRecord(
        suite="s",
        task=task,
        horizon=1.0,
        num_steps=10,
        method=method,
        seed=seed,
        status="ok" if cost is not None else "failed",
        cost=cost,
        curve=[],
        usage={"env_steps": 100, "train_seconds": 2.0, "compile_seconds": 1.0},
        fingerprint=fingerprint,
        settings={"method": {"rate": 1}, "budget": {"env_steps": 100}},
    )
    return dataclasses.replace(made, **changes)


def test_scores_failures_and_clipping():
    runs = [record(seed=0, cost=10.0), record(seed=1, cost=12.0), record(seed=2, cost=None), record(seed=3, cost=1e6)]
    board = build(runs, {"f": reference()})
    (row,) = board.rows.to_dict("records")
    assert row["seeds"] == 4
    assert row["failed"] == 1
    assert row["score"] == pytest.approx(np.mean([1.0, 0.8, (20 - 1e6) / 10]))  # unclipped, over those that finished
    (total,) = board.aggregate.to_dict("records")
    assert total["score"] == pytest.approx((0.8 - 1) / 2)  # clipped: 1, .8, -1 and -1; the middle two
    assert total["tasks"] == 1


def test_a_task_without_headroom_has_no_score_and_no_weight():
    runs = [record(cost=9.0), record(cost=15.0, task="flat", fingerprint="g")]
    board = build(runs, {"f": reference(), "g": reference("g", floor=15.001, best=15.0)})
    flat = board.rows[board.rows["task"] == "flat"].iloc[0]
    assert math.isnan(flat["score"])
    assert list(board.aggregate["tasks"]) == [1]
    (note,) = [note for note in board.notes if "no headroom" in note]
    assert note.startswith("flat (10 steps): no scores and no weight")
    assert any("BEATEN REFERENCE" in note for note in board.notes)  # cost 9 is below the best known 10


def test_the_reference_of_a_noisy_task_is_shown_as_a_bound():
    bound = dataclasses.replace(reference(), bound=True)
    board = build([record(cost=9.0), record("other")], {"f": bound})  # cost 9 is below the best known 10
    assert board.rows["bound"].all()
    assert not any("BEATEN REFERENCE" in note for note in board.notes)
    assert sum("score 1 is a bound" in note for note in board.notes) == 1
    for render in FORMATS["markdown"].values():
        assert "score 1: a bound" in render(board)
    assert not build([record()], {"f": reference()}).rows["bound"].any()


def test_an_oracle_is_shown_and_never_ranked():
    free = {"settings": {"method": {"charged": False}, "budget": {"env_steps": 100}}}
    runs = [record("oracle", seed=s, cost=10.0 + s / 100, **free) for s in range(10)]
    runs += [record("good", seed=s, cost=12.0 + s / 100) for s in range(10)]
    runs += [record("poor", seed=s, cost=18.0 + s / 100) for s in range(10)]
    board = build(runs, {"f": reference()})
    assert list(board.aggregate["method"]) == ["good", "poor", "oracle"]
    assert list(board.aggregate["kind"]) == ["learner", "learner", "oracle"]
    assert list(board.aggregate["rank"])[:2] == [1, 2]  # without it: as a method it would be the first
    assert list(board.aggregate["won"])[:2] == [1, 0]
    assert board.rows.set_index("method")["clipped_best"].to_dict() == {"oracle": False, "good": True, "poor": False}
    assert set(board.pairs["method"]) == {"good", "poor"}
    assert board.aggregate["score"].iloc[2] > 0.9
    assert "oracle" in "".join(render(board) for render in FORMATS["markdown"].values())


def test_a_method_without_five_seeds_on_every_task_has_no_rank():
    tasks = {"t": "f", "u": "g"}

    def runs_of(method, seeds_of_task, cost=12.0):
        return [
            record(method, seed, cost + seed / 10, task, tasks[task])
            for task, seeds in seeds_of_task.items()
            for seed in range(seeds)
        ]

    runs = (
        runs_of("whole", {"t": 5, "u": 5}) + runs_of("brief", {"t": 5, "u": 4}, 11.0) + runs_of("part", {"t": 9}, 10.0)
    )
    board = build(runs, {name: reference(name) for name in tasks.values()})
    totals = board.aggregate.set_index("method")
    assert set(totals["kind"]) == {"learner"}
    assert totals["rank"].dropna().to_dict() == {"whole": 1}
    assert totals["score_low"].notna().to_dict() == {"whole": True, "part": True, "brief": False}
    assert list(board.aggregate["method"]) == ["whole", "part", "brief"]
    few = board.rows[board.rows["seeds"] < 5]
    assert few[["score_low", "clipped_low", "decades_low"]].isna().all(axis=None)
    assert board.curves[board.curves["method"] == "brief"].empty  # no evaluations in these records
    shown = "".join(render(board) for render in FORMATS["markdown"].values())
    assert "unranked" in shown


def test_decades_of_regret_are_those_of_the_headroom_that_is_left():
    costs = (10.0, 10.1, 11.0, 20.0, 1e6, None)  # shares of 0, .01, .1 and 1 of the headroom; 2 beyond the clip
    board = build([record(seed=i, cost=cost) for i, cost in enumerate(costs)], {"f": reference()})
    (row,) = board.rows.to_dict("records")
    assert row["decades"] == pytest.approx((4 + 2 + 1 + 0 - 2 * math.log10(2)) / 6)
    assert row["clipped"] == pytest.approx((1 + 0.99 + 0.9 + 0 - 1 - 1) / 6)
    solved = build([record(seed=i, cost=10.0) for i in range(5)], {"f": reference()}).rows.iloc[0]
    assert list(solved[["decades_low", "decades", "decades_high"]]) == [4, 4, 4]


def test_the_best_group_of_a_task_is_that_of_its_own_scale():
    """A tenth and a hundredth of the headroom differ little in scores that spread, and by a decade."""
    costs = {"close": 10.1, "near": 10.9, "far": 19.0}
    runs = [
        record(name, seed, cost + (cost - 10) * spread)
        for name, cost in costs.items()
        for seed, spread in enumerate((-0.3, -0.1, 0.0, 0.1, 0.3))
    ]
    board = build(runs, {"f": reference()}).rows.set_index("method")
    assert board["clipped_best"].to_dict() == {"close": True, "near": False, "far": False}
    assert board["decades_best"].to_dict() == {"close": True, "near": False, "far": False}
    noisy = [
        dataclasses.replace(run, cost=(run.cost or 0.0) + (run.method == "near") * (run.seed == 0) * 30) for run in runs
    ]
    board = build(noisy, {"f": reference()}).rows.set_index("method")
    assert board["clipped_best"].to_dict() == {"close": True, "near": True, "far": False}


def test_planners_are_ranked_among_themselves_and_show_what_they_simulate():
    spent = {"env_steps": 100, "env_grad_steps": 0, "train_seconds": 1.0, "compile_seconds": 1.0}
    plans = {"usage": spent | {"acting_env_steps": 7000}}
    runs = [record("better planner", seed=s, cost=10.0 + s / 100, **plans) for s in range(10)]
    runs += [record("planner", seed=s, cost=11.0 + s / 100, **plans) for s in range(10)]
    runs += [record("learner", seed=s, cost=12.0 + s / 100) for s in range(10)]
    board = build(runs, {"f": reference()})
    found = board.aggregate[["method", "kind", "rank", "letters"]].to_numpy().tolist()
    assert found == [
        ["learner", "learner", 1, "a"],
        ["better planner", "planner", 1, "a"],
        ["planner", "planner", 2, "b"],
    ]
    assert set(board.pairs["method"]) == {"better planner", "planner"}
    assert board.rows.set_index("method")["acting_env_steps"].to_dict()["planner"] == 7000
    shown = "".join(render(board) for render in FORMATS["markdown"].values())
    assert "| steps simulated to act |" in shown
    assert "| planner 2 [2-2] |" in shown
    assert "steps simulated to act" not in "".join(
        render(build(runs[20:], {"f": reference()})) for render in FORMATS["markdown"].values()
    )


def test_tuning_is_shown_where_the_setting_that_ran_is_the_tuned_one():
    tuning = Tuning("m", "s", ["u"], 2, 20, 0.1, 0.2, "2026-01-01", {"rate": 1})
    runs = [record(), record("other")]
    board = build(runs, {"f": reference()}, {"m": tuning, "absent": tuning})
    assert board.aggregate.set_index("method")["trials"].to_dict() == {"m": 20, "other": 0}
    assert not any("Tuned here" in note for note in board.notes)
    for name, render in FORMATS["markdown"].items():
        assert "| 20 trials |" in render(board), name
    changed = dataclasses.replace(tuning, best={"rate": 2})
    assert list(build(runs, {"f": reference()}, {"m": changed}).aggregate["trials"]) == [0, 0]
    again = dataclasses.replace(tuning, searches={"one": 30, "other": 20})
    assert list(build(runs, {"f": reference()}, {"m": again}).aggregate["trials"]) == [50, 0]
    here = build(runs, {"f": reference()}, {"m": dataclasses.replace(tuning, tasks=["t"])})
    assert "Tuned here: m was tuned on t, which s scores." in here.notes


def test_a_method_whose_runs_all_failed_stays_in_the_table():
    board = build([record(cost=None), record("other")], {"f": reference()})
    row = board.rows[board.rows["method"] == "m"].iloc[0]
    assert row["failed"] == 1
    assert math.isnan(row["cost"])
    assert board.aggregate.set_index("method").loc["m", "score"] == -1


def test_versions_and_settings_are_never_mixed():
    with pytest.raises(MixtureError, match="2 versions of the task"):
        build([record(), record("other", fingerprint="g")], {})
    with pytest.raises(MixtureError, match=r"differ in method\.rate"):
        build([record(), record(seed=1, settings={"method": {"rate": 2}, "budget": {"env_steps": 100}})], {})


@pytest.mark.parametrize(
    ("one", "other", "difference"),
    [
        ({"method_fingerprint": "a"}, {"method_fingerprint": "b"}, "method fingerprint (a, b)"),
        ({"method_fingerprint": "a"}, {}, "method fingerprint (a, unknown)"),
        ({"method_fingerprint": "a"}, {"task": "u"}, "method fingerprint (unknown, a)"),
        ({"provenance": {"precision": "float32"}}, {"provenance": {"precision": "float64"}}, "precision"),
        ({"provenance": {"packages": {"jax": "1"}}}, {"provenance": {"packages": {"jax": "2"}}}, "jax (1, 2)"),
        ({"provenance": {"packages": {"jax": "1"}}}, {"task": "u", "provenance": {"packages": {"jax": "2"}}}, "jax"),
        ({"method_fingerprint": "a"}, {"cost": None}, ""),
        ({"method_fingerprint": "a"}, {"task": "u", "method_fingerprint": "b"}, ""),  # each task has its own program
        ({"method_fingerprint": "a"}, {"method": "other"}, ""),
        ({"provenance": {"packages": {"jax": "1", "scipy": "1"}}}, {"provenance": {"packages": {"scipy": "2"}}}, ""),
    ],
)
def test_what_other_code_computed_is_never_in_one_row(one, other, difference):
    runs = [record(file=Path("one.json"), **one), record(seed=1, file=Path("other.json"), **other)]
    if not difference:
        build(runs, {})
        return
    with pytest.raises(MixtureError, match=re.escape(difference)) as caught:
        build(runs, {})
    assert {"one.json", "other.json"} <= {*re.findall(r"\w+\.json", str(caught.value))}
    assert "computes the older ones again" in str(caught.value)


def test_seconds_of_several_devices_are_not_compared_in_silence():
    def noted(*devices):
        runs = [record(seed=i, provenance={"device": d} if d else {}) for i, d in enumerate(devices)]
        return [note for note in build(runs, {"f": reference()}).notes if note.startswith("Seconds")]

    assert noted("one", "one", None) == []  # an older record does not say
    (note,) = noted("one", "other", "one")
    assert "of 2 devices (one, other)" in note


def test_gaps_are_named():
    board = build([record(), record(task="u"), record("other")], {"f": reference()})
    assert "Missing: other on u (10 steps) in s." in board.notes
    assert any("no reference" in note for note in build([record(fingerprint="h")], {}).notes)


def test_formats_agree_and_have_the_documented_columns():
    runs = [record("a|b [x](javascript:1)", cost=None), record(cost=12.0)]
    board = build(runs, {"f": reference()})
    text = {name: render(board) for files in FORMATS.values() for name, render in files.items()}
    documented = (Path(__file__).parents[2] / "docs" / "judging.md").read_text(encoding="utf-8")
    for file in ("leaderboard.csv", "aggregate.csv"):
        (line,) = [line for line in documented.splitlines() if line.startswith(f"| `{file}` |")]
        assert f"`{text[file].splitlines()[0]}`" in line
    data = json.loads(text["leaderboard.json"])
    assert {row["method"]: row["score"] for row in data["rows"]} == {"m": 0.8, "a|b [x](javascript:1)": None}
    assert "](" not in text["leaderboard.md"]
    assert "a\\|b" in text["leaderboard.md"]
    assert "0.800" in text["leaderboard.md"]


def test_rows_are_the_same_after_a_table():
    numbers = dict.fromkeys(AggregateRow._fields, 0.5)
    counts = {"rank": 1, "trials": 0, "tasks": 2, "seeds": 3, "failed": 0, "cost_gaps": 0, "end_misses": None}
    counts |= {"violations": None, "rank_low": 1, "rank_high": 2, "won": 1}
    first = AggregateRow(**numbers | counts | {"suite": "s", "method": "m", "kind": "ranked", "letters": "ab"})
    rows = [first, first._replace(rank=None, end_misses=4)]
    assert from_frame(AggregateRow, to_frame(AggregateRow, rows)) == rows
    assert from_frame(AggregateRow, to_frame(AggregateRow, [])) == []
    assert str(to_frame(AggregateRow, rows)["rank"].dtype) == "Int64"  # or files would show 1.0


def test_provenance_that_only_some_records_have_is_none_elsewhere():
    made_by = {"version": "1", "commit": "c", "dirty": False, "device": "d", "precision": "p", "started": "2026-01-01"}
    board = build([record(provenance=made_by), record(seed=1)], {"f": reference()})
    whole, nothing = from_frame(RunRow, board.runs)
    assert {name: getattr(whole, name) for name in made_by} == made_by
    assert {getattr(nothing, name) for name in made_by} == {None}
    for files in FORMATS.values():
        assert all(render(board) for render in files.values())
