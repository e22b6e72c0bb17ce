"""Provenance of a record: code, packages and machine."""

import functools
import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import jax

from bench.machine import threads
from bench.machine.processor import cpu_model

PACKAGES = ("jax", "jaxlib", "diffrax", "equinox", "optax", "numpy", "scipy")


def provenance() -> dict[str, Any]:
    """Return version, git commit, uncommitted changes, packages, Python, platform, device, threads and precision."""
    return _of_process() | {"precision": precision()}


def precision() -> str:
    """Return the precision in use, which may change within a process."""
    return "float64" if jax.config.read("jax_enable_x64") else "float32"


@functools.cache  # each call would search the disk
def packages() -> dict[str, str]:
    """Return the versions of the packages that a record names."""
    return {name: importlib.metadata.version(name) for name in PACKAGES}


def environment() -> dict[str, Any]:
    """Return what of the provenance can change the bits of a run."""
    return {"precision": precision(), "packages": packages()}


@functools.cache
def _of_process() -> dict[str, Any]:
    device = jax.devices()[0]
    return {
        "version": importlib.metadata.version("myriad-bench"),
        **_git(),
        "packages": packages(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": cpu_model() if device.platform == "cpu" else device.device_kind,
        "threads": threads.count(),
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
    }


def warnings(origin: dict[str, Any]) -> list[str]:
    """Warn of what makes results from here hard to compare or to repeat; `origin` is what `provenance` returned."""
    found = []
    if origin["dirty"]:
        found.append("the working tree has changes that are not committed: a record's commit does not say what ran.")
    if origin["precision"] != "float32":
        found.append(f"the precision is {origin['precision']}; shipped suites and published results are in float32.")
    if origin["xla_flags"]:
        found.append(f"XLA_FLAGS is set ({origin['xla_flags']}): bits and speed are those of these flags.")
    if matmul := jax.config.values["jax_default_matmul_precision"]:
        found.append(f"the default precision of matrix products is {matmul}, not JAX's own.")
    if jax.devices()[0].platform != "cpu":
        found.append("runs are the same to the bit on CPUs only; a GPU may add in another order each time.")
    for name, tested in _tested().items():
        if origin["packages"].get(name, tested) != tested:
            found.append(f"{name} is {origin['packages'][name]}, tested is {tested} (constraints.txt).")
    busy, cores = os.getloadavg()[0], len(threads.cores())
    if busy > 0.5 * cores:
        found.append(f"the machine is busy (load {busy:.1f} on {cores} cores): seconds would not be comparable.")
    return found


def _tested() -> dict[str, str]:
    """Return the versions in constraints.txt, if this is a checkout."""
    file = Path(__file__).parents[2] / "constraints.txt"
    lines = file.read_text(encoding="utf-8").split() if file.exists() else []
    return {line.partition("==")[0]: line.partition("==")[2] for line in lines}


def _git() -> dict[str, Any]:
    def git(*arguments: str) -> str | None:
        command = ["git", "-C", str(Path(__file__).parent), *arguments]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    # An installed wheel may lie inside somebody else's repository: the commit counts only if it tracks this file.
    commit = git("rev-parse", "HEAD") if git("ls-files", "--error-unmatch", "provenance.py") else None
    return {"commit": commit, "dirty": bool(git("status", "--porcelain")) if commit else None}
