"""Records are stored exactly, and an unreadable one is named."""

import dataclasses
import json
import os
import sys

import pytest
from synthetic import write_record

from bench.records.cell_file import CellFile, read_records
from bench.records.files import RecordError
from bench.records.run import RunRecord, final_cost, read_record, record_path, run_name

RECORD = RunRecord(
    suite="s",
    task="t",
    horizon=1.0,
    num_steps=10,
    method="m",
    seed=0,
    status="ok",
    cost=0.1 + 0.2,
    curve=[{"env_steps": 0, "train_seconds": 0.0, "cost": 0.1 + 0.2, "end_error": None}],
    usage={"env_steps": 0, "env_grad_steps": 0, "train_seconds": 0.0, "compile_seconds": 1.5},
    fingerprint="f",
    settings={"task": {"a": 1}, "method": {}, "budget": {}},
)


def test_round_trip_is_exact(tmp_path):
    write_record(tmp_path / "older" / "records" / "r.json", RECORD)
    assert read_record(tmp_path / "older" / "records" / "r.json") == RECORD
    CellFile.of(tmp_path / "newer", RECORD.key).put([RECORD])
    assert list(read_records(tmp_path)) == [RECORD, RECORD]


def test_a_failed_write_leaves_the_old_record_whole(tmp_path, monkeypatch):
    cell = CellFile.of(tmp_path, RECORD.key)
    cell.put([RECORD])

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        cell.put([dataclasses.replace(RECORD, error="other")])
    assert cell.read().records == {0: RECORD}
    assert [*cell.path.parent.iterdir()] == [cell.path]  # no temporary file stays behind


@pytest.mark.parametrize("text", ["", "{", '{"schema": 1}', "[]", json.dumps({"schema": 2})])
def test_an_unreadable_record_is_named_and_does_not_hide_the_others(tmp_path, text):
    write_record(tmp_path / "records" / "b.json", RECORD)
    (tmp_path / "records" / "a.json").write_text(text)
    bad, good = read_records(tmp_path)
    assert isinstance(bad, RecordError)
    assert "a.json" in str(bad)
    assert good == RECORD


def test_every_setting_is_part_of_a_records_name(tmp_path):
    key = {"suite": "s", "task": "t", "method": "m", "fingerprint": "f", "settings": {"method": {"a": 1}}}
    changed = [{**key, part: "other"} for part in key] + [{**key, "settings": {"method": {"a": 2}}}]
    paths = {record_path(tmp_path, k, 0) for k in [key, *changed]} | {record_path(tmp_path, key, 1)}
    assert len(paths) == len(changed) + 2


def test_names_of_files_are_short_enough_for_a_disk():
    key = {"suite": "s", "task": "\u65e5" * 300, "method": "m" * 300, "fingerprint": "f", "settings": {}}
    # 255 bytes less a seed, an ending, a host, a process, and what a temporary file's name adds.
    assert len(run_name(key).encode()) <= 170
    assert run_name(key) != run_name(key | {"task": "\u65e5" * 299})


def test_final_cost_is_the_mean_of_the_last_five():
    curve = [{"cost": float(c)} for c in (100, 1, 2, 3, 4, 5)]
    assert final_cost(curve) == ("ok", 3.0)
    assert final_cost(curve[:2]) == ("ok", 50.5)
    assert final_cost([{"cost": None}, *curve]) == ("diverged", None)


ROUNDED = next(c / 7 for c in range(1, 100) if final_cost([{"cost": c / 7}] * 5) != ("ok", c / 7))
LARGEST = sys.float_info.max


@pytest.mark.parametrize(
    "costs",
    [[ROUNDED] * 5, [LARGEST] * 5, [-LARGEST] * 2, [LARGEST, 1e308, -1.0], [5e-324] * 5, [5e-324, 0.0], [-0.0], [0.0]],
)
def test_any_run_that_ended_is_stored(tmp_path, costs):
    curve = [{"env_steps": i, "train_seconds": 0.0, "cost": cost, "end_error": None} for i, cost in enumerate(costs)]
    record = dataclasses.replace(RECORD, curve=curve, cost=final_cost(curve)[1])
    cell = CellFile.of(tmp_path, record.key)
    cell.put([record])
    assert cell.read().records == {0: record}
