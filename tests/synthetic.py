"""Made-up records of any size, without training, for tests of whatever judges records."""

import json

import numpy as np

from bench.records.files import write_atomically
from bench.records.reference import Reference
from bench.records.run import RunRecord, encode_run, final_cost, trajectory_path
from bench.records.trajectory import episode_to_json

FLOOR, BEST = 20.0, 10.0


def reference(task="t", num_steps=10, fingerprint=None, floor=FLOOR, best=BEST):
    """Make a reference; by default it has the fingerprint that `record` gives."""
    name = fingerprint or f"{task}-{num_steps}"
    return Reference(task, 1.0, num_steps, name, floor, [0.0], best, "C", 0.0, "", [[0.0]], [best])


def references(records):
    """Make a reference for every task and grid among `records`, by fingerprint."""
    return {r.fingerprint: reference(r.task, r.num_steps, r.fingerprint) for r in records}


def record(method="m", seed=0, score: float | None = 0.5, task="t", num_steps=10, suite="s", rate=1.0, points=5):
    """Make a run that learns from the floor to `score` in equal strides; it failed where the score is None."""
    curve = [
        {
            "env_steps": 100 * i,
            "updates": 10 * i,
            "train_seconds": 0.1 * i,
            "cost": FLOOR + (BEST - FLOOR) * score * min(1.0, 2 * i / points),
            "end_error": 0.0,
        }
        for i in range(points + 1 if score is not None else 0)
    ]
    status, cost = final_cost(curve[-1:])
    return RunRecord(
        suite=suite,
        task=task,
        horizon=1.0,
        num_steps=num_steps,
        method=method,
        seed=seed,
        status=status if score is not None else "failed",
        cost=cost,
        curve=curve,
        usage={"env_steps": 100 * points, "env_grad_steps": 0, "train_seconds": 0.1 * points, "compile_seconds": 1.0},
        fingerprint=f"{task}-{num_steps}",
        settings={"task": {}, "method": {"rate": rate}, "budget": {"env_steps": 100 * points, "evals": points}},
        provenance={"version": "0", "commit": "c", "device": "d", "started": "2026-01-01T00:00:00+00:00"},
    )


def trajectory(run):
    """Make a stored trajectory: the state ends at 1 + the run's seed, the control jumps half-way, the horizon is 2."""
    ramp = np.linspace(0, 1, run.num_steps + 1)

    def episode(end):
        controls = np.where(ramp[:-1] < 0.5, -1.0, 1.0)
        return episode_to_json(end * ramp[:, None], controls[:, None], np.ones(run.num_steps), run.num_steps + 5.0)

    task = {
        "horizon": 2.0,
        "time_unit": "d",
        "states": [{"name": "mass", "unit": "kg", "target": 2.0}],
        "controls": [{"name": "force", "low": -1.0, "high": 1.0, "unit": "1"}],
    }
    return {"task": task, "policy": episode(run.seed + 1), "reference": episode(0.5)}


def sample(methods, tasks=("t", "u"), seeds=10, spread=0.05, grids=(10,), draw=0, **changes):
    """Make records of `methods` (name -> mean score) with normal noise; `draw` seeds the noise."""
    rng = np.random.default_rng(draw)
    return [
        record(method, seed, float(mean + spread * rng.normal()), task, num_steps, **changes)
        for method, mean in methods.items()
        for task in tasks
        for num_steps in grids
        for seed in range(seeds)
    ]


def write_record(path, record):
    """Write a record in a file of its own, like older versions, and its trajectory."""
    write_atomically(path, json.dumps(json.loads(encode_run(record)), indent=1) + "\n")
    if record.trajectory is not None:
        write_atomically(trajectory_path(path.parents[1], record), json.dumps(record.trajectory))
