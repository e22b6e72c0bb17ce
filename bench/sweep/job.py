"""Jobs: cells that were checked, with all that running them needs, and the files they leave."""

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bench import registry
from bench.budget import Budget, BudgetError
from bench.errors import UsageError
from bench.method import AbstractMethod
from bench.records.files import RecordError
from bench.records.reference import Reference
from bench.records.run import read_record, record_path, run_name
from bench.reference.fingerprint import fingerprint
from bench.suite import Cell
from bench.sweep.status import PlannedCell
from bench.training.checkpoint import Checkpoint
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

    def planned(self) -> PlannedCell:
        """The cell, as `bench status` reads it."""
        return PlannedCell(
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


def prepare(cells: Iterable[Cell], folder: Path, again: bool = False) -> list[Job]:
    """Jobs for `cells`; nothing is compiled. Finished seeds (records not "failed") are left out unless `again`.

    Raises UsageError.
    """
    _check_writable(folder)
    jobs = []
    for cell in cells:
        task = task_of_cell(cell)
        method = registry.method(cell.method, {**cell.method_settings, **cell.extra_method_settings})
        budget = cell.allowance.on(task.num_steps)
        usage = method.usage(task)
        try:
            budget.steps(usage)
        except BudgetError as error:
            raise BudgetError(f"{cell.method_label} on {cell.task_label}: {error}") from error
        settings = {
            "task": registry.settings_of(task),
            "method": registry.settings_of(method) | ({} if usage.charged else {"charged": False}),
            "budget": budget.to_json(),
        }
        jobs.append(Job(cell, task, method, fingerprint(task), settings, budget, cell.seeds, folder, again).refreshed())
    return jobs


def task_of_cell(cell: Cell) -> AbstractTask:
    """The task of a cell, with its settings and on its grid."""
    settings = {**cell.task_settings, **cell.extra_task_settings}
    task = registry.task(cell.task, settings)
    if cell.grid is None:
        return task
    return registry.task(cell.task, settings | cell.grid.settings(task.horizon, task.num_steps))


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
        return path.exists() and read_record(path).status != "failed"
    except RecordError:
        return False
