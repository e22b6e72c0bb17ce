"""Cells to records: check everything, then build, train, catch, stamp and store.

records = run(load("smoke").cells(), Path("results/smoke"))
"""

import tempfile
import traceback
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from bench import names, reference
from bench.budget import Budget, BudgetError
from bench.errors import UsageError
from bench.fingerprint import fingerprint
from bench.method import AbstractMethod
from bench.provenance import provenance
from bench.records import RecordError, RunRecord, final_cost, read, record_path, write
from bench.suite import Cell
from bench.train import Evaluation, train
from tasks.base import AbstractTask


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

    def path(self, seed: int) -> Path:
        key = {
            "suite": self.cell.suite,
            "task": self.cell.task_label,
            "method": self.cell.method_label,
            "fingerprint": self.fingerprint,
            "settings": self.settings,
        }
        return record_path(self.folder, key, seed)


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
            "budget": asdict(budget),
        }
        job = Job(cell, task, method, fingerprint(task), settings, budget, cell.seeds, folder)
        todo = tuple(s for s in cell.seeds if again or not _finished(job.path(s)))
        jobs.append(replace(job, todo=todo))
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


def execute(job: Job, observe: Observer = lambda job, evaluation: None) -> list[RunRecord]:
    """Run the seeds that are still to be run; their records, stored. An exception makes them "failed" records."""
    started = datetime.now(UTC)
    evaluations: list[Evaluation] = []
    error = ""
    try:
        reference.ensure(job.cell.task_label, job.task, job.folder / "references.toml")
        for evaluation in train(job.task, job.method, job.budget, job.todo):
            evaluations.append(evaluation)
            observe(job, evaluation)
    except Exception:  # whatever a method raises, the sweep goes on; the traceback is in the record
        error = "".join(traceback.format_exc().splitlines(keepends=True)[-40:])
    stamp = provenance() | {
        "started": started.isoformat(timespec="seconds"),
        "ended": datetime.now(UTC).isoformat(timespec="seconds"),
        "seeds_in_block": len(job.todo),
    }
    records = [_record(job, i, evaluations, error, stamp) for i in range(len(job.todo))]
    for record in records:
        write(job.path(record.seed), record)
    return records


def _record(job: Job, i: int, evaluations: list[Evaluation], error: str, stamp: dict[str, Any]) -> RunRecord:
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
        },
        fingerprint=job.fingerprint,
        settings=job.settings,
        provenance=stamp,
        error=error,
    )


def _finite(value: np.floating) -> float | None:
    return float(value) if np.isfinite(value) else None


def run(cells: Iterable[Cell], folder: Path, again: bool = False) -> list[RunRecord]:
    """Every record of `cells`, computed now or found in `folder`."""
    jobs = prepare(cells, folder, again)
    for job in jobs:
        if job.todo:
            execute(job)
    return [read(job.path(seed)) for job in jobs for seed in job.cell.seeds]
