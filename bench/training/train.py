"""The one training loop, and the only place that compiles a method.

Chunks of training are timed. Compilation, and the evaluations between chunks, are not part of that time. The seeds of a
block share one program. On a GPU it computes all seeds at once. On a CPU it computes one seed and is called for each in
turn: the seeds of a costly method would together not fit in the cache, their products would be no faster, and a seed's
bits would depend on its block. The key of a step is its seed's key folded with the step's index, so a run does not
depend on where the chunks end.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

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

# JAX's errors for a method that branches on a number that is data.
BRANCHING_ERRORS = (
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerIntegerConversionError,
)


@dataclass(frozen=True)
class Evaluation:
    """One point of the learning curves of a block of seeds.

    Cost and end error are those of the true simulator, the mean over the starts; the violation is the largest.
    """

    share: float  # share of the budget's steps that are done, 0 to 1
    env_steps: int  # spent so far by each seed, like the next two
    env_grad_steps: int
    updates: int
    train_seconds: float  # wall time of the block so far, without compilation and evaluation
    compile_seconds: float
    cost: Float[np.ndarray, " seeds"]
    end_error: Float[np.ndarray, " seeds"]
    violation: Float[np.ndarray, " seeds"]  # of a constraint, at the knots
    state: tuple[str, ...] = ()  # in a run's last evaluation, a hash of each seed's final state
    final: tuple[dict[str, Any], ...] = ()  # in a run's last evaluation, `Rescore.to_json` of the final policies

    def to_json(self) -> dict[str, Any]:
        """Return the fields as values of JSON."""
        return {name: v.tolist() if isinstance(v, np.ndarray) else v for name, v in vars(self).items()}

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> "Evaluation":
        """Build an evaluation from what `to_json` returned."""
        arrays = {name: np.array(fields[name], np.float64) for name in ("cost", "end_error", "violation")}
        return cls(**{**fields, **arrays, "state": tuple(fields["state"]), "final": tuple(fields.get("final", ()))})


def train(
    task: AbstractTask,
    method: AbstractMethod,
    budget: Budget,
    seeds: tuple[int, ...],
    checkpoint: Checkpoint | None = None,
) -> Iterator[Evaluation]:
    """Train `method` on `task` once per seed. Yield an evaluation at each of the budget's evaluation points, until its
    cap on seconds is reached.

    A run that finds its checkpoint goes on from there: it yields the saved evaluations first, and ends with the curve
    and the final state, to the bit, of a run without interruption.
    """
    usage = method.usage(task)
    points = budget.evaluation_points(usage)
    last_point = points[-1]
    block = SeedsTogether(seeds) if jax.default_backend() != "cpu" else SeedsInTurn(seeds)
    began = time.perf_counter()
    with garbage_collection.paused():
        lowered = _lower(task, method, block)
    training = _Training(block, lowered)
    digest = program_digest(lowered.start, lowered.advance, lowered.score) if checkpoint else ""
    compile_seconds = time.perf_counter() - began

    def out_of_time():
        return budget.seconds is not None and training.seconds > budget.seconds

    curve: list[Evaluation] = []
    saved = checkpoint.load(digest, block.shapes(lowered.shapes)) if checkpoint else None
    if saved:
        points = [point for point in points if point > saved.done]
        curve.extend(map(Evaluation.from_json, saved.curve))
        training.resume(saved, curve[-1].train_seconds)
        yield from curve
        compile_seconds += curve[-1].compile_seconds
    else:
        training.start()
    for point in points:
        if curve and out_of_time():
            return
        training.advance(point)
        cost, end_error, violation = training.score()
        at_end = point == last_point or out_of_time()
        state = block.join(training.states) if at_end or checkpoint else None
        again = rescore(task, partial(method.policy, task), state, evaluation_starts(task)) if at_end else None
        compile_seconds += again.compile_seconds if again else 0
        evaluation = Evaluation(
            share=point / last_point if last_point else 1.0,
            env_steps=usage.init_env_steps + point * usage.env_steps,
            env_grad_steps=point * usage.env_grad_steps,
            updates=point * usage.updates,
            train_seconds=training.seconds,
            compile_seconds=compile_seconds,
            cost=cost,
            end_error=end_error,
            violation=violation,
            state=state_digests(state, len(seeds)) if at_end else (),
            final=again.to_json() if again else (),
        )
        curve.append(evaluation)
        if checkpoint:
            checkpoint.save(digest, Progress(state, point, [e.to_json() for e in curve]))
        yield evaluation


class _Lowered(NamedTuple):
    """The programs of a method before compilation, and what they take."""

    numbers: Any  # the method's numbers that are data
    start: jax.stages.Lowered
    advance: jax.stages.Lowered
    score: jax.stages.Lowered
    shapes: Any  # shapes of the state that one call takes


class _Training:
    """A block of seeds in training: its compiled programs, its states, and the wall time of its steps."""

    def __init__(self, block: SeedsTogether | SeedsInTurn, lowered: _Lowered):
        self._block, self._numbers = block, lowered.numbers
        self._start = lowered.start.compile(compilation.quick_options())
        self._advance, self._score = lowered.advance.compile(), lowered.score.compile()
        self.states: list[Any] = []
        self.done, self.seconds = 0, 0.0

    def start(self) -> None:
        """Initialise every seed."""
        began = time.perf_counter()
        self.states = [jax.block_until_ready(self._start(self._numbers, key)) for key in self._block.init_keys]
        self.seconds = time.perf_counter() - began

    def resume(self, saved: Progress, seconds: float) -> None:
        """Go on from a checkpoint, which took `seconds`."""
        self.states, self.done, self.seconds = self._block.split(saved.state), saved.done, seconds

    def advance(self, point: int) -> None:
        """Train every seed until `point` steps of the method are done."""
        if point > self.done:
            chunk = np.int32(self.done), np.int32(point)
            began = time.perf_counter()
            for i, key in enumerate(self._block.step_keys):
                self.states[i] = jax.block_until_ready(self._advance(self._numbers, self.states[i], key, *chunk))
            self.seconds += time.perf_counter() - began
        self.done = point

    def score(self) -> Float[np.ndarray, "3 seeds"]:
        """Return cost, end error and violation of every seed's policy."""
        scores = [np.array(self._score(self._numbers, state), np.float64).reshape(3, -1) for state in self.states]
        return np.hstack(scores)


def _lower(task, method, block) -> _Lowered:
    """Trace the programs that start, advance and score seeds.

    Fractional numbers of the method are data, so that cells which differ in nothing else share a compilation. A method
    that branches on one of them is compiled for its numbers.
    """
    try:
        return _lower_with(*eqx.partition(method, lambda leaf: isinstance(leaf, float)), task, block)
    except BRANCHING_ERRORS:
        return _lower_with(*eqx.partition(method, lambda leaf: False), task, block)


def _lower_with(numbers, rest, task, block) -> _Lowered:
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
        return jnp.mean(trajectories.cost), jnp.mean(trajectories.end_error), jnp.max(trajectories.violation)

    init_key, step_key, zero = block.init_keys[0], block.step_keys[0], np.int32(0)
    start = jax.jit(block.program(init, (None, 0))).lower(numbers, init_key)
    shapes = start.out_info
    advancing = block.program(advance, (None, 0, 0, None, None))
    return _Lowered(
        numbers=numbers,
        start=start,
        advance=jax.jit(advancing, donate_argnums=1).lower(numbers, shapes, step_key, zero, zero),
        score=jax.jit(block.program(score, (None, 0))).lower(numbers, shapes),
        shapes=shapes,
    )
