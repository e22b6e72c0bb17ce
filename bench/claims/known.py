"""Runs that are known already: published, of other folders, or of this one, found by what defines a run.

A record serves an experiment if its task, method, settings and fingerprint are the experiment's own. The suite that it
was run for, and the folder that it lies in, do not matter.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from bench.records.cell_file import read_records
from bench.records.identity import is_unknown
from bench.records.reference_file import FILE_NAME, read_references
from bench.records.references import References
from bench.records.run import RunRecord
from bench.sweep.forecast import Estimator
from bench.sweep.job import OTHER_CODE, Job

Identity = tuple[str, str, str, str]  # task, method, fingerprint and settings
PUBLISHED = Path(__file__).parents[2] / "results" / "published"  # absent where the package is installed elsewhere


@dataclass(frozen=True)
class KnownRuns:
    """The records of several folders; where two have the same run, the earlier folder's counts."""

    folders: Sequence[Path]
    runs: Mapping[tuple[Identity, int], tuple[RunRecord, Path]]  # by seed, too

    @classmethod
    def of(cls, folders: Sequence[Path]) -> "KnownRuns":
        """Read the records of the folders. One that cannot be read is left out, and its run computed again."""
        found = ((record, folder) for folder in folders for record in read_records(folder))
        return cls.among(folders, ((record, folder) for record, folder in found if isinstance(record, RunRecord)))

    @classmethod
    def among(cls, folders: Sequence[Path], found: Iterable[tuple[RunRecord, Path]]) -> "KnownRuns":
        """Index records that were read already. A run that failed gives way to another attempt."""
        runs: dict[tuple[Identity, int], tuple[RunRecord, Path]] = {}
        for record, folder in found:
            key = _identity(record.task, record.method, record.fingerprint, record.settings), record.seed
            old = runs.get(key)
            if old is None or old[0].status == "failed":
                runs[key] = record, folder
        return cls(folders, runs)

    def of_job(self, job: Job, seeds: Iterable[int]) -> list[tuple[RunRecord, Path]]:
        """The known runs of a job at some seeds, each with the folder that it lies in."""
        cell = job.cell
        identity = _identity(cell.task_label, cell.method_label, job.fingerprint, job.settings)
        found = [self.runs[identity, seed] for seed in seeds if (identity, seed) in self.runs]
        return [(run, folder) for run, folder in found if not job.outdated(run)]

    def compared(self, job: Job) -> Job:
        """The job with its programs traced, if a known run of it was computed by other code: is it the same program?"""
        cell = job.cell
        identity = _identity(cell.task_label, cell.method_label, job.fingerprint, job.settings)
        found = (self.runs[identity, seed][0] for seed in cell.seeds if (identity, seed) in self.runs)
        return job.traced() if any(job.outdated(run) == OTHER_CODE for run in found) else job

    def missing(self, job: Job) -> Job:
        """The job with the seeds alone that no known run has finished.

        Runs of unknown code are pooled only with each other: they serve if they are enough.
        """
        finished = {run.seed: run for run, _ in self.of_job(job, job.cell.seeds) if run.status != "failed"}
        if len(finished) < len(job.cell.seeds):
            finished = {seed: run for seed, run in finished.items() if not is_unknown(run)}
        return replace(job, todo=tuple(seed for seed in job.cell.seeds if seed not in finished))

    def references(self) -> References:
        """The package's references and those beside the records, which take precedence."""
        found = References.shipped()
        for folder in reversed(self.folders):
            for path in sorted(folder.rglob(FILE_NAME)):
                found = found.updated(read_references(path).values())
        return found

    @cached_property
    def _estimator(self) -> Estimator:
        return Estimator.of(run for run, _ in self.runs.values())

    def seconds(self, job: Job) -> float | None:
        """Forecast of the seconds that the seeds of a job still take, by the runs that are known; None without any."""
        cell = job.cell
        return self._estimator.cell(cell.task_label, cell.method_label, len(job.todo), job.budget.env_steps)


def _identity(task: str, method: str, fingerprint: str, settings: Mapping[str, Any]) -> Identity:
    return task, method, fingerprint, json.dumps(settings, sort_keys=True)
