"""The stored trajectory that stands for a cell: that of the run with the median cost. No JAX here."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from bench.analysis.scores import CellKey, Cells
from bench.records.run import RunRecord
from bench.records.trajectory import FindTrajectory


def no_trajectory(run: RunRecord) -> None:
    """A `FindTrajectory` for records without files: it finds none."""


class MedianTrajectory(NamedTuple):
    """The stored trajectory of a cell's median run, and the run's seed."""

    cell: CellKey
    seed: int
    stored: dict[str, Any]


def median_trajectories(cells: Cells, find: FindTrajectory) -> Iterator[MedianTrajectory]:
    """Find the trajectory of the run with the median cost among a cell's finished runs, for each cell.

    With an even number of runs it is the better of the two in the middle. Cells without a stored trajectory are left
    out.
    """
    for key, runs in cells.items():
        finished = sorted((run.cost, run.seed, run) for run in runs if run.cost is not None)
        if finished:
            _, seed, run = finished[(len(finished) - 1) // 2]
            stored = find(run)
            if stored is not None:
                yield MedianTrajectory(key, seed, stored)
