"""The one training loop, and the only place that compiles a method.

Chunks of training are timed. Compilation, and the evaluations between chunks, are not part of that time. The seeds of a
block share one program. On a GPU it computes all seeds at once. On a CPU it computes one seed and is called for each in
turn: the seeds of a costly method would together not fit in the cache, their products would be no faster, and a seed's
bits would depend on its block. The key of a step is its seed's key folded with the step's index, so a run does not
depend on where the chunks end.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import msgspec
import numpy as np
from jaxtyping import Float

from bench.budget import Budget
from bench.machine import compilation, garbage_collection
from bench.machine.cpu_time import cpu_seconds
from bench.method import AbstractMethod
from bench.records.decode import DecodeError, check
from bench.records.run_parts import BlockPoint
from bench.reference.starts import evaluation_starts
from bench.training.blocks import SeedsInTurn, SeedsTogether
from bench.training.checkpoint import Checkpoint, CheckpointError, Progress, program_digest, state_digests
from bench.training.programs import fingerprint_in_training, trace
from bench.training.rescore import rescore
from tasks.base import AbstractTask


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
    cpu_seconds: float | None = None  # like train_seconds, in CPU seconds; None on a GPU, and in older checkpoints
    final: tuple[dict[str, Any], ...] = ()  # in a run's last evaluation, `Rescore.to_json` of the final policies
    program: str = ""  # in a run's last evaluation, the method's fingerprint

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
        programs = trace(task, method, block)
        lowered = [each.lower() for each in (programs.start, programs.advance, programs.score)]
    training = _Training(block, programs.numbers, *lowered)
    digest = program_digest(*lowered) if checkpoint else ""
    compile_seconds = time.perf_counter() - began

    def out_of_time():
        return budget.seconds is not None and training.seconds > budget.seconds

    accept = partial(_check_progress, points=points, seeds=len(seeds))
    curve: list[Evaluation] = []
    saved = checkpoint.load(digest, block.shapes(programs.shapes), accept) if checkpoint else None
    if saved:
        points = [point for point in points if point > saved.done]
        curve.extend(map(Evaluation.from_json, saved.curve))
        training.resume(saved, curve[-1])
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
            cpu_seconds=training.cpu_seconds,
            compile_seconds=compile_seconds,
            cost=cost,
            end_error=end_error,
            violation=violation,
            state=state_digests(state, len(seeds)) if at_end else (),
            final=again.to_json() if again else (),
            program=fingerprint_in_training(task, method, programs, block) if at_end else "",
        )
        curve.append(evaluation)
        if checkpoint:
            checkpoint.save(digest, Progress(state, point, [e.to_json() for e in curve]))
        yield evaluation


def _check_progress(saved: Progress, points: Sequence[int], seeds: int) -> None:
    """Raise CheckpointError unless the curve has an evaluation of every seed at each point up to the progress."""
    if saved.done not in points or len(saved.curve) != points.index(saved.done) + 1:
        raise CheckpointError(f"its {len(saved.curve)} evaluations and {saved.done} steps are not those of this run")
    try:
        curve: list[BlockPoint] = check(msgspec.convert, saved.curve, list[BlockPoint])
    except DecodeError as error:
        raise CheckpointError(f"its curve is garbled ({error})") from error
    lengths = {len(costs) for each in curve for costs in (each["cost"], each["end_error"], each["violation"])}
    if saved.done == points[-1]:
        lengths |= {len(curve[-1]["state"]), len(curve[-1].get("final", ()))}
    if lengths != {seeds}:
        raise CheckpointError(f"its curve has evaluations of other than {seeds} seeds")


class _Training:
    """A block of seeds in training: its compiled programs, its states, and the time of its steps."""

    def __init__(self, block: SeedsTogether | SeedsInTurn, numbers: Any, start, advance, score):
        self._block, self._numbers = block, numbers
        self._start = start.compile(compilation.quick_options())
        self._advance, self._score = advance.compile(), score.compile()
        self.states: list[Any] = []
        self.done, self.seconds = 0, 0.0
        self.cpu_seconds: float | None = 0.0 if jax.default_backend() == "cpu" else None

    def start(self) -> None:
        """Initialise every seed."""
        with self._timed():
            self.states = [jax.block_until_ready(self._start(self._numbers, key)) for key in self._block.init_keys]

    @contextmanager
    def _timed(self) -> Iterator[None]:
        began, cpu_began = time.perf_counter(), cpu_seconds()
        yield
        self.seconds += time.perf_counter() - began
        if self.cpu_seconds is not None:
            self.cpu_seconds += cpu_seconds() - cpu_began

    def resume(self, saved: Progress, last: Evaluation) -> None:
        """Go on from a checkpoint, whose last evaluation has the seconds so far."""
        self.states, self.done = self._block.split(saved.state), saved.done
        self.seconds, self.cpu_seconds = last.train_seconds, last.cpu_seconds

    def advance(self, point: int) -> None:
        """Train every seed until `point` steps of the method are done."""
        if point > self.done:
            chunk = np.int32(self.done), np.int32(point)
            with self._timed():
                for i, key in enumerate(self._block.step_keys):
                    self.states[i] = jax.block_until_ready(self._advance(self._numbers, self.states[i], key, *chunk))
        self.done = point

    def score(self) -> Float[np.ndarray, "3 seeds"]:
        """Return cost, end error and violation of every seed's policy."""
        scores = [np.array(self._score(self._numbers, state), np.float64).reshape(3, -1) for state in self.states]
        return np.hstack(scores)
