"""Claims' experiments, run: cells, policies and landscapes together, so that what two claims need is done once."""

import itertools
from collections.abc import Mapping

from bench.claims.claim import SUITE, Experiment
from bench.claims.effects import Evidence
from bench.gradients import landscape, measure, snapshots
from bench.gradients.runner import Request, Runner
from bench.records.reference import References
from bench.records.run import RunRecord, read_records
from bench.suite import Cell
from bench.sweep.job import task_of_cell


def collect_evidence(work: Runner, experiments: Mapping[str, Experiment]) -> Evidence:
    """Everything that the experiments need, computed now or found in the folder. Raises UsageError."""
    cells = {name: e.cells() for name, e in experiments.items() if e.kind == "runs"}
    # A cell of fewer seeds is part of the same cell of more; equal ones are one.
    most = {}
    for cell in itertools.chain(*cells.values()):
        key = cell.task, cell.method_label, cell.grid
        most[key] = max(most.get(key, cell), cell, key=lambda c: len(c.seeds))
    requests: list[Request] = []
    for e in experiments.values():
        if e.kind == "gradients":
            for job in work.train_and_keep(e.hosts()):
                path = snapshots.snapshot_path(job, e.policy)
                requests.append(measure.Request(SUITE, path, e.policy, e.models, e.horizons, e.updates))
        elif e.kind == "landscapes":
            requests += [landscape.Request(SUITE, t, e.models, s) for t in e.tasks for s in range(e.seeds)]
    work.compute(requests)
    if not work.interrupted:
        work.train(most.values())
    records = [record for record in read_records(work.folder) if isinstance(record, RunRecord)]
    grids = {name: {_grid(cell) for cell in own} for name, own in cells.items()}
    return Evidence(
        records, grids, References.beside(work.folder).by_fingerprint(), work.measurements(), work.landscapes()
    )


def _grid(cell: Cell) -> tuple[str, float, int]:
    task = task_of_cell(cell)
    return cell.task_label, float(task.horizon), task.num_steps
