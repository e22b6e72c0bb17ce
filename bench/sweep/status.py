"""The state of a sweep, read from the files of its folder, whether or not it still runs. No JAX.

`sweep.json` lists the cells that were asked for; records, locks and checkpoints show how far each is.
"""

import json
import math
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from bench.machine import locks
from bench.records.cell_file import CellFile
from bench.records.decode import Count, DecodeError, Decoder, Name, Size, check, stored_as
from bench.records.files import MAX_BYTES, RecordError, open_regular, read_file, set_aside, write_atomically
from bench.records.run_parts import BlockPoint

PLAN = "sweep.json"
MAX_FIRST_LINE = 200  # bytes of a checkpoint's first line, a checksum


def _within(folder: str) -> Any:
    """A path of a file in a folder of the sweep's own."""
    return Annotated[str, Meta(pattern=rf"^{folder}/[^/]+$")]


@dataclass(frozen=True)
class PlannedCell:
    """A cell that was asked for. Paths are relative to the folder; the lock has the name of the cell's files.

    `records` is in older plans, which name a file for each seed.
    """

    task: Name
    num_steps: Size
    method: Name
    seeds: list[Count]
    lock: str = field(metadata=stored_as(_within("locks")))
    checkpoints: str = field(metadata=stored_as(_within("checkpoints")))  # a pattern of paths
    records: list[str] = field(default_factory=list)


_DECODER = Decoder(PlannedCell)


@dataclass(frozen=True)
class CellState:
    """How far a planned cell is: the number of its runs by status, who holds its lock, and its last evaluation."""

    cell: PlannedCell
    counts: dict[str, int]
    holder: dict[str, Any] | None
    point: dict[str, Any] | None
    unreadable: tuple[str, ...]  # its files and the reasons

    @property
    def description(self) -> str:
        """The state in words: runs by status, and whether the cell is running, interrupted or waiting."""
        missing = max(0, len(self.cell.seeds) - sum(self.counts.values()))
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
        try:
            known = {cell.lock: cell for cell in planned_cells(folder)}
        except RecordError:
            set_aside(folder / PLAN)
            known = {}
        for cell in cells:
            old = known.get(cell.lock)
            known[cell.lock] = cell if old is None or len(old.seeds) < len(cell.seeds) else old
        write_atomically(folder / PLAN, json.dumps([asdict(cell) for cell in known.values()], indent=1) + "\n")


def planned_cells(folder: Path) -> list[PlannedCell]:
    """The cells that were asked for in a folder; none if it has no plan. Raises RecordError if that cannot be read."""
    try:
        return _DECODER.decode_list(read_file(folder / PLAN))
    except FileNotFoundError:
        return []
    except DecodeError as error:
        raise RecordError(f"{folder / PLAN}: not a plan of a sweep ({error}).") from error


def cell_states(folder: Path) -> list[CellState]:
    """The state of every planned cell of a folder. Raises RecordError if its plan cannot be read."""
    return [_state(folder, cell) for cell in planned_cells(folder)]


def _state(folder: Path, cell: PlannedCell) -> CellState:
    counts = {"ok": 0, "diverged": 0, "failed": 0}
    found = CellFile(folder, Path(cell.lock).stem).read()
    for seed in found.records.keys() & set(cell.seeds):
        counts[found.records[seed].status] += 1
    unreadable = [str(error) for error in found.errors]
    point = progress(folder, cell.checkpoints, [seed for seed in cell.seeds if seed not in found.records])
    counts["unreadable"] = len(unreadable)
    holder = locks.holder(folder / cell.lock)
    return CellState(cell, counts, holder, point, tuple(unreadable))


def progress(folder: Path, pattern: str, seeds: Collection[int]) -> dict[str, Any] | None:
    """The last evaluations in the checkpoints of these seeds as one, with the mean share; None if there is none."""
    found = [header for path in folder.glob(pattern) if (header := _header(path))]
    points = [point for trained, point in found if set(trained) <= set(seeds)]
    if not points:
        return None
    done = sum(point["share"] * len(point["cost"]) for point in points)
    joined = {name: [value for point in points for value in point[name]] for name in ("cost", "end_error", "violation")}
    return {**points[-1], **joined, "share": min(1.0, done / len(seeds))}


def last_point(checkpoint: Path) -> dict[str, Any] | None:
    """The last evaluation in a checkpoint, as values of JSON; None if there is none to read."""
    found = _header(checkpoint)
    return found[1] if found else None


def trained_seeds(checkpoint: Path) -> set[int]:
    """The seeds of a checkpoint; none if they cannot be read."""
    found = _header(checkpoint)
    return set(found[0]) if found else set()


def _header(checkpoint: Path) -> tuple[list[int], dict[str, Any]] | None:
    """The seeds of a checkpoint and its last evaluation; None if they cannot be read."""
    try:
        with open_regular(checkpoint) as file:
            file.readline(MAX_FIRST_LINE)
            header = check(json.loads, file.readline(MAX_BYTES))  # costs may be NaN, which only Python's JSON reads
        seeds, point = header["identity"]["seeds"], header["curve"][-1]
        check(msgspec.convert, seeds, list[Count])
        check(msgspec.convert, point, BlockPoint)
        return (seeds, point) if math.isfinite(point["share"]) else None
    except (OSError, ValueError, LookupError, TypeError):
        return None
