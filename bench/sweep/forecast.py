"""Forecasts of how long a cell or a sweep takes, learnt from the records of finished runs. No JAX."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple

from bench.records.run import RunRecord

if TYPE_CHECKING:
    from bench.sweep.job import Job


class Spent(NamedTuple):
    """What a finished run took: seconds of compilation and of training, and the environment steps it trained on."""

    compile_seconds: float
    train_seconds: float
    env_steps: int

    def at(self, env_steps: int) -> float:
        """Seconds of the same run with another budget: training grows with it, compilation does not."""
        longer = env_steps / self.env_steps if self.env_steps else 1.0  # constant controls spend none
        return self.compile_seconds + self.train_seconds * longer


@dataclass
class Estimator:
    """What finished runs took, by task and method; an unknown cell is estimated from the most similar known ones."""

    spent: dict[tuple[str, str], list[Spent]] = field(default_factory=dict)

    @classmethod
    def of(cls, records: Iterable[RunRecord]) -> "Estimator":
        """An estimator that has learnt from stored records."""
        estimator = cls()
        for record in records:
            estimator.add(record)
        return estimator

    def add(self, record: RunRecord) -> None:
        """Learn from a finished run; a failed one teaches nothing."""
        if record.status != "failed":
            usage = record.usage
            spent = Spent(usage["compile_seconds"], usage["train_seconds"], int(usage["env_steps"]))
            self.spent.setdefault((record.task, record.method), []).append(spent)

    def cell(self, task: str, method: str, seeds: int, env_steps: int) -> float | None:
        """Seconds of a cell with `seeds` seeds under a budget of `env_steps`; None if no run is known.

        It is estimated from runs of this task and method, else of the method on any task, else from all runs.
        """
        for similar in (
            self.spent.get((task, method), []),
            [each for key, runs in self.spent.items() if key[1] == method for each in runs],
            [each for runs in self.spent.values() for each in runs],
        ):
            if similar:
                return seeds * fmean(each.at(env_steps) for each in similar)
        return None


def duration_in_words(seconds: int | float | None) -> str:
    """A duration in seconds, minutes or hours, with as many digits as an estimate deserves."""
    if seconds is None:
        return "unknown"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"


class Forecast:
    """Forecast of the time that a sweep still takes, learnt from `known` records and from every cell that ends.

    `width` is the number of cells that run at once, `shares` how much of each cell is done, by its lock.
    """

    def __init__(self, jobs: "Sequence[Job]", known: Sequence[RunRecord], width: int):
        self.jobs, self.width = jobs, width
        self.estimator = Estimator.of(known)
        self.shares: dict[Path, float] = {}

    def cell(self, job: "Job") -> float | None:
        """Seconds for the rest of a cell; None as long as no run is known."""
        cell = job.cell
        whole = self.estimator.cell(cell.task_label, cell.method_label, len(job.todo), job.budget.env_steps)
        return None if whole is None else whole * (1 - self.shares.get(job.lock, 0.0))

    def left(self) -> float | None:
        """Seconds for the rest of the sweep; None as long as no run is known."""
        cells = [self.cell(job) for job in self.jobs if job.todo]
        return None if any(c is None for c in cells) else sum(c for c in cells if c is not None) / self.width

    def end(self, job: "Job", records: Sequence[RunRecord]) -> None:
        """Learn from a cell that has ended."""
        self.shares[job.lock] = 1.0
        for record in records:
            self.estimator.add(record)

    @property
    def description(self) -> str:
        """The time that is left, in words."""
        return f"about {duration_in_words(self.left())} left"
