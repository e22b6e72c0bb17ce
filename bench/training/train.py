"""The one training loop, and the only place that compiles a method.

Chunks of training are timed. Compilation, and the evaluations between chunks, are not part of that time. All seeds
share one program. On a GPU it computes all seeds at once. On a CPU it computes one seed and is called for each in turn:
the seeds of a costly method would together not fit in the cache, their products would be no faster, and a seed's bits
would depend on the others. The key of a step is its seed's key folded with the step's index, so a run does not depend
on where the chunks end.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from bench.budget import Budget, Usage
from bench.machine import compilation, garbage_collection
from bench.machine.cpu_time import cpu_seconds
from bench.method import AbstractMethod, within
from bench.reference.starts import evaluation_starts
from bench.training.blocks import Block, blocks
from bench.training.checkpoint import Checkpoint, Progress, program_digest, state_digests
from bench.training.programs import fingerprint_in_training, trace
from bench.training.rescore import rescore
from bench.training.saved_progress import check_progress, spent
from tasks.base import AbstractTask


@dataclass(frozen=True)
class Evaluation:
    """One point of the learning curves of some seeds.

    Cost and end error are those of the true simulator, the mean over the starts; the violation is the largest.
    """

    share: float  # share of the budget's steps that are done, 0 to 1
    env_steps: int  # spent so far by each seed, like the next two
    env_grad_steps: int
    updates: int
    train_seconds: float  # wall time of all these seeds so far, without compilation and evaluation
    compile_seconds: float
    cost: Float[np.ndarray, " seeds"]
    end_error: Float[np.ndarray, " seeds"]
    violation: Float[np.ndarray, " seeds"]  # of a constraint, at the knots
    cpu_seconds: float | None = None  # like train_seconds, in CPU seconds; None on a GPU, and in older checkpoints
    state: tuple[str, ...] = ()  # in a run's last evaluation, a hash of each seed's final state
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
    checkpoint: Callable[[tuple[int, ...]], Checkpoint] | None = None,
) -> Iterator[Evaluation]:
    """Train `method` on `task` once per seed. Yield an evaluation at each of the budget's evaluation points, until its
    cap on seconds is reached.

    `checkpoint` makes the checkpoint of a block of seeds. Each block goes on from its own, wherever that is: saved
    evaluations are yielded again, and curve and final state are, to the bit, those of a run without interruption.
    """
    method = within(method, task, budget)
    usage = method.usage(task)
    points = budget.evaluation_points(usage)
    last_point = points[-1]
    began = time.perf_counter()
    parts = blocks(seeds)
    with garbage_collection.paused():
        programs = trace(task, method, parts[0])
        lowered = [each.lower() for each in (programs.start, programs.advance, programs.score)]
    start = lowered[0].compile(compilation.quick_options())
    compiled = _Compiled(programs.numbers, start, lowered[1].compile(), lowered[2].compile())
    program, shapes = fingerprint_in_training(task, method, programs, parts[0]), programs.shapes
    del programs  # while a trace lives, JAX keeps the NumPy arrays of a task in its precision (see `bench.precision`)
    digest = program_digest(*lowered) if checkpoint else ""
    compile_seconds = (time.perf_counter() - began) / len(parts)
    trainings = [_Training(block, compiled, compile_seconds) for block in parts]
    for training in trainings:
        if checkpoint:
            training.resume(checkpoint(training.block.seeds), digest, shapes, usage, points)
    if budget.seconds is not None and len({len(training.curve) for training in trainings}) > 1:
        for training in trainings:  # the cap is for all of them
            training.forget()

    def out_of_time():
        return budget.seconds is not None and sum(training.seconds for training in trainings) > budget.seconds

    for k, point in enumerate(points):
        behind = [training for training in trainings if k == len(training.curve)]
        if k and len(behind) == len(trainings) and out_of_time():
            return
        for training in behind:
            training.advance(point)
        at_end = point == last_point or out_of_time()
        ends = _ends(task, method, behind) if behind and at_end else [{} for _ in behind]
        for training, end in zip(behind, ends, strict=True):
            cost, end_error, violation = training.score()
            training.add(
                Evaluation(
                    share=point / last_point if last_point else 1.0,
                    **spent(usage, point),
                    train_seconds=training.seconds,
                    compile_seconds=training.compile_seconds,
                    cost=cost,
                    end_error=end_error,
                    violation=violation,
                    cpu_seconds=training.cpu_seconds,
                    program=program if at_end else "",
                    **end,
                )
            )
        yield _joined([training.curve[k] for training in trainings])


def _joined(evaluations: Sequence[Evaluation]) -> Evaluation:
    """The evaluation of all seeds, from those of blocks of them."""
    spent = [each.cpu_seconds for each in evaluations if each.cpu_seconds is not None]
    return replace(
        evaluations[0],
        train_seconds=sum(each.train_seconds for each in evaluations),
        compile_seconds=sum(each.compile_seconds for each in evaluations),
        cost=np.concatenate([each.cost for each in evaluations]),
        end_error=np.concatenate([each.end_error for each in evaluations]),
        violation=np.concatenate([each.violation for each in evaluations]),
        cpu_seconds=sum(spent) if len(spent) == len(evaluations) else None,
        state=sum((each.state for each in evaluations), ()),
        final=sum((each.final for each in evaluations), ()),
    )


def _ends(task: AbstractTask, method: AbstractMethod, trainings: "Sequence[_Training]") -> list[dict[str, Any]]:
    """Score final policies again; return for each block what only its last evaluation has."""
    states = [training.block.with_axis(training.state) for training in trainings]
    again = rescore(task, partial(method.policy, task), states, evaluation_starts(task))
    final = iter(again.to_json())
    ends = []
    for training, state in zip(trainings, states, strict=True):
        training.compile_seconds += again.compile_seconds / len(trainings)
        seeds = training.block.seeds
        ends.append({"state": state_digests(state, len(seeds)), "final": tuple(next(final) for _ in seeds)})
    return ends


class _Compiled(NamedTuple):
    """The compiled programs of a method, and its numbers that are data."""

    numbers: Any
    start: Callable
    advance: Callable
    score: Callable


class _Training:
    """A block of seeds in training: its state and its curve so far, and the time of its steps."""

    def __init__(self, block: Block, programs: _Compiled, compile_seconds: float):
        self.block, self._programs, self.compile_seconds = block, programs, compile_seconds
        self._checkpoint: Checkpoint | None = None
        self._digest = ""
        self.forget()

    def forget(self) -> None:
        """Begin from the start."""
        self.state: Any = None
        self.curve: list[Evaluation] = []
        self._done, self.seconds = 0, 0.0
        self.cpu_seconds: float | None = 0.0 if jax.default_backend() == "cpu" else None

    def resume(self, checkpoint: Checkpoint, digest: str, shapes: Any, usage: Usage, points: Sequence[int]) -> None:
        """Go on from a checkpoint, if there is one, and leave others there. `shapes` are those of the program's state.

        The last evaluation has the seconds so far.
        """
        self._checkpoint, self._digest = checkpoint, digest
        known = [each.name for each in fields(Evaluation)]
        accept = partial(check_progress, known=known, usage=usage, points=points, seeds=len(self.block.seeds))
        saved = checkpoint.load(digest, self.block.shapes(shapes), accept)
        if saved:
            self.state, self._done = self.block.without_axis(saved.state), saved.done
            self.curve = [Evaluation.from_json(point) for point in saved.curve]
            self.seconds, self.cpu_seconds = self.curve[-1].train_seconds, self.curve[-1].cpu_seconds
            self.compile_seconds += self.curve[-1].compile_seconds

    @contextmanager
    def _timed(self) -> Iterator[None]:
        began, cpu_began = time.perf_counter(), cpu_seconds()
        yield
        self.seconds += time.perf_counter() - began
        if self.cpu_seconds is not None:
            self.cpu_seconds += cpu_seconds() - cpu_began

    def advance(self, point: int) -> None:
        """Train until `point` steps of the method are done."""
        numbers, start, advance, _ = self._programs
        if self.state is None:
            with self._timed():
                self.state = jax.block_until_ready(start(numbers, self.block.init_key))
        if point > self._done:
            chunk = np.int32(self._done), np.int32(point)
            with self._timed():
                self.state = jax.block_until_ready(advance(numbers, self.state, self.block.step_key, *chunk))
        self._done = point

    def score(self) -> Float[np.ndarray, "3 seeds"]:
        """Return cost, end error and violation of every seed's policy."""
        scores = self._programs.score(self._programs.numbers, self.state)
        return np.array(scores, np.float64).reshape(3, -1)

    def add(self, evaluation: Evaluation) -> None:
        """Add an evaluation at the point that is reached, and leave a checkpoint."""
        self.curve.append(evaluation)
        if self._checkpoint:
            curve = [each.to_json() for each in self.curve]
            self._checkpoint.save(self._digest, Progress(self.block.with_axis(self.state), self._done, curve))
