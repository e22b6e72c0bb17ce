"""The training loop: keys, chunks, counts and curves, with a method that plays its last key."""

import json

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Int
from reference_tasks import DoubleIntegrator

from baselines.constant import ConstantPolicy, ConstantState
from bench.budget import Budget, Usage
from bench.method import AbstractMethod
from bench.simulate import open_loop
from bench.training.checkpoint import Checkpoint
from bench.training.train import train


class LastKeyState(eqx.Module):
    u: Float[Array, " m"]
    steps: Int[Array, ""]


class LastKey(AbstractMethod[LastKeyState]):
    """Start at zero for every seed; a step draws the constant control from its key. Diverge at step `bad`."""

    bad: int = 1000

    def usage(self, task):
        return Usage(7, env_grad_steps=3, init_env_steps=10)

    def init(self, task, key):
        return LastKeyState(jnp.zeros(len(task.controls)), jnp.zeros((), jnp.int32))

    def step(self, task, state, key):
        u = jr.uniform(key, (len(task.controls),))
        return LastKeyState(jnp.where(state.steps + 1 == self.bad, jnp.nan, u), state.steps + 1)

    def policy(self, task, state):
        return ConstantPolicy(ConstantState(task.x0[None], state.u[None]))


def run(evals, seeds=(0, 1, 0), **settings):
    return list(train(DoubleIntegrator(), LastKey(**settings), Budget(10 + 7 * 8, evals), seeds))


def test_every_step_of_every_seed_has_a_key_of_its_own():
    costs = np.stack([e.cost for e in run(evals=8)])
    assert len(set(costs[0])) == 1  # all start alike
    np.testing.assert_array_equal(costs[:, 0], costs[:, 2])
    assert len(set(costs[1:, :2].ravel())) == 16


def test_evaluations_never_alter_the_training():
    few, many = (run(evals)[-1] for evals in (2, 8))
    assert few.state == many.state
    np.testing.assert_array_equal(few.cost, many.cost)


class MixingState(eqx.Module):
    w: Float[Array, "33 65"]


class Mixing(AbstractMethod[MixingState]):
    """A state of products and sums, whose order a library may change when seeds are batched."""

    def usage(self, task):
        return Usage(7, init_env_steps=10)

    def init(self, task, key):
        return MixingState(jr.normal(key, (33, 65)))

    def step(self, task, state, key):
        mixed = jnp.tanh(state.w @ state.w.T / 8) @ state.w
        mixed = mixed / jnp.sqrt(jnp.sum(mixed * state.w, axis=-1, keepdims=True) ** 2 + 1)
        return MixingState(mixed + jr.normal(key, mixed.shape))

    def policy(self, task, state):
        return ConstantPolicy(ConstantState(task.x0[None], jnp.mean(state.w, axis=1)[:1, None]))


def test_a_seed_alone_is_trained_as_in_a_block():
    def final(seeds):
        *_, last = train(DoubleIntegrator(), Mixing(), Budget(10 + 7 * 8, 2), seeds)
        return last

    alone, block = final((1,)), final((0, 1, 2))
    np.testing.assert_allclose(alone.cost, block.cost[1:2], rtol=1e-4)  # float32, eight products of 65 terms
    if jax.default_backend() == "cpu":  # the seeds of a block are trained in turn
        assert alone.state == block.state[1:2]  # all bits


def test_the_seeds_of_a_block_together_are_trained_as_in_turn(monkeypatch):
    def costs():
        return [e.cost for e in train(DoubleIntegrator(), Mixing(), Budget(10 + 7 * 8, 2), (0, 1, 2))]

    in_turn = costs()
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")  # the loop asks for nothing else
    np.testing.assert_allclose(costs(), in_turn, rtol=1e-4)  # float32, as above


def test_a_curve_does_not_depend_on_where_it_is_evaluated():
    fine, coarse = run(evals=8), run(evals=3)
    by_steps = {e.env_steps: e.cost for e in fine}
    for e in coarse:
        np.testing.assert_array_equal(e.cost, by_steps[e.env_steps])


def test_counts_follow_the_declared_usage():
    first, *_, last = run(evals=2)
    assert (first.env_steps, first.env_grad_steps, first.share) == (10, 0, 0)
    assert (last.env_steps, last.env_grad_steps, last.share) == (66, 24, 1)
    assert last.train_seconds >= first.train_seconds > 0
    assert last.compile_seconds > first.compile_seconds > 0  # the programs that score policies again are compiled last


def test_a_diverged_policy_is_a_value_and_training_goes_on():
    costs = [e.cost[0] for e in run(evals=8, seeds=(0,), bad=4)]
    assert [bool(np.isfinite(c)) for c in costs] == [True] * 4 + [False] + [True] * 4


class Halving(AbstractMethod[LastKeyState]):
    """A constant control, multiplied by `rate` in each step; `rate` is data unless the method `branches` on it."""

    rate: float = 0.5
    branches: bool = False

    def usage(self, task):
        return Usage(10)

    def init(self, task, key):
        return LastKeyState(jnp.ones(len(task.controls)), jnp.zeros((), jnp.int32))

    def step(self, task, state, key):
        if self.branches and self.rate > 1:
            return state
        return LastKeyState(self.rate * state.u, state.steps + 1)

    def policy(self, task, state):
        return ConstantPolicy(ConstantState(task.x0[None], state.u[None]))


def test_methods_that_differ_in_a_number_share_a_compilation(tmp_path):
    def compiled(**settings):
        checkpoint = Checkpoint(tmp_path / "c", {})
        list(train(DoubleIntegrator(), Halving(**settings), Budget(20, 1), (0,), lambda seeds: checkpoint))
        return json.loads(checkpoint.path.read_bytes().split(b"\n")[1])["program"]

    assert compiled(rate=0.5) == compiled(rate=0.25)
    assert compiled(rate=0.5, branches=True) != compiled(rate=2.0, branches=True)


def test_a_number_that_is_data_has_its_effect():
    for settings in ({}, {"branches": True}):
        method = Halving(rate=0.25, **settings)
        *_, last = train(DoubleIntegrator(), method, Budget(20, 1), (0,))
        expected = open_loop(DoubleIntegrator(), jnp.full((10, 1), 0.25**2), DoubleIntegrator().x0).cost
        np.testing.assert_allclose(last.cost, expected, rtol=1e-6)  # float32
