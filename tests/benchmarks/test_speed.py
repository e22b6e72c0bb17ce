"""Speed as ratios to plain references that are timed in turn with them, so that a figure means something anywhere.

`make bench` compares the ratios with those in ratios.json; where a change of speed is meant, put the new one there.
"""

import json
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from baselines.normalisation import Scales
from baselines.recurrent import ActionsRecurrent
from baselines.world_models import ActionsTransformer, OneStep
from bench.simulate import open_loop
from tasks import TASKS

STORED = json.loads((Path(__file__).parent / "ratios.json").read_text())
ALLOWED = 1.5  # times the stored ratio; beside four other jobs the largest of four runs was 1.34 times the smallest
ROUNDS = 150
ACCURACY = 1.5  # in float32 both errors are roundings, of which the largest differs by chance


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


def rk4(task, steps):
    """The cost of a control sequence by a scan over intervals with `steps` steps of RK4 in each."""
    h = task.dt / steps

    def both(t, x, u):
        return task.vector_field(t, x, u), task.running_cost(t, x, u)

    def interval(carry, inputs):
        x, cost = carry
        t, u = inputs
        for s in (t + i * h for i in range(steps)):
            k1, g1 = both(s, x, u)
            k2, g2 = both(s + h / 2, x + h / 2 * k1, u)
            k3, g3 = both(s + h / 2, x + h / 2 * k2, u)
            k4, g4 = both(s + h, x + h * k3, u)
            x, cost = x + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4), cost + h / 6 * (g1 + 2 * g2 + 2 * g3 + g4)
        return (x, cost), None

    def cost(us):
        ts = task.dt * jnp.arange(task.num_steps)
        (x, cost), _ = jax.lax.scan(interval, (task.x0, jnp.zeros(())), (ts, us))
        return cost + task.terminal_cost(x)

    return cost


@pytest.mark.parametrize("double", [False, True], ids=["float32", "float64"])
@pytest.mark.parametrize("name", ["cancer_treatment", "cartpole"])
def test_a_gradient_against_a_handwritten_scan_as_accurate(benchmark, name, double):
    """RK4 takes the fewest steps with which the error of its gradient is at most ACCURACY times ours."""
    task, truth = TASKS[name](), TASKS[name](solver="dopri8", substeps=8)
    low, high = task.bounds
    drawn = np.random.default_rng(0).uniform(low, high, (64, task.num_steps, len(low)))

    def gradients(cost):
        return jax.jit(jax.vmap(jax.grad(cost)))

    with jax.enable_x64(True):
        exact = gradients(lambda us: open_loop(truth, us, truth.x0).cost)(drawn)

    def error(subject):
        return float(np.abs(np.asarray(subject(us), np.float64) - exact).max())

    with jax.enable_x64(double):
        us = jnp.asarray(drawn)
        ours = gradients(lambda us: open_loop(task, us, task.x0).cost)
        allowed = ACCURACY * error(ours)
        plain = next(found for steps in range(1, 9) if error(found := gradients(rk4(task, steps))) <= allowed)
        compare(benchmark, f"gradient-{name}-{'float64' if double else 'float32'}", ours, plain, us)


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
