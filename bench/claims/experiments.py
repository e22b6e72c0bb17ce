"""Run the experiments of many claims together, so that what two claims need is computed once."""

import itertools
from collections.abc import Iterable, Iterator, Mapping

from bench.analysis.scores import group_by_cell
from bench.claims.claim import SUITE, Experiment
from bench.claims.effects import Evidence
from bench.gradients import landscape, measure, snapshots
from bench.gradients.runner import Request, Runner
from bench.records.reference import References
from bench.records.run import RunRecord, read_records
from bench.suite import Cell
from bench.sweep.job import task_of_cell


def collect_evidence(runner: Runner, experiments: Mapping[str, Experiment]) -> Evidence:
    """Compute what the experiments need, or find it in the runner's folder. Raises UsageError."""
    cells = {name: e.cells() for name, e in experiments.items() if e.kind == "runs"}
    needed = _largest_cells(itertools.chain(*cells.values()))
    runner.compute([request for e in experiments.values() for request in _requests(runner, e)])
    if not runner.interrupted:
        runner.train(needed)
    records = [record for record in read_records(runner.folder) if isinstance(record, RunRecord)]
    group_by_cell(records)  # refuses what must not be pooled
    return Evidence(
        records=records,
        grids={name: {_grid(cell) for cell in each} for name, each in cells.items()},
        references=References.beside(runner.folder).by_fingerprint(),
        measurements=runner.measurements(),
        landscapes=runner.landscapes(),
    )


def _largest_cells(cells: Iterable[Cell]) -> Iterable[Cell]:
    """Merge cells that differ in their seeds alone: the one with most seeds has the runs of all."""
    largest: dict[tuple, Cell] = {}
    for cell in cells:
        key = cell.task, cell.method_label, cell.grid
        largest[key] = max(largest.get(key, cell), cell, key=lambda c: len(c.seeds))
    return largest.values()


def _requests(runner: Runner, experiment: Experiment) -> Iterator[Request]:
    """The diagnostics of an experiment; policies that it looks at are trained first."""
    if experiment.kind == "gradients":
        for job in runner.train_with_snapshots(experiment.policy_cells()):
            path = snapshots.snapshot_path(job, experiment.policy)
            yield measure.Request(
                SUITE, path, experiment.policy, experiment.models, experiment.horizons, experiment.updates
            )
    elif experiment.kind == "landscapes":
        for task, seed in itertools.product(experiment.tasks, range(experiment.seeds)):
            yield landscape.Request(SUITE, task, experiment.models, seed)


def _grid(cell: Cell) -> tuple[str, float, int]:
    task = task_of_cell(cell)
    return cell.task_label, float(task.horizon), task.num_steps
