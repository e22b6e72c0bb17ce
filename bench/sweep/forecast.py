"""How long a cell or a sweep will take, learnt from the records of finished runs. No JAX."""

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
    """Seconds of finished runs by task and method; what is not known is judged by what is most like it."""

    seconds: dict[tuple[str, str], list[float]] = field(default_factory=dict)

    @classmethod
    def of(cls, records: Iterable[RunRecord]) -> "Estimator":
        """From stored records; failed ones tell nothing."""
        made = cls()
        for record in records:
            made.add(record)
        return made

    def add(self, record: RunRecord) -> None:
        """Learn from a finished run: the seconds of one seed, of training and of compiling."""
        if record.status != "failed":
            seconds = record.usage["train_seconds"] + record.usage["compile_seconds"]
            self.seconds.setdefault((record.task, record.method), []).append(seconds)

    def cell(self, task: str, method: str, seeds: int) -> float | None:
        """Seconds for `seeds` seeds: as this cell before, else as the method elsewhere, else as any; None of none."""
        for alike in (
            [s for key, each in self.seconds.items() if key == (task, method) for s in each],
            [s for key, each in self.seconds.items() if key[1] == method for s in each],
            [s for each in self.seconds.values() for s in each],
        ):
            if alike:
                return seeds * fmean(alike)
        return None


def duration_in_words(seconds: int | float | None) -> str:
    """A duration for people, with as many digits as an estimate deserves."""
    if seconds is None:
        return "unknown"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"


class Forecast:
    """How long a sweep will still take: learnt from stored records, and from every cell that ends."""

    def __init__(self, jobs: "Sequence[Job]", known: Sequence[RunRecord], width: int):
        self.jobs, self.width = jobs, width
        self.estimator = Estimator.of(known)
        self.shares: dict[Path, float] = {}

    def cell(self, job: "Job") -> float | None:
        """Seconds for what is left of a cell."""
        whole = self.estimator.cell(job.cell.task_label, job.cell.method_label, len(job.todo))
        return None if whole is None else whole * (1 - self.shares.get(job.lock, 0.0))

    def left(self) -> float | None:
        """Seconds for what is left of the sweep; None as long as nothing is known."""
        cells = [self.cell(job) for job in self.jobs if job.todo]
        return None if any(c is None for c in cells) else sum(c for c in cells if c is not None) / self.width

    def end(self, job: "Job", records: Sequence[RunRecord]) -> None:
        """Learn from a cell that has ended."""
        self.shares[job.lock] = 1.0
        for record in records:
            self.estimator.add(record)

    @property
    def words(self) -> str:
        """How long it will still take."""
        return f"about {duration_in_words(self.left())} left"
