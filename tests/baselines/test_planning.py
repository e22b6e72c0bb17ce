"""Planning: what a forecast reads, and that a plan in a perfect model is the optimum."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from reference_models import Simulator
from reference_tasks import DoubleIntegrator

from baselines import METHODS
from baselines.exploration import explore, warm_up
from baselines.model_gradient import ModelGradient
from baselines.normalisation import Scales
from baselines.planning import Planner
from baselines.recurrent import ActionsRecurrent
from baselines.replay_buffer import Replay
from baselines.world_models import AbstractActionsModel, HistoryTransformer, OneStep
from bench.simulate import open_loop, rollout
from tasks import TASKS

pytestmark = pytest.mark.usefixtures("x64")

MODELS = {name: made.model for name, made in ((n, m()) for n, m in METHODS.items()) if isinstance(made, ModelGradient)}
K = 4  # the state x[K] is the last that is observed
ROUNDING = 1e-10  # float64, some hundred operations deep


@pytest.fixture(scope="module")
def episode():
    return warm_up(TASKS["bear_populations"](num_steps=9), jr.key(0), 1)


@pytest.mark.parametrize("name", MODELS)
def test_a_forecast_reads_the_observed_states_as_its_class_does(name, episode):
    if True:
        model = MODELS[name](Scales.of(TASKS["bear_populations"](), episode.xs), key=jr.key(1))
        xs, us = episode.xs[0].astype(float), episode.us[0].astype(float)
        forecast = jax.jit(lambda xs: model.forecast(xs, us, jnp.asarray(K)))
        found, unread = forecast(xs), forecast(xs.at[K + 1 :].set(jnp.nan))
        np.testing.assert_array_equal(found[K:], unread[K:])
        if isinstance(model, AbstractActionsModel):
            predicted = model(xs[0], us)
            expected = predicted[K:] + xs[K] - predicted[K - 1]
        elif isinstance(model, HistoryTransformer):
            known = xs[: K + 1]
            for k in range(K, len(us)):
                step = model.scales.increment_std * model.net(model.scales.pair(known, us[: k + 1]))[-1]
                known = jnp.concatenate([known, known[-1:] + step])
            expected = known[K + 1 :]
        else:
            expected = model(xs[K], us[K:])
        np.testing.assert_allclose(found[K:], expected, rtol=ROUNDING)


def perfect_planner(task, **settings):
    episodes = warm_up(task, jr.key(0), 4)
    model = Simulator(Scales.of(task, episodes.xs), task)
    zeros = jnp.zeros((task.num_steps, len(task.controls)))
    start = Replay.empty(task, 4).add(episodes).cheapest()
    assert np.array_equal(start, episodes.us[np.argmin(episodes.cost)])
    settings = {"learning_rate": 0.3, "iterations": 30, "hold": 1} | settings
    return Planner(task, model, start=start, noise=zeros, cost_scale=jnp.std(episodes.cost), **settings)


def test_with_a_perfect_model_planning_is_optimal():
    task = DoubleIntegrator(num_steps=20)
    planner = perfect_planner(task)
    found = jax.jit(lambda: rollout(task, planner, task.x0).cost)()
    first = open_loop(task, planner.start, task.x0).cost
    print(found, task.optimum(), first)
    assert found - task.optimum() < 1e-3 * (first - task.optimum())


def test_a_plan_that_is_no_cheaper_in_the_model_is_dropped():
    task = DoubleIntegrator()
    planner = perfect_planner(task, learning_rate=1.0, iterations=2)
    xs, us = jnp.zeros((task.num_steps + 1, 2)), jnp.zeros((task.num_steps, 1))  # at rest at the target: the optimum
    np.testing.assert_array_equal(planner.improved(jnp.asarray(0), xs.at[0].set(1e-9), us), us)
