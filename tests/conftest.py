"""Shared fixtures. Tests walk the tables, so a new task or method is tested without editing a test."""

import gc
import os
from pathlib import Path

import jax
import pytest
from beartype.claw import beartype_package
from jaxtyping import install_import_hook

# Tests run most programs once, so compiling them costs more than running them. Without LLVM's optimisation, with XLA's
# older emitters and in one piece, a training step compiles in a fifth of the time. JAX reads it when it first compiles.
QUICK = ["backend_optimization_level=0", "cpu_use_fusion_emitters=false", "cpu_parallel_codegen_split_count=1"]
os.environ["XLA_FLAGS"] = " ".join([*(f"--xla_{flag}" for flag in QUICK), os.environ.get("XLA_FLAGS", "")]).strip()

# Types are checked at each call, shapes with them: jaxtyping's wrapper takes 20 µs a call. Hashing code has no shapes
# and makes 200,000 calls for the shipped tasks and methods: beartype alone checks it in an eighth of the time.
BENCH = Path(__file__).parents[1] / "bench"
PARTS = [f"bench.{part.stem}" for part in BENCH.iterdir() if part.stem not in ("__init__", "identity")]
install_import_hook([*PARTS, "tasks", "baselines"], "beartype.beartype")
beartype_package("bench.identity")

from bench.machine import compilation  # noqa: E402  after the hooks, which see only what is imported later

# As `bench run` does: workers, the processes that tests start and the next run find what was compiled before.
compilation.enable_cache()
os.environ.pop("GITHUB_STEP_SUMMARY", None)  # tests of `bench check` have no page of a workflow to write to
gc.set_threshold(50_000, 20, 100)  # programs that JAX keeps live on, and every search goes through all of them


@pytest.fixture
def x64():
    """Float64 for one test, whatever the default is."""
    with jax.enable_x64(True):
        yield
