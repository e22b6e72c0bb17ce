"""Snapshots: the states of a training run at its start, middle and end, written and read.

The run is an ordinary cell, with the same loop, records, locks and executors. A snapshot is a copy of its checkpoint.
"""

import shutil
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr

from bench import registry
from bench.errors import UsageError
from bench.machine import compilation
from bench.method import AbstractModelMethod
from bench.records.files import RecordError
from bench.records.run import run_name
from bench.suite import Cell
from bench.sweep.execute import Outcome, execute, refused
from bench.sweep.executors import should_stop
from bench.sweep.job import Job, prepare
from bench.sweep.status import last_point
from bench.training.checkpoint import CheckpointError, decode, decode_header, read_checkpoint
from bench.training.train import Evaluation
from tasks.base import AbstractTask

POLICIES = ("initial", "middle", "final")  # the moments of a training run


@dataclass(frozen=True)
class Snapshot:
    """A task, a method of the world-model family on it, and the method's state at one moment of one seed's training."""

    task_name: str
    task: AbstractTask
    method_name: str
    method: AbstractModelMethod
    state: Any
    seed: int
    fingerprint: str


def prepare_with_snapshots(cells: Iterable[Cell], folder: Path) -> list[Job]:
    """Jobs of one seed each, for `execute_with_snapshots`. A finished one is run again if a snapshot is missing.

    Raises UsageError.
    """
    jobs = []
    for cell in cells:
        for seed in cell.seeds:
            (job,) = prepare([replace(cell, seeds=(seed,))], folder)
            if not isinstance(job.method, AbstractModelMethod):
                raise UsageError(f"'{cell.method}' fits no world model. Give a method that does.")
            if not all(snapshot_path(job, policy).exists() for policy in POLICIES):
                job = replace(job, todo=(seed,), again=True)
            jobs.append(job)
    return jobs


def snapshot_path(job: Job, policy: str) -> Path:
    """The file of a snapshot of a job with one seed."""
    return job.folder / "snapshots" / f"{run_name(job.key)}-seed{job.cell.seeds[0]}-{policy}.checkpoint"


def keep_snapshot(job: Job, evaluation: Evaluation) -> None:
    """Copy the checkpoint, if this evaluation is at the start, the first at or after the middle, or at the end."""
    if evaluation.share == 0:
        policy = "initial"
    elif evaluation.share == 1:
        policy = "final"
    elif evaluation.share >= 0.5 and not snapshot_path(job, "middle").exists():
        policy = "middle"
    else:
        return
    source, target = job.checkpoint(job.todo).path, snapshot_path(job, policy)
    saved = last_point(source)
    if saved is None or saved["share"] != evaluation.share:  # a resumed run repeats evaluations whose state is gone
        return
    with suppress(OSError):  # a full disk: the run goes on, and whoever needs the snapshot reports that it is missing
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target.with_suffix(".part"))
        target.with_suffix(".part").replace(target)


def execute_with_snapshots(job: Job) -> Outcome:
    """`execute` a job in a worker process, and keep snapshots."""
    compilation.enable_cache()
    return refused(job) or execute(job, observe=keep_snapshot, stop=should_stop)


def read_snapshot(file: Path) -> Snapshot:
    """Read a snapshot, or a checkpoint of `bench run`. Raises UsageError."""
    try:
        data = read_checkpoint(file)
        identity = decode_header(data.split(b"\n", 2)[1])["identity"]
        task_name, method_name = (identity[key].partition("[")[0] for key in ("task", "method"))
        settings = identity["settings"]["task"], identity["settings"]["method"]
    except FileNotFoundError as error:
        raise UsageError(
            f"cannot read the policy snapshot {file} (it does not exist). `bench gradients` leaves them in "
            "DIR/snapshots; or take a checkpoint of `bench run`."
        ) from error
    except RecordError as error:
        raise UsageError(f"cannot read the policy snapshot: {error} Give a file from DIR/snapshots.") from error
    except (CheckpointError, LookupError, TypeError, AttributeError) as error:
        raise UsageError(f"{file} is no policy snapshot ({error}). Give a file from DIR/snapshots.") from error
    default_task, default_method = registry.task(task_name), registry.method(method_name)
    task = registry.task(task_name, _changed(settings[0], registry.settings_of(default_task)))
    method = registry.method(method_name, _changed(settings[1], registry.settings_of(default_method)))
    if not isinstance(method, AbstractModelMethod):
        raise UsageError(f"{file} is a snapshot of '{method_name}', which fits no world model: nothing to compare.")
    keys = jax.vmap(jr.key)(jnp.array(identity["seeds"]))
    shapes = jax.eval_shape(jax.vmap(lambda key: method.init(task, key)), keys)
    try:
        state = decode(data, {}, shapes).state
    except CheckpointError as error:
        raise UsageError(f"{file} does not fit this version of '{method_name}': {error}. Train it again.") from error
    first = jax.tree.map(lambda leaf: leaf[0], state)
    return Snapshot(task_name, task, method_name, method, first, identity["seeds"][0], identity["fingerprint"])


def _changed(settings: dict[str, Any], default: dict[str, Any]) -> dict[str, Any]:
    """The settings that have another value than the default."""
    return {key: value for key, value in settings.items() if key in default and value != default[key]}
