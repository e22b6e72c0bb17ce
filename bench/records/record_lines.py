"""Files of records with one in each line, and files of a single record, as older versions wrote them. No JAX."""

import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from bench.records.files import RecordError, read_file
from bench.records.run import NAMED_FOR_A_CELL, RunRecord, decode_stored, read_record

MAX_CELL_BYTES = 2**30  # of a cell's file: some 100,000 seeds
MAX_BAD_LINES = 10  # of a file that are told of one by one; a file of something else may have any number


class Line(NamedTuple):
    """A record, and the line that holds it."""

    data: bytes
    record: RunRecord


class BadLine(NamedTuple):
    """A line that holds no record, and why; or all such lines of a file but the first ones."""

    data: bytes
    error: RecordError


class Contents(NamedTuple):
    """The records of a cell by seed, and what could not be read."""

    records: dict[int, RunRecord]
    errors: list[RecordError]


def cell_of(file_name: str) -> str | None:
    """Return the name of the cell whose records a file holds; None if the file is named otherwise."""
    named = NAMED_FOR_A_CELL.fullmatch(file_name)
    return named["cell"] if named else None


def read_lines(path: Path) -> list[Line | BadLine]:
    """Return the records in a file. Raises FileNotFoundError, or RecordError if it cannot be read as a whole."""
    if path.suffix == ".json":
        return [Line(b"", read_record(path))]
    found: list[Line | BadLine] = []
    bad, rest, more = 0, bytearray(), 0
    for number, data in enumerate(io.BytesIO(read_file(path, MAX_CELL_BYTES)), 1):
        line = _line(data.removesuffix(b"\n"), path, number) if data.strip() else None
        if isinstance(line, BadLine) and bad == MAX_BAD_LINES:
            rest += line.data + b"\n"
            more += 1
        elif line:
            found.append(line)
            bad += isinstance(line, BadLine)
    if more:
        found.append(BadLine(bytes(rest[:-1]), RecordError(f"{path}: {more} more of its lines hold no record.")))
    return found


def _line(data: bytes, path: Path, number: int) -> Line | BadLine:
    try:
        return Line(data, decode_stored(data, path, number))
    except RecordError as error:
        return BadLine(data, error)


def add_newest(found: dict[int, Line], path: Path) -> list[BadLine]:
    """Add the records in a file, unless `found` has a newer one of their seed. Return the lines that hold none.

    Raises what `read_lines` does.
    """
    lines = read_lines(path)
    for line in lines:
        if isinstance(line, Line):
            old = found.get(line.record.seed)
            if old is None or _ended(old) <= _ended(line):
                found[line.record.seed] = line
    return [line for line in lines if isinstance(line, BadLine)]


def _ended(line: Line) -> str:
    return line.record.provenance.get("ended", "")


def newest_records(paths: Iterable[Path]) -> Contents:
    """Return the newest record of each seed in the files of a cell. Raises FileNotFoundError if one has gone.

    A file of a single record counts only if no line has its seed.
    """
    found: dict[int, Line] = {}
    errors: list[RecordError] = []
    for path in sorted(paths, key=lambda path: path.suffix, reverse=True):  # lines first
        named = NAMED_FOR_A_CELL.fullmatch(path.name)
        if named and named["seed"] and int(named["seed"]) in found:
            continue
        try:
            errors += [bad.error for bad in add_newest(found, path)]
        except RecordError as error:
            errors.append(error)
    return Contents({seed: line.record for seed, line in found.items()}, errors)


def joined(lines: Mapping[int, Line]) -> bytes:
    """Return the text of a file of lines, in the order of seeds."""
    return b"".join(lines[seed].data + b"\n" for seed in sorted(lines))
