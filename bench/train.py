"""The one training loop, and the only place that compiles.

Chunks of training are timed; the evaluations between them, and compilation, are not part of that time. The seeds of a
block share a program. A step's key is its seed's key folded with the step's index, so a run does not depend on where
the chunks end.
"""

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Float

from bench import effort
from bench.budget import Budget
from bench.checkpoint import Checkpoint, Progress, program_digest, state_digests
from bench.method import AbstractMethod
from bench.rescore import rescore
from bench.simulate import rollout
from bench.starts import evaluation_starts
from tasks.base import AbstractTask


@dataclass(frozen=True)
class Evaluation:
    """One point of the learning curves of a block of seeds, scored on the true simulator: means over the starts."""

    share: float  # of the budget's steps that are done, 0 to 1
    env_steps: int  # spent so far, by each seed
    env_grad_steps: int
    updates: int
    train_seconds: float  # wall time of the block so far, without compilation and evaluation
    compile_seconds: float
    cost: Float[np.ndarray, " seeds"]
    end_error: Float[np.ndarray, " seeds"]
    state: tuple[str, ...] = ()  # with a run's last evaluation, a hash of each seed's final state
    final: tuple[dict[str, Any], ...] = ()  # and what `bench.rescore` found about each seed's final policy

    def plain(self) -> dict[str, Any]:
        """As values of JSON, from which `of` makes an equal one."""
        return {name: v.tolist() if isinstance(v, np.ndarray) else v for name, v in vars(self).items()}

    @classmethod
    def of(cls, plain: dict[str, Any]) -> "Evaluation":
        arrays = {name: np.array(plain[name], np.float64) for name in ("cost", "end_error")}
        return cls(**{**plain, **arrays, "state": tuple(plain["state"]), "final": tuple(plain.get("final", ()))})


def train(
    task: AbstractTask,
    method: AbstractMethod,
    budget: Budget,
    seeds: tuple[int, ...],
    checkpoint: Checkpoint | None = None,
) -> Iterator[Evaluation]:
    """Train `method` on `task` once per seed; yields an evaluation at each of the budget's evaluation points, until its
    cap on seconds is reached.

    With a checkpoint, what an interrupted run has done is not done again: its evaluations are yielded first, and the
    curve and the final state are, to the bit, those of a run without interruption.
    """
    usage = method.usage(task)
    points = budget.evaluation_points(usage)
    init_keys, step_keys = jax.vmap(jr.split, out_axes=1)(jax.vmap(jr.key)(jnp.array(seeds)))
    began = time.perf_counter()
    numbers, lowered, shapes = _lower(task, method, init_keys, step_keys)
    starting, *others = lowered
    start, advance, score = starting.compile(effort.once()), *(each.compile() for each in others)
    program = program_digest(*lowered) if checkpoint else ""
    compile_seconds = time.perf_counter() - began

    def out_of_time():
        return budget.seconds is not None and train_seconds > budget.seconds

    curve: list[Evaluation] = []
    saved = checkpoint.load(program, shapes) if checkpoint else None
    if saved:
        state, knots = saved.state, [saved.done, *(p for p in points if p > saved.done)]
        curve.extend(map(Evaluation.of, saved.curve))
        yield from curve
        train_seconds = curve[-1].train_seconds
        compile_seconds += curve[-1].compile_seconds
    else:
        began = time.perf_counter()
        state, knots = jax.block_until_ready(start(numbers, init_keys)), [0, *points]
        train_seconds = time.perf_counter() - began
    for done, point in itertools.pairwise(knots):
        if curve and out_of_time():
            return
        if point > done:
            began = time.perf_counter()
            state = jax.block_until_ready(advance(numbers, state, step_keys, jnp.int32(done), jnp.int32(point)))
            train_seconds += time.perf_counter() - began
        cost, end_error = score(numbers, state)
        at_end = point == points[-1] or out_of_time()
        evaluation = Evaluation(
            share=point / points[-1] if points[-1] else 1.0,
            env_steps=usage.init_env_steps + point * usage.env_steps,
            env_grad_steps=point * usage.env_grad_steps,
            updates=point * usage.updates,
            train_seconds=train_seconds,
            compile_seconds=compile_seconds,
            cost=np.asarray(cost, np.float64),
            end_error=np.asarray(end_error, np.float64),
            state=state_digests(state, len(seeds)) if at_end else (),
            final=rescore(task, partial(method.policy, task), state, evaluation_starts(task)).plain() if at_end else (),
        )
        curve.append(evaluation)
        if checkpoint:
            checkpoint.save(program, Progress(state, point, [e.plain() for e in curve]))
        yield evaluation


BRANCHES = (
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerIntegerConversionError,
)


def _lower(task, method, init_keys, step_keys):
    """The method's numbers; the programs that start, advance and score a block of seeds; and its state's shapes.

    Numbers that are not whole are data, so that cells which differ in nothing else share a compilation. A method that
    branches on one of them is compiled for its numbers.
    """
    try:
        return _lower_with(*eqx.partition(method, lambda leaf: isinstance(leaf, float)), task, init_keys, step_keys)
    except BRANCHES:
        return _lower_with(*eqx.partition(method, lambda leaf: False), task, init_keys, step_keys)


def _lower_with(numbers, rest, task, init_keys, step_keys):
    starts = jnp.asarray(evaluation_starts(task), task.x0.dtype)

    def init(numbers, keys):
        method = eqx.combine(numbers, rest)
        return _for_each_seed(lambda key: method.init(task, key), keys)

    def advance(numbers, state, keys, start, stop):
        method = eqx.combine(numbers, rest)

        def steps(state, key):  # bounds are data: one program serves chunks of any length
            return jax.lax.fori_loop(start, stop, lambda i, s: method.step(task, s, jr.fold_in(key, i)), state)

        return _for_each_seed(steps, state, keys)

    def score(numbers, state):
        method = eqx.combine(numbers, rest)

        def mean_over_starts(state):
            policy = method.policy(task, state)
            trajectories = jax.vmap(lambda x0: rollout(task, policy, x0))(starts)
            return jnp.mean(trajectories.cost), jnp.mean(trajectories.end_error)

        return _for_each_seed(mean_over_starts, state)

    zero = jnp.zeros((), jnp.int32)
    starting = jax.jit(init).lower(numbers, init_keys)
    shapes = starting.out_info
    advancing = jax.jit(advance, donate_argnums=1).lower(numbers, shapes, step_keys, zero, zero)
    return numbers, (starting, advancing, jax.jit(score).lower(numbers, shapes)), shapes


def _for_each_seed(function, *blocks):
    """`function` of each seed's part of the blocks: all at once on a GPU, in turn on a CPU. There a costly method's
    seeds together leave the cache, its products are no faster, and a seed's bits would depend on its block."""
    if jax.default_backend() == "cpu":
        return jax.lax.map(lambda parts: function(*parts), blocks)
    return jax.vmap(function)(*blocks)
