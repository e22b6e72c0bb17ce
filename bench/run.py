"""The library's front door: cells in, records out.

records = run(load("smoke").cells(), Path("results/smoke"))
"""

from collections.abc import Iterable
from pathlib import Path

from bench.records.run import RunRecord
from bench.suite import Cell
from bench.sweep.job import prepare
from bench.sweep.observer import Silent
from bench.sweep.schedule import Sweep, in_process


def run(cells: Iterable[Cell], folder: Path, again: bool = False) -> list[RunRecord]:
    """Return every record of `cells`, computed now or found in `folder`.

    The bits are those of `python -m bench run` if NPROC=1 was set before JAX first computed (bench/machine/threads.py).
    Raises UsageError for cells that are not well formed, and OSError if a record could not be stored.
    """
    jobs = prepare(cells, folder, again)
    observer = Silent()
    sweep = Sweep(in_process(observer), observer)
    sweep.run(jobs)
    for place, reason in sweep.unstored.items():
        raise OSError(f"{place} could not be written: {reason}")
    found = ((job, job.stored.read().records) for job in jobs)
    return [records[seed] for job, records in found for seed in job.cell.seeds]
