"""Jobs: cells that were checked, with all that is needed to run them, and the files that they leave."""

import pickle
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bench import registry
from bench.budget import Budget, BudgetError, Usage
from bench.errors import UsageError
from bench.machine import locks
from bench.machine.provenance import environment
from bench.method import AbstractMethod, within
from bench.noise import Noise
from bench.noisy_task import plant_of
from bench.records.cell_file import CellFile
from bench.records.files import refuse_links, sweep_up
from bench.records.identity import environment_difference, is_unknown
from bench.records.reference import Reference
from bench.records.run import RunRecord, run_name, storable
from bench.suite import Cell
from bench.sweep.code_hashes import CodeHashes, joint_hash
from bench.sweep.failure import in_one_line
from bench.sweep.resolve import Resolver, method_of_cell, task_of_cell
from bench.sweep.status import PlannedCell
from bench.training.checkpoint import Checkpoint
from bench.training.programs import method_fingerprint
from tasks.base import AbstractTask

OTHER_CODE = "their code computed something else"
UNKNOWN = "they are older than fingerprints of methods, and are pooled only with their like"


@dataclass(frozen=True)
class Job:
    """A cell that is known to be well formed, with the seeds that are still to run (`todo`).

    `usage` is what the method declares, told of its budget. `code` is a hash of the code of its task and method, and
    `environment` the precision and packages. `program` is the method's fingerprint on the task where it had to be
    computed, else "". `known` are the references of its task, one for each start of its evaluation. `carried` and
    `spent` are for machines that do not see our files: the job's checkpoints by their paths in the folder, and the
    seconds that it has taken.
    """

    cell: Cell
    task: AbstractTask
    method: AbstractMethod
    fingerprint: str
    settings: dict[str, Any]
    budget: Budget
    usage: Usage
    todo: tuple[int, ...]
    folder: Path
    again: bool = False
    code: str = ""
    environment: dict[str, Any] = field(default_factory=dict)
    program: str = ""
    known: tuple[Reference, ...] = ()
    carried: dict[str, bytes] = field(default_factory=dict)
    spent: float = 0.0

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the job for a worker, which makes a task or a method that cannot be pickled anew from its name.

        A field that holds a lambda is one that cannot.
        """
        fields = dict(vars(self))
        try:
            pickle.dumps((self.task, self.method))
        except Exception:  # whatever pickling a user's object raises
            del fields["task"], fields["method"]
        return _unpickled, (fields,)

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

    @property
    def trained_method(self) -> AbstractMethod:
        """The method as it is trained: told of the job's budget."""
        return within(self.method, self.task, self.budget)

    @property
    def stored(self) -> CellFile:
        """The stored records of the cell."""
        return CellFile.of(self.folder, self.key)

    @property
    def lock(self) -> Path:
        """The file that is locked while the cell runs."""
        return self.folder / "locks" / f"{run_name(self.key)}.lock"

    @property
    def log(self) -> Path:
        """The file for the traceback of a failure."""
        return self.folder / "logs" / f"{run_name(self.key)}.log"

    def checkpoint(self, seeds: tuple[int, ...]) -> Checkpoint:
        """The checkpoint of a block of seeds: one on a CPU, on a GPU all that run at once."""
        name = "_".join(map(str, seeds)) if len(seeds) < 5 else f"{seeds[0]}_to_{seeds[-1]}"
        path = self.folder / "checkpoints" / f"{run_name(self.key)}-seeds{name}.checkpoint"
        return Checkpoint(path, self.key | {"seeds": list(seeds)})

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
            self.lock.relative_to(self.folder).as_posix(),
            self.checkpoints,
        )

    def refreshed(self) -> "Job":
        """The same job without the seeds that have a record of these programs, maybe by another run in the meantime."""
        if self.again:
            return self
        records = self.finished()
        todo = {seed for seed in self.cell.seeds if seed not in records or self.outdated(records[seed])}
        if todo:  # a record of unknown code is pooled with its like only, and the new ones will be of known code
            todo |= {seed for seed, record in records.items() if is_unknown(record)}
        return replace(self, todo=tuple(seed for seed in self.todo if seed in todo))

    def finished(self) -> dict[int, RunRecord]:
        """The readable records of the cell by seed, without those of failed runs."""
        return {seed: record for seed, record in self.stored.read().records.items() if record.status != "failed"}

    def outdated(self, record: RunRecord) -> str:
        """Why a record is not of what would run now, in words; "" if it is, or if that is unknown."""
        difference = environment_difference(record.provenance, self.environment)
        if difference:
            return f"they differ in {difference}"
        same = is_unknown(record) or record.sources == self.code or record.method_fingerprint == self.program
        return "" if same else OTHER_CODE

    def superseded(self) -> dict[int, str]:
        """The seeds that are to run although they have a record, with the reasons in words."""
        reasons = {
            seed: self.outdated(record) or UNKNOWN * (is_unknown(record) and not self.again)
            for seed, record in self.finished().items()
            if seed in self.todo
        }
        return {seed: reason for seed, reason in reasons.items() if reason}

    def traced(self) -> "Job":
        """The same job with its method's fingerprint."""
        try:
            return replace(self, program=method_fingerprint(self.task, self.trained_method))
        except Exception:  # whatever the user's code raises is the run's own failure, told with the user's line
            return replace(self, program="cannot be traced")


def prepare(cells: Iterable[Cell], folder: Path, again: bool = False) -> list[Job]:
    """Make jobs of `cells`, without compiling anything.

    Seeds that have a record are left out unless it is "failed" or of other programs, or `again` is set. Programs are
    traced and compared only where the code has changed. Raises UsageError.
    """
    _check_writable(folder)
    refuse_links(folder)
    sweep_up(folder)
    locks.sweep_up(folder / "locks")
    jobs, hashes, resolver = [], CodeHashes(), Resolver()
    for cell in cells:
        task, identity = resolver.task(cell)
        method = resolver.method(cell)
        budget = cell.allowance.on(task.num_steps)
        try:
            usage = within(method, task, budget).usage(task)
            budget.steps(usage)
        except BudgetError as error:
            raise BudgetError(f"{cell.method_label} on {cell.task_label}: {error}") from error
        except Exception as error:  # what `within` and `usage` raise is the user's code
            raise UsageError(f"method {cell.method_label} on {cell.task_label}: {in_one_line(error)}") from error
        settings = {
            "task": registry.settings_of(plant_of(task)) | _noise_settings(cell.noise),
            "method": registry.settings_of(method) | ({} if usage.charged else {"charged": False}),
            "budget": budget.to_json(),
        }
        code = joint_hash(
            hashes.of(cell.task, settings["task"], task), hashes.of(cell.method, settings["method"], method)
        )
        job = Job(
            cell=cell,
            task=task,
            method=method,
            fingerprint=identity,
            settings=storable(settings),
            budget=budget,
            usage=usage,
            todo=cell.seeds,
            folder=folder,
            again=again,
            code=code,
            environment=environment(),
        )
        records = {} if again else job.finished()
        if any(job.outdated(records[seed]) == OTHER_CODE for seed in cell.seeds if seed in records):
            job = job.traced()
        jobs.append(job.refreshed())
    return jobs


def _noise_settings(noise: Noise) -> dict[str, float | int]:
    """The levels of noise as settings of the task; none without noise, like in records that are older."""
    return {f"noise.{name}": level for name, level in vars(noise).items()} if noise else {}


def _unpickled(fields: dict[str, Any]) -> Job:
    cell = fields["cell"]
    missing = {} if "task" in fields else {"task": task_of_cell(cell), "method": method_of_cell(cell)}
    return Job(**fields, **missing)


def _check_writable(folder: Path) -> None:
    """Raise UsageError where records could not be stored: better now than after days of training."""
    needed = [folder / name for name in ("records", "trajectories")]
    for place in (folder, *(each for each in needed if each.exists())):
        try:
            place.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=place):
                pass
        except OSError as error:
            raise UsageError(
                f"cannot write to the output folder {place} ({error.strerror}). Give another with --out."
            ) from error
