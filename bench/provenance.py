"""Where a record comes from: code, packages and machine."""

import functools
import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import jax

PACKAGES = ("jax", "jaxlib", "diffrax", "equinox", "optax", "numpy", "scipy")


@functools.cache
def provenance() -> dict[str, Any]:
    """Version, git commit and whether the tree differs, packages, Python, platform, device, threads, precision."""
    device = jax.devices()[0]
    return {
        "version": importlib.metadata.version("myriad-bench"),
        **_git(),
        "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": cpu_model() if device.platform == "cpu" else device.device_kind,
        "threads": _threads(),
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
        "precision": "float64" if jax.config.read("jax_enable_x64") else "float32",
    }


def _git() -> dict[str, Any]:
    def git(*arguments: str) -> str | None:
        command = ["git", "-C", str(Path(__file__).parent), *arguments]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    # An installed wheel may lie inside somebody else's repository: only a tracked file says that this one is ours.
    commit = git("rev-parse", "HEAD") if git("ls-files", "--error-unmatch", "provenance.py") else None
    return {"commit": commit, "dirty": bool(git("status", "--porcelain")) if commit else None}


def _threads() -> int | None:
    try:
        return len(os.sched_getaffinity(0))  # what this process may use, on Linux
    except AttributeError:
        return os.cpu_count()


def cpu_model() -> str:
    """The name of the processor, as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
