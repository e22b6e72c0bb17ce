"""The one training loop, and the only place that compiles.

Chunks of training are timed; the evaluations between them, and compilation, are not part of that time. The seeds of a
block share a program: on a GPU that of all seeds at once, on a CPU that of one seed, called for each in turn. There the
seeds of a costly method would together leave the cache, their products would be no faster, and a seed's bits would
depend on its block. A step's key is its seed's key folded with the step's index, so a run does not depend on where the
chunks end.
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

from bench.budget import Budget
from bench.machine import compilation, garbage_collection
from bench.method import AbstractMethod
from bench.reference.starts import evaluation_starts
from bench.simulate import rollout
from bench.training.blocks import SeedsInTurn, SeedsTogether
from bench.training.checkpoint import Checkpoint, Progress, program_digest, state_digests
from bench.training.rescore import rescore
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
    final: tuple[dict[str, Any], ...] = ()  # and what `bench.training.rescore` found about each seed's final policy

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
    block = SeedsTogether(seeds) if jax.default_backend() != "cpu" else SeedsInTurn(seeds)
    began = time.perf_counter()
    with garbage_collection.paused():
        numbers, lowered, shapes = _lower(task, method, block)
    starting, *others = lowered
    start, advance, score = starting.compile(compilation.quick_options()), *(each.compile() for each in others)
    program = program_digest(*lowered) if checkpoint else ""
    compile_seconds = time.perf_counter() - began

    def out_of_time():
        return budget.seconds is not None and train_seconds > budget.seconds

    curve: list[Evaluation] = []
    saved = checkpoint.load(program, block.shapes(shapes)) if checkpoint else None
    if saved:
        states, knots = block.split(saved.state), [saved.done, *(p for p in points if p > saved.done)]
        curve.extend(map(Evaluation.of, saved.curve))
        yield from curve
        train_seconds = curve[-1].train_seconds
        compile_seconds += curve[-1].compile_seconds
    else:
        began = time.perf_counter()
        states, knots = [jax.block_until_ready(start(numbers, key)) for key in block.init_keys], [0, *points]
        train_seconds = time.perf_counter() - began
    for done, point in itertools.pairwise(knots):
        if curve and out_of_time():
            return
        if point > done:
            began = time.perf_counter()
            for i, key in enumerate(block.step_keys):
                states[i] = jax.block_until_ready(advance(numbers, states[i], key, np.int32(done), np.int32(point)))
            train_seconds += time.perf_counter() - began
        cost, end_error = np.hstack([np.array(score(numbers, state), np.float64).reshape(2, -1) for state in states])
        at_end = point == points[-1] or out_of_time()
        state = block.join(states) if at_end or checkpoint else None
        again = rescore(task, partial(method.policy, task), state, evaluation_starts(task)) if at_end else None
        compile_seconds += again.compile_seconds if again else 0
        evaluation = Evaluation(
            share=point / points[-1] if points[-1] else 1.0,
            env_steps=usage.init_env_steps + point * usage.env_steps,
            env_grad_steps=point * usage.env_grad_steps,
            updates=point * usage.updates,
            train_seconds=train_seconds,
            compile_seconds=compile_seconds,
            cost=cost,
            end_error=end_error,
            state=state_digests(state, len(seeds)) if at_end else (),
            final=again.plain() if again else (),
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


def _lower(task, method, block):
    """The method's numbers; the programs that start, advance and score seeds; and the shapes of what they carry.

    Numbers that are not whole are data, so that cells which differ in nothing else share a compilation. A method that
    branches on one of them is compiled for its numbers.
    """
    try:
        return _lower_with(*eqx.partition(method, lambda leaf: isinstance(leaf, float)), task, block)
    except BRANCHES:
        return _lower_with(*eqx.partition(method, lambda leaf: False), task, block)


def _lower_with(numbers, rest, task, block):
    starts = jnp.asarray(evaluation_starts(task), task.x0.dtype)

    def init(numbers, key):
        return eqx.combine(numbers, rest).init(task, key)

    def advance(numbers, state, key, start, stop):
        method = eqx.combine(numbers, rest)
        # Bounds are data: one program serves chunks of any length.
        return jax.lax.fori_loop(start, stop, lambda i, s: method.step(task, s, jr.fold_in(key, i)), state)

    def score(numbers, state):
        policy = eqx.combine(numbers, rest).policy(task, state)
        trajectories = jax.vmap(lambda x0: rollout(task, policy, x0))(starts)
        return jnp.mean(trajectories.cost), jnp.mean(trajectories.end_error)

    init_key, step_key, zero = block.init_keys[0], block.step_keys[0], np.int32(0)
    starting = jax.jit(block.program(init, (None, 0))).lower(numbers, init_key)
    shapes = starting.out_info
    advancing = block.program(advance, (None, 0, 0, None, None))
    programs = (
        starting,
        jax.jit(advancing, donate_argnums=1).lower(numbers, shapes, step_key, zero, zero),
        jax.jit(block.program(score, (None, 0))).lower(numbers, shapes),
    )
    return numbers, programs, shapes
