"""What switches at a knot of the grid: every interval reads its own value, whatever the solver, step and precision."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bench.reference.cross_check import cross_check
from bench.reference.multiple_shooting import NonlinearProgram
from bench.reference.single_shooting import single_shooting
from bench.simulate import adaptive_transition, open_loop, transition, trapezoid_costs
from bench.solvers import SOLVERS
from tasks.base import AbstractTask, ControlVar, StateVar


class Switching(AbstractTask):
    """min ∫ (u - s(t))² dt,  x' = u - s(t),  s = 0.3 before the knot and -0.3 from it on: u = s costs 0 exactly."""

    states = (StateVar("x", 0.0, -1.0, 1.0),)
    controls = (ControlVar("u", -1.0, 1.0),)
    knot: float = 0.5
    horizon: float = 1.0
    num_steps: int = 10
    solver: str = "tsit5"
    substeps: int = 1

    def wanted(self, t):
        return jnp.where(t < self.knot, 0.3, -0.3)

    def vector_field(self, t, x, u):
        return u - self.wanted(t)

    def running_cost(self, t, x, u):
        return (u[0] - self.wanted(t)) ** 2

    def terminal_cost(self, x):
        return jnp.zeros_like(x[0])

    def ideal(self, before):
        """The controls of u = s, where the knot follows `before` intervals."""
        return jnp.where(jnp.arange(self.num_steps) < before, 0.3, -0.3)[:, None]


# Horizon and steps, and how many intervals come before a switch. 3 * 0.1 > 0.3, 1 / 3 is no binary number, and the
# thousandth knot is a product of a rounded step.
GRIDS = [(1.0, 10, (3, 5, 7)), (3.0, 9, (2, 8)), (1000 / 3, 1000, (1, 701, 997)), (1e4, 7, (6,))]


def knots(horizon, steps, before):
    """A knot as users write it: a decimal number, a product, a part of the horizon."""
    return float(f"{horizon * before / steps:.15g}"), before * (horizon / steps), horizon * before / steps


@pytest.mark.parametrize("double", [False, True], ids=["float32", "float64"])
@pytest.mark.parametrize("solver", [*SOLVERS, "adaptive"])
def test_a_switch_at_a_knot_belongs_to_the_next_interval(solver, double):
    with jax.enable_x64(double):
        for horizon, steps, switches in GRIDS:
            task = Switching(0.0, horizon, steps, "tsit5" if solver == "adaptive" else solver)
            move = adaptive_transition if solver == "adaptive" else transition

            def play(knot, us, task=task, move=move):
                return open_loop(eqx.tree_at(lambda t: t.knot, task, knot), us, task.x0, move)

            cases = [(knot, task.ideal(before)) for before in switches for knot in knots(horizon, steps, before)]
            found = jax.jit(jax.vmap(play))(jnp.array([knot for knot, _ in cases]), jnp.stack([us for _, us in cases]))
            # Every stage reads u - s = 0, so nothing is left to round.
            np.testing.assert_array_equal(found.cost, 0)
            np.testing.assert_array_equal(found.xs, 0)


@pytest.mark.parametrize("double", [False, True], ids=["float32", "float64"])
def test_the_trapezoid_rule_reads_each_interval_alone(double):
    with jax.enable_x64(double):
        for horizon, steps, (before, *_) in GRIDS:
            task = Switching(horizon * before / steps, horizon, steps)
            costs = trapezoid_costs(task, jnp.zeros((steps + 1, 1)), task.ideal(before))
            np.testing.assert_array_equal(costs, 0)


def test_both_routes_to_a_reference_read_each_interval_alone():
    for horizon, steps, (before, *_) in GRIDS[:2]:
        task = Switching(horizon * before / steps, horizon, steps)
        program = NonlinearProgram(task, np.zeros(1), 1.0)
        us = np.where(np.arange(steps) < before, 0.3, -0.3)[None, :, None]
        assert program.rollouts(us)[1] == 0


def test_a_switch_within_an_interval_makes_a_reference_doubtful():
    """The solver's stages step over it, so that the best cost is none."""
    task = Switching(0.543, 1.0, 10)
    found = cross_check(task, single_shooting("switching", task, np.zeros(1)))
    assert found.is_doubtful
    assert found.grade == "C"
    # On the knot all three agree.
    at_knot = Switching(0.5, 1.0, 10)
    found = cross_check(at_knot, single_shooting("switching", at_knot, np.zeros(1)))
    assert (found.best, found.adaptive, found.is_doubtful) == (
        pytest.approx(0, abs=1e-20),
        pytest.approx(0, abs=1e-20),
        False,
    )


def test_the_margin_is_some_roundings_and_no_more(x64):
    """A cost that grows with the time loses no accuracy: the quadrature error stays at rounding."""

    class Clock(Switching):
        def running_cost(self, t, x, u):
            return t**2

    task = Clock(0.5, 1.0, 10)
    # tsit5 is exact for cubics; 1e-14 is some tens of roundings of 1/3.
    assert float(open_loop(task, jnp.zeros((10, 1)), task.x0).cost) == pytest.approx(1 / 3, abs=1e-14)
