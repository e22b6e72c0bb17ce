"""Stiff plants: Radau IIA against exact solutions, SciPy, and an adaptive solution of its own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate

from bench import radau
from bench.simulate import adaptive_transition, open_loop
from tasks.base import AbstractTask, ControlVar, StateVar


class Robertson(AbstractTask):
    """Robertson's reactions, with rates from 0.04 to 3e7 (Hairer & Wanner 1996, sec. IV.1); u speeds up the first."""

    states = (StateVar("a", 1.0, 0.0, 1.0), StateVar("b", 0.0, 0.0, 1e-4), StateVar("c", 0.0, 0.0, 1.0))
    controls = (ControlVar("u", -1.0, 1.0),)
    horizon: float = 40.0
    num_steps: int = 20
    solver: str = "radau5"
    substeps: int = 2

    def vector_field(self, t, x, u):
        first, second, third = 0.04 * x[0] * (1 + 0.1 * u[0]), 1e4 * x[1] * x[2], 3e7 * x[1] ** 2
        return jnp.stack([second - first, first - second - third, third])

    def running_cost(self, t, x, u):
        return x[0] ** 2 + 0.1 * u[0] ** 2

    def terminal_cost(self, x):
        return x[2]


US = 0.3 * np.ones((20, 1))


def test_a_linear_plant_is_solved_to_order_five(x64):
    """x' = -2 x + cos t: halving the step divides the error by 2⁵."""
    exact = (2 * np.cos(1) + np.sin(1)) / 5 + (1 - 2 / 5) * np.exp(-2)

    def error(count):
        x, cost = radau.steps(
            lambda t, x: jnp.cos(t) - 2 * x, lambda t, x: x[0], jnp.zeros(()), jnp.array(1 / count), jnp.ones(1), count
        )
        # ∫ x = (sin t + x(0) - x(1)) / 2 by the equation itself
        return abs(float(x[0]) - exact), abs(float(cost) - (np.sin(1) + 1 - exact) / 2)

    for coarse, fine in zip(error(4), error(8), strict=True):
        assert 4.7 < np.log2(coarse / fine) < 5.5


def test_robertson_is_that_of_scipy(x64):
    task = Robertson()
    trajectory = jax.jit(lambda us: open_loop(task, us, task.x0))(jnp.asarray(US))
    found = scipy.integrate.solve_ivp(
        lambda t, x: np.asarray(task.vector_field(t, jnp.asarray(x), jnp.array([0.3]))),
        (0, task.horizon), np.asarray(task.x0), method="Radau", rtol=1e-10, atol=1e-14,
    )  # fmt: skip
    # 1e-6: what two steps of 1 s leave of the first transient.
    np.testing.assert_allclose(trajectory.xs[-1], found.y[:, -1], rtol=1e-6)
    adaptive = jax.jit(lambda us: open_loop(task, us, task.x0, adaptive_transition))(jnp.asarray(US))
    assert float(trajectory.cost) == pytest.approx(float(adaptive.cost), rel=1e-6)
    np.testing.assert_allclose(adaptive.xs[-1], found.y[:, -1], rtol=1e-8)


def test_its_gradient_is_that_of_finite_differences(x64):
    task = Robertson()
    cost = jax.jit(jax.value_and_grad(lambda us: open_loop(task, us, task.x0).cost))
    us, step = jnp.asarray(US), 1e-4
    for k in (0, 3, 19):
        difference = (cost(us.at[k].add(step))[0] - cost(us.at[k].add(-step))[0]) / (2 * step)
        # 1e-7: rounding of a cost of 26 over a step of 1e-4, and the step's square.
        assert float(cost(us)[1][k, 0]) == pytest.approx(float(difference), abs=1e-7)


def test_it_works_in_single_precision():
    task = Robertson()
    value, gradient = jax.jit(jax.value_and_grad(lambda us: open_loop(task, us, task.x0).cost))(jnp.asarray(US))
    with jax.enable_x64(True):
        exact = jax.jit(lambda us: open_loop(Robertson(), us, task.x0).cost)(jnp.asarray(US, jnp.float64))
    assert value.dtype == jnp.float32
    assert float(value) == pytest.approx(float(exact), rel=1e-5)  # some tens of roundings of float32
    assert np.all(np.isfinite(gradient))


def test_what_does_not_converge_is_nan(x64):
    """A field that jumps wherever it leads: Newton's method goes back and forth."""
    x, cost = radau.step(lambda t, x: -jnp.sign(x), lambda t, x: x[0], jnp.zeros(()), jnp.array(10.0), jnp.array([0.9]))
    assert np.isnan(x[0])
    assert np.isnan(cost)
