"""Schedules are shares of a run, whatever its budget."""

import math

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest
from reference_tasks import DoubleIntegrator

from baselines import METHODS, optimisation, sac, short_horizon_actor_critic
from baselines.schedules import MAX_WARMUP_SHARE, cosine, fade
from bench.budget import Budget
from bench.method import within
from bench.training.programs import method_fingerprint

TASK = DoubleIntegrator(num_steps=100)
BUDGETS = (1000, 5000, 20_000)
# Steps over which rates fell in the first published runs of 5000 steps, and the updates of each rate in a step.
DECAYS = {
    "one_step_model": (20, (50, 60)),
    "simulator_gradient": (46, (1,)),
    "shac": (46, (5, 40)),
    "sac": (44, (100,)),
    "online_decision_transformer": (20, (50,)),
}


def decays(method, monkeypatch):
    """The updates over which each of a method's rates falls, least first, and the shares of the rates that are left."""
    found = []

    def recorded(rate, updates, end):
        found.append((updates, rate, end))
        return cosine(rate, updates, end)

    for module in (optimisation, sac):
        monkeypatch.setattr(module, "cosine", recorded)
    jax.eval_shape(lambda key: method.init(TASK, key), jr.key(0))
    return [(updates, float(cosine(rate, updates, end)(round(updates))) / rate) for updates, rate, end in sorted(found)]


@pytest.mark.parametrize("name", DECAYS)
def test_rates_fall_over_the_same_share_of_every_run(name, monkeypatch):
    past_steps, updates = DECAYS[name]
    steps, left = {}, set()
    for env_steps in BUDGETS:
        budget = Budget(env_steps)
        method = within(METHODS[name](), TASK, budget)
        run = budget.steps(method.usage(TASK))
        found = decays(method, monkeypatch)
        steps[env_steps] = [decay / each for (decay, _), each in zip(found, updates, strict=True)]
        # The share of the run is the setting; a float has seven digits or more.
        np.testing.assert_allclose(np.array(steps[env_steps]) / run, method.decay_share, rtol=1e-6)
        left |= {round(share, 4) for _, share in found}
    assert left <= {0.1, 0.01}
    # 0.96 of 48 steps are 46.08.
    np.testing.assert_allclose(steps[5000], past_steps, rtol=2e-3)


def test_the_cosine_is_that_of_optax_and_stays_where_the_end_is_unknown():
    counts = jnp.arange(0, 60, 7)
    # Both are a few operations in float32.
    expected = jax.vmap(optax.cosine_decay_schedule(3e-3, 40, alpha=0.1))(counts)
    np.testing.assert_allclose(jax.vmap(cosine(3e-3, 40.0, 0.1))(counts), expected, rtol=1e-5)
    np.testing.assert_allclose(jax.vmap(cosine(3e-3, math.inf, 0.1))(counts), 3e-3, rtol=1e-6)


@pytest.mark.parametrize("name", METHODS)
def test_a_short_run_has_a_short_warmup_and_a_paper_run_its_own(name):
    plain = METHODS[name]().usage(TASK)
    short, paper = (within(METHODS[name](), TASK, Budget(steps)).usage(TASK) for steps in (1000, 5000))
    assert paper == plain
    assert short.init_env_steps <= round(MAX_WARMUP_SHARE * 10) * TASK.num_steps
    if plain.env_steps:
        assert Budget(1000).steps(short) >= 1


def test_a_method_that_is_told_twice_is_told_once_and_the_program_does_not_depend_on_the_length():
    task, method = DoubleIntegrator(), METHODS["simulator_gradient"](width=4)
    told = within(method, task, Budget(100))
    assert within(told, task, Budget(100)) == told
    assert told.steps == 8
    longer = within(method, task, Budget(20_000))
    assert method_fingerprint(task, told) == method_fingerprint(task, longer)


def test_noise_fades_to_the_same_share_of_itself_in_every_run(monkeypatch):
    for env_steps in BUDGETS:
        method = within(METHODS["shac"](width=4), TASK, Budget(env_steps))
        found = []
        monkeypatch.setattr(short_horizon_actor_critic, "fade", lambda *given, found=found: found.append(given) or 1.0)
        state = jax.eval_shape(lambda key, method=method: method.init(TASK, key), jr.key(0))
        jax.eval_shape(lambda s, method=method: method.step(TASK, s, jr.key(0)), state)
        ((_, steps, end),) = found
        assert (steps, end) == (method.steps, 0.01)
    assert float(fade(jnp.asarray(30), 30.0, 0.01)) == pytest.approx(0.01)
    assert float(fade(jnp.asarray(30), math.inf, 0.01)) == 1.0
