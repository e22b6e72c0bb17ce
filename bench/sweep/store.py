"""Store the outcomes of jobs: records, logs and checkpoints, in folders that may be full or may vanish."""

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from bench.records.cell_file import CellFile
from bench.records.files import write_atomically
from bench.records.run import RunRecord, encode_run, storable
from bench.sweep.execute import Outcome
from bench.sweep.job import Job
from bench.sweep.status import trained_seeds


@dataclass
class OutcomeStore:
    """The outcomes of a sweep, written into the jobs' folders. Trouble with files is reported and stops nothing.

    `say` tells the user something. `failed` has the failed runs, and `unstored` the records that could not be written:
    file, seed and reason.
    """

    say: Callable[[str], None]
    failed: list[tuple[Job, RunRecord]] = field(default_factory=list)
    unstored: dict[str, str] = field(default_factory=dict)
    _records: dict[CellFile, dict[int, RunRecord]] = field(default_factory=dict)

    def store(self, job: Job, outcome: Outcome) -> None:
        """Write the records of a job and the log of its failure; delete its checkpoints if all records are written."""
        self._report_notes(job, outcome)
        cell = job.stored
        self._records.setdefault(cell, {}).update({record.seed: record for record in outcome.records})
        self._write(cell, outcome.records)
        self.failed += [(job, record) for record in outcome.records if record.status == "failed"]
        if outcome.log:
            with suppress(OSError):
                write_atomically(job.log, outcome.log)
        elif outcome.records and not any(_place(cell, record) in self.unstored for record in outcome.records):
            discard_checkpoints(job)

    def store_checkpoints(self, job: Job, outcome: Outcome) -> None:
        """Write the checkpoints of a job that came back before its end."""
        self._report_notes(job, outcome)
        try:
            for path, data in outcome.carried.items():
                write_atomically(job.folder / path, data)
        except OSError as error:
            self.say(f"no checkpoint could be kept in {job.folder} ({error.strerror}); training goes on")

    def restore(self) -> None:
        """Write every record again that is not in its place: its folder vanished, or had no room."""
        for cell, records in self._records.items():
            found = cell.read().records
            self._write(cell, [record for seed, record in records.items() if seed not in found])

    def _report_notes(self, job: Job, outcome: Outcome) -> None:
        for note in outcome.notes:
            self.say(f"{job.cell.task_label}  {job.cell.method_label}: {note}")

    def _write(self, cell: CellFile, records: Sequence[RunRecord]) -> None:
        """Write records of a cell, and tell of what was set aside because it could not be read."""
        reasons = {record.seed: _unstorable(record) for record in records}
        sound = [record for record in records if not reasons[record.seed]]
        try:
            for note in cell.put(sound) if sound else ():
                self.say(note)
        except OSError as error:
            reason = f"{error.strerror or error}. Make room and run the same command again."
            reasons |= {record.seed: reason for record in sound}
        for record in records:
            self.unstored.pop(_place(cell, record), None)
            if reasons[record.seed]:
                self.unstored[_place(cell, record)] = reasons[record.seed]


def discard_checkpoints(job: Job) -> None:
    """Delete the checkpoints of a cell whose seeds all have a record."""
    for checkpoint in job.folder.glob(job.checkpoints):
        if trained_seeds(checkpoint) <= job.finished().keys():  # that of another seed is still needed
            with suppress(OSError):
                checkpoint.unlink()


def _unstorable(record: RunRecord) -> str:
    """Why a record cannot be stored, "" if it can: a value that JSON lacks fails its own record, and no other."""
    try:
        encode_run(record)
        json.dumps(storable(record.trajectory), allow_nan=False)
    except Exception as error:  # a user's settings may hold any object, and one record costs one cell, not the sweep
        return f"{type(error).__name__}: {error}. Mend the task or method that made this value."
    return ""


def _place(cell: CellFile, record: RunRecord) -> str:
    return f"{cell.path} (seed {record.seed})"
