"""Live progress of cells: bars in a terminal, plain lines elsewhere, nothing if quiet."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from bench.cli.terminal.lines import echo
from bench.cli.terminal.tables import shown
from bench.records.run import RunRecord
from bench.sweep.forecast import Forecast
from bench.sweep.job import Job
from bench.sweep.observer import AbstractObserver, Silent
from bench.training.train import Evaluation


@contextmanager
def display(forecast: Forecast, quiet: bool) -> Iterator[AbstractObserver]:
    """Choose the display that suits where the output goes."""
    console = Console()
    if quiet:
        yield Silent()
    elif not console.is_terminal:
        yield SweepLines(forecast)
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
            yield Bars(bars, forecast)


class SweepLines(AbstractObserver):
    """Lines of one sweep: when a cell begins, at most every ten seconds while it trains, and when it ends."""

    def __init__(self, forecast: Forecast):
        self.forecast, self.total = forecast, len(forecast.jobs)
        self.clocks: dict[Path, Clock] = {}

    def skip(self, job):
        self.forecast.shares[job.lock] = 1.0
        self.clocks[job.lock] = Clock(len(self.clocks) + 1)
        self._say(job, "done by another run")

    def begin(self, job):
        self.clocks[job.lock] = Clock(len(self.clocks) + 1)
        self._say(job, "compiling")

    def update(self, job, evaluation):
        clock = self.clocks[job.lock]
        now = time.monotonic()
        if clock.compiled is None:
            clock.compiled, clock.share = now, evaluation.share
        elif now - clock.spoke > 10 and evaluation.share > clock.share:
            clock.spoke = now
            rest = (now - clock.compiled) * (1 - evaluation.share) / (evaluation.share - clock.share)
            self._say(job, f"{evaluation.share:.0%}  {_cost(evaluation)}  eta {rest:.0f} s")

    def end(self, job, records):
        self.forecast.end(job, records)
        seconds = time.monotonic() - self.clocks[job.lock].began
        self._say(job, f"{_outcome(records)}  {seconds:.0f} s, {self.forecast.description}")

    def say(self, text):
        echo(text, err=True)

    def _say(self, job: Job, text: str) -> None:
        echo(f"[{self.clocks[job.lock].number}/{self.total}] {_with_seeds(job)}  {text}")


@dataclass
class Clock:
    """The times of a cell, in seconds.

    number: the place of the cell in the order of beginnings
    began: when the cell began
    spoke: when its last line was printed
    compiled: when its training was first seen; None before
    share: share of the budget that was spent then
    """

    number: int
    began: float = field(default_factory=time.monotonic)
    spoke: float = field(default_factory=time.monotonic)
    compiled: float | None = None
    share: float = 0.0


class CellLines(AbstractObserver):
    """Lines on the standard error, for any number of sweeps: when a cell begins, and when it ends."""

    def __init__(self):
        self.began: dict[Path, float] = {}

    def skip(self, job):
        self.say(f"{_with_steps(job)}  done by another run")

    def begin(self, job):
        self.began[job.lock] = time.monotonic()
        self.say(f"{_with_steps(job)}  begins")

    def update(self, job, evaluation):
        pass

    def end(self, job, records):
        seconds = time.monotonic() - self.began[job.lock]
        self.say(f"{_with_steps(job)}  {', '.join(sorted({r.status for r in records}))}  {seconds:.0f} s")

    def say(self, text):
        echo(text, err=True)


class Bars(AbstractObserver):
    """A bar for the sweep and one for each cell in hand; finished cells scroll up as lines."""

    def __init__(self, bars: Progress, forecast: Forecast):
        self.bars, self.forecast = bars, forecast
        self.overall = bars.add_task("all cells", total=len(forecast.jobs), cost=forecast.description)
        self.cells: dict[Path, TaskID] = {}

    def skip(self, job):
        self._advance(job, 1.0)

    def begin(self, job):
        self.cells[job.lock] = self.bars.add_task(shown(_with_seeds(job)), total=1.0, cost="compiling")

    def update(self, job, evaluation):
        self.bars.update(self.cells[job.lock], completed=evaluation.share, cost=_cost(evaluation))
        self._advance(job, evaluation.share)

    def end(self, job, records):
        self.forecast.end(job, records)
        self._advance(job, 1.0)
        seconds = self.bars.tasks[self.bars.task_ids.index(self.cells[job.lock])].elapsed or 0.0
        self.bars.remove_task(self.cells.pop(job.lock))
        self.say(f"{_with_seeds(job)}  {_outcome(records)}  {seconds:.0f} s")

    def say(self, text):
        self.bars.console.print(shown(text), highlight=False)

    def _advance(self, job: Job, share: float) -> None:
        self.forecast.shares[job.lock] = share
        done = sum(self.forecast.shares.values())
        self.bars.update(self.overall, completed=done, cost=self.forecast.description)


def job_name(job: Job) -> str:
    """The name of a job on screen: its task, with the number of steps on a grid of the suite, and its method."""
    grid = f"  {job.task.num_steps} steps" if job.cell.grid else ""
    return f"{job.cell.task_label}{grid}  {job.cell.method_label}"


def _with_seeds(job: Job) -> str:
    seeds = len(job.todo)
    return f"{job_name(job)}  {seeds} seed{'s' if seeds > 1 else ''}"


def _with_steps(job: Job) -> str:
    return f"{job.cell.task_label}  {job.task.num_steps} steps  {job.cell.method_label}  {len(job.todo)} seeds"


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
