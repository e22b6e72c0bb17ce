"""Many jobs on any executor: claim a cell, submit it, store what comes back. The sweep outlives every failure."""

import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench.machine import locks
from bench.records.files import RecordError, set_aside, write_atomically
from bench.records.reference import FILE_NAME, Reference, References, read_references
from bench.records.run import RunRecord, read_record, write_record
from bench.reference.lookup import complete, lookup_each
from bench.sweep import status
from bench.sweep.execute import Outcome, execute, failure
from bench.sweep.executors import InProcess, LostWorkerError, TimeLimitError
from bench.sweep.job import Job
from bench.sweep.observer import AbstractObserver
from bench.training.train import Evaluation

POLL = 0.5  # seconds between looks at running cells, and at cells of other runs


@dataclass(frozen=True)
class Backend:
    """Where jobs run: an executor, the call that it is given with a job, and how many jobs it takes at once.

    A `distant` one does not see our files, so a job goes to it and comes back with its checkpoints; to stop does not
    wait for that.
    """

    executor: Executor
    call: Callable[[Job], Outcome]
    width: int
    stop: Callable[[], bool]
    distant: bool = False
    losses: tuple[type[Exception], ...] = (LostWorkerError,)


def in_process(
    observer: AbstractObserver, stop: Callable[[], bool] = lambda: False, limit: float | None = None
) -> Backend:
    """One job after the other in this process; `limit` in seconds is looked at between chunks of training."""
    return Backend(InProcess(), lambda job: execute(job, observer.update, stop, limit), 1, stop)


@dataclass
class Sweep:
    """A sweep under way, and then what became of it: failed runs, runs whose record could not be stored (path and
    reason), and whether it was stopped before its end."""

    backend: Backend
    observer: AbstractObserver
    references: References = field(default_factory=References.shipped)
    failed: list[tuple[Job, RunRecord]] = field(default_factory=list)
    unstored: dict[Path, str] = field(default_factory=dict)
    interrupted: bool = False
    _running: dict[Future[Outcome], tuple[Job, locks.Lock | None]] = field(default_factory=dict)
    _results: dict[Path, RunRecord] = field(default_factory=dict)

    def run(self, jobs: Iterable[Job]) -> None:
        """Run all jobs that no other process has in hand, then wait for the others' and do what they left undone."""
        waiting = deque(_side_by_side(job for job in jobs if job.todo))
        told = False
        while waiting or self._running:
            if self.backend.stop():
                self.interrupted = True
                waiting.clear()
                if self.backend.distant:
                    self._give_up()
            for _ in range(len(waiting)):
                if len(self._running) < self.backend.width and not self.backend.stop():
                    job = waiting.popleft()
                    if not self._claim(job):
                        waiting.append(job)
            if not self._running and waiting and not told:
                told = True
                self.observer.say(
                    f"{len(waiting)} cells are in the hands of another run on this folder; waiting for it"
                )
            self._collect()
        self._restore()

    def _claim(self, job: Job) -> bool:
        """Submit a job; False if another process has its cell in hand."""
        try:
            claim = locks.acquire(job.lock)
            if claim is None:
                return False
        except OSError as error:
            self.observer.say(
                f"no lock in {job.lock.parent} ({error.strerror}): do not run twice at once on this folder"
            )
            claim = None
        left = job.refreshed()
        if not left.todo:
            self.observer.skip(job)
            if claim:
                claim.release()
            return True
        self.observer.begin(left)
        self._submit(left, claim)
        return True

    def _submit(self, job: Job, claim: locks.Lock | None) -> None:
        try:
            job = replace(job, known=self._references(job))
            if self.backend.distant:
                job = replace(job, carried=job.carried or job.checkpoint_files())
            future = self.backend.executor.submit(self.backend.call, job)
        except Exception:  # no reference, or an executor that takes nothing: a failed cell, and the sweep goes on
            future = InProcess().submit(failure, job, traceback.format_exc(), "error")
        self._running[future] = job, claim

    def _references(self, job: Job) -> tuple[Reference, ...]:
        """The references of the job's task; computed on first use, under a lock, so that two runs on one folder do not
        both compute them."""
        path = job.folder / FILE_NAME

        def known() -> References:
            return self.references.updated(read_references(path).values())

        try:
            return lookup_each(job.task, known())
        except LookupError:
            with locks.hold(job.folder / "locks" / "references.lock"):
                return lookup_each(job.task, complete(known(), job.cell.task_label, job.task, path))

    def _collect(self) -> None:
        """Store what has come back, after a moment's wait for it."""
        if not self._running:
            time.sleep(POLL)
            return
        done, rest = wait(self._running, POLL, FIRST_COMPLETED)
        for future in done:
            job, claim = self._running.pop(future)
            outcome = self._outcome(job, future)
            if outcome.carried:
                self._keep(job, outcome)
                if not self.backend.stop():
                    self._submit(replace(job, carried=outcome.carried, spent=outcome.spent), claim)
                    continue
            self._store(job, outcome)
            if claim:
                claim.release()
        for future in rest:
            job, _ = self._running[future]
            point = status.last_point(job.checkpoint().path)
            if point:
                self.observer.update(job, Evaluation.of(point))

    def _outcome(self, job: Job, future: "Future[Outcome]") -> Outcome:
        try:
            return future.result()
        except TimeLimitError as error:
            return failure(job, str(error), "time limit")
        except self.backend.losses as error:
            return failure(job, str(error), "lost worker")
        except Exception:  # whatever else became of the call: it is in the record, and the sweep goes on
            return failure(job, traceback.format_exc(), "error")

    def _store(self, job: Job, outcome: Outcome) -> None:
        for note in outcome.notes:
            self.observer.say(f"{job.cell.task_label}  {job.cell.method_label}: {note}")
        for record in outcome.records:
            path = job.path(record.seed)
            self._results[path] = record
            self._write(path, record)
            if record.status == "failed":
                self.failed.append((job, record))
        if outcome.log:
            with suppress(OSError):
                write_atomically(job.log, outcome.log)
        elif outcome.records and not any(job.path(record.seed) in self.unstored for record in outcome.records):
            for checkpoint in job.folder.glob(job.checkpoints):
                with suppress(OSError):
                    checkpoint.unlink()
        if outcome.records:
            self.observer.end(job, outcome.records)
        else:
            self.interrupted = True

    def _keep(self, job: Job, outcome: Outcome) -> None:
        """Store the checkpoints of a job that came back before its end."""
        for note in outcome.notes:
            self.observer.say(f"{job.cell.task_label}  {job.cell.method_label}: {note}")
        try:
            for path, data in outcome.carried.items():
                write_atomically(job.folder / path, data)
        except OSError as error:
            self.observer.say(f"no checkpoint could be kept in {job.folder} ({error.strerror}); training goes on")

    def _write(self, path: Path, record: RunRecord) -> None:
        try:
            if path.exists():
                read_record(path)
        except RecordError as error:
            self.observer.say(f"{error} {set_aside(path)}.")
        try:
            write_record(path, record)
            self.unstored.pop(path, None)
        except OSError as error:
            self.unstored[path] = error.strerror or str(error)

    def _restore(self) -> None:
        """Write again what is no longer, or was never, where it should be: the folder vanished, or had no room."""
        for path, record in self._results.items():
            if not path.exists():
                self._write(path, record)

    def _give_up(self) -> None:
        for future, (_, claim) in self._running.items():
            future.cancel()
            if claim:
                claim.release()
        self._running.clear()


def _side_by_side(jobs: Iterable[Job]) -> list[Job]:
    """Method after method: suites name costly ones first, so that no core is left alone with one of them at the end."""
    jobs = list(jobs)
    methods = list(dict.fromkeys(job.cell.method_label for job in jobs))
    return sorted(jobs, key=lambda job: methods.index(job.cell.method_label))
