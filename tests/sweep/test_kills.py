"""A sweep that is killed at random moments ends, to the bit, like one that was not.

KILL_SEED and KILLS in the environment repeat a sequence of kills, or choose another length.
"""

import json
import os
import random
import signal
import subprocess
import time
from contextlib import suppress

import pytest
from faulty_method import bench, start, suite_file

from bench.records.cell_file import read_records
from bench.records.run import RunRecord, trajectory_path

METHODS = ("faulty_method:RandomWalk", "faulty_method:Other")


def facts(folder):
    """All that sound runs computed, without times and places, by method and seed."""
    found = {}
    for run in read_records(folder):
        assert isinstance(run, RunRecord), run
        assert run.file is not None
        if run.status == "ok":
            curve = [{name: value for name, value in point.items() if "seconds" not in name} for point in run.curve]
            episode = json.loads(trajectory_path(folder, run).read_text())
            rest = run.provenance["final_state"], run.rescored, run.usage["env_steps"], run.method_fingerprint
            assert (run.method, run.seed) not in found
            found[run.method, run.seed] = (run.cost, curve, episode, *rest)
    return found


def leftovers(folder):
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path for path in files if path.suffix in (".tmp", ".lock", ".checkpoint") or "unusable" in path.name]


def workers(process):
    """The process ids of the workers; Python's own helpers are no workers."""
    search = ["pgrep", "-P", str(process.pid), "-f", "spawn_main"]
    return list(map(int, subprocess.run(search, capture_output=True, check=False).stdout.split()))


def written(folder, names):
    """The files in the folders of these names, temporary ones too, each with the time of its last change."""
    found = set()
    for name in names:
        for path in folder.glob(f"{name}/*"):
            with suppress(FileNotFoundError):
                found.add((path.name, path.stat().st_mtime_ns))
    return found


def wait_until(happened, process, pause):
    """Wait until something has happened, or the process has ended."""
    while process.poll() is None and not happened():
        time.sleep(pause)


WRITES = {"training": ["checkpoints"], "checkpoint": ["checkpoints"], "record": ["records", "trajectories"]}


def strike(draw, process, out, whole_seconds):
    """Kill the parent, a worker or the whole group at a moment of a phase that is drawn; say which.

    Phases begin with what the process does, not at times: a busy machine would never be past its start.
    """
    victim = draw.choice(["parent", "worker", "group"])
    moment = draw.choice(["start", "any", "worker's start", "training", "checkpoint", "record", "record"])
    longest = {"checkpoint": 0.01, "record": 0.02, "any": whole_seconds}.get(moment, whole_seconds / 4)
    if moment in WRITES:
        before = written(out, WRITES[moment])
        wait_until(lambda: written(out, WRITES[moment]) - before, process, 0.002)
    elif moment == "worker's start" or victim == "worker":
        wait_until(lambda: workers(process), process, 0.05)
    time.sleep(draw.uniform(0, longest))
    if process.poll() is not None:
        return ""
    targets = workers(process) if victim == "worker" else [process.pid]
    if not targets:  # the last cell is done
        victim, targets = "parent", [process.pid]
    with suppress(ProcessLookupError):
        if victim == "group":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            os.kill(draw.choice(targets), signal.SIGKILL)
    return f"{victim} at {moment}"


@pytest.mark.slow
def test_random_kills_change_no_bit(tmp_path):
    seed = int(os.environ.get("KILL_SEED", time.time_ns() % 10**6))
    kills = int(os.environ.get("KILLS", 15))
    print(f"KILL_SEED={seed}")
    draw = random.Random(seed)
    methods = [word for name in METHODS for word in ("--method", name, "--set", f"{name}.work=300000")]
    arguments = ("run", suite_file(tmp_path, env_steps=2000, evals=20), *methods, "--workers", 2, "--out")
    bench(*arguments, tmp_path / "warm")
    began = time.monotonic()
    assert bench(*arguments, tmp_path / "whole").returncode == 0
    whole_seconds = time.monotonic() - began
    whole = facts(tmp_path / "whole")
    assert len(whole) == 2 * len(METHODS)
    struck: dict[str, int] = {}
    folders = 0
    while sum(struck.values()) < kills:
        out, ended = tmp_path / f"out{folders}", False
        folders += 1
        while not ended:
            process = start(*arguments, out)
            how = strike(draw, process, out, whole_seconds) if sum(struck.values()) < kills else ""
            if how:
                struck[how] = struck.get(how, 0) + 1
                print(how, flush=True)
            _, error = process.communicate()
            ended = process.returncode == 0
            # 1: a worker was lost, and its cell failed
            assert process.returncode in (0, 1, -signal.SIGKILL), (how, error)
            assert "Traceback" not in error, (how, error)
            for key, fact in facts(out).items():
                assert fact == whole[key], how
        assert facts(out) == whole
        bench(*arguments, out)
        assert not leftovers(out)
    print(f"{sum(struck.values())} kills in {folders} folders: {struck}")
