"""The stored trajectory that stands for a cell: that of its median run. No JAX here."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from bench.analysis.scores import CellKey, Cells
from bench.records.run import RunRecord
from bench.records.trajectory import FindTrajectory


def no_trajectory(run: RunRecord) -> None:
    """A `Find` for records without files."""


class MedianTrajectory(NamedTuple):
    """The trajectory that stands for a cell, and the seed that it is of."""

    cell: CellKey
    seed: int
    stored: dict[str, Any]


def median_trajectories(cells: Cells, find: FindTrajectory) -> Iterator[MedianTrajectory]:
    """Of each cell the run with the median cost of those that finished, the better of two in the middle."""
    for key, runs in cells.items():
        finished = sorted((run.cost, run.seed, run) for run in runs if run.cost is not None)
        if finished:
            _, seed, run = finished[(len(finished) - 1) // 2]
            stored = find(run)
            if stored is not None:
                yield MedianTrajectory(key, seed, stored)
