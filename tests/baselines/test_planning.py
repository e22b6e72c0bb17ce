"""Planning in float64: what a forecast reads, and that a plan in a perfect model is the optimum."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from reference_models import Simulator
from reference_tasks import DoubleIntegrator

from baselines import METHODS
from baselines.abstract_models import AbstractActionsModel
from baselines.exploration import warm_up
from baselines.normalisation import Scales
from baselines.planning import Planner, Planning
from baselines.replay_buffer import Replay
from baselines.world_models import HistoryTransformer
from bench import registry
from bench.simulate import open_loop, rollout
from tasks import TASKS

pytestmark = pytest.mark.usefixtures("x64")

PLANNING = {name: made for name, made in ((n, m()) for n, m in METHODS.items()) if isinstance(made, Planning)}
K = 3  # x[K] is the last observed state
ROUNDING = 1e-10  # float64, some hundred operations deep


@pytest.mark.parametrize("name", PLANNING)
def test_a_forecast_reads_the_observed_states_as_its_class_does(name):
    task = TASKS["bear_populations"](num_steps=6)
    episode = warm_up(task, jr.key(0), 1)
    model = PLANNING[name].model(Scales.of(task, episode.xs), key=jr.key(1))
    xs, us = episode.xs[0].astype(float), episode.us[0].astype(float)
    weight = jr.normal(jr.key(2), xs[K + 1 :].shape)

    def forecast(us, xs):
        return model.forecast(xs, us, jnp.asarray(K))[K:]

    def by_definition(us, xs):
        if isinstance(model, AbstractActionsModel):
            predicted = model(xs[0], us)
            return predicted[K:] + xs[K] - predicted[K - 1]
        if not isinstance(model, HistoryTransformer):
            return model(xs[K], us[K:])
        known = xs[: K + 1]
        for k in range(K, len(us)):
            output = model.net(model.scales.pair(known, us[: k + 1]))[-1]
            known = jnp.concatenate([known, model.next(known[-1], output)[None]])
        return known[K + 1 :]

    def with_gradient(predict):
        def weighted(us, xs):
            states = predict(us, xs)
            return jnp.sum(weight * states), states

        return jax.jit(jax.grad(weighted, has_aux=True))

    found, expected = with_gradient(forecast), with_gradient(by_definition)
    unseen = xs.at[K + 1 :].set(jnp.nan)
    for one, other in zip(found(us, unseen), expected(us, xs), strict=True):
        # Controls before K are played, and no plan moves them. 1e-8: the gradient sums differences of close numbers.
        np.testing.assert_allclose(one[-len(weight) :], other[-len(weight) :], rtol=1e-8)


def planner(task, error=0.0, **settings):
    episodes = warm_up(task, jr.key(0), 4)
    model = Simulator(Scales.of(task, episodes.xs), task, error)
    real = Replay.empty(task, 6).add(episodes).cheapest()
    best = jnp.argmin(episodes.cost)
    jax.tree.map(np.testing.assert_array_equal, real, (episodes.xs[best], episodes.us[best]))
    settings = {"learning_rate": 0.3, "iterations": 20, "hold": 1} | settings
    return Planner(task, model, real, jnp.zeros_like(real[1]), jnp.std(episodes.cost), **settings)


def test_planning_with_a_perfect_model_is_optimal():
    task = DoubleIntegrator()
    made = planner(task)
    found = jax.jit(lambda: rollout(task, made, task.x0).cost)()
    first = open_loop(task, made.real[1], task.x0).cost
    # The trapezoid rule, of second order in the step, leaves this share of the first plan's regret.
    assert 0 < (found - task.optimum()) / (first - task.optimum()) < 2e-3


def test_an_error_of_the_model_that_depends_on_no_control_changes_no_plan():
    task = DoubleIntegrator()

    def first(error):
        made = planner(task, error=error, iterations=3)
        return jax.jit(lambda: made(jnp.zeros(()), task.x0, made.initial())[1][1])()

    np.testing.assert_allclose(first(0.3), first(0.0), rtol=ROUNDING)
    assert np.abs(first(0.0) - planner(task).real[1]).max() > 0.1


def test_a_plan_that_is_no_cheaper_in_the_model_is_dropped():
    task = DoubleIntegrator()
    made = planner(task, learning_rate=1.0, iterations=1)
    # At rest at the target, no control is the optimum.
    xs, us = jnp.zeros((task.num_steps + 1, 2)).at[0].set(1e-9), jnp.zeros((task.num_steps, 1))
    improved = jax.jit(lambda xs, us: made.improved(jnp.asarray(0), xs, us))
    np.testing.assert_array_equal(improved(xs, us), us)
    assert np.any(improved(xs, us + 2) != us + 2)


def test_a_planner_plans_now_and_then_and_remembers_what_it_played():
    task = DoubleIntegrator()
    made = planner(task, hold=4)

    def played(t):
        noisy = Planner(task, made.model, made.real, jnp.full_like(made.noise, 9.0), made.cost_scale, 0.3, 3, 4)
        return noisy(t, task.x0, made.initial())

    u, (xs, us) = played(3 * task.dt)
    assert u == us[3] == 3.0  # the noise goes beyond the bound
    np.testing.assert_array_equal(xs[3], task.x0)
    np.testing.assert_array_equal(us.at[3].set(0), made.real[1].at[3].set(0))  # no plan before interval 4
    assert np.any(played(4 * task.dt)[1][1][5:] != made.real[1][5:])
    # In a batch of episodes a plan is still an exception; with a `select` each would plan in every interval.
    carry = jax.tree.map(lambda leaf: jnp.stack([leaf] * 2), made.initial())
    call = jax.vmap(lambda t, carry: made(t, task.x0, carry), (None, 0))
    assert "cond[" in str(jax.make_jaxpr(call)(jnp.zeros(()), carry))


@pytest.mark.parametrize("name", PLANNING)
def test_planning_fits_the_model_as_the_policy_gradient_does(name):
    planning, gradient = (registry.settings_of(METHODS[n]()) for n in (name, name.removeprefix("planning_")))
    own = {"plans", "iterations", "plan_learning_rate"}
    assert {key: value for key, value in planning.items() if key not in own and gradient.get(key) != value} == {}
