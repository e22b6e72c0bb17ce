"""The arithmetic of budgets."""

import itertools

import pytest

from bench.budget import COUNTS, Allowance, Budget, BudgetError, Usage


def test_steps_are_what_is_left_after_warm_up_rounded_down():
    assert Budget(5000).steps(Usage(200, init_env_steps=1000)) == 20
    assert Budget(5199).steps(Usage(200, init_env_steps=1000)) == 20
    assert Budget(5000).steps(Usage(200, env_grad_steps=200, init_env_steps=1000)) == 20  # differentiated, not added


def test_a_method_that_spends_nothing_is_evaluated_once():
    assert Budget(100).evaluation_points(Usage(0)) == [0]


@pytest.mark.parametrize(("steps", "evals"), [(20, 20), (50, 20), (7, 20), (1, 1), (400, 13)])
def test_evaluations_are_even_and_include_both_ends(steps, evals):
    points = Budget(steps, evals).evaluation_points(Usage(1))
    gaps = [b - a for a, b in itertools.pairwise(points)]
    assert points[0] == 0
    assert points[-1] == steps
    assert len(points) == min(steps, evals) + 1
    assert max(gaps) - min(gaps) <= 1


def test_a_budget_too_small_says_what_it_takes():
    with pytest.raises(BudgetError, match="Give at least 1200"):
        Budget(1199).steps(Usage(200, init_env_steps=1000))
    with pytest.raises(BudgetError, match="whole number"):
        Budget(0)


def test_a_cap_on_updates_ends_a_run_and_says_so():
    usage = Usage(200, init_env_steps=1000, updates=80)
    assert (Budget(5000).steps(usage), Budget(5000).ended_by(usage)) == (20, "budget")
    assert (Budget(5000, updates=799).steps(usage), Budget(5000, updates=799).ended_by(usage)) == (9, "updates")
    assert Budget(5000, updates=1600).ended_by(usage) == "budget"
    assert Budget(5000, updates=1).steps(Usage(200)) == 25  # a method without updates has nothing to cap
    with pytest.raises(BudgetError, match="a step makes 80 gradient updates; a cap of 79 allows no step"):
        Budget(5000, updates=79).steps(usage)


def test_caps_are_numbers_and_are_settings_only_where_they_are_set():
    assert Budget(10, 2).to_json() == {"env_steps": 10, "evals": 2}
    assert Allowance(episodes=2, seconds=1.5).on(10).to_json() == {"env_steps": 20, "evals": 20, "seconds": 1.5}
    with pytest.raises(BudgetError, match="seconds must be a positive number, got 0"):
        Allowance(episodes=2, seconds=0)
    with pytest.raises(BudgetError, match="updates must be a whole number"):
        Budget(10, updates=0)


def test_what_a_policy_simulates_to_act_has_a_budget_of_its_own():
    planner = Usage(200, acting_env_steps=50)
    assert Budget(5000, acting_env_steps=50).steps(planner) == 25
    with pytest.raises(BudgetError, match="simulates 50 environment steps, and the budget allows 49"):
        Budget(5000, acting_env_steps=49).steps(planner)
    assert Allowance(episodes=2, acting_env_steps=3).on(10).acting_env_steps == 3
    assert Budget(5000, updates=9, acting_env_steps=50).ended_by(planner) == "budget"


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize("count", [-1, 10**30])
def test_what_no_run_can_spend_is_refused_before_it_runs(name, count):
    with pytest.raises(BudgetError, match=f"Usage: {name} must be a whole number of at least 0"):
        Usage(**{"env_steps": 1, name: count})


def test_numbers_too_large_are_refused_and_more_evaluations_than_steps_are_all_of_them():
    assert Budget(10, evals=10**6).evaluation_points(Usage(1)) == list(range(11))
    with pytest.raises(BudgetError, match="evals must be a whole number of at least 1 and at most"):
        Budget(10, evals=10**9)
    with pytest.raises(BudgetError, match="a run has at most"):
        Budget(10**12).steps(Usage(100))
