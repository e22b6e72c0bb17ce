"""The loop of a sweep: lock a cell, submit it to an executor, store its outcome. A sweep outlives every failure."""

import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, wait
from contextlib import suppress
from dataclasses import dataclass, field, replace

from bench.machine import locks
from bench.machine.locks import Lock
from bench.records.reference import Reference
from bench.records.reference_file import FILE_NAME, read_references
from bench.records.references import References
from bench.records.run import RunRecord
from bench.reference.lookup import complete, lookup_each
from bench.sweep import status
from bench.sweep.execute import Outcome, execute, failed_outcome
from bench.sweep.executors import InProcess, LostWorkerError, TimeLimitError
from bench.sweep.failure import describe
from bench.sweep.job import Job
from bench.sweep.observer import AbstractObserver
from bench.sweep.store import OutcomeStore, discard_checkpoints
from bench.training.train import Evaluation

POLL_SECONDS = 0.5  # between looks at running cells, and at cells that other runs hold


@dataclass(frozen=True)
class Backend:
    """Where jobs run: an executor, the `call` that runs a job in it, and the number of jobs that it takes at once.

    A `distant` executor does not see our files, so a job goes to it and comes back with its checkpoints; a sweep that
    is stopped does not wait for that. `losses` are the exceptions by which the executor reports a lost worker.
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
    """One job after the other in this process; `limit` in seconds is checked between chunks of training."""
    return Backend(InProcess(), lambda job: execute(job, observer.update, stop, limit), 1, stop)


@dataclass
class Sweep:
    """A sweep under way, and afterwards what became of it; `interrupted` if it was stopped before its end."""

    backend: Backend
    observer: AbstractObserver
    references: References = field(default_factory=References.shipped)
    interrupted: bool = False
    _told_of_locks: bool = field(init=False, default=False)
    _store: OutcomeStore = field(init=False)
    _running: dict[Future[Outcome], tuple[Job, Lock | None]] = field(init=False, default_factory=dict)

    def __post_init__(self):
        self._store = OutcomeStore(self.observer.say)

    @property
    def failed(self) -> list[tuple[Job, RunRecord]]:
        """The failed runs."""
        return self._store.failed

    @property
    def unstored(self) -> dict[str, str]:
        """The records that could not be stored: file, seed and reason."""
        return self._store.unstored

    def run(self, jobs: Iterable[Job]) -> None:
        """Run all jobs whose cells no other process holds, then wait for the others and do what they left undone."""
        jobs = list(jobs)
        waiting = deque(_by_method(job for job in jobs if job.todo))
        for job in jobs:  # a kill between a record and the end of its checkpoint leaves the latter
            if not job.todo and locks.holder(job.lock) is None:
                discard_checkpoints(job)
        told = False
        while waiting or self._running:
            if self.backend.stop():
                self.interrupted = True
                waiting.clear()
                if self.backend.distant:
                    self._abandon()
            for _ in range(len(waiting)):
                if len(self._running) < self.backend.width and not self.backend.stop():
                    job = waiting.popleft()
                    if not self._start(job):
                        waiting.append(job)
            if not self._running and waiting and not told:
                told = True
                self.observer.say(
                    f"{len(waiting)} cells are in the hands of another run on this folder; waiting for it"
                )
            self._collect()
        self._store.restore()

    def _start(self, job: Job) -> bool:
        """Lock the cell of a job and submit the job; False if another process holds the lock."""
        try:
            lock = locks.acquire(job.lock)
            if lock is None:
                return False
        except OSError as error:
            if not self._told_of_locks:
                self._told_of_locks = True
                self.observer.say(
                    f"no lock in {job.lock.parent} ({error.strerror}): do not run twice at once on this folder"
                )
            lock = None
        left = job.refreshed()
        if left.todo:
            self._set_aside(left)
            self.observer.begin(left)
            self._submit(left, lock)
        else:
            self.observer.skip(job)
            discard_checkpoints(job)
            if lock:
                lock.release()
        return True

    def _set_aside(self, job: Job) -> None:
        """Move records of other programs out of the way, and say why they are computed again."""
        superseded = job.superseded()
        if superseded:
            reasons = "; ".join(dict.fromkeys(superseded.values()))
            say = f"{job.cell.task_label}  {job.cell.method_label}: {len(superseded)} seeds again: {reasons}"
            self.observer.say(f"{say}. The old records are in {job.folder / 'superseded'}")
            with suppress(OSError):  # a folder that takes no files will not take the new records either
                for note in job.stored.supersede(superseded):
                    self.observer.say(note)

    def _submit(self, job: Job, lock: Lock | None) -> None:
        try:
            job, future = self._begun(job)
        except BaseException:  # the user's Ctrl-C in a library call
            if lock:
                lock.release()
            raise
        self._running[future] = job, lock

    def _begun(self, job: Job) -> "tuple[Job, Future[Outcome]]":
        """The job with all that it carries, and its call. A job without a reference fails, and the sweep goes on."""
        try:
            job = replace(job, known=self._references_of(job))
            if self.backend.distant:
                job = replace(job, carried=job.carried or job.checkpoint_files())
        except Exception as error:  # a search for a reference runs the user's task, which may raise anything
            return job, InProcess().submit(failed_outcome, job, describe(error), "error")
        try:
            return job, self.backend.executor.submit(self.backend.call, job)
        except Exception as error:  # an executor that is gone
            future: Future[Outcome] = Future()
            future.set_exception(CancelledError(str(error)))
            return job, future

    def _references_of(self, job: Job) -> tuple[Reference, ...]:
        """The references of the job's task, computed on first use.

        They are computed under a lock, so that two runs on one folder do not both compute them.
        """
        path = job.folder / FILE_NAME

        def known() -> References:
            return self.references.updated(read_references(path).values())

        try:
            return lookup_each(job.task, known())
        except LookupError:
            with locks.hold(job.folder / "locks" / "references.lock"):
                return lookup_each(job.task, complete(known(), job.cell.task_label, job.task, path))

    def _collect(self) -> None:
        """Wait a moment for jobs, and store the outcomes of those that have come back."""
        if not self._running:
            time.sleep(POLL_SECONDS)
            return
        done, rest = wait(self._running, POLL_SECONDS, FIRST_COMPLETED)
        for future in done:
            job, lock = self._running.pop(future)
            outcome = self._outcome(job, future)
            if outcome.unsure:
                self._submit(job.traced(), lock)
                continue
            if outcome.carried:
                self._store.store_checkpoints(job, outcome)
                if not self.backend.stop():
                    self._submit(replace(job, carried=outcome.carried, spent=outcome.spent), lock)
                    continue
            self._end(job, outcome)
            if lock:
                lock.release()
        for future in rest:
            job, _ = self._running[future]
            point = status.progress(job.folder, job.checkpoints, job.todo)
            if point:
                self.observer.update(job, Evaluation.from_json(point))

    def _outcome(self, job: Job, future: "Future[Outcome]") -> Outcome:
        """The outcome of a call that has ended, whether it returned one or not."""
        try:
            return future.result()
        except TimeLimitError as error:
            return failed_outcome(job, str(error), "time limit")
        except CancelledError:  # the scheduler of a cluster was killed
            if not self.interrupted:
                self.observer.say("the executor of cells is gone; what it had not done is left to be done")
            return Outcome([])
        except self.backend.losses as error:
            return failed_outcome(job, str(error), "lost worker")
        except Exception as error:  # whatever ended the call is in the record, and the sweep goes on
            return failed_outcome(job, describe(error), "error")

    def _end(self, job: Job, outcome: Outcome) -> None:
        self._store.store(job, outcome)
        if outcome.records:
            self.observer.end(job, outcome.records)
        else:
            self.interrupted = True

    def _abandon(self) -> None:
        """Give up the running jobs, and let others have their cells."""
        for future, (_, lock) in self._running.items():
            future.cancel()
            if lock:
                lock.release()
        self._running.clear()


def _by_method(jobs: Iterable[Job]) -> list[Job]:
    """Jobs method by method. Suites name costly methods first, so no core is left alone with one of them at the end."""
    jobs = list(jobs)
    methods = list(dict.fromkeys(job.cell.method_label for job in jobs))
    return sorted(jobs, key=lambda job: methods.index(job.cell.method_label))
