"""Suites: every shipped one is well formed, and grids and budgets mean what they say."""

import pytest

from bench import suite
from bench.budget import Allowance, BudgetError
from bench.run import prepare
from bench.suite import Grid, SuiteError


@pytest.mark.parametrize("name", suite.names())
def test_every_cell_of_a_shipped_suite_can_run(name, tmp_path):
    loaded = suite.load(name)
    jobs = prepare(loaded.cells(), tmp_path)
    assert len(jobs) == len(loaded.tasks) * len(loaded.grids) * len(loaded.methods)
    assert len({job.path(0) for job in jobs}) == len(jobs)  # no two cells share a record


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


def test_a_stretch_that_cuts_an_interval_is_refused():
    with pytest.raises(SuiteError, match="choose one that divides"):
        Grid(stretch=0.333).settings(1.0, 100)
