"""How long a cell will take, learnt from the records of others. No JAX."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import fmean

from bench.records import RunRecord


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


def words(seconds: int | float | None) -> str:
    """A duration for people, with as many digits as an estimate deserves."""
    if seconds is None:
        return "unknown"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"
