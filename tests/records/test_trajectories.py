"""Stored trajectories: beside their records, for the median run, and as charts."""

import dataclasses

import numpy as np
import pytest
from synthetic import record, references, sample, trajectory, write_record
from typer.testing import CliRunner

from bench import suite
from bench.analysis.leaderboard import build
from bench.analysis.scores import group_by_cell
from bench.analysis.trajectories import median_trajectories
from bench.cli import app
from bench.records import reference_file
from bench.records.cell_file import read_records
from bench.records.run import read_record, record_path, trajectory_path
from bench.records.trajectory import trajectory_finder
from bench.reference import lookup
from bench.reference.starts import evaluation_starts
from bench.report import charts
from bench.run import run
from tasks import TASKS


def store(folder, runs):
    """Write records with their trajectories like a sweep."""
    for one in runs:
        key = {name: getattr(one, name) for name in ("suite", "task", "method", "fingerprint", "settings")}
        write_record(record_path(folder, key, one.seed), dataclasses.replace(one, trajectory=trajectory(one)))


def test_a_trajectory_lies_beside_its_record_and_is_found_by_it(tmp_path):
    one, other = record("m", 0), record("m", 1)
    store(tmp_path / "inner", [one])
    (path,) = tmp_path.rglob("records/*.json")
    assert read_record(path) == one
    assert "trajectory" not in path.read_text()
    assert trajectory_path(tmp_path / "inner", one).exists()
    find = trajectory_finder(tmp_path)
    assert find(one) == trajectory(one)
    assert find(other) is None
    assert find(dataclasses.replace(one, settings={**one.settings, "method": {"rate": 2.0}})) is None
    trajectory_path(tmp_path / "inner", one).write_text("{")
    assert find(one) is None


@pytest.mark.parametrize(("scores", "seed"), [((0.1, 0.9, 0.5), 2), ((0.1, 0.9, 0.5, 0.6), 3), ((None, 0.2), 1)])
def test_the_median_run_is_the_better_of_two_in_the_middle(scores, seed):
    runs = [record("m", i, score) for i, score in enumerate(scores)]
    assert [shown.seed for shown in median_trajectories(group_by_cell(runs), trajectory)] == [seed]


def test_no_run_that_finished_no_trajectory():
    assert list(median_trajectories(group_by_cell([record("m", 0, None)]), trajectory)) == []


def test_charts_show_every_state_and_control_and_the_cost_beside_the_best_known():
    runs = sample({"good": 0.8, "fair": 0.5}, tasks=("t",), seeds=1)
    found = list(charts.trajectories(build(runs, references(runs), find=trajectory)))
    assert [chart.title for chart in found] == ["t: mass", "t: force", "t: accumulated cost"]
    mass, force, cost = found
    assert [s.method for s in mass.series] == [None, "good", "fair"]
    assert mass.y_label == "mass (kg)"
    assert mass.x_label == "time (d)"
    assert (mass.target, force.target) == (2.0, None)
    best, good, _ = mass.series
    assert (best.y[-1], good.y[-1], good.x[-1]) == (0.5, 1.0, 2.0)
    assert force.held
    assert list(force.series[0].y) == [-1] * 5 + [1] * 6  # the last control is held until the end
    assert list(cost.series[0].y) == [*range(11), 15.0]  # ones, and a terminal cost of 5


def test_plot_draws_the_trajectories_of_a_task(tmp_path):
    runs = sample({"good": 0.8, "fair": 0.5}, tasks=("t", "u"), seeds=3)
    store(tmp_path, runs)
    reference_file.write_references(tmp_path / "references.toml", {r.key: r for r in references(runs).values()})
    for arguments in ([], ["--task", "u"]):
        done = CliRunner().invoke(app, ["plot", str(tmp_path), "--kind", "trajectories", *arguments])
        assert done.exit_code == 0, done.output
    assert (tmp_path / "trajectories.pdf").read_bytes().startswith(b"%PDF")
    nothing = CliRunner().invoke(app, ["plot", str(tmp_path), "--kind", "trajectories", "--task", "w"])
    assert "nothing of w" in str(nothing.exception)


def test_a_run_with_random_starts_keeps_scores_over_all_and_the_trajectory_from_the_first(tmp_path):
    cells = suite.load("random-starts").cells(["cancer_treatment"], ["constant"], 1)
    (found,) = run(cells, tmp_path)
    assert found.cost is not None
    # 1e-5: means over 16 starts, in float32 and in float64.
    assert found.rescored["adaptive"] == pytest.approx(found.cost, rel=1e-5)
    assert found.rescored["finer"] == pytest.approx(found.cost, rel=1e-5)
    assert found.rescored["end_error"] == 0
    stored = trajectory_finder(tmp_path)(next(r for r in read_records(tmp_path) if r == found))
    assert stored is not None
    task = TASKS["cancer_treatment"](starts="random")
    first = evaluation_starts(task)[0]
    assert stored["policy"]["states"][0] == pytest.approx(first, rel=1e-6)  # seven digits
    assert stored["reference"]["states"][0] == pytest.approx(first, rel=1e-6)
    known = next(r for r in lookup.lookup_each(task) if r.start == first.tolist())
    assert stored["reference"]["cost"] == pytest.approx(known.best, rel=1e-6)
    assert stored["policy"]["cost"] > stored["reference"]["cost"]
    assert np.shape(stored["policy"]["controls"]) == (100, 1)
    assert stored["policy"]["cost"] == pytest.approx(sum(stored["policy"]["costs"]), rel=1e-5)  # no terminal cost
