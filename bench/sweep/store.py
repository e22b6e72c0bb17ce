"""Store the outcomes of jobs: records, logs and checkpoints, in folders that may be full or may vanish."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from bench.records.files import RecordError, set_aside, write_atomically
from bench.records.run import RunRecord, read_record, write_record
from bench.sweep.execute import Outcome
from bench.sweep.job import Job
from bench.sweep.status import trained_seeds


@dataclass
class OutcomeStore:
    """The outcomes of a sweep, written into the jobs' folders. Trouble with files is reported and stops nothing.

    `say` tells the user something. `failed` has the failed runs, and `unstored` the records that could not be written:
    path and reason.
    """

    say: Callable[[str], None]
    failed: list[tuple[Job, RunRecord]] = field(default_factory=list)
    unstored: dict[Path, str] = field(default_factory=dict)
    _records: dict[Path, RunRecord] = field(default_factory=dict)

    def store(self, job: Job, outcome: Outcome) -> None:
        """Write the records of a job and the log of its failure; delete its checkpoints if all records are written."""
        self._report_notes(job, outcome)
        for record in outcome.records:
            path = job.path(record.seed)
            self._records[path] = record
            self._write(path, record)
            if record.status == "failed":
                self.failed.append((job, record))
        if outcome.log:
            with suppress(OSError):
                write_atomically(job.log, outcome.log)
        elif outcome.records and not any(job.path(record.seed) in self.unstored for record in outcome.records):
            for checkpoint in job.folder.glob(job.checkpoints):
                if trained_seeds(checkpoint) <= set(job.todo):  # that of another seed is still needed
                    with suppress(OSError):
                        checkpoint.unlink()

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
        for path, record in self._records.items():
            if not path.exists():
                self._write(path, record)

    def _report_notes(self, job: Job, outcome: Outcome) -> None:
        for note in outcome.notes:
            self.say(f"{job.cell.task_label}  {job.cell.method_label}: {note}")

    def _write(self, path: Path, record: RunRecord) -> None:
        """Write a record, and set aside what cannot be read in its place."""
        try:
            read_record(path)
        except FileNotFoundError:
            pass
        except RecordError as error:
            self.say(f"{error} {set_aside(path)}.")
        try:
            write_record(path, record)
            self.unstored.pop(path, None)
        except OSError as error:
            self.unstored[path] = f"{error.strerror or error}. Make room and run the same command again."
        except Exception as error:  # a value that JSON lacks fails its own record; the sweep goes on
            self.unstored[path] = f"{type(error).__name__}: {error}. Mend the task or method that made this value."
