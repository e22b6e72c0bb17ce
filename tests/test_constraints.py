"""Constraints: their price, their enforcement, what the contract knows of them, and how a violation is shown."""

import dataclasses
import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference_tasks import Brachistochrone, BrysonDenham
from synthetic import record

from bench.analysis import leaderboard
from bench.contract.task import TASK_CHECKS, TaskUnderTest
from bench.errors import ContractError
from bench.precision import float64
from bench.records.reference import Reference
from bench.reference.augmented_lagrangian import constrained_minimiser
from bench.reference.cross_check import _grade
from bench.reference.feasibility import with_violations
from bench.reference.fingerprint import fingerprint
from bench.reference.multiple_shooting import NonlinearProgram
from bench.report.text import task_tables
from bench.simulate import open_loop
from bench.training.rescore import rescore
from tasks import AbstractConstrainedTask, ControlVar, StateVar

ONE = Reference("t", 1.0, 1, "f", 64.0, [0.0], 4.0, "C", 0.0, "", [[0.0]], [4.0], multiple_shooting=[4.0])


def test_a_violation_and_a_miss_are_priced_and_measured(x64):
    """u = -2 gives x = t - t², which meets the targets and exceeds the limit between the roots of t - t² = 1/9."""
    task = BrysonDenham()
    found = open_loop(task, jnp.full((100, 1), -2.0), task.x0)
    low = (1 - math.sqrt(1 - 4 / 9)) / 2
    excess = 9 * ((1 - 2 * low) / 2 - ((1 - low) ** 3 - low**3) / 3) - (1 - 2 * low)
    # 1e-4: a solver's step over the kink of the price.
    assert float(found.cost) == pytest.approx(2 + task.penalty * excess, rel=1e-4)
    assert float(found.violation) == pytest.approx(9 / 4 - 1)  # at the knot t = 1/2
    assert float(found.end_error) < 1e-12  # rounding
    missed = open_loop(task, jnp.zeros((100, 1)), task.x0)  # x = t: both targets are missed, by 1 / 0.15 and by 2 / 2
    on_the_way = 9 * (1 - 1 / 81) / 2 - (1 - 1 / 9)
    assert float(missed.cost) == pytest.approx(task.penalty * (on_the_way + 1 / 0.15 + 1), rel=1e-4)


def solved(task):
    program = NonlinearProgram(task, np.asarray(task.x0, float), 1.0)
    found = program.solve(*next(program.guesses()))
    assert found is not None
    return found, with_violations(task, dataclasses.replace(ONE, controls=found.us.tolist()))


def test_the_second_route_enforces_constraints_and_targets():
    found, kept = solved(BrysonDenham())
    # The exact minimum is 4. Held controls cost more: an interval of 0.01 is (0.03)² of an arc that lasts 1/3.
    assert 4 < found.cost < 4.002
    assert kept.violation < 1e-6  # what a reference of grade B may have, at twice as many points as are enforced


def test_a_free_end_time_is_a_pace():
    found, kept = solved(Brachistochrone())
    assert found.cost == pytest.approx(1.8016, abs=2e-4)  # published to four decimals; 50 held angles cost 1e-4 more
    assert kept.violation < 1e-6


@pytest.mark.slow  # a thousand evaluations
def test_the_method_of_multipliers_meets_the_second_route():
    task = BrysonDenham(num_steps=10)
    with float64(task):
        low, high = task.bounds
        compiled = jax.jit(jax.value_and_grad(lambda v: open_loop(task, low + (high - low) * v[:, None], task.x0).cost))

        def evaluate(v):
            cost, gradient = compiled(v)
            return float(cost), np.asarray(gradient)

        cost, v, _ = constrained_minimiser(task, np.asarray(task.x0), evaluate)(np.full(10, 0.4))
    found, _ = solved(task)
    assert float(cost) == pytest.approx(found.cost, rel=1e-4)  # AGREEMENT_RTOL, by which both routes agree
    assert found.us.ravel() == pytest.approx(low + (high - low) * v, abs=1e-2)  # the minimum is flat


def test_a_violated_constraint_or_range_is_never_graded_b():
    task = BrysonDenham()
    assert _grade(task, dataclasses.replace(ONE, violation=0.9e-6, outside=0.0)) == "B"
    assert _grade(task, dataclasses.replace(ONE, violation=1.1e-6, outside=0.0)) == "C"
    assert _grade(task, dataclasses.replace(ONE, violation=0.0, outside=1.1e-6)) == "C"


def test_ranges_are_checked_within_intervals():
    """u = -2 and then 2 leads to x = 3/16 within the first of two intervals, above the range of 0.15, and to 1/4."""
    task = BrysonDenham(num_steps=1)
    found = with_violations(task, dataclasses.replace(ONE, controls=[[-2.0]]))
    assert found.outside == pytest.approx(0.1 / 0.15)  # the top of t - t² at t = 1/2, no knot
    assert found.violation == pytest.approx(9 / 4 - 1)


def test_a_fingerprint_follows_the_constraints():
    class Wider(BrysonDenham):
        """Another constraint with the same fields, like after an edit of the file."""

        def path_constraints(self, t, x, u):
            return jnp.stack([x[0] / self.limit - 2])

    assert len({fingerprint(task()) for task in (BrysonDenham, Wider)}) == 2


class Trap(AbstractConstrainedTask):
    """x' = u, x <= 0.6 on the way and x(T) <= 0.2, with a flaw."""

    flaw: str = "none"
    penalty: float = 10.0
    states = (StateVar("x", 0.5, -2.0, 2.0),)
    controls = (ControlVar("u", -1.0, 1.0),)
    horizon: float = 1.0
    num_steps: int = 5
    solver: str = "heun"
    substeps: int = 4

    def vector_field(self, t, x, u):
        return u

    def unpriced_running_cost(self, t, x, u):
        return x[0] ** 2 + u[0] ** 2

    def unpriced_terminal_cost(self, x):
        return jnp.zeros_like(x[0])

    def path_constraints(self, t, x, u):
        excess = x[0] - 0.6
        flaws = {
            "shape": excess,
            "sign": jnp.stack([-jnp.exp(excess)]),
            "start": jnp.stack([x[0] - 0.4]),
            "always": jnp.stack([x[0] + 3]),
            "root": jnp.stack([jnp.sqrt(x[0] - 0.4) - 0.6]),
            "slope": jnp.stack([jnp.sqrt(jnp.abs(x[0] - 0.5)) - 0.5]),
        }
        return flaws.get(self.flaw, jnp.stack([excess]))

    def end_constraints(self, x):
        return jnp.stack([x[0] + (3 if self.flaw == "end" else -0.2)])


TRAPS = {
    "shape": ("shapes and dtypes are as declared", "path_constraints returns shape (), it must be one vector"),
    "sign": ("its constraints bind", "path_constraints[0] is never above 0"),
    "start": ("its constraints bind", "path_constraints[0] is above 0, violated, at the start"),
    "always": ("its constraints bind", "path_constraints[0] is always above 0"),
    "root": ("its constraints bind", "path_constraints[0] is not finite"),
    "slope": ("its constraints bind", "gradient of a constraint is not finite"),
    "end": ("its constraints bind", "end_constraints[0] is always above 0"),
}


def test_a_sound_constraint_passes():
    for check in TASK_CHECKS.values():
        check(TaskUnderTest(Trap()))


@pytest.mark.parametrize("flaw", TRAPS)
def test_a_trap_of_a_constraint_is_found(flaw):
    check, words = TRAPS[flaw]
    with pytest.raises(ContractError, match=re.escape(words)):
        TASK_CHECKS[check](TaskUnderTest(Trap(flaw=flaw)))


@pytest.mark.parametrize("penalty", [0.0, -1.0, math.inf, math.nan])
def test_a_penalty_is_a_positive_number(penalty):
    with pytest.raises(ValueError, match=r"BrysonDenham: penalty must be a positive number, got"):
        BrysonDenham(penalty=penalty)


def test_a_policy_is_scored_with_its_violation():
    from faulty_method import Hold

    task = Trap()
    found = rescore(task, Hold, [jnp.array([[1.0], [-1.0]])], np.asarray(task.x0)[None])
    # From 0.5 with u = 1 for 1: x(T) = 1.5, 0.9 above 0.6 and 1.3 above 0.2. With u = -1 nothing is violated.
    assert found.violation == pytest.approx([1.3, 0.0], abs=1e-12)
    assert found.to_json()[0]["scores"]["violation"] == found.violation[0]


def test_a_violation_is_a_column_with_a_mark():
    rescored: dict[str, float | None] = {"adaptive": 1.0, "finer": 1.0, "end_error": 0.0}
    runs = [
        dataclasses.replace(record(method, 0), rescored={**rescored, "violation": v})
        for method, v in {"kept": 0.0, "near": 0.005, "far": 0.3}.items()
    ]
    built = leaderboard.build(runs, {})
    rows = built.rows.set_index("method")
    assert rows["violation"].to_dict() == {"kept": 0.0, "near": 0.005, "far": 0.3}
    assert rows["violations"].to_dict() == {"kept": 0, "near": 0, "far": 1}
    (table,) = task_tables(built)
    column = table.headings.index("violation")
    assert {row[0]: row[column] for row in table.rows} == {"kept": "", "near": "0.5 %", "far": "! 30 %"}
