"""The simulator: what a policy sees, how controls are held, and what a cost contains."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference_tasks import DoubleIntegrator

from bench.simulate import AbstractPolicy, clip, open_loop, rollout

pytestmark = pytest.mark.usefixtures("x64")


class Recorder(AbstractPolicy):
    """u = t + 10 k; the carry k counts the calls."""

    def initial(self):
        return jnp.zeros((), jnp.int32)

    def __call__(self, t, x, k):
        return jnp.stack([t + 10.0 * k]), k + 1


def test_a_policy_sees_the_start_of_each_interval_and_its_own_carry():
    task = DoubleIntegrator(num_steps=4)
    trajectory = rollout(task, Recorder(), task.x0)
    np.testing.assert_array_equal(trajectory.us[:, 0], [0.0, 3.0, 3.0, 3.0])  # 0, then 10.5, 21 and 31.5: clipped
    assert trajectory.xs.shape == (5, 2)
    np.testing.assert_array_equal(trajectory.xs[0], task.x0)


def test_held_controls_move_as_the_closed_form_says():
    task = DoubleIntegrator(num_steps=4, horizon=2.0)
    us = jnp.array([[1.0], [-2.0], [0.5], [3.0]])
    trajectory = open_loop(task, us, task.x0)
    x, v, cost = 1.0, 0.0, 0.0
    for k, u in enumerate(us[:, 0].tolist()):
        s = np.linspace(0, 0.5, 2001)
        path = (x + v * s + u * s**2 / 2) ** 2 + (v + u * s) ** 2 + 0.5 * u**2
        cost = np.trapezoid(path, s)
        # The trapezoid rule with 2000 steps of 2.5e-4 errs by about 1e-8; Tsit5 integrates these quartics exactly.
        np.testing.assert_allclose(trajectory.costs[k], cost, rtol=1e-6)
        x, v = x + v * 0.5 + u * 0.125, v + u * 0.5
        np.testing.assert_allclose(trajectory.xs[k + 1], [x, v], rtol=1e-12)
    np.testing.assert_allclose(trajectory.cost, trajectory.costs.sum() + 2 * (x**2 + v**2), rtol=1e-12)


def test_the_riccati_optimum_is_reached_by_no_less_than_its_own_controls():
    task = DoubleIntegrator()
    cost = jax.jit(lambda us: open_loop(task, us, task.x0).cost)
    us = jnp.zeros((10, 1))
    best = us - np.linalg.solve(hessian(cost, us), np.ravel(jax.grad(cost)(us))).reshape(10, 1)
    # 1e-9: one Newton step is the minimum of a quadratic, whose gradient's differences are exact up to rounding.
    assert float(cost(best)) == pytest.approx(task.optimum(), rel=1e-9)


def hessian(cost, us):
    gradient = jax.grad(cost)
    return np.stack([np.ravel(gradient(us.at[k, 0].set(1.0)) - gradient(us)) for k in range(len(us))])


def test_controls_cannot_leave_their_bounds_and_gradients_live_on_them():
    task = DoubleIntegrator(num_steps=3)
    wild, edge = jnp.array([[9.0], [-9.0], [0.0]]), jnp.array([[3.0], [-3.0], [0.0]])
    np.testing.assert_array_equal(open_loop(task, wild, task.x0).xs, open_loop(task, edge, task.x0).xs)
    slope = jax.grad(lambda u: clip(task, u)[0])
    assert [float(slope(jnp.array([u]))[0]) for u in (-3.1, -3.0, 0.0, 3.0, 3.1)] == [0, 1, 1, 1, 0]
