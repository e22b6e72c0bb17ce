"""Scoring a policy again: against SciPy's integrator, and where the simulator's steps are too coarse to be believed."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array, Float
from scipy.integrate import solve_ivp

from bench.rescore import FINER, Rescore, rescore
from bench.simulate import AbstractPolicy, open_loop, rollout
from tasks import TASKS


class Proportional(AbstractPolicy):
    """u = gain x[0], by a float32 gain as training leaves it."""

    gain: Float[Array, " m"]

    def initial(self):
        return ()

    def __call__(self, t, x, carry):
        return self.gain * x[0], carry


POLICY = Proportional(jnp.full(1, 0.3, jnp.float32))


def truth(task, starts):
    """The closed loop by SciPy's order 8 at rtol 1e-10: mean cost. Controls change every interval of `task`."""

    def right_hand_side(t, y, u):
        return [*np.asarray(task.vector_field(t, y[:-1], u)), float(task.running_cost(t, y[:-1], u))]

    costs = []
    low, high = (np.asarray(b) for b in task.bounds)
    for x0 in starts:
        y = np.array([*x0, 0.0])
        for i in range(task.num_steps):
            u = np.clip(np.asarray(POLICY.gain, np.float64) * y[0], low, high)
            span = (i * task.dt, (i + 1) * task.dt)
            y = solve_ivp(right_hand_side, span, y, args=(u,), method="DOP853", rtol=1e-10, atol=1e-12).y[:, -1]
        costs.append(y[-1] + float(task.terminal_cost(y[:-1])))
    return np.mean(costs)


def test_the_adaptive_score_is_scipys(x64):
    task = TASKS["cancer_treatment"](num_steps=5)
    starts = np.array([[0.975], [0.5]])
    again = rescore(task, POLICY, starts)
    assert again.adaptive == pytest.approx(truth(task, starts), rel=1e-7)  # ten times the solver's tolerance
    assert again.finer == pytest.approx(again.cost, rel=1e-5)  # order 5 on a smooth task
    assert not again.is_suspicious


def test_coarse_steps_are_suspicious_and_the_finer_grid_takes_more(x64):
    task = TASKS["cancer_treatment"](num_steps=4, horizon=0.8, solver="euler", delta=4.0)
    again = rescore(task, POLICY, np.array([[0.975]]))
    assert again.is_suspicious
    exact = rescore(dataclasses.replace(task, solver="dopri8"), POLICY, np.array([[0.975]])).cost
    assert again.adaptive == pytest.approx(exact, rel=1e-6)  # order 8
    us = rollout(task, POLICY, jnp.array([0.975])).us  # the controls that Euler's states asked for, held
    # A control held over four intervals of one step each is one interval of four steps.
    held = open_loop(dataclasses.replace(task, substeps=FINER), us, task.x0).cost
    assert again.finer == pytest.approx(float(held), rel=1e-12)
    assert again.finer != pytest.approx(again.cost, rel=1e-3)


def test_what_blows_up_is_suspicious_and_precision_stays_as_it_was():
    assert Rescore(1.0, float("nan"), 1.0, 0.0).is_suspicious
    assert not Rescore(1.0, 1.005, 0.995, 0.0).is_suspicious
    assert Rescore(-10.0, -10.0, -10.2, 0.0).gap == pytest.approx(0.02)
    before = jax.config.read("jax_enable_x64")
    rescore(TASKS["cancer_treatment"](num_steps=4), POLICY, np.array([[0.975]]))
    assert jax.config.read("jax_enable_x64") == before
    assert eqx.filter(POLICY, eqx.is_array).gain.dtype == jnp.float32
