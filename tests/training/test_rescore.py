"""Scoring policies again: against SciPy's integrator, and where the simulator's steps are too coarse."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array, Float
from scipy.integrate import solve_ivp

from bench.simulate import AbstractPolicy, rollout
from bench.training.closed_loop import GRID_REFINEMENT, _compiled_interval
from bench.training.rescore import rescore
from tasks import TASKS
from tasks.cancer_treatment import CancerTreatment


class Proportional(AbstractPolicy):
    """u = gain x[0], held for two intervals. The carry is whether a control is held, and which."""

    gain: Float[Array, ""]

    def initial(self):
        return jnp.zeros((), bool), jnp.zeros((), jnp.float32)

    def __call__(self, t, x, carry):
        held, value = carry
        value = jnp.where(held, value, self.gain * x[0])
        return value[None], (~held, value)


GAINS = jnp.array([0.3, 0.6], jnp.float32)  # one for each of two seeds
STARTS = np.array([[0.975], [0.5]])


def truth(task, gain, starts):
    """Costs of the closed loop by SciPy's solver of order 8 at rtol 1e-10. Controls change every second interval."""

    def right_hand_side(t, y, u):
        return [*np.asarray(task.vector_field(t, y[:-1], u)), float(task.running_cost(t, y[:-1], u))]

    costs = []
    low, high = (np.asarray(b) for b in task.bounds)
    for x0 in starts:
        y, u = np.array([*x0, 0.0]), low
        for i in range(task.num_steps):
            u = np.clip(np.float64([gain]) * y[0], low, high) if i % 2 == 0 else u
            span = (i * task.dt, (i + 1) * task.dt)
            y = solve_ivp(right_hand_side, span, y, args=(u,), method="DOP853", rtol=1e-10, atol=1e-12).y[:, -1]
        costs.append(y[-1] + float(task.terminal_cost(y[:-1])))
    return np.array(costs)


@pytest.fixture(scope="module")
def smooth():
    task = TASKS["cancer_treatment"](num_steps=6)
    return task, rescore(task, Proportional, [GAINS], STARTS)


def test_the_adaptive_score_is_scipys(smooth):
    task, again = smooth
    with jax.enable_x64(True):
        costs = np.array([truth(task, gain, STARTS) for gain in GAINS])
    # The policies compute in float32: an error of 1e-7 in a control changes the cost by about as much.
    np.testing.assert_allclose(again.adaptive, costs.mean(axis=1), rtol=1e-6)
    np.testing.assert_allclose(again.cost, costs[:, 0], rtol=1e-6)
    np.testing.assert_allclose(again.finer, again.adaptive, rtol=1e-5)  # order 5 on a smooth task


def test_the_episode_is_that_of_the_simulator_from_the_first_start(smooth):
    task, again = smooth
    assert again.end_error.tolist() == [0, 0]  # no target
    for i, gain in enumerate(GAINS):
        own = rollout(task, Proportional(gain), jnp.asarray(STARTS[0], jnp.float32))
        for name, values in {"states": own.xs, "controls": own.us, "costs": own.costs}.items():
            np.testing.assert_allclose(getattr(again, name)[i], values, rtol=1e-4, atol=1e-6)  # fixed steps, float32
    stored = again.to_json()[1]
    costs = {"adaptive": again.adaptive[1], "finer": again.finer[1]}
    assert stored["scores"] == {**costs, "end_error": 0, "violation": 0}  # no target, no constraint
    assert stored["episode"]["cost"] == again.cost[1]
    np.testing.assert_allclose(stored["episode"]["states"], again.states[1], rtol=1e-6)  # seven digits


def test_the_finer_grid_takes_smaller_steps_with_the_controls_held():
    task = TASKS["cancer_treatment"](num_steps=4, horizon=0.8, solver="euler", delta=4.0)
    again = rescore(task, Proportional, [GAINS], STARTS)
    # Four intervals of one step with one control are an interval of four steps.
    held = dataclasses.replace(task, substeps=GRID_REFINEMENT)
    costs = [float(rollout(held, Proportional(GAINS[0]), jnp.asarray(x, jnp.float32)).cost) for x in STARTS]
    assert again.finer[0] == pytest.approx(np.mean(costs), rel=1e-5)  # float32
    own = float(rollout(task, Proportional(GAINS[0]), jnp.asarray(STARTS[0], jnp.float32)).cost)
    assert again.cost[0] != pytest.approx(own, rel=1e-2)  # it shows Euler's errors


def test_a_lost_episode_is_nan_and_the_other_seeds_go_on(smooth):
    task, whole = smooth
    broken = rescore(task, Proportional, [jnp.array([0.3, np.nan], jnp.float32)], STARTS)
    assert broken.adaptive[0] == whole.adaptive[0]
    assert np.isnan([broken.adaptive[1], broken.finer[1], broken.end_error[1], broken.cost[1]]).all()
    names = ("adaptive", "finer", "end_error", "violation")
    assert broken.to_json()[1] == {"scores": dict.fromkeys(names), "episode": None}


def test_the_miss_of_a_target_is_that_of_the_end_state():
    task = TASKS["van_der_pol"](num_steps=3)
    again = rescore(task, Proportional, [GAINS], np.asarray(task.x0)[None])
    ends = [float(jnp.max(jnp.abs(task.misses(jnp.asarray(xs[-1]))))) for xs in again.states]
    assert again.end_error == pytest.approx(ends, rel=1e-6)  # float32
    assert min(ends) > 0.01


def test_scores_are_the_same_again_and_the_precision_stays_as_it_was(smooth):
    task, first = smooth
    before = jax.config.read("jax_enable_x64")
    again = rescore(task, Proportional, [GAINS], STARTS)
    for name in ("adaptive", "finer", "states", "controls"):
        np.testing.assert_array_equal(getattr(again, name), getattr(first, name))
    assert jax.config.read("jax_enable_x64") == before
    assert eqx.filter(GAINS, eqx.is_array).dtype == jnp.float32


class Weighted(CancerTreatment):
    """A task with an array among its fields; the array is data."""

    weight: Float[Array, "1"] = eqx.field(default_factory=lambda: jnp.ones(1))

    def running_cost(self, t, x, u):
        return self.weight[0] * super().running_cost(t, x, u)


def test_tasks_that_differ_in_an_array_share_a_compilation():
    one = rescore(Weighted(num_steps=3), Proportional, [GAINS], STARTS)
    compiled = _compiled_interval.cache_info().misses
    twice = rescore(Weighted(num_steps=3, weight=2 * jnp.ones(1)), Proportional, [GAINS], STARTS)
    assert _compiled_interval.cache_info().misses == compiled
    np.testing.assert_allclose(twice.cost, 2 * one.cost, rtol=1e-6)  # the weight moves where the solver's steps end


def test_a_seed_is_scored_alike_alone_and_after_others(smooth):
    task, _ = smooth
    ones = [GAINS[:1], GAINS[1:]]
    alone = rescore(task, Proportional, ones[1:], STARTS)
    five = rescore(task, Proportional, [*ones, ones[1], *ones], STARTS)
    assert [five.to_json()[i] for i in (1, 2, 4)] == [alone.to_json()[0]] * 3  # all bits
