"""A Dask scheduler and workers over loopback: one worker is killed, one added, and the records equal one process's."""

import json
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from faulty_method import bench, environment, start, suite_file

from bench import suite
from bench.records.cell_file import read_records
from bench.run import run
from bench.sweep.execute import execute_remotely
from bench.sweep.executors import InProcess
from bench.sweep.job import prepare
from bench.sweep.observer import Silent
from bench.sweep.schedule import Backend, Sweep
from bench.sweep.status import last_point

TASKS = ("harvest", "simple_case", "bacteria", "cancer_treatment")


@pytest.fixture
def dask(tmp_path):
    """A function that starts a part of a cluster; all parts are ended after the test."""
    processes = []

    def begin(part, *arguments):
        command = [sys.executable, "-m", f"distributed.cli.dask_{part}", *arguments, "--no-dashboard"]
        log = (tmp_path / f"{len(processes)}.log").open("w")
        process = subprocess.Popen(command, cwd=tmp_path, env=environment(), stdout=log, stderr=log)
        log.close()
        processes.append(process)
        return process

    yield begin
    for process in processes:
        process.kill()
        process.wait()


def worker(dask, address):
    return dask("worker", address, "--nthreads", "1", "--no-nanny", "--host", "127.0.0.1")


@pytest.mark.slow
def test_cells_survive_their_worker_and_equal_those_of_one_process(tmp_path, dask):
    file = tmp_path / "scheduler.json"
    dask("scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(file))
    deadline = time.monotonic() + 60
    while not file.exists():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    address = json.loads(file.read_text())["address"]
    first, _ = worker(dask, address), worker(dask, address)
    tasks = [word for name in TASKS for word in ("--task", name)]
    arguments = (*tasks, "--set", "faulty_method:RandomWalk.work=1000000")
    walks = suite_file(tmp_path, 3000, 10)
    driver = start("run", walks, *arguments, "--cluster", address, "--out", tmp_path / "out")
    while not list(tmp_path.glob("out/records/*.jsonl")):
        assert driver.poll() is None, driver.communicate()
        time.sleep(0.02)
    first.kill()
    third = worker(dask, address)
    output, error = driver.communicate()
    assert driver.returncode == 0, error
    assert third.poll() is None
    assert sum(line.endswith("compiling") for line in output.splitlines()) == len(TASKS)
    assert not list(tmp_path.glob("out/checkpoints/*"))
    alone = bench("run", walks, *arguments, "--out", tmp_path / "alone")
    assert alone.returncode == 0, alone.stderr
    ours, theirs = (list(read_records(tmp_path / d)) for d in ("alone", "out"))
    assert len(ours) == 2 * len(TASKS)
    for one, other in zip(ours, theirs, strict=True):
        assert (one.task, one.seed, one.cost) == (other.task, other.seed, other.cost)
        assert [p["cost"] for p in one.curve] == [p["cost"] for p in other.curve]
        assert one.provenance["final_state"] == other.provenance["final_state"]


def test_a_cell_on_a_distant_machine_goes_on_from_what_came_back(tmp_path, monkeypatch):
    """One slice of time for the first evaluation, and one for each of six chunks of training.

    A driver that is stopped does not wait for the slice that is under way, so that slice is lost.
    """
    monkeypatch.setattr("bench.sweep.execute.SLICE_SECONDS", 0.0)
    cells = suite.load(str(suite_file(tmp_path, 600, 6))).cells(seeds=2)
    shares, calls = [], []

    def call(job):
        calls.append(job)
        return execute_remotely(job, limit=None)

    def drive(stop):
        sweep = Sweep(Backend(InProcess(), call, 1, stop, distant=True), Silent())
        sweep.run(prepare(cells, tmp_path / "out"))
        shares.append([point["share"] for path in tmp_path.glob("out/checkpoints/*") if (point := last_point(path))])
        return sweep.interrupted

    assert drive(lambda: len(calls) == 3)
    assert shares == [[1 / 6, 1 / 6]]  # one a seed
    assert not drive(lambda: False)
    assert not list(tmp_path.glob("out/checkpoints/*"))
    assert len(calls) == 3 + 5
    alone = run(cells, tmp_path / "alone")
    for one, other in zip(alone, read_records(tmp_path / "out"), strict=True):
        assert [p["cost"] for p in one.curve] == [p["cost"] for p in other.curve]
        assert one.provenance["final_state"] == other.provenance["final_state"]


def test_a_distant_cell_has_one_time_limit_over_all_its_slices(tmp_path, monkeypatch):
    (job,) = prepare(suite.load(str(suite_file(tmp_path, 600, 6))).cells(seeds=1), tmp_path)
    (record,) = execute_remotely(replace(job, spent=1e4), limit=1e4).records
    assert record.ended_by == "time limit"
    monkeypatch.setattr("bench.sweep.execute.SLICE_SECONDS", 0.0)
    assert 1e3 < execute_remotely(replace(job, spent=1e3), limit=1e4).spent < 1e4


def test_a_distant_machine_without_room_for_a_checkpoint_goes_on_to_the_end(tmp_path, monkeypatch):
    monkeypatch.setattr("bench.sweep.execute.SLICE_SECONDS", 0.0)
    monkeypatch.setattr("bench.training.checkpoint.Checkpoint.save", lambda self, program, progress: None)
    (job,) = prepare(suite.load(str(suite_file(tmp_path, 600, 6))).cells(seeds=1), tmp_path)
    (record,) = execute_remotely(job, limit=None).records
    assert record.status == "ok"


def test_no_scheduler_is_one_line(tmp_path):
    done = bench("run", suite_file(tmp_path), "--cluster", "tcp://127.0.0.1:9", "--out", tmp_path / "out")
    assert done.returncode == 2
    assert "no Dask scheduler answers at tcp://127.0.0.1:9" in done.stderr
    assert len(done.stderr.splitlines()) == 1
