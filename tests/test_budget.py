"""Arithmetic of the budget."""

import itertools

import pytest

from bench.budget import Budget, BudgetError
from bench.method import Usage


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
