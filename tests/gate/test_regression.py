"""The regression gate on made-up records: every verdict, every exit status, and how often it is wrong."""

import dataclasses
import itertools
import math
import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from synthetic import record, references, sample, write_record
from typer.testing import CliRunner

from bench.analysis.scores import CellKey, MixtureError, clipped_by_seed, group_by_cell
from bench.cli import app
from bench.cli.check import STATUS
from bench.errors import UsageError
from bench.gate import junit, power, regression, summary
from bench.gate.calibration import calibrate_gate
from bench.gate.regression import Thresholds, check, check_exactly, compare
from bench.records import reference_file
from bench.records.cell_file import read_records
from bench.records.run import record_path
from bench.run import run
from bench.suite import load

METHODS = {"good": 0.8, "fair": 0.5, "poor": 0.1}


def judge(baseline, candidate, **limits):
    return check(group_by_cell(baseline), group_by_cell(candidate), references(baseline), Thresholds(**limits))


def verdicts(result):
    """The verdict on each method, and on each task that changed."""
    return {(c.cells[0].method, *(key.task for key in c.cells)): c.verdict for c in result.verdicts}


def test_equal_bits_are_the_same_at_once_whatever_the_place_and_time():
    baseline = sample(METHODS, seeds=5)
    candidate = [dataclasses.replace(r, provenance={}) for r in baseline if r.seed < 2]
    for r in candidate:
        r.usage["train_seconds"] = 99.0
    result = judge(baseline, candidate)
    assert set(verdicts(result).values()) == {"same"}
    assert {c.test for c in result.verdicts} == {"bit-equal"}
    assert result.status == 0


def test_two_seeds_against_twenty_find_a_method_that_became_worse():
    baseline = sample(METHODS, seeds=20)
    candidate = sample({**METHODS, "fair": 0.2}, seeds=2, draw=1)
    result = judge(baseline, candidate)
    over_tasks = {name: verdict for (name, *tasks), verdict in verdicts(result).items() if len(tasks) > 1}
    assert over_tasks == {"good": "same", "fair": "worse", "poor": "same"}
    assert result.status == 1
    (worse,) = [c for c in result.verdicts if c.verdict == "worse" and len(c.cells) > 1]
    assert worse.difference == pytest.approx(-0.3, abs=0.15)  # four standard errors of two seeds on two tasks
    assert len(worse.cells) == 2
    assert worse.seeds == (20, 2)


def test_a_task_that_changed_is_named_beside_its_method():
    baseline = sample(METHODS, seeds=14)
    worse = sample({"fair": 0.3}, tasks=["u"], seeds=12, draw=1)
    better = sample({"poor": 0.4}, tasks=["t"], seeds=12, draw=2)
    kept = [r for r in sample(METHODS, seeds=12, draw=3) if (r.method, r.task) not in {("fair", "u"), ("poor", "t")}]
    result = judge(baseline, worse + better + kept)
    found = {(c.cells[0].method, c.cells[0].task): c.verdict for c in result.verdicts if len(c.cells) == 1}
    assert found == {("fair", "u"): "worse", ("poor", "t"): "better"}
    assert {c.cells[0].method: c.verdict for c in result.verdicts if len(c.cells) > 1} == {
        "good": "same",
        "fair": "worse",
        "poor": "better",
    }


def test_few_seeds_on_many_cells_are_pooled_over_the_tasks_of_a_method():
    methods = {f"m{i}": 0.5 for i in range(12)}
    baseline, candidate = sample(methods, seeds=14), sample({**methods, "m3": 0.2}, seeds=8, draw=1)
    result = judge(baseline, candidate)
    assert [c.cells[0].method for c in result.verdicts if c.verdict == "worse" and len(c.cells) > 1] == ["m3"]


def find_rates(seeds, drops, spread, alpha=0.05, tasks=8, repetitions=100):
    """The share of checks of `seeds` against 20 that find each of `drops`, and that alarm without one.

    Scores are normal and made anew for each repetition. A drop is an amount with the number of tasks that it is on.
    """
    rng, limits = np.random.default_rng(seeds), Thresholds(alpha=alpha)
    keys = [CellKey("s", f"t{t}", 1.0, 10, "m") for t in range(tasks)]

    def draw(count):
        return {key: dict(enumerate(rng.normal(0.3, spread, count).clip(-1, 1))) for key in keys}

    def finds(old, new, amount, hit):
        lowered = {key: {i: s - amount for i, s in new[key].items()} if key in keys[:hit] else new[key] for key in keys}
        return any(v.verdict == "worse" for v in compare(old, lowered, limits))

    checks = [(draw(20), draw(seeds)) for _ in range(repetitions)]
    found, alarms = ([np.mean([finds(*pair, *d) for pair in checks]) for d in of] for of in (drops, [(0.0, 0)]))
    return found, alarms[0]


def test_five_seeds_find_one_task_of_eight_that_lost_half():
    (found,), alarms = find_rates(5, [(0.5, 1)], 0.2)
    assert found >= 0.8  # measured .93 to .98
    assert alarms <= 0.05 + 4 * np.sqrt(0.05 * 0.95 / 100)  # four standard errors


@pytest.mark.slow
@pytest.mark.parametrize("spread", [0.1, 0.2, 0.4])
@pytest.mark.parametrize("methods", [1, 8])
def test_power_never_falls_with_seeds(methods, spread):
    """The table of docs/judging.md (`-s` prints it). Seven methods that do not change take their share of the level."""
    repetitions, seeds, drops = 200, (2, 3, 5, 10, 20), [(d, hit) for hit in (8, 1) for d in (0.1, 0.2, 0.5)]
    rates, alarms = zip(
        *(find_rates(n, drops, spread, 0.05 / methods, repetitions=repetitions) for n in seeds), strict=True
    )
    slack = 4 * np.sqrt(2 * 0.25 / repetitions)  # four standard errors of a difference of two shares
    print()
    for drop, found in zip(drops, zip(*rates, strict=True), strict=True):
        print(f"{methods} methods, spread {spread}, drop on tasks {drop}: " + ", ".join(f"{f:.3f}" for f in found))
        assert all(b >= a - slack for a, b in itertools.pairwise(found))
    print(f"alarms {alarms}", flush=True)
    assert max(alarms) <= 0.05 + 4 * np.sqrt(0.05 * 0.95 / repetitions)


def test_pairs_cancel_what_their_seeds_share():
    rng = np.random.default_rng(0)
    luck = rng.normal(0.0, 0.3, size=12)  # a seed has the same luck in both sets
    baseline = [record(seed=i, score=float(np.clip(0.3 + luck[i], -1, 1))) for i in range(12)]
    candidate = [record(seed=i, score=float(np.clip(0.22 + luck[i], -1, 1))) for i in range(12)]
    assert judge(baseline, candidate).verdicts[0].verdict == "worse"


def test_a_failed_run_counts_as_the_lowest_score():
    baseline = sample({"good": 0.8}, seeds=20)
    candidate = [record("good", seed, None, task) for task in ("t", "u") for seed in range(2)]
    result = judge(baseline, candidate).verdicts[0]
    assert result.verdict == "worse"
    assert len(result.cells) == 2
    assert result.difference == pytest.approx(-1.8, abs=0.05)


def test_a_difference_that_is_certain_but_small_does_not_matter():
    baseline = sample({"good": 0.8}, seeds=20, spread=0.0)
    candidate = sample({"good": 0.79}, seeds=20, spread=0.0)
    assert set(verdicts(judge(baseline, candidate)).values()) == {"same"}
    assert set(verdicts(judge(baseline, candidate, effect=0.005)).values()) == {"worse"}


def test_too_few_seeds_are_named_with_how_many_would_do():
    baseline, candidate = sample({"a": 0.5}, seeds=2), sample({"a": 0.45}, seeds=2, draw=1)
    result = judge(baseline, candidate)
    (verdict,) = result.verdicts
    assert verdict.verdict == "unclear"
    assert result.status == 3
    assert verdict.enough_seeds is not None
    assert f"{verdict.enough_seeds} would do in both" in summary.one_line(verdict)
    # What it asks for is enough, and one less is not.
    for seeds, expected in ((verdict.enough_seeds, {"same"}), (verdict.enough_seeds - 1, {"unclear"})):
        again = judge(sample({"a": 0.5}, seeds=seeds, draw=2), sample({"a": 0.5}, seeds=seeds, draw=3))
        assert set(verdicts(again).values()) == expected


def test_a_wide_spread_needs_more_seeds():
    tight = judge(sample({"a": 0.0}, seeds=20), sample({"a": 0.0}, seeds=3, draw=1)).verdicts[0]
    wide = judge(sample({"a": 0.0}, seeds=20, spread=0.4), sample({"a": 0.0}, seeds=3, draw=1, spread=0.4)).verdicts[0]
    assert tight.verdict == "same"
    assert wide.verdict == "unclear"
    assert wide.detectable > 4 * tight.detectable
    assert wide.enough_seeds is not None


def test_the_detectable_drop_is_found_as_often_as_it_says():
    def judged(draw, drop):
        old, new = sample({"a": 0.5}, seeds=20, draw=draw), sample({"a": 0.5 - drop}, seeds=3, draw=1000 + draw)
        return judge(old, new).verdicts[0]

    detectable = float(np.mean([judged(draw, 0.0).detectable for draw in range(50)]))
    found = sum(judged(draw, detectable).verdict == "worse" for draw in range(200))
    # Four standard errors of a share of 0.8 in 200 trials are 0.11.
    assert found / 200 == pytest.approx(power.POWER, abs=0.11)


def test_what_cannot_be_compared_is_named():
    baseline = sample({"a": 0.5, "b": 0.5}, tasks=("t", "u", "v"), seeds=3)
    candidate = sample({"a": 0.5, "c": 0.5}, tasks=("t", "u", "v"), seeds=3)
    candidate = [r for r in candidate if r.task != "t"]
    changes = {"u": {"fingerprint": "new"}, "v": {"settings": {"task": {}, "method": {"rate": 1.0}, "budget": {}}}}
    candidate = [dataclasses.replace(r, **changes[r.task]) for r in candidate]
    result = judge(baseline, candidate)
    gaps = {(key.method, key.task): why for key, why in result.not_compared}
    missing = {(key.method, key.task) for key in result.missing}
    assert "another version of the task" in gaps["a", "u"]
    assert "budget.env_steps" in gaps["a", "v"]
    assert missing == {("a", "t"), ("b", "t"), ("b", "u"), ("b", "v")}
    assert any("New" in note and "c on u" in note for note in result.notes)
    assert result.status == 1
    only_other_terms = dataclasses.replace(result, missing=())
    assert only_other_terms.status == 3
    assert dataclasses.replace(only_other_terms, unreadable=("a.json: not a run record",)).status == 1


def test_other_code_precision_and_packages_are_named():
    def noted(old, new):
        baseline, candidate = (sample({"a": 0.5}, tasks=("t", "u"), seeds=2) for _ in range(2))
        pairs = ((baseline, old), (candidate, new))
        return judge(*([dataclasses.replace(r, **changes) for r in runs] for runs, changes in pairs)).notes

    assert noted({"method_fingerprint": "a"}, {"method_fingerprint": "a"}) == ()
    assert noted({"method_fingerprint": "a"}, {"method_fingerprint": "b"}) == (
        "Other code than in the baseline: a on t (10 steps) and 1 more cells.",
    )
    (unknown,) = noted({}, {"method_fingerprint": "b"})
    assert unknown.startswith("The baseline does not say which code it ran")
    known = {"method_fingerprint": "a"}
    (other,) = noted({**known, "provenance": {"precision": "a"}}, {**known, "provenance": {"precision": "b"}})
    assert other.startswith("Baseline and candidate differ in precision (a, b)")


def test_a_method_with_other_settings_is_judged_and_named():
    result = judge(sample({"a": 0.5}, seeds=20), sample({"a": -0.5}, seeds=2, rate=0.0))
    assert result.status == 1
    assert any("method.rate" in note for note in result.notes)


def test_a_task_without_headroom_is_the_same_only_bit_by_bit():
    baseline = sample({"a": 0.5}, tasks=["t"], seeds=3)
    flat = {"t-10": dataclasses.replace(references(baseline)["t-10"], floor=10.0)}
    moved = sample({"a": 0.5}, tasks=["t"], seeds=3, draw=1)
    assert check(group_by_cell(baseline), group_by_cell(baseline), flat, Thresholds()).status == 0
    result = check(group_by_cell(baseline), group_by_cell(moved), flat, Thresholds())
    assert result.status == 3
    assert "no headroom" in result.not_compared[0][1]


@pytest.mark.parametrize("part", ["final state", "score by the adaptive solver", "trajectory"])
def test_exactly_compares_also_what_follows_the_curve(tmp_path, part):
    for folder in ("old", "new"):
        for one in sample({"a": 0.5}, tasks=("t",), seeds=2):
            other = folder == "new" and one.seed == 1
            x = 1.0 + 1e-6 * (other and part == "trajectory")  # a stored episode has 7 digits
            states = [[x]] * (one.num_steps + 1)
            controls, costs = [[0.0]] * one.num_steps, [0.0] * one.num_steps
            names = [{"name": "x", "unit": "1", "target": None}]
            task = {"horizon": 1.0, "time_unit": "s", "states": names, "controls": [{"name": "u", "unit": "1"}]}
            one = dataclasses.replace(
                one,
                provenance={"final_state": f"{other and part == 'final state'}"},
                rescored={"adaptive": 1.0 + 1e-15 * (other and part.startswith("score")), "finer": 1.0},
                trajectory={
                    "task": task,
                    "policy": {"states": states, "controls": controls, "costs": costs, "cost": 1.0},
                    "reference": None,
                },
            )
            write_record(record_path(tmp_path / folder, one.key, one.seed), one)
    cells = [group_by_cell(list(read_records(tmp_path / folder))) for folder in ("old", "new")]
    (found,) = check_exactly(*cells).verdicts
    assert found.first_difference.startswith(f"seed 1 differs in its {part}")
    assert check_exactly(cells[0], cells[0]).status == 0


def test_exactly_names_the_first_difference():
    baseline = sample({"a": 0.5, "b": 0.2}, seeds=2)
    candidate = sample({"a": 0.5, "b": 0.2}, seeds=2)
    assert check_exactly(group_by_cell(baseline), group_by_cell(candidate)).status == 0
    candidate[1].curve[3]["cost"] = np.nextafter(candidate[1].curve[3]["cost"], 0)  # a, task t, seed 1
    result = check_exactly(group_by_cell(baseline), group_by_cell(candidate))
    assert result.status == 1
    (found,) = [c for c in result.verdicts if c.verdict == "differs"]
    assert found.cells[0].method == "a"
    assert found.first_difference == "seed 1 differs from 300 environment steps on"
    assert (
        check_exactly(group_by_cell(baseline[:2]), group_by_cell(baseline[:3])).verdicts
        == check_exactly(group_by_cell(baseline[:2]), group_by_cell(baseline[:2])).verdicts
    )


def test_the_same_seed_twice_is_refused():
    with pytest.raises(MixtureError, match="two records of seed 0"):
        group_by_cell([record(), record()])


def test_thresholds_must_make_sense():
    for wrong in ({"effect": -0.1}, {"effect": 0.3, "detect": 0.2}, {"alpha": 0.0}, {"detect": math.inf}):
        with pytest.raises(UsageError, match="0 <= effect <= detect"):
            Thresholds(**wrong)


def test_machines_can_read_the_verdicts():
    name = "a\x00<b>&\n::error::"
    baseline = sample({name: 0.5, "fine": 0.5, "gone": 0.1, "few": 0.5}, seeds=20)
    candidate = sample({name: 0.1, "fine": 0.5}, seeds=2, draw=1) + sample({"few": 0.4}, tasks=["t"], seeds=1, draw=1)
    result = judge(baseline, candidate)
    suite = ElementTree.fromstring(junit.junit(result).encode())
    count = {kind: len(suite.findall(f"testcase/{kind}")) for kind in ("failure", "skipped", "error")}
    assert {k: int(suite.attrib[k]) for k in ("failures", "skipped", "errors")} == {
        "failures": count["failure"],
        "skipped": count["skipped"],
        "errors": count["error"],
    }
    assert count == {"failure": 3 + 3, "skipped": 1, "error": 0}  # the method and both its tasks; three cells missing
    assert int(suite.attrib["tests"]) == len(suite.findall("testcase"))
    lines = list(junit.annotations(result))
    assert [line.split(" ")[0] for line in lines] == [*["::error"] * 3, "::warning", *["::error"] * 3]
    assert all("\n" not in line and "\r" not in line for line in lines)
    assert "title=a" in lines[0]
    assert "::error::" not in lines[0].removeprefix("::error ").partition("::")[0]


def scored(records):
    known = references(records)
    cells = group_by_cell(records)
    return {key: clipped_by_seed(runs, known[runs[0].fingerprint]) for key, runs in cells.items()}


def test_calibration_counts_false_alarms_and_finds_drops():
    found = calibrate_gate(scored(sample(METHODS, seeds=20)), 2, 60, Thresholds(), np.random.default_rng(0))
    # At most alpha of the checks alarm; four standard errors of 60 draws at 0.05 are 0.11.
    assert found.false_alarms / 60 <= 0.05 + 0.11
    assert found.found[0.5] == 60
    assert found.found[0.05] < found.found[0.2] <= 60
    assert found.verdicts == 60 * 3
    assert found.found_on_one_task[0.5] <= found.found[0.5]
    assert found.found_on_one_task[0.05] < found.found_on_one_task[0.5]


def test_a_gate_that_ignores_the_number_of_tests_would_alarm_more_often(monkeypatch):
    records = scored(sample({f"m{i}": 0.5 for i in range(12)}, seeds=12))
    honest = calibrate_gate(records, 3, 40, Thresholds(effect=0.0), np.random.default_rng(0)).false_alarms
    monkeypatch.setattr(regression, "holm", np.asarray)
    careless = calibrate_gate(records, 3, 40, Thresholds(effect=0.0), np.random.default_rng(0)).false_alarms
    assert honest <= 40 * (0.05 + 4 * np.sqrt(0.05 * 0.95 / 40))
    assert careless > honest


def test_calibration_says_how_many_seeds_it_needs():
    with pytest.raises(UsageError, match=r"at least 12; a on t \(10 steps\) has 10"):
        calibrate_gate(scored(sample({"a": 0.5})), 10, 1, Thresholds(), np.random.default_rng(0))


# The command.


def store(folder, records):
    for r in records:
        key = {
            "suite": r.suite,
            "task": r.task,
            "method": r.method,
            "fingerprint": r.fingerprint,
            "settings": r.settings,
        }
        write_record(record_path(folder, key, r.seed), r)
    reference_file.write_references(folder / "references.toml", references(records))
    return folder


def bench(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "bench", *map(str, arguments)],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "COLUMNS": "200", "GITHUB_ACTIONS": "", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("gate")
    baseline = sample(METHODS, seeds=20)
    return {
        "baseline": store(root / "baseline", baseline),
        "again": store(root / "again", [r for r in baseline if r.seed < 2]),
        "worse": store(root / "worse", sample({**METHODS, "good": 0.1}, seeds=2, draw=1)),
        "one": store(root / "one", sample(METHODS, seeds=1, draw=1)),
        "gone": store(root / "gone", [r for r in baseline if r.seed < 2 and r.method != "poor"]),
        "garbled": garble(store(root / "garbled", [r for r in baseline if r.seed < 2])),
    }


def garble(folder):
    """One record less that can be read."""
    next(folder.rglob("records/*")).write_text("{")
    return folder


def test_the_references_are_the_baselines(folders, tmp_path):
    # A candidate that makes the tasks easier in its own file of references changes no verdict.
    forged = store(tmp_path / "forged", sample({**METHODS, "good": 0.1}, seeds=2, draw=1))
    known = reference_file.read_references(forged / "references.toml")
    easy = {key: dataclasses.replace(r, best=r.floor - 0.05) for key, r in known.items()}
    reference_file.write_references(forged / "references.toml", easy)
    done = bench("check", "--baseline", folders["baseline"], "--candidate", forged)
    assert done.returncode == 1, done.stdout


@pytest.mark.parametrize(("candidate", "status"), [("again", 0), ("worse", 1), ("one", 3), ("gone", 1), ("garbled", 1)])
def test_the_exit_status_is_the_verdict(folders, tmp_path, candidate, status):
    detect = 0.05 if candidate == "one" else 0.2  # too little for one seed at the spread of these scores
    arguments = ("check", "--baseline", folders["baseline"], "--candidate", folders[candidate], "--detect", detect)
    step = tmp_path / "step.md"
    step.write_text("of the step before\n")
    done = bench(*arguments, "--junit", tmp_path / "gate.xml", GITHUB_ACTIONS="true", GITHUB_STEP_SUMMARY=str(step))
    assert done.returncode == status, done.stderr
    before, heading, *lines = step.read_text().splitlines()
    assert (before, heading) == ("of the step before", f"## bench check: {STATUS[status]}")
    assert sum(line.startswith("| ") for line in lines) > 2  # headings, their rule, and verdicts
    suite = ElementTree.parse(tmp_path / "gate.xml").getroot()
    assert (int(suite.attrib["failures"]) > 0) == (status == 1)
    assert ("::error title=" in done.stdout) == (status == 1)
    assert ("not enough seeds to tell" in done.stdout) == (status == 3)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ((), "--candidate DIR, or --run SUITE"),
        (("--candidate", "nowhere"), "no folder nowhere"),
        (("--candidate", "again", "--effect", "-1"), "effect=-1.0"),
        (("--candidate", "again", "--task", "other"), "no records of these tasks"),
        (("--run", "smokey"), "Did you mean 'smoke'?"),
        (("--calibrate", "5", "--seeds", "19"), "at least 21"),
        (("--candidate", "again", "--junit", "/proc/none/x.xml"), "cannot write"),
    ],
)
def test_wrong_usage_is_status_2(folders, extra, message):
    done = bench("check", "--baseline", folders["baseline"], *(folders.get(text, text) for text in extra))
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_calibrate_prints_the_rates(folders):
    done = bench("check", "--baseline", folders["baseline"], "--calibrate", 20)
    assert done.returncode == 0, done.stderr
    assert "20 checks of the baseline against itself, 2 seeds" in done.stdout
    assert "a drop of 0.5 of one method on all its tasks is found in 100.0%" in done.stdout
    assert "a drop of 0.5 of one method on one task is found in" in done.stdout


TINY = """
description = "one cheap method"
tasks = ["cancer_treatment"]
methods = ["simulator_gradient"]
seeds = 12

[budget]
env_steps = 4000
evals = 8

[settings.simulator_gradient]
learning_rate = {rate}
"""


def test_a_learner_that_does_not_learn_turns_it_red(tmp_path):
    for name, rate in (("good", 0.01), ("bad", 1e-12)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "tiny.toml").write_text(TINY.format(rate=rate))
    out = tmp_path / "baseline"
    run(load(str(tmp_path / "good" / "tiny.toml")).cells(), out)

    arguments = ["check", "--baseline", out, "--run", tmp_path / "bad" / "tiny.toml", "--seeds", "3"]
    red = CliRunner().invoke(app, list(map(str, arguments)), env={"GITHUB_ACTIONS": "", "COLUMNS": "200"})
    assert red.exit_code == 1, red.output
    assert "simulator_gradient" in red.output
    assert "WORSE" in red.output
    assert "method.learning_rate" in red.output
