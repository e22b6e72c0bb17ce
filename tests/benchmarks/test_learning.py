"""Speed of what the methods spend their time on, as ratios to the plain way to compute the same."""

import jax
import jax.numpy as jnp
import jax.random as jr
import pytest
from test_speed import compare, judge

from baselines import METHODS
from baselines.abstract_models import unroll
from baselines.normalisation import Scales
from baselines.world_models import ActionsTransformer, HistoryTransformer
from bench.budget import Budget
from bench.training.train import train
from tasks import TASKS

N, M = 2, 1
BATCH = 4


def scales():
    zeros, ones = jnp.zeros, jnp.ones
    return Scales(mean=zeros(N), std=ones(N), increment_std=ones(N), low=-ones(M), high=ones(M))


def batched(predict, model):
    """The gradient of the mean over a batch of Σ_t |x̂[t]|² for controls u."""

    def gradient(x0, us):
        return jax.grad(lambda us: jnp.mean(jax.vmap(lambda x, u: jnp.sum(predict(model, x, u) ** 2))(x0, us)))(us)

    return jax.jit(gradient)


def starts_and_controls(steps):
    return jr.normal(jr.key(1), (BATCH, N)), jr.uniform(jr.key(2), (BATCH, steps, M), minval=-1.0)


@pytest.mark.parametrize(("steps", "rounds"), [(200, 10), (500, 10)])
def test_a_parallel_policy_gradient_against_differentiating_the_decode(benchmark, steps, rounds):
    model = ActionsTransformer(scales(), key=jr.key(0))
    parallel, sequential = batched(lambda m, x, u: m(x, u), model), batched(unroll, model)
    inputs = starts_and_controls(steps)
    found, expected = parallel(*inputs), sequential(*inputs)
    assert jnp.allclose(found, expected, rtol=1e-2, atol=1e-3 * jnp.abs(expected).max())  # float32, hundreds of steps
    compare(benchmark, f"policy-gradient-{steps}", parallel, sequential, *inputs, rounds=rounds)


def recomputed(model, x0, us):
    """The history model's states, the whole prefix read again for each."""

    def step(xs, t):
        outputs = model.net(model.scales.pair(xs[:-1], us))  # of later tokens too: causal, so they change nothing
        return xs.at[t + 1].set(model.next(xs[t], outputs[t])), None

    empty = jnp.zeros((len(us) + 1, len(x0))).at[0].set(x0)
    return jax.lax.scan(step, empty, jnp.arange(len(us)))[0][1:]


def test_a_history_model_with_a_cache_against_recomputing_the_prefix(benchmark):
    model = HistoryTransformer(scales(), key=jr.key(0))
    inputs = starts_and_controls(200)
    cached, plain = (jax.jit(jax.vmap(lambda x, u, f=f: f(model, x, u))) for f in (lambda m, x, u: m(x, u), recomputed))
    assert jnp.allclose(cached(*inputs), plain(*inputs), rtol=1e-2, atol=1e-2)  # float32, fed back 200 times
    compare(benchmark, "history-cache", cached, plain, *inputs, rounds=3)


def test_a_history_gradient_against_differentiating_the_scan(benchmark):
    model = HistoryTransformer(scales(), key=jr.key(0))
    ours, scan = batched(lambda m, x, u: m(x, u), model), batched(unroll, model)
    compare(benchmark, "history-gradient", ours, scan, *starts_and_controls(200), rounds=5)


def test_a_model_update_against_its_matrix_products(benchmark):
    """Of a transformer: every matrix with its two products in reverse, and those of attention with their four."""
    steps, batch, width, heads, depth = 100, 16, 64, 2, 2
    model = ActionsTransformer(scales(), width=width, depth=depth, heads=heads, key=jr.key(0))

    def update(xs, us):
        return jax.grad(lambda model: jnp.mean(jax.vmap(model.residuals)(xs, us) ** 2))(model)

    def products(xs, us):
        tokens = xs[:, :-1, :1].reshape(-1, 1)
        made = []
        for matrix in (leaf for leaf in jax.tree.leaves(model.net) if leaf.ndim == 2):
            outputs, inputs = matrix.shape
            x, adjoint = jnp.tile(tokens, (1, inputs)), jnp.tile(tokens, (1, outputs))
            made += [x @ matrix.T, adjoint @ matrix, adjoint.T @ x]
        queries = jnp.tile(xs[:, None, :-1, :1], (1, heads, 1, width // heads))
        for _ in range(depth):
            queries = 0.5 * queries  # another product than the last, which would be computed once
            weights = jnp.einsum("bhqd,bhkd->bhqk", queries, queries)
            made += [weights, *(jnp.einsum("bhqk,bhkd->bhqd", weights, queries + i) for i in range(2))]
            made += [jnp.einsum("bhqk,bhqd->bhkd", weights, queries + i) for i in range(2)]
            made += [jnp.einsum("bhqd,bhkd->bhqk", queries, queries + 1)]
        return made

    xs, us = jr.normal(jr.key(1), (batch, steps + 1, N)), jr.uniform(jr.key(2), (batch, steps, M))
    compare(benchmark, "model-update", jax.jit(update), jax.jit(products), xs, us, rounds=20)


def test_eight_seeds_together_against_eight_alone(benchmark):
    """The seconds that training takes, without compilation."""
    task, budget = TASKS["cancer_treatment"](), Budget(env_steps=2000, evals=2)

    def seconds(seeds):
        *_, last = train(task, METHODS["awm_gru"](), budget, seeds)
        return last.train_seconds

    benchmark.pedantic(seconds, args=((0,),), rounds=1)
    together, alone = (min(seconds(tuple(range(count))) for _ in range(3)) for count in (8, 1))
    judge(benchmark, "eight-seeds", together / (8 * alone))
