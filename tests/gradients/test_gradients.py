"""Gradients against known answers, and `bench gradients` and `bench landscape` at tiny sizes."""

import math
from typing import get_args

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from reference_tasks import DoubleIntegrator, Unstable
from typer.testing import CliRunner

from baselines.exploration import warmup_episode
from baselines.model_gradient import ModelGradient
from baselines.normalisation import Scales
from baselines.policies import WithoutFeedbackGradient
from baselines.world_models import HistoryTransformer, OneStep
from bench.cli import app
from bench.cli.landscape import Direction, Space
from bench.errors import UsageError
from bench.gradients import differentiate, metrics, records, slices, snapshots
from bench.gradients.growth import growth
from bench.gradients.records import read_all_measurements
from bench.simulate import open_loop, rollout


def test_growth_recovers_the_rate_and_the_exponent_and_says_which():
    horizons, scales = np.array([5.0, 10, 20, 50]), np.array([[1.0], [3.0]])
    exponential = growth(horizons, scales * np.exp(0.3 * horizons))
    power = growth(horizons, scales * horizons**2.5)
    # Exact laws: only the rounding of logarithms.
    assert (exponential.rate, exponential.better) == (pytest.approx(0.3, rel=1e-12), "exponential")
    assert (power.power, power.better) == (pytest.approx(2.5, rel=1e-12), "power")
    two = growth(horizons, np.stack([horizons**2.0, horizons**3.0]))
    # Student's t of two slopes, 2 and 3: the mean 2.5 and 12.7062 standard errors of a half.
    assert (two.power_low, two.power_high) == (pytest.approx(2.5 - 6.3531, rel=1e-4), pytest.approx(2.5 + 6.3531, 1e-4))
    assert growth(horizons, np.full((2, 4), np.nan)).better == ""


@pytest.mark.usefixtures("x64")
def test_gradients_of_a_linear_system_grow_by_its_spectral_radius():
    """x' = 20 x + u, controls held for 0.05: each step multiplies ∂c_last / ∂u[s] by e."""
    task = Unstable()
    us = 0.1 * jnp.ones((task.num_steps, 1))
    objectives = differentiate.horizon_objectives(task.num_steps, (10,))
    dynamics = differentiate.simulator_dynamics(task, task.x0)
    gradients = jax.jit(lambda us: differentiate.by_controls(task, dynamics, us, objectives))(us)
    last = np.abs(np.asarray(gradients)[-1, :-1, 0])
    # 1e-7: dopri8 over half of an interval in which x grows by e.
    np.testing.assert_allclose(last[:-1] / last[1:], math.e, rtol=1e-7)


@pytest.mark.usefixtures("x64")
def test_costs_of_all_horizons_are_those_of_shorter_tasks():
    task, short = DoubleIntegrator(num_steps=8), DoubleIntegrator(horizon=DoubleIntegrator().horizon / 2, num_steps=4)
    us = jr.normal(jr.key(0), (8, 1))
    objectives, dynamics = differentiate.horizon_objectives(8, (4, 8)), differentiate.simulator_dynamics(task, task.x0)
    gradients = jax.jit(lambda us: differentiate.by_controls(task, dynamics, us, objectives))(us)
    alone = jax.jit(jax.grad(lambda us: open_loop(short, us, task.x0).cost))(us[:4])
    np.testing.assert_allclose(gradients[0], jnp.concatenate([alone, jnp.zeros((4, 1))]), rtol=1e-12, atol=1e-12)
    differences = jax.jit(
        lambda us: differentiate.finite_differences(task, dynamics, us, objectives, jnp.ones((8, 1)), 1e-5)
    )(us)
    # Costs are quadratic, so central differences have rounding errors alone: 1e-16 / 1e-5.
    np.testing.assert_allclose(jnp.sum(gradients, axis=(1, 2)), differences, rtol=1e-8)


def test_gradients_pulled_back_to_parameters_are_the_methods_policy_gradient():
    task, method = DoubleIntegrator(num_steps=10), ModelGradient(OneStep, warmup=4)

    @jax.jit
    def both(key):
        state = method.init(task, key)
        xs, us = differentiate.policy_episode(task, method, state, task.x0)
        objectives = differentiate.horizon_objectives(10, (10,))
        by_controls = differentiate.by_controls(task, differentiate.simulator_dynamics(task, task.x0), us, objectives)
        pulled = differentiate.by_parameters(task, method, state, xs, by_controls)[0]

        def cost(net):
            policy = method.policy(task, method.with_parameters(state, net))
            return rollout(task, WithoutFeedbackGradient(policy), task.x0).cost

        return pulled, jax.flatten_util.ravel_pytree(jax.grad(cost)(state.net))[0]

    pulled, direct = both(jr.key(0))
    np.testing.assert_allclose(pulled, direct, rtol=1e-4, atol=1e-5 * np.abs(direct).max())  # float32
    assert np.linalg.norm(direct) > 0


class Linear(eqx.Module):
    """x[t+1] = x[t] + a r[t] + u[t], where r = x[t] is cut from the gradient or not, so that paths can be counted."""

    a: jax.Array
    cut: bool = eqx.field(static=True)

    def __call__(self, x0, us):
        def step(x, u):
            read = jax.lax.stop_gradient(x) if self.cut else x
            return (x + self.a * read + u,) * 2

        return jax.lax.scan(step, x0, us)[1]


def test_circuitous_and_direct_paths_add_up():
    """∂x[T] / ∂u[s] = (1 + a)^d at distance d, and the direct path contributes 1."""
    model = Linear(jnp.array(0.5), cut=False)
    cut = differentiate.with_weights_of(model, Linear(jnp.array(9.0), cut=True))

    def by_first(model):
        return float(jax.grad(lambda us: model(jnp.zeros(1), us)[-1, 0])(jnp.zeros((4, 1)))[0, 0])

    total, direct = by_first(model), by_first(cut)
    assert (total, direct) == (pytest.approx(1.5**3), 1.0)
    shares = metrics.path_shares(np.full((1, 2, 1), total), np.full((1, 2, 1), direct), np.ones((1, 2, 1)))
    assert shares["circuitous_share"] == [pytest.approx((1.5**3 - 1) / 1.5**3)]


def test_a_history_model_that_ignores_states_has_no_circuits():
    task = DoubleIntegrator(num_steps=6)
    episodes = jax.vmap(lambda k: warmup_episode(task, k))(jr.split(jr.key(0), 4))
    scales = Scales.of(task, episodes.xs, jnp.ones(4))
    model = HistoryTransformer(scales, width=8, depth=1, heads=1, key=jr.key(1))
    other = HistoryTransformer(scales, width=8, depth=1, heads=1, cut_predictions=True, key=jr.key(2))
    us = episodes.us[0]

    @jax.jit
    def gradients(model):
        return jax.grad(lambda us: jnp.sum(model(task.x0, us)[-1]))(us)

    cut = differentiate.with_weights_of(model, other)
    np.testing.assert_allclose(jax.jit(cut.__call__)(task.x0, us), jax.jit(model.__call__)(task.x0, us), rtol=1e-5)
    assert not np.allclose(gradients(cut), gradients(model), rtol=1e-3)
    # If the states' scale is all but infinite, the network sees no states.
    ignorant = eqx.tree_at(lambda m: (m.scales.std, m.scales.increment_std), model, (jnp.full(2, 1e30), scales.std))
    np.testing.assert_allclose(
        gradients(differentiate.with_weights_of(ignorant, other)), gradients(ignorant), rtol=1e-5
    )


def test_cosines_and_signal_to_noise():
    a, b = np.array([[1.0, 0.0], [0.0, 0.0]]), np.array([[1.0, 1.0], [1.0, 0.0]])
    np.testing.assert_allclose(metrics.cosine(a, b), [1 / math.sqrt(2), np.nan])
    samples = np.array([[[3.0, 1.0]], [[3.0, -1.0]]])  # mean (3, 0), unbiased noise 2
    np.testing.assert_allclose(metrics.signal_to_noise(samples), [4.5])
    assert np.isnan(metrics.signal_to_noise(np.ones((2, 1, 3))))


def test_the_best_basin():
    returns = np.array([0.0, 0.0, 1.0, 0.0, 0.8])  # the best is 1, the median 0: the basin begins at 0.9
    assert records.share_in_best_basin(returns, np.array([0.95, 0.8, 1.0, -3.0])) == 0.5


def test_the_command_offers_what_there_is():
    assert {d.value for d in Direction} == set(get_args(slices.Direction))
    assert {s.value for s in Space} == set(get_args(slices.Space))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder of `bench gradients` on copy, at the smallest size."""
    out = tmp_path_factory.mktemp("gradients")
    arguments = ["--task", "copy", "--model", "one_step_model", "--by", "one_step_model", "--horizons", "5,10,20"]
    arguments += ["--updates", "60", "--seeds", "1", "--episodes", "14", "--out", str(out), "--workers", "0"]
    result = CliRunner().invoke(app, ["gradients", *arguments])
    assert result.exit_code == 0, result.output
    again = CliRunner().invoke(app, ["gradients", *arguments])
    assert "begins" not in again.output  # nothing is done twice
    assert "gradients at" not in again.output
    return out


def test_the_command_measures_every_policy(folder):
    found = list(read_all_measurements(folder))
    assert {(m.policy, m.model) for m in found} == {
        (policy, model) for policy in snapshots.POLICIES for model in ("simulator", "one_step_model")
    }
    for m in found:
        assert m.numbers["non_finite"] == [0.0] * 3
        if m.model == "simulator":
            assert m.numbers["cosine"] == pytest.approx([1.0] * 3)
            # float64 and steps of 1e-6: copy's cost is quadratic, so the only error is rounding, 1e-16 / 1e-6.
            assert max(m.numbers["finite_difference_error"]) < 1e-6
            # Only the first control counts: the last cost has no gradient by any other.
            assert m.numbers["by_distance"][:-1] == [0.0] * 19
            assert m.numbers["by_distance"][-1] > 0
    header, *lines = (folder / "gradients.csv").read_text().splitlines()
    assert len(lines) == 3 * len(found)
    assert header.startswith("suite,task,num_steps,method,policy,model,updates,seed,fit_error,horizon,lyapunov,norm")
    assert (folder / "gradients.png").stat().st_size > 10_000


def test_a_snapshot_is_a_policy_to_look_at(folder, tmp_path):
    (file,) = folder.glob("snapshots/*-final.checkpoint")
    arguments = ["--model", "one_step_model", "--horizons", "10,20", "--updates", "60"]
    arguments += ["--out", str(tmp_path), "--workers", "0"]
    result = CliRunner().invoke(app, ["gradients", "--policy", str(file), *arguments])
    assert result.exit_code == 0, result.output
    alone, first = (
        next(m for m in read_all_measurements(where) if m.model == "simulator" and "final" in m.policy)
        for where in (tmp_path, folder)
    )
    assert alone.numbers["norm"] == first.numbers["norm"][1:]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--horizons", "5,x"], "--horizons takes whole numbers"),
        (["--task", "copy", "--horizons", "30"], "a horizon of 30 steps is longer than copy, which has 20"),
        (["--model", "sac"], "'sac' fits no world model"),
        (["--policy", "nowhere.checkpoint"], "cannot read the policy snapshot nowhere.checkpoint"),
        (["--policy", "pyproject.toml"], "pyproject.toml is no policy snapshot"),
    ],
)
def test_wrong_usage_is_told_before_anything_runs(tmp_path, arguments, message):
    result = CliRunner().invoke(app, ["gradients", *arguments, "--out", str(tmp_path)])
    assert isinstance(result.exception, UsageError)
    assert message in str(result.exception)


def test_a_landscape_knows_the_optimum_of_copy(tmp_path):
    arguments = ["--task", "copy", "--model", "one_step_model", "--points", "41", "--starts", "8", "--updates", "60"]
    result = CliRunner().invoke(
        app, ["landscape", *arguments, "--episodes", "8", "--out", str(tmp_path), "--workers", "0"]
    )
    assert result.exit_code == 0, result.output
    (file,) = tmp_path.glob("landscapes/*.json")
    (found,) = records.read_landscapes(file)
    truth = found.surface("simulator")
    returns, slopes = np.array(truth.returns), np.array(truth.gradients)[:, 0]
    alphas = np.array(found.alphas)[:, 0]
    inside = np.abs(alphas - 0.25) < 0.7  # the return is 10 - 20 (u - 0.5)² there, and at least -10
    np.testing.assert_allclose(returns[alphas > -0.5], 10 - 20 * (alphas[alphas > -0.5] - 0.5) ** 2, atol=1e-9)
    np.testing.assert_allclose(slopes[inside], -40 * (alphas[inside] - 0.5), atol=1e-9)
    # Ascent has no slope below -0.5, where two of eight starts lie.
    assert truth.reached == 0.75
    assert (tmp_path / "landscape-copy-seed0.png").stat().st_size > 10_000
