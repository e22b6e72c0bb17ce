"""Train and judge one job in this process, in a worker process, or on another machine."""

import signal
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from bench.machine import compilation, threads
from bench.method import inform
from bench.records.files import write_atomically
from bench.records.run import RunRecord
from bench.sweep.executors import TimeLimitError, should_stop
from bench.sweep.failure import describe
from bench.sweep.foreign import UnsureError, foreign
from bench.sweep.job import Job
from bench.sweep.to_records import to_records
from bench.training.checkpoint import Checkpoint
from bench.training.train import Evaluation, train

SLICE_SECONDS = 300  # another machine returns a checkpoint at least this often, which bounds what a lost worker costs


@dataclass(frozen=True)
class Outcome:
    """The result of a job.

    `records` is empty if the job was interrupted. `notes` are for the user; `log` is the full traceback of a failure. A
    job that was interrupted on another machine goes on from `carried` and `spent` (see `Job`). The outcome is `unsure`
    if the job was not run because it does not say which program it means.
    """

    records: list[RunRecord]
    notes: list[str] = field(default_factory=list)
    log: str = ""
    carried: dict[str, bytes] = field(default_factory=dict)
    spent: float = 0.0
    unsure: bool = False


Observe = Callable[[Job, Evaluation], None]


def execute(
    job: Job,
    observe: Observe = lambda job, evaluation: None,
    stop: Callable[[], bool] = lambda: False,
    limit: float | None = None,
) -> Outcome:
    """Train the seeds of a job that are still to run. It writes checkpoints and nothing else.

    An exception makes the records "failed", but a block of seeds that does not fit in memory is split. Between chunks
    of training, `stop` may interrupt the job, and a job that has taken more than `limit` seconds fails.
    """
    began, started = time.monotonic(), datetime.now(UTC)
    checkpoints: list[Checkpoint] = []

    def checkpoint(seeds: tuple[int, ...]) -> Checkpoint:
        checkpoints.append(job.checkpoint(seeds))
        return checkpoints[-1]

    def notes() -> list[str]:
        return list(dict.fromkeys(note for each in checkpoints for note in each.notes))

    evaluations: list[Evaluation] = []
    error, ended_by = "", job.budget.ended_by(job.usage)
    try:
        method = inform(job.method, job.known)
        for evaluation in train(job.task, method, job.budget, job.todo, checkpoint):
            evaluations.append(evaluation)
            observe(job, evaluation)
            if evaluation.share < 1:
                if stop():
                    return Outcome([], notes())
                if limit is not None and time.monotonic() - began > limit:
                    raise TimeLimitError(f"took more than {limit:g} s")
        if evaluations[-1].share < 1:
            ended_by = "seconds"
    except BaseException as problem:  # whatever a method raises, the sweep goes on; the traceback is in the record
        if isinstance(problem, KeyboardInterrupt) and _ctrl_c_raises():
            raise
        error = describe(problem)
        if "RESOURCE_EXHAUSTED" in error and len(job.todo) > 1:  # XLA's word for a lack of memory
            return _execute_halves(job, lambda half: execute(half, observe, stop, limit))
        ended_by = "time limit" if isinstance(problem, TimeLimitError) else "error"
    return Outcome(to_records(job, evaluations, started, error, ended_by), notes(), error)


def _ctrl_c_raises() -> bool:
    """Whether a KeyboardInterrupt may be the user's: in worker processes and under `bench run` it is a method's."""
    in_main = threading.current_thread() is threading.main_thread()
    return in_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler


def _execute_halves(job: Job, call: Callable[[Job], Outcome]) -> Outcome:
    """Train the seeds of a job in two blocks, one after the other."""
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


def failed_outcome(job: Job, error: str, ended_by: str) -> Outcome:
    """The outcome of a job that returned none: failed records with the `error`."""
    return Outcome(to_records(job, [], datetime.now(UTC), error, ended_by), [], error)


def refused(job: Job) -> Outcome | None:
    """The outcome of a job that does not mean the same here as where it comes from; None if it does."""
    try:
        reason = foreign(job)
    except UnsureError:
        return Outcome([], unsure=True)
    except Exception:  # whatever the user's code raises, training shows it
        return None
    return failed_outcome(job, reason, "error") if reason else None


def execute_in_worker(job: Job) -> Outcome:
    """`execute` a job in a process of `bench.sweep.executors.Workers`, which enforces the time limit."""
    compilation.enable_cache()
    return refused(job) or execute(job, stop=should_stop)


def execute_remotely(job: Job, limit: float | None) -> Outcome:
    """`execute` a job for one slice of time on another machine, which may not see our disk.

    A job that is not done by then comes back with its checkpoints, and goes on from them on any machine. The limit is
    checked between chunks of training.
    """
    threads.use_one()
    compilation.enable_cache()
    began = time.monotonic()
    if refusal := refused(job):
        return refusal
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        remote = replace(job, folder=Path(name))
        for path, data in job.carried.items():
            write_atomically(remote.folder / path, data)

        def stop():  # only when there is a new checkpoint to return
            return time.monotonic() - began > SLICE_SECONDS and remote.checkpoint_files() != job.carried

        outcome = execute(remote, stop=stop, limit=None if limit is None else limit - job.spent)
        if outcome.records:
            return outcome
        return replace(outcome, carried=remote.checkpoint_files(), spent=job.spent + time.monotonic() - began)
