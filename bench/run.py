"""Cells to records: train, catch, stamp; here, in a worker process, or on another machine.

records = run(load("smoke").cells(), Path("results/smoke"))
"""

import tempfile
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from bench import cache, reference, threads
from bench.executors import TimeLimitError, should_stop
from bench.jobs import Job, prepare
from bench.records import RunRecord, read, write_atomically
from bench.stamp import stamped
from bench.suite import Cell
from bench.train import Evaluation, train

SLICE = 300  # seconds of a cell on another machine, of which at most so many are lost with it


@dataclass(frozen=True)
class Outcome:
    """What became of a job: its records, none if it was interrupted; what a reader should be told; the full traceback
    of a failure; and, of one that was interrupted on another machine, how it goes on (see `Job`)."""

    records: list[RunRecord]
    notes: list[str] = field(default_factory=list)
    log: str = ""
    carried: dict[str, bytes] = field(default_factory=dict)
    spent: float = 0.0


Observer = Callable[[Job, Evaluation], None]


def execute(
    job: Job,
    observe: Observer = lambda job, evaluation: None,
    stop: Callable[[], bool] = lambda: False,
    limit: float | None = None,
) -> Outcome:
    """Train the seeds that are still to be run; nothing but checkpoints is written.

    An exception makes the records "failed"; but a block of seeds that does not fit in memory is split. Between chunks
    it is asked whether to `stop`, and whether the job has taken more than `limit` seconds.
    """
    began, started = time.monotonic(), datetime.now(UTC)
    checkpoint = job.checkpoint()
    evaluations: list[Evaluation] = []
    error, ended_by = "", job.budget.ended_by(job.method.usage(job.task))
    try:
        reference.give(job.known)
        for evaluation in train(job.task, job.method, job.budget, job.todo, checkpoint):
            evaluations.append(evaluation)
            observe(job, evaluation)
            if evaluation.share < 1:
                if stop():
                    return Outcome([], checkpoint.notes)
                if limit is not None and time.monotonic() - began > limit:
                    raise TimeLimitError(f"took more than {limit:g} s")
        if evaluations[-1].share < 1:
            ended_by = "seconds"
    except Exception as problem:  # whatever a method raises, the sweep goes on; the traceback is in the record
        if "RESOURCE_EXHAUSTED" in str(problem) and len(job.todo) > 1:  # XLA's word for it
            return _halves(job, lambda half: execute(half, observe, stop, limit))
        error, ended_by = traceback.format_exc(), "time limit" if isinstance(problem, TimeLimitError) else "error"
    return Outcome(stamped(job, evaluations, started, error, ended_by), checkpoint.notes, error)


def _halves(job: Job, call: Callable[[Job], Outcome]) -> Outcome:
    """The outcome of a job whose seeds are trained in two blocks, one after the other."""
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


def failure(job: Job, error: str, ended_by: str) -> Outcome:
    """The outcome of a job that never returned one."""
    return Outcome(stamped(job, [], datetime.now(UTC), error, ended_by), [], error)


def run(cells: Iterable[Cell], folder: Path, again: bool = False) -> list[RunRecord]:
    """Every record of `cells`, computed now or found in `folder`. Raises OSError if one could not be stored.

    The bits are those of `python -m bench run` if NPROC=1 was set before JAX first computed (see bench/threads.py).
    """
    from bench.sweep import Silent, Sweep, in_process  # it stands above: it is made of jobs

    jobs = prepare(cells, folder, again)
    observer = Silent()
    sweep = Sweep(in_process(observer), observer)
    sweep.run(jobs)
    for path, reason in sweep.unstored.items():
        raise OSError(f"{path} could not be written: {reason}")
    return [read(job.path(seed)) for job in jobs for seed in job.cell.seeds]


def execute_in_worker(job: Job) -> Outcome:
    """`execute` in a worker process of `bench.executors.Workers`, which has the limit."""
    cache.enable()
    return execute(job, stop=should_stop)


def execute_remotely(job: Job, limit: float | None) -> Outcome:
    """`execute` on another machine, whose disk may not be ours, for a while: a cell that is not done by then comes back
    with its checkpoints, to go on on any machine. The limit is looked at between chunks."""
    threads.one()
    cache.enable()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        there = replace(job, folder=Path(name))
        for path, data in job.carried.items():
            write_atomically(there.folder / path, data)

        def stop():  # never before there is something new to come back with
            return time.monotonic() - began > SLICE and there.checkpoint_files() != job.carried

        outcome = execute(there, stop=stop, limit=None if limit is None else limit - job.spent)
        if outcome.records:
            return outcome
        return replace(outcome, carried=there.checkpoint_files(), spent=job.spent + time.monotonic() - began)
