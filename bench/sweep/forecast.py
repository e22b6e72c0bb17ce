"""Forecasts of how long a cell or a sweep takes, learnt from the records of finished runs. No JAX."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from bench.records.run import RunRecord

if TYPE_CHECKING:
    from bench.sweep.job import Job


@dataclass
class Estimator:
    """Seconds of finished runs by task and method; an unknown cell is estimated from the most similar known ones."""

    seconds: dict[tuple[str, str], list[float]] = field(default_factory=dict)

    @classmethod
    def of(cls, records: Iterable[RunRecord]) -> "Estimator":
        """An estimator that has learnt from stored records."""
        estimator = cls()
        for record in records:
            estimator.add(record)
        return estimator

    def add(self, record: RunRecord) -> None:
        """Learn from a finished run the seconds that one seed trains and compiles; a failed run teaches nothing."""
        if record.status != "failed":
            seconds = record.usage["train_seconds"] + record.usage["compile_seconds"]
            self.seconds.setdefault((record.task, record.method), []).append(seconds)

    def cell(self, task: str, method: str, seeds: int) -> float | None:
        """Seconds of a cell with `seeds` seeds; None if no run is known.

        It is estimated from runs of this task and method, else of the method on any task, else from all runs.
        """
        for similar in (
            [s for key, each in self.seconds.items() if key == (task, method) for s in each],
            [s for key, each in self.seconds.items() if key[1] == method for s in each],
            [s for each in self.seconds.values() for s in each],
        ):
            if similar:
                return seeds * fmean(similar)
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
        whole = self.estimator.cell(job.cell.task_label, job.cell.method_label, len(job.todo))
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
