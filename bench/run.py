"""Cells to records: check everything, then build, train, catch, stamp.

records = run(load("smoke").cells(), Path("results/smoke"))
"""

import tempfile
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from bench import cache, names, reference, threads
from bench.budget import Budget, BudgetError
from bench.checkpoint import Checkpoint
from bench.errors import UsageError
from bench.executors import TimeLimitError, should_stop
from bench.fingerprint import fingerprint
from bench.method import AbstractMethod
from bench.provenance import provenance
from bench.records import RecordError, RunRecord, final_cost, read, record_path, run_name, write_atomically
from bench.reference import Reference
from bench.status import Planned
from bench.suite import Cell
from bench.train import Evaluation, train
from tasks.base import AbstractTask

SLICE = 300  # seconds of a cell on another machine, of which at most so many are lost with it


@dataclass(frozen=True)
class Job:
    """A cell that is known to be well formed, with the seeds that are still to be run."""

    cell: Cell
    task: AbstractTask
    method: AbstractMethod
    fingerprint: str
    settings: dict[str, Any]
    budget: Budget
    todo: tuple[int, ...]
    folder: Path
    again: bool = False
    # For processes that do not see our files: the task's references, and how far the job is.
    known: tuple[Reference, ...] = ()
    carried: dict[str, bytes] = field(default_factory=dict)  # its checkpoints, by their paths in the folder
    spent: float = 0.0  # seconds

    @property
    def key(self) -> dict[str, Any]:
        """All that defines the cell, but for its seeds."""
        return {
            "suite": self.cell.suite,
            "task": self.cell.task_label,
            "method": self.cell.method_label,
            "fingerprint": self.fingerprint,
            "settings": self.settings,
        }

    def path(self, seed: int) -> Path:
        return record_path(self.folder, self.key, seed)

    @property
    def lock(self) -> Path:
        return self.folder / "locks" / f"{run_name(self.key)}.lock"

    @property
    def log(self) -> Path:
        return self.folder / "logs" / f"{run_name(self.key)}.log"

    def checkpoint(self) -> Checkpoint:
        """Of the seeds that are still to be run: another block is another program."""
        seeds = "_".join(map(str, self.todo)) if len(self.todo) < 5 else f"{self.todo[0]}_to_{self.todo[-1]}"
        path = self.folder / "checkpoints" / f"{run_name(self.key)}-seeds{seeds}.checkpoint"
        return Checkpoint(path, self.key | {"seeds": list(self.todo)})

    @property
    def checkpoints(self) -> str:
        """A pattern for the paths of its checkpoints in the folder."""
        return f"checkpoints/{run_name(self.key)}-*.checkpoint"

    def checkpoint_files(self) -> dict[str, bytes]:
        """Their contents by their paths in the folder."""
        found = self.folder.glob(self.checkpoints)
        return {path.relative_to(self.folder).as_posix(): path.read_bytes() for path in found}

    def planned(self) -> Planned:
        """The cell, as `bench status` reads it."""
        return Planned(
            self.cell.task_label,
            self.task.num_steps,
            self.cell.method_label,
            list(self.cell.seeds),
            [self.path(seed).relative_to(self.folder).as_posix() for seed in self.cell.seeds],
            self.lock.relative_to(self.folder).as_posix(),
            self.checkpoints,
        )

    def refreshed(self) -> "Job":
        """The same with the seeds that are now still to be run: others may have finished some."""
        return self if self.again else replace(self, todo=tuple(s for s in self.todo if not _finished(self.path(s))))


@dataclass(frozen=True)
class Outcome:
    """What became of a job: its records, none if it was interrupted; what a reader should be told; the full traceback
    of a failure; and, of one that was interrupted on another machine, how it goes on (see `Job`)."""

    records: list[RunRecord]
    notes: list[str] = field(default_factory=list)
    log: str = ""
    carried: dict[str, bytes] = field(default_factory=dict)
    spent: float = 0.0


Observer = Callable[[Job, Evaluation], None]


def prepare(cells: Iterable[Cell], folder: Path, again: bool = False) -> list[Job]:
    """Jobs for `cells`; nothing is compiled. Finished seeds (records not "failed") are left out unless `again`.

    Raises UsageError.
    """
    _check_writable(folder)
    jobs = []
    for cell in cells:
        task = task_of(cell)
        method = names.method(cell.method, {**cell.method_settings, **cell.extra_method_settings})
        budget = cell.allowance.on(task.num_steps)
        try:
            budget.steps(method.usage(task))
        except BudgetError as error:
            raise BudgetError(f"{cell.method_label} on {cell.task_label}: {error}") from error
        settings = {
            "task": names.settings_of(task),
            "method": names.settings_of(method),
            "budget": budget.plain(),
        }
        jobs.append(Job(cell, task, method, fingerprint(task), settings, budget, cell.seeds, folder, again).refreshed())
    return jobs


def task_of(cell: Cell) -> AbstractTask:
    """The task of a cell, with its settings and on its grid."""
    settings = {**cell.task_settings, **cell.extra_task_settings}
    task = names.task(cell.task, settings)
    if cell.grid is None:
        return task
    return names.task(cell.task, settings | cell.grid.settings(task.horizon, task.num_steps))


def _check_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UsageError(
            f"cannot write to the output folder {folder} ({error.strerror}). Give another with --out."
        ) from error


def _finished(path: Path) -> bool:
    try:
        return path.exists() and read(path).status != "failed"
    except RecordError:
        return False


def execute(
    job: Job,
    observe: Observer = lambda job, evaluation: None,
    stop: Callable[[], bool] = lambda: False,
    limit: float | None = None,
) -> Outcome:
    """Train the seeds that are still to be run; nothing but checkpoints is written.

    An exception makes the records "failed"; but a block of seeds that does not fit in memory is split. Between chunks
    it is asked whether to `stop`, and whether the job has taken more than `limit` seconds.
    """
    began, started = time.monotonic(), datetime.now(UTC)
    checkpoint = job.checkpoint()
    evaluations: list[Evaluation] = []
    error, ended_by = "", job.budget.ended_by(job.method.usage(job.task))
    try:
        _provide(job.known)
        for evaluation in train(job.task, job.method, job.budget, job.todo, checkpoint):
            evaluations.append(evaluation)
            observe(job, evaluation)
            if evaluation.share < 1:
                if stop():
                    return Outcome([], checkpoint.notes)
                if limit is not None and time.monotonic() - began > limit:
                    raise TimeLimitError(f"took more than {limit:g} s")
        if evaluations[-1].share < 1:
            ended_by = "seconds"
    except Exception as problem:  # whatever a method raises, the sweep goes on; the traceback is in the record
        if "RESOURCE_EXHAUSTED" in str(problem) and len(job.todo) > 1:  # XLA's word for it
            return _halves(job, lambda half: execute(half, observe, stop, limit))
        error, ended_by = traceback.format_exc(), "time limit" if isinstance(problem, TimeLimitError) else "error"
    return Outcome(_records(job, evaluations, started, error, ended_by), checkpoint.notes, error)


def _halves(job: Job, call: Callable[[Job], Outcome]) -> Outcome:
    """The outcome of a job whose seeds are trained in two blocks, one after the other."""
    middle = len(job.todo) // 2
    first = call(replace(job, todo=job.todo[:middle]))
    if not first.records:
        return first
    second = call(replace(job, todo=job.todo[middle:]))
    note = f"{len(job.todo)} seeds at once do not fit in memory; trained in two blocks"
    if not second.records:
        return Outcome([], [*first.notes, *second.notes])
    return Outcome(
        first.records + second.records,
        [note, *first.notes, *second.notes],
        first.log + second.log,
    )


def failure(job: Job, error: str, ended_by: str) -> Outcome:
    """The outcome of a job that never returned one."""
    return Outcome(_records(job, [], datetime.now(UTC), error, ended_by), [], error)


def _provide(known: tuple[Reference, ...]) -> None:
    """Let methods look up references that this process cannot find in a file."""
    if known and known[0].fingerprint not in reference.known():
        path = Path(tempfile.mkdtemp(prefix="bench-")) / "references.toml"
        reference.write(path, {r.key: r for r in known})
        reference.add_source(path)


def _records(job: Job, evaluations: list[Evaluation], started: datetime, error: str, ended_by: str) -> list[RunRecord]:
    stamp = provenance() | {
        "started": started.isoformat(timespec="seconds"),
        "ended": datetime.now(UTC).isoformat(timespec="seconds"),
        "seeds_in_block": len(job.todo),
    }
    return [_record(job, i, evaluations, error, stamp, ended_by) for i in range(len(job.todo))]


def _record(
    job: Job, i: int, evaluations: list[Evaluation], error: str, stamp: dict[str, Any], ended_by: str
) -> RunRecord:
    block = len(job.todo)
    curve = [
        {
            "env_steps": e.env_steps,
            "train_seconds": e.train_seconds / block,
            "cost": _finite(e.cost[i]),
            "end_error": _finite(e.end_error[i]),
        }
        for e in evaluations
    ]
    status, cost = ("failed", None) if error else final_cost(curve)
    last = evaluations[-1] if evaluations else None
    return RunRecord(
        suite=job.cell.suite,
        task=job.cell.task_label,
        horizon=float(job.task.horizon),
        num_steps=job.task.num_steps,
        method=job.cell.method_label,
        seed=job.todo[i],
        status=status,
        cost=cost,
        curve=curve,
        usage={
            "env_steps": last.env_steps if last else 0,
            "env_grad_steps": last.env_grad_steps if last else 0,
            "train_seconds": last.train_seconds / block if last else 0.0,
            "compile_seconds": last.compile_seconds / block if last else 0.0,
            "updates": last.updates if last else 0,
        },
        fingerprint=job.fingerprint,
        settings=job.settings,
        provenance=stamp | ({"final_state": last.state[i]} if last and last.state else {}),
        error="".join(error.splitlines(keepends=True)[-40:]),
        ended_by=ended_by,
    )


def _finite(value: np.floating) -> float | None:
    return float(value) if np.isfinite(value) else None


def run(cells: Iterable[Cell], folder: Path, again: bool = False) -> list[RunRecord]:
    """Every record of `cells`, computed now or found in `folder`. Raises OSError if one could not be stored.

    The bits are those of `python -m bench run` if NPROC=1 was set before JAX first computed (see bench/threads.py).
    """
    from bench.sweep import Silent, Sweep, in_process  # it stands above: it is made of jobs

    jobs = prepare(cells, folder, again)
    observer = Silent()
    sweep = Sweep(in_process(observer), observer)
    sweep.run(jobs)
    for path, reason in sweep.unstored.items():
        raise OSError(f"{path} could not be written: {reason}")
    return [read(job.path(seed)) for job in jobs for seed in job.cell.seeds]


def execute_in_worker(job: Job) -> Outcome:
    """`execute` in a worker process of `bench.executors.Workers`, which has the limit."""
    cache.enable()
    return execute(job, stop=should_stop)


def execute_remotely(job: Job, limit: float | None) -> Outcome:
    """`execute` on another machine, whose disk may not be ours, for a while: a cell that is not done by then comes back
    with its checkpoints, to go on on any machine. The limit is looked at between chunks."""
    threads.one()
    cache.enable()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        there = replace(job, folder=Path(name))
        for path, data in job.carried.items():
            write_atomically(there.folder / path, data)

        def stop():  # never before there is something new to come back with
            return time.monotonic() - began > SLICE and there.checkpoint_files() != job.carried

        outcome = execute(there, stop=stop, limit=None if limit is None else limit - job.spent)
        if outcome.records:
            return outcome
        return replace(outcome, carried=there.checkpoint_files(), spent=job.spent + time.monotonic() - began)
