"""Live progress of a sweep: bars in a terminal, plain lines elsewhere, nothing if quiet."""

import abc
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from bench.records import RunRecord
from bench.run import Job
from bench.train import Evaluation


class AbstractDisplay(abc.ABC):
    """Told of each job's beginning, evaluations and end."""

    @abc.abstractmethod
    def begin(self, job: Job) -> None: ...

    @abc.abstractmethod
    def update(self, job: Job, evaluation: Evaluation) -> None: ...

    @abc.abstractmethod
    def end(self, job: Job, records: Sequence[RunRecord]) -> None: ...


@contextmanager
def display(jobs: Sequence[Job], quiet: bool) -> Iterator[AbstractDisplay]:
    """The display that suits where the output goes."""
    console = Console()
    if quiet:
        yield Quiet()
    elif not console.is_terminal:
        yield Lines(len(jobs))
    else:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(),
            TextColumn("eta"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[cost]}"),
        )
        with Progress(*columns, console=console) as bars:
            yield Bars(bars, len(jobs))


class Quiet(AbstractDisplay):
    """Says nothing."""

    def begin(self, job):
        pass

    def update(self, job, evaluation):
        pass

    def end(self, job, records):
        pass


class Lines(AbstractDisplay):
    """A line when a cell begins, at most one every ten seconds while it trains, and one when it ends."""

    def __init__(self, total: int):
        self.total, self.begun = total, 0
        self.cell_began = self.compiled = self.spoke = time.monotonic()

    def begin(self, job):
        self.begun += 1
        self.cell_began = self.spoke = time.monotonic()
        self._say(job, "compiling")

    def update(self, job, evaluation):
        now = time.monotonic()
        if evaluation.share == 0:
            self.compiled = now
        elif now - self.spoke > 10:
            self.spoke = now
            rest = (now - self.compiled) * (1 - evaluation.share) / evaluation.share
            self._say(job, f"{evaluation.share:.0%}  {_cost(evaluation)}  eta {rest:.0f} s")

    def end(self, job, records):
        self._say(job, f"{_outcome(records)}  {time.monotonic() - self.cell_began:.0f} s")

    def _say(self, job: Job, text: str) -> None:
        print(f"[{self.begun}/{self.total}] {_with_seeds(job)}  {text}", flush=True)


class Bars(AbstractDisplay):
    """A bar for the sweep and one for the cell in hand; finished cells scroll up as lines."""

    def __init__(self, bars: Progress, total: int):
        self.bars = bars
        self.overall = bars.add_task("all cells", total=total, cost="")
        self.cell = bars.add_task("", total=1.0, cost="", visible=False)
        self.finished = 0

    def begin(self, job):
        self.bars.reset(self.cell, description=escape(_with_seeds(job)), total=1.0, cost="compiling", visible=True)

    def update(self, job, evaluation):
        self.bars.update(self.cell, completed=evaluation.share, cost=_cost(evaluation))
        self.bars.update(self.overall, completed=self.finished + evaluation.share)

    def end(self, job, records):
        self.finished += 1
        self.bars.update(self.overall, completed=self.finished)
        self.bars.update(self.cell, visible=False)
        seconds = self.bars.tasks[self.cell].elapsed or 0.0
        self.bars.console.print(f"{escape(_with_seeds(job))}  {_outcome(records)}  {seconds:.0f} s", highlight=False)


def name(job: Job) -> str:
    """How a job is called on screen."""
    grid = f"  {job.task.num_steps} steps" if job.cell.grid else ""
    return f"{job.cell.task_label}{grid}  {job.cell.method_label}"


def _with_seeds(job: Job) -> str:
    seeds = len(job.todo)
    return f"{name(job)}  {seeds} seed{'s' if seeds > 1 else ''}"


def _cost(evaluation: Evaluation) -> str:
    finite = evaluation.cost[np.isfinite(evaluation.cost)]
    return f"cost {np.mean(finite):.6g}" if len(finite) else "diverged"


def _outcome(records: Sequence[RunRecord]) -> str:
    costs = [r.cost for r in records if r.cost is not None]
    words = [f"cost {np.mean(costs):.6g}"] if costs else []
    for status in ("diverged", "failed"):
        if count := sum(r.status == status for r in records):
            words.append(f"{count} {status}")
    return ", ".join(words)
