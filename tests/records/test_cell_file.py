"""A cell's records in one file: processes that write at once lose nothing, and a bad line hides no other."""

import dataclasses
import multiprocessing
import time

import pytest
from synthetic import record, write_record

from bench.machine import locks
from bench.records import cell_file, record_lines
from bench.records.cell_file import CellFile, read_records
from bench.records.files import RecordError, set_aside
from bench.records.run import record_path

GOOD = record(points=2)
SPAWN = multiprocessing.get_context("spawn")


def of_seed(seed, ended="2026-01-02T00:00:00+00:00", **changes):
    return dataclasses.replace(GOOD, seed=seed, provenance={"ended": ended}, **changes)


@pytest.fixture
def cell(tmp_path):
    return CellFile.of(tmp_path, GOOD.key)


def names(cell):
    return sorted(path.name for path in cell.path.parent.iterdir())


@pytest.fixture
def no_locks(monkeypatch):
    def refuse(path, wait=False):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(locks, "acquire", refuse)
    return monkeypatch


def write_seeds(cell, seeds, without_locks):
    if without_locks:
        locks.fcntl.flock = lambda *_: (_ for _ in ()).throw(OSError(95, "Operation not supported"))
    for seed in seeds:
        cell.put([of_seed(seed)])


@pytest.mark.parametrize("without_locks", [0, 1, 2])
def test_processes_that_write_seeds_of_one_cell_at_once_lose_none(cell, without_locks):
    cell.put([of_seed(0)])
    writers = [SPAWN.Process(target=write_seeds, args=(cell, range(i, 40, 2), i > 2 - without_locks)) for i in (1, 2)]
    for writer in writers:
        writer.start()
    seen = 1
    while any(writer.is_alive() for writer in writers):
        found, errors = cell.read()
        assert not errors
        assert len(found) >= seen  # no reader ever misses what another has seen
        seen = len(found)
        time.sleep(0.001)
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert [found.seed for found in sorted(read_records(cell.folder), key=lambda r: r.seed)] == [*range(40)]
    cell.put([of_seed(40)])  # the next one that has the lock takes everything in
    assert names(cell) == [cell.path.name]
    assert sorted(cell.read().records) == [*range(41)]
    assert [f'"seed": {seed},' in line for seed, line in enumerate(cell.path.read_text().splitlines())] == [True] * 41


def test_the_newest_record_of_a_seed_counts(cell, no_locks):
    cell.put([of_seed(0, "2026-01-02", suite="s")])
    no_locks.setattr(cell_file, "_writer", lambda: "other-1")
    cell.put([of_seed(0, "2026-01-03", error="newer"), of_seed(1)])
    assert cell.read().records[0].error == "newer"
    no_locks.undo()
    cell.put([])
    assert {seed: each.error for seed, each in cell.read().records.items()} == {0: "newer", 1: ""}


def test_an_older_file_counts_only_if_no_line_has_its_seed(cell):
    for seed in (0, 1):
        write_record(record_path(cell.folder, GOOD.key, seed), of_seed(seed, "2026-01-09", error="old"))
    cell.put([of_seed(1)])
    assert [each.error for each in read_records(cell.folder)] == ["old", ""]
    assert names(cell) == [record_path(cell.folder, GOOD.key, 0).name, cell.path.name]
    write_record(record_path(cell.folder, GOOD.key, 1), of_seed(1, "2026-01-09", error="old"))
    assert [each.error for each in read_records(cell.folder)] == ["old", ""]


@pytest.mark.parametrize("bad", [b"{", b"[" * 100_000, b"\xff", b'{"schema": 1}'])
def test_a_bad_line_hides_no_other_and_is_set_aside(cell, bad):
    cell.put([of_seed(seed) for seed in (0, 1, 2)])
    lines = cell.path.read_bytes().splitlines()
    cell.path.write_bytes(b"\n".join([lines[0], bad, lines[2][:-9]]))
    one, *errors = sorted(read_records(cell.folder), key=lambda each: isinstance(each, RecordError))
    assert one == of_seed(0)
    assert [str(error).partition(": ")[0] for error in errors] == [f"{cell.path}, line {n}" for n in (2, 3)]
    notes = cell.put([of_seed(1)])
    kept = cell.path.with_name(f"{cell.path.name}.unusable-1")
    assert all(note.endswith(f"It is kept in {kept.name}.") for note in notes)
    assert kept.read_bytes() == bad + b"\n" + lines[2][:-9] + b"\n"
    assert cell.path.read_bytes().splitlines() == lines[:2]


def test_a_file_of_something_else_is_told_of_in_a_few_lines(cell):
    cell.put([of_seed(0)])
    good, other = cell.path.read_bytes(), b"{\n" * 1000
    cell.path.write_bytes(other + good + other)
    found, errors = cell.read()
    assert list(found) == [0]
    assert len(errors) == record_lines.MAX_BAD_LINES + 1
    assert str(errors[-1]) == f"{cell.path}: {2000 - record_lines.MAX_BAD_LINES} more of its lines hold no record."
    cell.put([])
    assert cell.path.read_bytes() == good
    assert cell.path.with_name(f"{cell.path.name}.unusable-1").read_bytes() == other + other


def test_a_line_of_another_run_is_refused(cell):
    other = CellFile(cell.folder, cell.name.replace("m-", "n-"))
    cell.put([of_seed(0)])
    cell.path.rename(other.path)
    (error,) = read_records(cell.folder)
    assert f"line 1: holds another run, whose file is {cell.path.name}" in str(error)


def test_lines_move_to_the_superseded_and_leave_the_others(cell):
    cell.put([of_seed(seed) for seed in (0, 1, 2)])
    text = cell.path.read_text().splitlines()
    cell.supersede([1])
    cell.supersede([2, 7])
    assert cell.path.read_text().splitlines() == text[:1]
    kept = [path.read_text() for path in sorted(cell.folder.glob(f"superseded/records-*/{cell.path.name}"))]
    assert kept == [text[1] + "\n", text[2] + "\n"]
    assert [found.seed for found in read_records(cell.folder)] == [0]


def test_processes_that_set_files_aside_at_once_overwrite_none(tmp_path):
    """Two processes put parts of a file aside under the same names."""
    path = tmp_path / "x"
    writers = [SPAWN.Process(target=set_parts_aside, args=(path, i)) for i in (1, 2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    kept = sorted(each.read_text() for each in tmp_path.glob("x.unusable-*"))
    assert kept == sorted(f"{i} {n}" for i in (1, 2) for n in range(20))


def set_parts_aside(path, i):
    for n in range(20):
        set_aside(path, f"{i} {n}".encode())
