"""Speed as ratios to plain references that are timed in turn with them, so that a figure means something anywhere.

`make bench` compares the ratios with those in ratios.json; where a change of speed is meant, put the new one there.
"""

import json
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import jax.random as jr
import pytest

from baselines.normalisation import Scales
from baselines.recurrent import ActionsRecurrent
from baselines.world_models import ActionsTransformer, OneStep
from bench.simulate import open_loop
from tasks import TASKS

STORED = json.loads((Path(__file__).parent / "ratios.json").read_text())
ALLOWED = 1.5  # times the stored ratio; beside four other jobs the largest of four runs was 1.34 times the smallest
ROUNDS = 150


def compare(benchmark, name, subject, plain, *arguments, rounds=ROUNDS):
    """Time two compiled functions in turn; fail if the ratio of their least times is far above the stored one."""
    times = {}
    for function in (subject, plain):
        jax.block_until_ready(function(*arguments))  # compilation
        times[function] = []
    for _ in range(rounds):
        for function in (subject, plain):
            began = time.perf_counter()
            jax.block_until_ready(function(*arguments))
            times[function].append(time.perf_counter() - began)
    benchmark.pedantic(lambda: jax.block_until_ready(subject(*arguments)), rounds=5)
    judge(benchmark, name, min(times[subject]) / min(times[plain]))


def judge(benchmark, name, ratio):
    """Keep the ratio with the benchmark's results, and compare it with the stored one."""
    benchmark.extra_info["ratio"] = ratio
    limit = STORED[name] * ALLOWED
    assert ratio <= limit, f"{name} takes {ratio:.2f} times its plain reference, stored {STORED[name]}"


@pytest.mark.parametrize("gradient", [False, True], ids=["forward", "gradient"])
def test_rollout_against_a_handwritten_scan(benchmark, gradient):
    task = TASKS["cancer_treatment"](solver="heun")
    h = task.dt / task.solver_steps

    def handwritten(us):
        def right_hand_side(t, x, u):
            return task.vector_field(t, x, u), task.running_cost(t, x, u)

        def interval(carry, inputs):
            x, cost = carry
            t, u = inputs
            for i in range(task.solver_steps):
                s = t + i * h
                dx, dc = right_hand_side(s, x, u)
                dx2, dc2 = right_hand_side(s + h, x + h * dx, u)
                x, cost = x + h / 2 * (dx + dx2), cost + h / 2 * (dc + dc2)
            return (x, cost), None

        ts = task.dt * jnp.arange(task.num_steps)
        (x, cost), _ = jax.lax.scan(interval, (task.x0, jnp.zeros(())), (ts, us))
        return cost + task.terminal_cost(x)

    def ours(us):
        return open_loop(task, us, task.x0).cost

    low, high = task.bounds
    us = jr.uniform(jr.key(0), (256, task.num_steps, len(task.controls)), minval=low, maxval=high)
    assert jnp.allclose(ours(us[0]), handwritten(us[0]), rtol=1e-4)  # float32 sums of 100 terms in another order
    subject, plain = (jax.jit(jax.vmap(jax.grad(f) if gradient else f)) for f in (ours, handwritten))
    compare(benchmark, f"rollout-{'gradient' if gradient else 'forward'}", subject, plain, us)


@pytest.mark.parametrize("kind", [ActionsRecurrent, OneStep, ActionsTransformer], ids=lambda kind: kind.__name__)
def test_a_world_model_against_its_matrix_products(benchmark, kind):
    n, m, steps, batch = 2, 1, 100, 64
    ones = jnp.ones
    scales = Scales(mean=0 * ones(n), std=ones(n), increment_std=ones(n), low=-ones(m), high=ones(m))
    model = kind(scales, key=jr.key(0))
    matrices = [leaf for leaf in jax.tree.leaves(model) if leaf.ndim == 2]

    def products(x0, us):
        """Every matrix once a step; each input hangs on the last product, so that none is left out or moved."""

        def step(carry, u):
            for matrix in matrices:
                carry = jnp.mean(matrix @ jnp.full(matrix.shape[1], carry + u[0]))
            return carry, None

        return jax.lax.scan(step, x0[0], us)[0]

    x0 = jr.normal(jr.key(1), (batch, n))
    us = jr.uniform(jr.key(2), (batch, steps, m), minval=-1.0)
    subject, plain = jax.jit(jax.vmap(model)), jax.jit(jax.vmap(products))
    compare(benchmark, kind.__name__, subject, plain, x0, us)
