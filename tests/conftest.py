"""Shared fixtures. Tests walk the tables, so a new task or method is tested without editing a test."""

import gc
import os

# Tests run most programs once, so compiling them costs more than running them. Without LLVM's optimisation, with XLA's
# older emitters and in one piece, a training step compiles in a fifth of the time. Read before JAX compiles anything.
QUICK = "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
os.environ["XLA_FLAGS"] = f"{QUICK} {os.environ.get('XLA_FLAGS', '')}".strip()

from pathlib import Path

from beartype.claw import beartype_package
from jaxtyping import install_import_hook

# Types are checked at each call, shapes with them: jaxtyping's wrapper takes 20 µs a call. Hashing code has no shapes
# and makes 200,000 calls for the shipped tasks and methods: beartype alone checks it in an eighth of the time.
BENCH = Path(__file__).parents[1] / "bench"
PARTS = [f"bench.{part.stem}" for part in BENCH.iterdir() if part.stem not in ("__init__", "identity")]
install_import_hook([*PARTS, "tasks", "baselines"], "beartype.beartype")
beartype_package("bench.identity")

import jax
import pytest

from bench.machine import compilation

# As `bench run` does: workers, the processes that tests start and the next run find what was compiled before.
compilation.enable_cache()
gc.set_threshold(50_000, 20, 100)  # programs that JAX keeps live on, and every search goes through all of them


@pytest.fixture
def x64():
    """Float64 for one test, whatever the default is."""
    with jax.enable_x64(True):
        yield
