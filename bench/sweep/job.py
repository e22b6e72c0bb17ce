"""Jobs: cells that were checked, with all that is needed to run them, and the files that they leave."""

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
from bench.records.run import read_record, record_path, run_name, storable
from bench.reference.fingerprint import fingerprint
from bench.suite import Cell
from bench.sweep.status import PlannedCell
from bench.training.checkpoint import Checkpoint
from tasks.base import AbstractTask


@dataclass(frozen=True)
class Job:
    """A cell that is known to be well formed, with the seeds that are still to run (`todo`).

    `known` are the references of its task, one for each start of its evaluation. `carried` and `spent` are for machines
    that do not see our files: the job's checkpoints by their paths in the folder, and the seconds that it has taken.
    """

    cell: Cell
    task: AbstractTask
    method: AbstractMethod
    fingerprint: str
    settings: dict[str, Any]
    budget: Budget
    todo: tuple[int, ...]
    folder: Path
    again: bool = False
    known: tuple[Reference, ...] = ()
    carried: dict[str, bytes] = field(default_factory=dict)
    spent: float = 0.0

    @property
    def key(self) -> dict[str, Any]:
        """All that defines the cell, except its seeds."""
        return {
            "suite": self.cell.suite,
            "task": self.cell.task_label,
            "method": self.cell.method_label,
            "fingerprint": self.fingerprint,
            "settings": self.settings,
        }

    def path(self, seed: int) -> Path:
        """The file of a seed's record."""
        return record_path(self.folder, self.key, seed)

    @property
    def lock(self) -> Path:
        """The file that is locked while the cell runs."""
        return self.folder / "locks" / f"{run_name(self.key)}.lock"

    @property
    def log(self) -> Path:
        """The file for the traceback of a failure."""
        return self.folder / "logs" / f"{run_name(self.key)}.log"

    def checkpoint(self) -> Checkpoint:
        """The checkpoint of the seeds that are still to run: another block of seeds is another program."""
        seeds = "_".join(map(str, self.todo)) if len(self.todo) < 5 else f"{self.todo[0]}_to_{self.todo[-1]}"
        path = self.folder / "checkpoints" / f"{run_name(self.key)}-seeds{seeds}.checkpoint"
        return Checkpoint(path, self.key | {"seeds": list(self.todo)})

    @property
    def checkpoints(self) -> str:
        """The pattern of the paths of all checkpoints of the cell, relative to the folder."""
        return f"checkpoints/{run_name(self.key)}-*.checkpoint"

    def checkpoint_files(self) -> dict[str, bytes]:
        """The contents of all checkpoints of the cell, by their paths relative to the folder."""
        found = self.folder.glob(self.checkpoints)
        return {path.relative_to(self.folder).as_posix(): path.read_bytes() for path in found}

    def planned(self) -> PlannedCell:
        """The cell in the form that `bench status` reads."""
        return PlannedCell(
            self.cell.task_label,
            int(self.task.num_steps),  # a user may compute it with NumPy
            self.cell.method_label,
            list(self.cell.seeds),
            [self.path(seed).relative_to(self.folder).as_posix() for seed in self.cell.seeds],
            self.lock.relative_to(self.folder).as_posix(),
            self.checkpoints,
        )

    def refreshed(self) -> "Job":
        """The same job without the seeds that another run has finished in the meantime."""
        return self if self.again else replace(self, todo=tuple(s for s in self.todo if not _finished(self.path(s))))


def prepare(cells: Iterable[Cell], folder: Path, again: bool = False) -> list[Job]:
    """Make jobs of `cells`, without compiling anything.

    Seeds that have a record are left out unless it is "failed", or `again` is set. Raises UsageError.
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
        jobs.append(
            Job(
                cell, task, method, fingerprint(task), storable(settings), budget, cell.seeds, folder, again
            ).refreshed()
        )
    return jobs


def task_of_cell(cell: Cell) -> AbstractTask:
    """The task of a cell, with the cell's settings and on its grid."""
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
