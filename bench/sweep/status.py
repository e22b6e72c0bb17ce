"""The state of a sweep, read from the files of its folder, whether or not it still runs. No JAX.

`sweep.json` lists the cells that were asked for; records, locks and checkpoints show how far each is.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.machine import locks
from bench.records.files import RecordError, write_atomically
from bench.records.run import read_record

PLAN = "sweep.json"


@dataclass(frozen=True)
class PlannedCell:
    """A cell that was asked for. Paths are relative to the folder."""

    task: str
    num_steps: int
    method: str
    seeds: list[int]
    records: list[str]
    lock: str
    checkpoints: str  # a pattern of paths


@dataclass(frozen=True)
class CellState:
    """How far a planned cell is: the number of its runs by status, who holds its lock, and its last evaluation."""

    cell: PlannedCell
    counts: dict[str, int]
    holder: dict[str, Any] | None
    point: dict[str, Any] | None

    @property
    def description(self) -> str:
        """The state in words: runs by status, and whether the cell is running, interrupted or waiting."""
        missing = len(self.cell.records) - sum(self.counts.values())
        share = f" at {self.point['share']:.0%}" if self.point else ""
        parts = [f"{count} {status}" for status, count in self.counts.items() if count]
        if self.holder:
            parts.append(f"running{share} (process {self.holder.get('pid')} on {self.holder.get('host')})")
        elif missing:
            parts.append(f"interrupted{share}" if self.point else f"{missing} waiting")
        return ", ".join(parts)


def add_to_plan(folder: Path, cells: Iterable[PlannedCell]) -> None:
    """Add cells to the plan of a folder, which never loses any. Raises OSError."""
    with locks.hold(folder / "locks" / "sweep.lock"):
        known = {cell.lock: cell for cell in planned_cells(folder)}
        for cell in cells:
            old = known.get(cell.lock)
            known[cell.lock] = cell if old is None or len(old.seeds) < len(cell.seeds) else old
        write_atomically(folder / PLAN, json.dumps([asdict(cell) for cell in known.values()], indent=1) + "\n")


def planned_cells(folder: Path) -> list[PlannedCell]:
    """The cells that were asked for in a folder; none if its plan is missing or cannot be read."""
    try:
        return [PlannedCell(**cell) for cell in json.loads((folder / PLAN).read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError):
        return []


def cell_states(folder: Path) -> list[CellState]:
    """The state of every planned cell of a folder."""
    return [_state(folder, cell) for cell in planned_cells(folder)]


def _state(folder: Path, cell: PlannedCell) -> CellState:
    counts = {"ok": 0, "diverged": 0, "failed": 0, "unreadable": 0}
    for record in cell.records:
        try:
            if (folder / record).exists():
                counts[read_record(folder / record).status] += 1
        except RecordError:
            counts["unreadable"] += 1
    points = [point for path in folder.glob(cell.checkpoints) if (point := last_point(path))]
    return CellState(cell, counts, locks.holder(folder / cell.lock), points[-1] if points else None)


def last_point(checkpoint: Path) -> dict[str, Any] | None:
    """The last evaluation in a checkpoint, as values of JSON; None if there is none to read."""
    try:
        with checkpoint.open("rb") as file:
            file.readline()
            return json.loads(file.readline())["curve"][-1]
    except (OSError, ValueError, KeyError, IndexError):
        return None
