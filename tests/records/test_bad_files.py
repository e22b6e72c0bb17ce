"""Whatever lies in a record's place, a reader says which file and why, and reads the others."""

import dataclasses
import json
import os
import stat
import time
from pathlib import Path

import pytest
from synthetic import record, trajectory, write_record
from typer.testing import CliRunner

from bench.cli import app
from bench.gradients.records import read_all_measurements
from bench.records import files, run
from bench.records.cell_file import CellFile, read_records
from bench.records.files import RecordError, read_file, set_aside
from bench.records.run import RUN_DECODER, read_record, record_path, run_schema, storable
from bench.records.trajectory import trajectory_finder
from bench.records.tuning import known_tunings

GOOD = record(points=2)


def path_of(folder, one=GOOD):
    return record_path(folder, one.key, one.seed)


def stored(**changes):
    """The text of a good record with other values; a dotted name reaches inside."""
    write = {each.name: getattr(GOOD, each.name) for each in dataclasses.fields(GOOD) if each.compare}
    data = json.loads(json.dumps(write))
    for name, value in changes.items():
        *parts, last = (int(part) if part.isdigit() else part for part in name.split("__"))
        inner = data
        for part in parts:
            inner = inner[part]
        if value is ...:
            del inner[last]
        else:
            inner[last] = value
    return json.dumps(data)


def refusal(folder, text):
    """The reason why a record is refused; the good one beside it is read all the same."""
    other = dataclasses.replace(GOOD, seed=1)
    write_record(path_of(folder, other), other)
    path_of(folder).write_text(text, encoding="utf-8", errors="surrogatepass")
    bad, good = read_records(folder)
    assert good == other
    assert isinstance(bad, RecordError)
    assert str(path_of(folder)) in str(bad)
    assert "\n" not in str(bad)
    return str(bad)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"seed": -1}, "$.seed"),
        ({"seed": True}, "$.seed"),
        ({"num_steps": 10.5}, "$.num_steps"),
        ({"num_steps": 0}, "$.num_steps"),
        ({"horizon": 0.0}, "$.horizon"),
        ({"status": "weird"}, "$.status"),
        ({"cost": True}, "$.cost"),
        ({"cost": float("nan")}, "malformed"),
        ({"cost": 10**400}, "$.cost"),
        ({"cost": None}, "ok without a cost"),
        ({"cost": -1e9}, "not that of its last evaluations"),
        ({"status": "diverged"}, "diverged and has a cost"),
        ({"status": "failed"}, "failed and has a cost"),
        ({"curve": []}, "ok without a cost"),
        ({"curve": {}}, "$.curve"),
        ({"curve__1__cost": None}, "evaluation that has none"),
        ({"curve__1__env_steps": 10**6}, "env_steps falls"),
        ({"curve__1__train_seconds": -1.0}, "train_seconds"),
        ({"curve__1__train_seconds": 1e9}, "train_seconds falls"),
        ({"usage": {}}, "$.usage"),
        ({"usage__compile_seconds": -1}, "compile_seconds"),
        ({"settings__method": None}, "$.settings.method"),
        ({"settings__task__num_steps": 11}, "num_steps differs"),
        ({"settings__method__rate": 2.0}, "holds another run"),
        ({"method": "other"}, "holds another run"),
        ({"seed": 7}, "holds another run"),
        ({"suite": ""}, "$.suite"),
        ({"provenance__started": 3}, "provenance.started"),
        ({"rescored": {"adaptive": 1.0}}, "rescored lacks"),
        ({"error": 3}, "$.error"),
        ({"trajectory": {}}, "trajectory"),
        ({"more": 1}, "more"),
        ({"curve": ...}, "curve"),
        ({"schema": 2, "curve": ...}, "schema 2, this version reads 1"),
        ({"schema": True}, "$.schema"),
        ({"schema": ...}, "schema"),
        ({"error": "\ud800"}, "surrogate"),
    ],
)
def test_a_record_that_cannot_be_true_is_refused_with_the_reason(tmp_path, changes, reason):
    assert reason in refusal(tmp_path, stored(**changes))


@pytest.mark.parametrize("text", ["[" * 100_000, '{"settings":' * 100_000, "\0" * 4096, "\ud800", "3", "\ufeff{}"])
def test_what_is_no_record_at_all_is_refused(tmp_path, text):
    assert "not a run record" in refusal(tmp_path, text)


def test_the_unchanged_record_is_read(tmp_path):
    write_record(path_of(tmp_path), GOOD)
    path_of(tmp_path).write_text(stored())
    assert read_record(path_of(tmp_path)) == GOOD


def dangling(path: Path):
    path.symlink_to("nowhere")


def looping(path: Path):
    path.symlink_to(path.name)


def endless(path: Path):
    path.symlink_to("/dev/zero")


def socket_at(path: Path):
    os.mknod(path, stat.S_IFSOCK)


def huge(path: Path):
    path.touch()
    os.truncate(path, 10**12)  # a file of holes


NON_FILES = [os.mkfifo, Path.mkdir, dangling, looping, endless, socket_at, huge]


@pytest.mark.parametrize("make", NON_FILES)
def test_only_ordinary_files_are_read_and_others_are_set_aside(tmp_path, make):
    path = tmp_path / "records" / "x.json"
    path.parent.mkdir()
    make(path)
    began = time.process_time()
    with pytest.raises(RecordError, match=r"x\.json: ") as refused:
        read_file(path)
    assert time.process_time() - began < 0.1  # a terabyte of zeros was not read
    assert list(map(str, read_records(tmp_path))) == [str(refused.value)]
    assert set_aside(path) == "It is kept as x.json.unusable-1"
    assert not os.path.lexists(path)
    dangling(path)
    assert set_aside(path) == "It is kept as x.json.unusable-2"


@pytest.mark.parametrize("make", NON_FILES)
def test_views_are_made_in_spite_of_bad_files(tmp_path, make):
    write_record(path_of(tmp_path), dataclasses.replace(GOOD, trajectory=trajectory(GOOD)))
    bad = [tmp_path / name for name in ("records/x.json", "gradients/x.json", "claims.json", "tuned.toml")]
    bad.append(run.trajectory_path(tmp_path, GOOD))
    bad[-1].unlink()
    for path in bad:
        path.parent.mkdir(exist_ok=True)
        make(path)
    done = CliRunner().invoke(app, ["report", str(tmp_path)])
    assert done.exit_code == 0, done.output
    for path in bad:
        assert f"warning: {path}: " in done.stderr
    assert (tmp_path / "leaderboard.csv").exists()


def test_a_file_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(files.os, "open", refuse)  # root may read everything
    with pytest.raises(RecordError, match=r"x: cannot be read \(Permission denied\)"):
        read_file(tmp_path / "x")


@pytest.mark.parametrize("text", ["[" * 100_000, "{}", "\0", '{"policy": 3}'])
def test_trajectories_and_measurements_that_cannot_be_used_are_named(tmp_path, text):
    write_record(path_of(tmp_path), dataclasses.replace(GOOD, trajectory=trajectory(GOOD)))
    told = []
    find = trajectory_finder(tmp_path, told.append)
    assert find(GOOD) == trajectory(GOOD)
    (tmp_path / "gradients").mkdir()
    bad = run.trajectory_path(tmp_path, GOOD), tmp_path / "gradients" / "m.json"
    for path in bad:
        path.write_text(text)
    assert find(GOOD) is None
    assert list(read_all_measurements(tmp_path, told.append)) == []
    assert [line.partition(": ")[0] for line in told] == list(map(str, bad))


def test_a_trajectory_of_another_length_is_not_used(tmp_path):
    other = dataclasses.replace(GOOD, num_steps=GOOD.num_steps + 1)
    write_record(path_of(tmp_path), dataclasses.replace(GOOD, trajectory=trajectory(other)))
    told = []
    assert trajectory_finder(tmp_path, told.append)(GOOD) is None
    assert "10 steps need 11 states" in told[0]


def test_half_a_surrogate_pair_is_stored_and_read_again(tmp_path):
    settings = {"task": {"\udcff": "\ud800"}, "method": {"x": float("inf")}, "budget": {}}
    odd = dataclasses.replace(GOOD, suite="\udcff", method="\udcff", error="\ud83d", settings=settings)
    CellFile.of(tmp_path, odd.key).put([odd])
    (found,) = read_records(tmp_path)
    assert not isinstance(found, RecordError), found
    assert found.error == "\\ud83d"
    assert found.settings == storable(settings)
    assert path_of(tmp_path, found) == path_of(tmp_path, odd)


def test_a_record_that_could_not_be_read_is_not_written(tmp_path):
    cell = CellFile.of(tmp_path, GOOD.key)
    cell.put([GOOD])
    with pytest.raises(ValueError, match=r"\$\.cost"):
        cell.put([dataclasses.replace(GOOD, cost=float("nan"))])
    assert cell.read() == ({0: GOOD}, [])


def test_the_shipped_schema_is_that_of_the_type():
    """Write it again by `python -m bench.records`."""
    assert run.SCHEMA_FILE.read_text() == run_schema()


def test_records_are_decoded_fast():
    text = stored().encode()
    began = time.process_time()
    for _ in range(1000):
        RUN_DECODER.decode(text)
    # 10,000 records take 2 CPU s with files and names; decoding is a tenth of that, and the rest is for slow machines.
    assert time.process_time() - began < 0.2


def test_tunings_out_of_range_are_refused(tmp_path):
    (tmp_path / "tuned.toml").write_text("[m]\nsuite = 's'\ntasks = []\nseeds = 0\n")
    with pytest.raises(ValueError, match=r"tuned\.toml: no file of tunings"):
        known_tunings(tmp_path)
