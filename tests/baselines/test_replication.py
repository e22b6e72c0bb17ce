"""Settings that replicate the released code of Ma et al. (2024)."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from jax.scipy.stats import norm
from reference_tasks import DoubleIntegrator

from baselines.networks import MLP
from baselines.normalisation import observe
from baselines.replication import GaussianPolicy, acting, entropy_bonus, scales_of
from baselines.simulator_gradient import SimulatorGradient
from baselines.world_models import OneStep
from bench import registry
from bench.suite import load

TASK = DoubleIntegrator()
XS = jr.normal(jr.key(0), (3, TASK.num_steps + 1, 2))


def test_raw_networks_read_states_and_the_number_of_intervals():
    scales = scales_of(TASK, XS, raw=True)
    np.testing.assert_allclose(observe(TASK, scales, 3 * TASK.dt, XS[0, 3]), [*XS[0, 3], 3.0, 0.0], rtol=1e-6)
    np.testing.assert_array_equal(scales.state(XS), XS)


def test_a_gaussian_policy_draws_by_the_density_that_it_states():
    net = MLP((4, 8, 2), key=jr.key(1))
    policy = acting(TASK, scales_of(TASK, XS, raw=True), net, "mean")
    assert isinstance(policy, GaussianPolicy)
    x, noise = XS[0, 0], jnp.array([0.7])
    mean, log_std = net(observe(TASK, policy.scales, 0.0, x))
    before = mean + jnp.exp(log_std) * noise
    # log of N(a) / (d tanh / da), in float32
    expected = norm.logpdf(before, mean, jnp.exp(log_std)) - jnp.log(1 - jnp.tanh(before) ** 2)
    np.testing.assert_allclose(policy.log_density(0.0, x, noise), expected[0], rtol=1e-5)
    np.testing.assert_allclose(policy.control(0.0, x), policy.perturbed(0.0, x, jnp.zeros(1)), rtol=1e-5)


def test_a_summed_bonus_weighs_more_by_the_number_of_steps():
    noise = jr.normal(jr.key(2), (TASK.num_steps, 1))
    policy = acting(TASK, scales_of(TASK, XS, raw=True), MLP((4, 8, 2), key=jr.key(1)), "sum")
    total, mean = (entropy_bonus(policy, bonus, XS[0, :-1], noise) for bonus in ("sum", "mean"))
    np.testing.assert_allclose(total, TASK.num_steps * mean, rtol=1e-5)  # sums in float32
    plain = acting(TASK, policy.scales, MLP((4, 8, 1), key=jr.key(1)), "none")
    assert entropy_bonus(plain, "none", XS[0, :-1], noise) == 0


def test_the_state_gradient_of_a_one_step_model_shrinks_with_every_state_that_it_reads():
    def last_by_first(share):
        model = OneStep(scales_of(TASK, XS), width=8, state_gradient=share, key=jr.key(3))
        return jax.grad(lambda us: model(XS[0, 0], us)[-1, 0])(jnp.ones((TASK.num_steps, 1)))[0, 0]

    # The effect of the first control passes through all states but the start; float32.
    np.testing.assert_allclose(last_by_first(0.9), 0.9 ** (TASK.num_steps - 1) * last_by_first(1.0), rtol=1e-4)


def test_every_episode_of_a_batch_is_charged():
    assert SimulatorGradient(batch=4, updates=3).usage(TASK).env_grad_steps == 12 * TASK.num_steps


@pytest.mark.parametrize("label", load("paper-recipe").methods)
def test_every_line_of_the_recipe_builds_with_its_warmup(label):
    (cell,) = load("paper-recipe").cells(tasks=["harvest"], methods=[label])
    method = registry.method(cell.method, {**cell.method_settings, **cell.extra_method_settings})
    if cell.method != "constant":
        assert method.usage(TASK).init_env_steps == 15 * TASK.num_steps
