"""Suites: every shipped one is well formed, and its grids, budgets and starts are as declared."""

import os

import jax.random as jr
import numpy as np
import pytest
from reference_tasks import DoubleIntegrator

from baselines.constant import Constant
from bench import registry, suite
from bench.budget import Allowance, Budget, BudgetError
from bench.cli.reference import grids_of
from bench.method import inform
from bench.records.references import References
from bench.reference import lookup
from bench.reference.fingerprint import fingerprint
from bench.reference.starts import evaluation_starts
from bench.registry import SettingError
from bench.suite import Grid, SuiteError
from bench.sweep.job import prepare
from bench.training.train import train


@pytest.mark.parametrize("name", suite.names())
def test_every_cell_of_a_shipped_suite_can_run(name, tmp_path):
    loaded = suite.load(name)
    jobs = prepare(loaded.cells(), tmp_path)
    assert len(jobs) == len(loaded.tasks) * len(loaded.grids) * len(loaded.methods)
    assert len({job.stored.path for job in jobs}) == len(jobs)  # no two cells share a file of records


def test_refining_keeps_the_horizon_and_extending_the_interval(tmp_path):
    refined = {job.task.num_steps: job for job in prepare(suite.load("horizon-refine").cells(["harvest"]), tmp_path)}
    assert list(refined) == [25, 50, 100, 200, 400]
    assert {job.task.horizon for job in refined.values()} == {10.0}
    extended = [job.task for job in prepare(suite.load("horizon-extend").cells(["harvest"], ["sac"]), tmp_path)]
    assert [(task.horizon, task.num_steps) for task in extended] == [(10 * s, 100 * s) for s in (0.5, 1, 2, 4, 8)]
    assert {task.dt for task in extended} == {0.1}


def test_a_budget_in_episodes_grants_as_many_on_every_grid():
    assert Allowance(episodes=50).on(25).env_steps == 1250
    assert Allowance(env_steps=5000).on(25).env_steps == 5000
    for wrong in ({}, {"env_steps": 1, "episodes": 1}):
        with pytest.raises(BudgetError, match="one of them"):
            Allowance(**wrong)


def test_a_suite_names_variants_of_a_method_as_the_tables_do(tmp_path):
    loaded = suite.load("smoke")
    text = "sac[hold=1, batch=64]"
    (job,) = prepare(loaded.cells(["cancer_treatment"], [text], extra={"sac": {"width": "16"}}), tmp_path)
    assert job.cell.method_label == "sac[batch=64, hold=1, width=16]"
    assert (job.method.batch, job.method.hold, job.method.width) == (64, 1, 16)
    for wrong in ("sac[batch=64", "sac[batch]", "sac[]"):
        with pytest.raises(SuiteError, match="field=value"):
            loaded.cells(methods=[wrong])


def test_a_tuning_task_must_not_be_scored(tmp_path):
    text = (suite.SHIPPED_FOLDER / "paper.toml").read_text().replace("tuning_tasks = [", 'tuning_tasks = ["harvest", ')
    (tmp_path / "leak.toml").write_text(text)
    with pytest.raises(SuiteError, match="harvest stands in tasks and in tuning_tasks"):
        suite.load(str(tmp_path / "leak.toml"))


def test_a_stretch_that_cuts_an_interval_is_refused():
    with pytest.raises(SuiteError, match="choose one that divides"):
        Grid(stretch=0.333).settings(1.0, 100)


def test_random_starts_are_drawn_in_training_and_judged_from_a_fixed_set(tmp_path):
    (job,) = prepare(suite.load("random-starts").cells(["harvest"], ["awm_gru"]), tmp_path)
    starts = evaluation_starts(job.task)
    assert starts.shape == (16, 1)
    assert np.unique(starts).size == 16
    assert np.array_equal(starts, evaluation_starts(job.task))
    assert fingerprint(job.task) != fingerprint(registry.task("harvest"))
    state = job.method.init(job.task, jr.key(0))
    warmup = state.replay.xs[: job.method.warmup, 0, 0]
    assert np.unique(warmup).size == job.method.warmup
    assert not np.isin(np.asarray(warmup), starts.astype(np.float32)).any()
    with pytest.raises(SettingError, match=r"harvest\.starts must be one of 'fixed', 'random', got 'any'"):
        registry.task("harvest", {"starts": "any"})


def test_over_several_starts_a_cost_is_a_mean(tmp_path):
    task = DoubleIntegrator(starts="random")
    references = lookup.complete(References({}), "lq", task, tmp_path / "references.toml")
    found, each = lookup.lookup(task, references), lookup.lookup_each(task, references)
    (only,) = train(task, inform(Constant(), each), Budget(100), (0,))
    # 1e-5: float32 against float64. The floor method plays the best constant of each start.
    assert only.cost[0] == pytest.approx(found.floor, rel=1e-5)
    assert len({tuple(r.floor_control) for r in each}) == 16
    assert found.best == pytest.approx(np.mean([task.optimum(r.start) for r in each]), rel=1e-9)


@pytest.mark.parametrize("name", suite.names())
def test_a_shipped_suite_has_references_for_every_grid_and_start(name):
    stored = References.shipped().by_key
    assert [key for key, _ in grids_of([], [name]) if key not in stored] == []


SMALL = {
    "description": '"d"',
    "tasks": '["harvest"]',
    "methods": '["constant"]',
    "seeds": "1",
    "budget": "{env_steps=9}",
}


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("tasks", '"harvest"', "tasks must be a list of names, got 'harvest'"),
        ("tasks", "[1]", "tasks must be a list of names"),
        ("tasks", '[["a"]]', "tasks must be a list of names"),
        ("methods", "[]", "methods must name at least one"),
        ("seeds", "0", "seeds must be a whole number of at least 1 and at most 10000, got 0"),
        ("seeds", "1000000000", "seeds must be"),
        ("seeds", "true", "seeds must be"),
        ("num_steps", "5", "num_steps must be a list of whole numbers"),
        ("stretch", "[1e300]", "stretch must be a list of numbers above 0"),
        ("stretch", "[nan]", "stretch must be"),
        ("num_steps", str(list(range(10, 111))), "num_steps must name at most 100 grids, got 101"),
        ("tuning_tasks", '[["a"]]', "tuning_tasks must be a list of names"),
        ("starts", "5", "starts must be 'fixed' or 'random', got 5"),
        ("settings", "5", "settings must be a table"),
        ("settings", "{havrest={r=1}}", "unknown task or method in settings: 'havrest'. Did you mean 'harvest'?"),
        ("noise", "5", "the noise must be a table"),
        ("noise", "{proces=0.1}", "unknown noise key 'proces'. Did you mean 'process'?"),
        ("noise", "{process=-0.1}", "noise: process must be a number of at least 0 and at most 100"),
        ("noise", "{observation=nan}", "noise: observation must be a number of at least 0"),
        ("noise", "{distractors=-1}", "noise: distractors must be a whole number of at least 0"),
        ("bugdet", "{}", "unknown suite key 'bugdet'. Did you mean 'budget'?"),
        ("budget", "[1]", "the budget must be a table"),
        ("budget", "{env_steps=9, evals=1000000000}", "evals must be a whole number"),
        ("budget", "{env_steps=9, seconds=inf}", "seconds must be a positive number"),
        ("budget", "{env_steps=9, acting_env_steps=-1}", "acting_env_steps must be a whole number of at least 0"),
    ],
)
def test_a_malformed_suite_is_one_line(key, value, words, tmp_path):
    file = tmp_path / "s.toml"
    file.write_text("\n".join(f"{name} = {text}" for name, text in (SMALL | {key: value}).items()))
    with pytest.raises(SuiteError) as caught:
        suite.load(str(file))
    assert words in str(caught.value)
    assert str(caught.value).startswith(f"{file}: ")
    assert "\n" not in str(caught.value)


def test_a_byte_order_mark_is_no_part_of_a_suite(tmp_path):
    file = tmp_path / "s.toml"
    file.write_text("\n".join(f"{name} = {text}" for name, text in SMALL.items()), encoding="utf-8-sig")
    assert suite.load(str(file)).tasks == ("harvest",)


def test_a_grid_named_twice_runs_once_and_a_suite_of_too_many_cells_is_refused(tmp_path):
    file = tmp_path / "s.toml"
    file.write_text("\n".join(f"{name} = {text}" for name, text in (SMALL | {"num_steps": "[20, 10, 20]"}).items()))
    loaded = suite.load(str(file))
    assert [cell.grid.num_steps for cell in loaded.cells()] == [20, 10]
    with pytest.raises(SuiteError, match="at most 10000 cells, got 1 tasks x 2 grids x 6000 methods = 12000"):
        loaded.cells(methods=[f"m{i}" for i in range(6000)])


def test_what_is_no_suite_is_refused_without_reading_it(tmp_path):
    os.mkfifo(tmp_path / "fifo.toml")
    (tmp_path / "zero.toml").symlink_to("/dev/zero")
    (tmp_path / "large.toml").write_text("#" * (suite.MAX_BYTES + 1))
    (tmp_path / "deep.toml").write_text("a = " + "[" * 10**5)
    for name in ("fifo", "zero", "large", "deep"):
        with pytest.raises(SuiteError):
            suite.load(str(tmp_path / f"{name}.toml"))


def test_a_number_of_seeds_that_cannot_run_is_refused():
    with pytest.raises(
        SuiteError, match="seeds must be a whole number of at least 1 and at most 10000, got 1000000000"
    ):
        suite.load("smoke").cells(seeds=10**9)
