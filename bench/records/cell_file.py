"""The records of a cell in one file with a line for each seed, which several processes may write at once. No JAX.

`records/CELL.jsonl` is sorted by seed, and replaced as a whole under a lock. A process that gets no lock writes
`CELL.HOST-PID.jsonl` beside it, which the next one that has the lock takes in. Older folders have a file for each
seed, `CELL-seedN.json`. Readers take all of them, each seed once: its newest record, and an older file only if no line
has its seed.
"""

import errno
import json
import os
import re
import secrets
import socket
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.machine import locks
from bench.records.files import RecordError, set_aside, supersede, write_atomically
from bench.records.record_lines import (
    MAX_CELL_BYTES,
    Contents,
    Line,
    add_newest,
    cell_of,
    joined,
    newest_records,
    read_lines,
)
from bench.records.run import RunRecord, encode_run, read_record, run_name, storable, trajectory_path


@dataclass(frozen=True)
class CellFile:
    """The records of a cell in a folder of results; `name` is that of the cell's files (`run_name`)."""

    folder: Path
    name: str

    @classmethod
    def of(cls, folder: Path, record_key: dict[str, Any]) -> "CellFile":
        """The records of the cell that a key defines (`RunRecord.key`)."""
        return cls(folder, run_name(record_key))

    @property
    def path(self) -> Path:
        """The file with a line for each seed."""
        return self.folder / "records" / f"{self.name}.jsonl"

    def read(self) -> Contents:
        """Read the records. One that cannot be read is an error among the contents, and hides no other."""
        while True:
            try:
                return newest_records(self._files())
            except FileNotFoundError:  # another process has just taken a file in
                continue

    def put(self, records: Collection[RunRecord]) -> list[str]:
        """Store records, first their trajectories, in place of older ones of their seeds. Other seeds are kept.

        Lines and files that cannot be read are set aside; a sentence for each says where they are. Raises OSError, or
        TypeError or ValueError for a value that JSON lacks and for a record that could not be read.
        """
        new = {record.seed: Line(encode_run(record), record) for record in records}
        for record in records:
            if record.trajectory is not None:  # first, because a run that has a record is done
                text = json.dumps(storable(record.trajectory), allow_nan=False) + "\n"
                write_atomically(trajectory_path(self.folder, record), text)
        with self._locked() as locked:
            own = self.path.with_name(f"{self.name}.{_writer()}.jsonl")
            notes = self._merge(self.path, self._claimed(), new) if locked else self._merge(own, [own], new)
            for seed in new:
                notes += _remove_older(self._older(seed))
        return notes

    def supersede(self, seeds: Collection[int]) -> list[str]:
        """Move the records of seeds, and all other files of these runs, into `superseded/`. Raises OSError.

        Without a lock the lines also stay until newer ones take their place. Returns what `put` does.
        """
        with self._locked() as locked:
            notes = self._merge(self.path, self._claimed(), {}) if locked else []
            found: dict[int, Line] = {}
            for path in self._files_of_lines():
                with suppress(FileNotFoundError, RecordError):
                    add_newest(found, path)
            old = {seed: line for seed, line in found.items() if seed in seeds}
            if old:
                supersede(self.path, joined(old))
            if old and locked:
                _write(self.path, {seed: line for seed, line in found.items() if seed not in old})
        for seed in seeds:
            for path in sorted(self.folder.glob(f"*/{self.name}-seed{seed}[-.]*")):
                supersede(path)
        return notes

    def _locked(self) -> AbstractContextManager[bool]:
        return locks.hold(self.folder / "locks" / f"{self.name}.records.lock")

    def _older(self, seed: int) -> Path:
        """The file of a seed's record in older folders."""
        return self.path.with_name(f"{self.name}-seed{seed}.json")

    def _files(self) -> list[Path]:
        """All files with records of the cell."""
        try:
            names = sorted(name for name in os.listdir(self.path.parent) if name.startswith(self.name))
        except OSError:
            return []
        return [self.path.with_name(name) for name in names if cell_of(name) == self.name]

    def _files_of_lines(self) -> list[Path]:
        return [path for path in self._files() if path.suffix == ".jsonl"]

    def _claimed(self) -> list[Path]:
        """The files with lines. Those of other processes get new names, to which nobody writes."""
        claimed = [self.path]
        for path in self._files_of_lines():
            if path != self.path:
                with suppress(FileNotFoundError):  # claimed by a process whose lock is not seen here
                    name = f"{self.name}.{_writer()}-{secrets.token_hex(4)}.jsonl"
                    claimed.append(path.rename(path.with_name(name)))
        return claimed

    def _merge(self, target: Path, sources: Collection[Path], new: Mapping[int, Line]) -> list[str]:
        """Make `target` of the newest lines of `sources` and of `new` ones, and delete the other sources."""
        notes: list[str] = []
        found: dict[int, Line] = {}
        for path in sources:
            try:
                bad = add_newest(found, path)
            except FileNotFoundError:
                continue
            except RecordError as error:
                notes.append(f"{error} {set_aside(path)}.")
                continue
            if bad:
                kept = set_aside(path, b"".join(line.data + b"\n" for line in bad))
                notes += [f"{line.error} {kept}." for line in bad]
        _write(target, found | {**new})
        for path in sources:
            if path != target:
                path.unlink(missing_ok=True)
        return notes


def _write(path: Path, lines: Mapping[int, Line]) -> None:
    text = joined(lines)
    if len(text) > MAX_CELL_BYTES:  # it could not be read again
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
    if text:
        write_atomically(path, text)
    else:
        path.unlink(missing_ok=True)


def _remove_older(path: Path) -> list[str]:
    """Delete a seed's file that a line has replaced. One that cannot be read is set aside, with a sentence."""
    try:
        read_record(path)
        path.unlink(missing_ok=True)
    except FileNotFoundError:
        pass
    except RecordError as error:
        return [f"{error} {set_aside(path)}."]
    return []


def _writer() -> str:
    """A name for this process on this machine, short enough for the name of a file."""
    return f"{re.sub('[^0-9A-Za-z]', '_', socket.gethostname())[:20]}-{os.getpid()}"


def read_records(folder: Path) -> Iterator[RunRecord | RecordError]:
    """Yield every record under `folder`, in the order of cells; a RecordError in place of one that is unreadable."""
    cells: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("records/*.json*"), key=str):  # paths themselves compare slowly
        if path.suffix in (".json", ".jsonl"):
            cells.setdefault(f"{path.parent}/{cell_of(path.name) or path.name}", []).append(path)
    for _, paths in sorted(cells.items()):
        cell = cell_of(paths[0].name)
        if not cell:
            yield from _records_of(paths[0])
            continue
        try:
            found = newest_records(paths)
        except FileNotFoundError:  # another process has just moved one of them
            found = CellFile(paths[0].parents[1], cell).read()
        yield from found.errors
        yield from (found.records[seed] for seed in sorted(found.records, key=str))


def _records_of(path: Path) -> Iterator[RunRecord | RecordError]:
    """The records in a file that is not named for a cell."""
    try:
        yield from (line.record if isinstance(line, Line) else line.error for line in read_lines(path))
    except FileNotFoundError:
        return
    except RecordError as error:
        yield error
