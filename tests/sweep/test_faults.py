"""Faults that a week of sweeps meets: bad methods, full disks, lost folders, interrupts, two runs at once."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path

import dying_worker
import pytest
from faulty_method import ROOT, bench, command, environment, start, suite_file

from bench import suite
from bench.errors import UsageError
from bench.machine import locks
from bench.records import files
from bench.records.cell_file import read_records
from bench.records.files import _temporary
from bench.run import run
from bench.sweep import executors, status
from bench.sweep.execute import execute
from bench.sweep.executors import InProcess
from bench.sweep.job import prepare
from bench.sweep.observer import Silent
from bench.sweep.schedule import Backend, Sweep, in_process
from bench.training.train import train

EXITS = "faulty_method:Exits"
SLOW = ("--set", "faulty_method:RandomWalk.work=1000000")  # a chunk takes a tenth of a second


def records(folder):
    """The records of seed 0, by method and task."""
    return {(r.method.removeprefix("faulty_method:"), r.task): r for r in read_records(folder) if r.seed == 0}


def wait_for(folder, pattern, process):
    """Wait until the process has written a file of this pattern."""
    while not list(folder.glob(pattern)):
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


@pytest.mark.slow
def test_under_workers_nothing_that_a_method_does_stops_the_sweep(tmp_path):
    methods = ["Sleeps", "Crashes", "Raises", "Misshapen", "ExhaustsMemory", "Diverges", "RandomWalk"]
    arguments = [word for name in methods for word in ("--method", f"faulty_method:{name}")]
    walks = suite_file(tmp_path, env_steps=200, evals=2)
    limit = 30  # seconds of wall time, as the machine may be busy: a sound cell takes two or three
    done = bench("run", walks, *arguments, "--seeds", 1, "--workers", 2, "--limit", limit, "--out", tmp_path / "out")
    assert done.returncode == 1
    found = {method: record for (method, _), record in records(tmp_path / "out").items()}
    assert {name: (r.status, r.ended_by) for name, r in found.items()} == {
        "Sleeps": ("failed", "time limit"),
        "Crashes": ("failed", "lost worker"),
        "Raises": ("failed", "error"),
        "Misshapen": ("failed", "error"),
        "ExhaustsMemory": ("failed", "error"),
        "Diverges": ("diverged", "budget"),
        "RandomWalk": ("ok", "budget"),
    }
    reasons = {
        "Sleeps": "took more than 30 s",
        "Crashes": "ended by SIGKILL",
        "Raises": "no luck",
        "Misshapen": "",
        "ExhaustsMemory": "RESOURCE_EXHAUSTED",
    }
    for name, reason in reasons.items():
        (line,) = [line for line in done.stderr.splitlines() if f"faulty_method:{name}" in line]
        log = Path(line.rpartition("log: ")[2].rstrip(")"))
        assert reason in log.read_text()
        assert reason in found[name].error
    assert "5 runs failed" in done.stderr


def test_in_process_the_sweep_goes_on_and_the_limit_is_looked_at_between_chunks(tmp_path):
    methods = ["faulty_method:Raises", "faulty_method:Misshapen", "faulty_method:RandomWalk"]
    cells = suite.load(str(suite_file(tmp_path, 200, 2))).cells(methods=methods, seeds=1)
    for limit, walk in ((None, ("ok", "budget")), (0.0, ("failed", "time limit"))):
        sweep = Sweep(in_process(Silent(), limit=limit), Silent())
        sweep.run(prepare(cells, tmp_path / f"limit {limit}"))
        found = {method: record for (method, _), record in records(tmp_path / f"limit {limit}").items()}
        assert found["Raises"].status == found["Misshapen"].status == "failed"
        assert (found["RandomWalk"].status, found["RandomWalk"].ended_by) == walk
        failed = {f"faulty_method:{method}" for method, record in found.items() if record.status == "failed"}
        assert {record.method for _, record in sweep.failed} == failed


def test_a_block_of_seeds_that_does_not_fit_is_split(tmp_path, monkeypatch):
    """There is memory for two seeds, and the records say in which block each seed ran."""
    blocks = []

    def small_machine(task, method, budget, seeds, checkpoint):
        blocks.append(seeds)
        if len(seeds) > 2:
            raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 1 bytes.")
        return train(task, method, budget, seeds, checkpoint)

    monkeypatch.setattr("bench.sweep.execute.train", small_machine)
    found = run(suite.load(str(suite_file(tmp_path, 200, 2))).cells(seeds=3), tmp_path / "out")
    assert blocks == [(0, 1, 2), (0,), (1, 2)]
    assert [(r.seed, r.status, r.provenance["seeds_in_block"]) for r in found] == [
        (0, "ok", 1),
        (1, "ok", 2),
        (2, "ok", 2),
    ]
    assert not list(tmp_path.glob("out/checkpoints/*"))


def test_the_cap_that_ended_a_run_is_in_its_record(tmp_path):
    file = suite_file(tmp_path, 600, 3)
    for cap, ended_by, steps in (
        ("seconds = 1e-9", "seconds", 0),
        ("updates = 20", "updates", 400),
        ("", "budget", 600),
    ):
        file.write_text(file.read_text().partition("evals")[0] + f"evals = 3\n{cap}\n")
        (record,) = run(suite.load(str(file)).cells(seeds=1), tmp_path / ended_by)
        assert (record.ended_by, record.usage["env_steps"], record.usage["updates"]) == (ended_by, steps, steps // 20)


@pytest.mark.parametrize("workers", [(), pytest.param(("--workers", 2), marks=pytest.mark.slow)])
def test_ctrl_c_once_saves_and_the_same_command_goes_on(tmp_path, workers):
    arguments = ("run", suite_file(tmp_path, 4000, 40), *SLOW, "--out", tmp_path / "out", *workers)
    process = start(*arguments)
    wait_for(tmp_path, "out/checkpoints/*.checkpoint", process)
    (running,) = status.cell_states(tmp_path / "out")
    assert running.description.startswith("running at ")
    os.killpg(process.pid, signal.SIGINT)  # every process of the group gets it, as from a terminal
    _, error = process.communicate()
    assert process.returncode == 130, error
    assert "Ctrl-C again stops now" in error
    assert "The same command goes on from here" in error
    assert "Traceback" not in error
    found = sorted(tmp_path.glob("out/checkpoints/*.checkpoint"))
    assert [path.stem[-1] for path in found] == ["0", "1"]  # one a seed
    begun, other = (json.loads(path.read_bytes().split(b"\n")[1]) for path in found)
    assert 0 <= begun["done"] == other["done"] < 40
    assert not records(tmp_path / "out")
    (interrupted,) = status.cell_states(tmp_path / "out")
    assert interrupted.description == f"interrupted at {begun['done'] / 40:.0%}"
    done = bench(*arguments)
    assert done.returncode == 0, done.stderr
    (record,) = records(tmp_path / "out").values()
    # The point that the checkpoints ended with is in the record, with one seed's share of the time of two.
    spent = [each["curve"][-1]["train_seconds"] for each in (begun, other)]
    assert record.curve[len(begun["curve"]) - 1]["train_seconds"] == sum(spent) / 2
    assert [s.description for s in status.cell_states(tmp_path / "out")] == ["2 ok"]


def test_ctrl_c_twice_stops_a_chunk_that_never_ends(tmp_path):
    endless = ("--method", "faulty_method:Endless", "--set", "faulty_method:Endless.after=6")
    process = start("run", suite_file(tmp_path), *endless, "--workers", 0, "--out", tmp_path / "out")
    wait_for(tmp_path, "out/checkpoints/*.checkpoint", process)
    time.sleep(0.5)
    os.killpg(process.pid, signal.SIGINT)
    time.sleep(1)
    assert process.poll() is None
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(timeout=10) == 130
    process.communicate()


def test_ctrl_c_before_a_sweep_cannot_be_swallowed():
    """JAX swallows a KeyboardInterrupt in its callbacks, after which the run went on to its end."""
    swallow = """
import signal, bench.cli

def command():
    try:
        signal.raise_signal(signal.SIGINT)
    except KeyboardInterrupt:
        print("went on")

bench.cli.app = command
bench.cli.main()
"""
    done = subprocess.run([sys.executable, "-c", swallow], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "bench: interrupted.\n")


@pytest.mark.slow
def test_two_runs_on_one_folder_do_every_cell_once(tmp_path):
    tasks = [word for name in ("harvest", "simple_case", "bacteria") for word in ("--task", name)]
    arguments = ("run", suite_file(tmp_path, 1000, 10), *tasks, *SLOW, "--out", tmp_path / "out")
    processes = [start(*arguments) for _ in range(2)]
    outputs = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    begun = [line for output, _ in outputs for line in output.splitlines() if line.endswith("compiling")]
    assert len(begun) == 3
    assert len({line.split()[1] for line in begun}) == 3
    assert len(records(tmp_path / "out")) == 3


HOLD = """
import sys, time
from pathlib import Path
from bench.machine import locks

held = locks.acquire(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(1000)
"""


def test_a_lock_is_gone_with_its_process(tmp_path):
    path = tmp_path / "locks" / "x.lock"
    process = subprocess.Popen([sys.executable, "-c", HOLD, path], cwd=ROOT, env=environment(), stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    assert locks.acquire(path) is None
    assert (locks.holder(path) or {})["pid"] == process.pid
    process.kill()
    process.communicate()
    assert path.exists()  # the file stays, the lock does not
    assert locks.holder(path) is None
    mine = locks.acquire(path)
    assert mine is not None
    assert locks.acquire(path) is None
    mine.release()
    assert not path.exists()


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a file system of 1 MB (the page alone takes 100 kB); skips where it cannot be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(folder)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no right to mount a tmpfs")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_is_reported_and_room_mends_it(tmp_path, small_disk):
    arguments = ("run", suite_file(tmp_path), "--workers", 0, "--out", small_disk)
    with suppress(OSError), (small_disk / "others").open("wb") as others:
        others.write(bytes(1024 * 1024))
    done = bench(*arguments)
    assert done.returncode == 1
    assert "no checkpoint could be written" in done.stderr
    assert done.stderr.count("No space left on device. Make room and run the same command again.") == 2  # both seeds
    assert "Traceback" not in done.stderr
    assert not [p for p in small_disk.rglob("*") if p.is_file() and p.name not in ("others",)]
    (small_disk / "others").unlink()
    assert bench(*arguments).returncode == 0
    assert len(records(small_disk)) == 1


def test_files_that_cannot_be_written_are_reported(tmp_path):
    """The same where no file system can be mounted: the process may write small files only."""
    limited = ["sh", "-c", 'ulimit -f 1 && exec "$@"', "sh"]  # the limit is in blocks of 512 or 1024 bytes
    process = subprocess.run(
        [*limited, *command("run", suite_file(tmp_path), "--workers", 0, "--out", tmp_path / "out")],
        cwd=ROOT,
        env=environment() | {"JAX_COMPILATION_CACHE_DIR": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 1
    assert process.stderr.count("File too large. Make room") == 2
    assert "Traceback" not in process.stderr


def test_records_survive_their_folder(tmp_path):
    cells = suite.load(str(suite_file(tmp_path, 200, 2))).cells(tasks=["harvest", "simple_case"], seeds=1)
    folder = tmp_path / "out"

    class Vandal(Silent):
        def end(self, job, records):
            if job.cell.task == "harvest":
                shutil.rmtree(folder)

    vandal = Vandal()
    sweep = Sweep(in_process(vandal), vandal)
    sweep.run(prepare(cells, folder))
    assert not sweep.unstored
    assert {task for _, task in records(folder)} == {"harvest", "simple_case"}


@pytest.mark.parametrize("stroke", [SystemExit(0), KeyboardInterrupt(), BaseException("base"), StopIteration("x")])
def test_whatever_a_method_raises_fails_its_cell_alone(tmp_path, monkeypatch, stroke):
    cells = suite.load(str(suite_file(tmp_path, 200, 2))).cells(tasks=["harvest", "bacteria"], seeds=1)

    def strike(task, *others):
        if type(task).__name__ == "Harvest":
            raise stroke
        return train(task, *others)

    monkeypatch.setattr("bench.sweep.execute.train", strike)
    previous = signal.signal(signal.SIGINT, lambda number, frame: None)  # as `bench run` does
    try:
        Sweep(in_process(Silent()), Silent()).run(prepare(cells, tmp_path / "out"))
    finally:
        signal.signal(signal.SIGINT, previous)
    found = {task: record for (_, task), record in records(tmp_path / "out").items()}
    assert {task: r.status for task, r in found.items()} == {"harvest": "failed", "bacteria": "ok"}
    assert type(stroke).__name__ in found["harvest"].error.splitlines()[-1]


def test_the_users_ctrl_c_in_a_library_call_leaves_no_record(tmp_path, monkeypatch):
    def strike(*others):
        raise KeyboardInterrupt

    monkeypatch.setattr("bench.sweep.execute.train", strike)
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever ran here before
    try:
        with pytest.raises(KeyboardInterrupt):
            run(suite.load(str(suite_file(tmp_path, 200, 2))).cells(seeds=1), tmp_path / "out")
    finally:
        signal.signal(signal.SIGINT, handler)
    assert not records(tmp_path / "out")


def test_a_file_in_place_of_the_logs_costs_only_the_logs(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "logs").touch()
    done = bench("run", suite_file(tmp_path, 200, 2), "--workers", 1, "--seeds", 1, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert len(records(tmp_path / "out")) == 1


def test_code_of_ones_own_that_ends_its_process_is_a_failed_run(tmp_path):
    """In this process `os._exit(0)` would be a success without records."""
    done = bench("run", suite_file(tmp_path, 200, 2), "--method", EXITS, "--seeds", 1, "--out", tmp_path / "out")
    assert done.returncode == 1
    assert "its worker process was ended with exit status 0" in done.stderr
    assert [record.status for record in records(tmp_path / "out").values()] == ["failed"]


@pytest.mark.parametrize("name", files.OWN_FOLDERS)
def test_results_are_not_written_through_links_in_their_folder(tmp_path, name):
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    out.mkdir()
    elsewhere.mkdir()
    (tmp_path / "link").symlink_to(out)  # that of all results may be one
    prepare([], tmp_path / "link")
    (out / "inside").mkdir()
    (out / name).symlink_to("inside")
    prepare([], out)
    (out / name).unlink()
    (out / name).symlink_to(elsewhere)
    with pytest.raises(UsageError, match=f"{name} is a link to {elsewhere}, outside of the folder"):
        prepare([], tmp_path / "link")


def test_a_lock_and_a_log_are_no_second_name_of_a_file(tmp_path):
    target = tmp_path / "target"
    target.write_text("theirs")
    for name in ("x.lock", "worker-0.log"):
        (tmp_path / name).hardlink_to(target)
    with pytest.raises(OSError, match="one name"):
        locks.acquire(tmp_path / "x.lock")
    with executors.Workers(1, executors.SPAWN.Event(), None, tmp_path) as workers:
        workers.submit(print, "mine").result()
    assert target.read_text() == "theirs"


def test_a_log_keeps_its_start_and_its_end(tmp_path):
    with executors.Workers(1, executors.SPAWN.Event(), None, tmp_path) as workers:
        workers.submit(print, "first", "x" * 3 * executors.MAX_LOG, "last", flush=True).result()
        workers.submit(print, "next", flush=True).result()
    text = (tmp_path / "worker-0.log").read_text()
    assert text.startswith("first x")
    assert text.endswith("x last\nnext\n")
    assert text.count("what was printed in between is left out") == 1
    assert len(text) < executors.MAX_LOG + 200  # the sentence, and the next call's line


def test_a_worker_that_lost_its_connection_is_explained(tmp_path):
    with executors.Workers(1, executors.SPAWN.Event(), None, tmp_path) as workers:
        with pytest.raises(executors.LostWorkerError, match=r"ended by SIGTERM\. .*closed files that are not its own"):
            workers.submit(os.closerange, 3, 64).result()
        assert workers.submit(abs, -1).result() == 1


def test_a_lock_follows_no_link(tmp_path):
    target, link = tmp_path / "target", tmp_path / "locks" / "x.lock"
    target.write_text("theirs")
    link.parent.mkdir()
    link.symlink_to(target)
    with pytest.raises(OSError, match="symbolic links"):
        locks.acquire(link)
    assert target.read_text() == "theirs"


@pytest.mark.parametrize("plant", [lambda p: os.mkfifo(p), lambda p: p.symlink_to("/dev/zero"), lambda p: p.mkdir()])
def test_what_is_no_lock_is_not_waited_for(tmp_path, plant):
    path = tmp_path / "x.lock"
    plant(path)
    assert locks.holder(path) is None
    with pytest.raises(OSError, match=r"symbolic links|ordinary|directory"):
        locks.acquire(path)


def test_a_holder_that_wrote_nonsense_is_still_a_holder(tmp_path):
    path = tmp_path / "x.lock"
    held = locks.acquire(path)
    assert held is not None
    for text in ("{", "[1]", "[" * 10**5):
        path.write_text(text)
        assert locks.holder(path) == {}
    held.release()


def test_leftovers_of_kills_are_swept_up_and_what_is_being_written_is_not(tmp_path):
    for name in (".sweep.json-abc.tmp", "records/.r.json-abc.tmp", "locks/x.lock", "locks/held.lock"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "records" / ".notes").touch()  # somebody's own
    writing, name = _temporary(tmp_path / "records" / "r.json")
    held = locks.acquire(tmp_path / "locks" / "held.lock")
    prepare([], tmp_path)
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {"records/.notes", "locks/held.lock", str(name.relative_to(tmp_path))}
    writing.close()
    assert held is not None
    held.release()


def test_cells_of_a_cluster_that_is_gone_are_left_to_be_done(tmp_path):
    """A scheduler that is killed cancels what it holds, and takes nothing more."""

    class Gone(InProcess):
        def submit(self, fn, /, *args, **kwargs):
            if self.asked:
                raise RuntimeError("the client is closed")
            self.asked, future = True, Future()
            future.cancel()
            future.set_running_or_notify_cancel()
            return future

        asked = False

    cells = suite.load(str(suite_file(tmp_path, 200, 2))).cells(tasks=["harvest", "bacteria"], seeds=1)
    sweep = Sweep(Backend(Gone(), execute, 2, lambda: False, distant=True), Silent())
    sweep.run(prepare(cells, tmp_path / "out"))
    assert sweep.interrupted
    assert not sweep.failed
    assert not records(tmp_path / "out")


def test_a_seed_that_was_interrupted_keeps_its_checkpoint_while_others_end(tmp_path):
    file, folder = suite_file(tmp_path, 600, 6), tmp_path / "out"
    two, one = (suite.load(str(file)).cells(seeds=seeds) for seeds in (2, 1))
    stops = iter([False] * 3 + [True] * 100)
    sweep = Sweep(in_process(Silent(), lambda: next(stops)), Silent())
    sweep.run(prepare(two, folder))
    assert sweep.interrupted
    run(one, folder)
    (left,) = folder.glob("checkpoints/*")
    assert status.trained_seeds(left) == {1}
    point = status.last_point(left)
    assert point is not None
    assert 0 < point["share"] < 1
    found = {record.seed: record for record in run(two, folder)}
    assert not list(folder.glob("checkpoints/*"))
    # It went on: what was trained before keeps its seconds.
    assert found[1].curve[round(6 * point["share"])]["train_seconds"] == point["train_seconds"]


def test_a_worker_that_dies_while_it_starts_is_replaced(tmp_path, monkeypatch):
    """It must not drain the queue: every other call has its result."""
    monkeypatch.setattr(executors, "_initialise_worker", dying_worker.dies_once)
    with executors.Workers(1, executors.SPAWN.Event(), None, tmp_path) as workers:
        assert list(workers.map(abs, (-1, -2))) == [1, 2]
    assert [path.name for path in tmp_path.glob("*.died")] == ["worker-0.died"]


def test_workers_that_never_start_fail_each_call_and_do_not_hang(tmp_path, monkeypatch):
    monkeypatch.setattr(executors, "_initialise_worker", dying_worker.dies)
    monkeypatch.setattr(executors, "START_ATTEMPTS", 1)
    with executors.Workers(1, executors.SPAWN.Event(), None, tmp_path) as workers:
        for future in [workers.submit(abs, -1) for _ in range(2)]:
            with pytest.raises(executors.LostWorkerError, match="died while they started"):
                future.result()
