"""An agent of another library as a job of a suite: what its record says of it."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

from baselines import METHODS
from bench import suite as suites
from bench.budget import Usage
from bench.errors import UsageError
from bench.identity import digest
from bench.method import AbstractMethod
from bench.records.run import storable
from bench.sweep.job import Job, prepare


class ExternalAgent(AbstractMethod):
    """Stands for an agent that another library trains, one environment step after the other."""

    def usage(self, task):
        return Usage(env_steps=1)

    def init(self, task, key):
        raise NotImplementedError("another library trains this agent")

    def step(self, task, state, key):
        raise NotImplementedError("another library trains this agent")

    def policy(self, task, state):
        raise NotImplementedError("another library trains this agent")


def job_of(
    task: str,
    suite: str,
    method: str,
    seed: int,
    framework: str,
    settings: Mapping[str, Any],
    folder: Path,
    num_steps: int | None,
) -> Job:
    """Return the job of a run of an agent. Raises UsageError for names, a seed or a grid that do not fit."""
    if method in METHODS or not method.strip():
        raise UsageError(f"'{method}' cannot name an agent: it is empty or names a method of this package.")
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise UsageError(f"seed must be a whole number of at least 0, got {seed!r}.")
    cells = suites.load(suite).cells([task], [f"{__name__}:ExternalAgent"])
    jobs = prepare([replace(cell, seeds=(seed,)) for cell in cells], folder)
    grids = [job.task.num_steps for job in jobs]
    if (num_steps is None and len(jobs) > 1) or (num_steps is not None and num_steps not in grids):
        raise UsageError(f"suite '{suite}' has grids of {', '.join(map(str, grids))} steps: choose one by num_steps.")
    job = jobs[0 if num_steps is None else grids.index(num_steps)]
    chosen = storable({"framework": _with_version(framework), **settings})
    return replace(
        job,
        cell=replace(job.cell, method=method),
        settings={**job.settings, "method": chosen},
        code="",
        program=f"external-{digest(chosen)}",
    )


def _with_version(framework: str) -> str:
    with suppress(metadata.PackageNotFoundError, ValueError):
        return f"{framework} {metadata.version(framework)}"
    return framework or "own code"
