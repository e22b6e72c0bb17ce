"""The one training loop, and the only place that compiles.

Chunks of training are timed; the evaluations between them, and compilation, are not part of that time. All seeds of a
block advance together under vmap. A step's key is its seed's key folded with the step's index, so a run does not depend
on where the chunks end.
"""

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Float

from bench.budget import Budget
from bench.method import AbstractMethod
from bench.simulate import rollout
from bench.starts import evaluation_starts
from tasks.base import AbstractTask


@dataclass(frozen=True)
class Evaluation:
    """One point of the learning curves of a block of seeds, scored on the true simulator: means over the starts."""

    share: float  # of the budget's steps that are done, 0 to 1
    env_steps: int  # spent so far, by each seed
    env_grad_steps: int
    train_seconds: float  # wall time of the block so far, without compilation and evaluation
    compile_seconds: float
    cost: Float[np.ndarray, " seeds"]
    end_error: Float[np.ndarray, " seeds"]


def train(task: AbstractTask, method: AbstractMethod, budget: Budget, seeds: tuple[int, ...]) -> Iterator[Evaluation]:
    """Train `method` on `task` once per seed; yields an evaluation at each of the budget's evaluation points."""
    usage = method.usage(task)
    points = budget.evaluation_points(usage)
    starts = jnp.asarray(evaluation_starts(task), task.x0.dtype)

    def init(keys):
        return jax.vmap(lambda key: method.init(task, key))(keys)

    def chunk(state, keys, start, stop):
        def one(i, state):
            return jax.vmap(lambda s, key: method.step(task, s, jr.fold_in(key, i)))(state, keys)

        return jax.lax.fori_loop(start, stop, one, state)  # bounds are data: one program serves chunks of any length

    def evaluate(state):
        def mean_over_starts(state):
            policy = method.policy(task, state)
            trajectories = jax.vmap(lambda x0: rollout(task, policy, x0))(starts)
            return jnp.mean(trajectories.cost), jnp.mean(trajectories.end_error)

        return jax.vmap(mean_over_starts)(state)

    init_keys, step_keys = jax.vmap(jr.split, out_axes=1)(jax.vmap(jr.key)(jnp.array(seeds)))
    zero = jnp.zeros((), jnp.int32)
    began = time.perf_counter()
    start = jax.jit(init).lower(init_keys).compile()
    shapes = jax.eval_shape(init, init_keys)
    advance = jax.jit(chunk, donate_argnums=0).lower(shapes, step_keys, zero, zero).compile()
    score = jax.jit(evaluate).lower(shapes).compile()
    compile_seconds = time.perf_counter() - began

    began = time.perf_counter()
    state = jax.block_until_ready(start(init_keys))
    train_seconds = time.perf_counter() - began
    for done, point in itertools.pairwise([0, *points]):
        if point > done:
            began = time.perf_counter()
            state = jax.block_until_ready(advance(state, step_keys, jnp.int32(done), jnp.int32(point)))
            train_seconds += time.perf_counter() - began
        cost, end_error = score(state)
        yield Evaluation(
            share=point / points[-1] if points[-1] else 1.0,
            env_steps=usage.init_env_steps + point * usage.env_steps,
            env_grad_steps=point * usage.env_grad_steps,
            train_seconds=train_seconds,
            compile_seconds=compile_seconds,
            cost=np.asarray(cost, np.float64),
            end_error=np.asarray(end_error, np.float64),
        )
