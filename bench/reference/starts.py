"""Starts of the episodes that judge a policy: the task's fixed start, or 16 draws that are the same in every run."""

import jax
import jax.random as jr
import numpy as np
from jaxtyping import Float

from bench.machine import compilation
from bench.records.reference import NUM_STARTS
from tasks.base import AbstractTask

STARTS_SEED = 16_003  # far from the seeds of training: keys split alike from one seed draw the same numbers


def evaluation_starts(task: AbstractTask) -> Float[np.ndarray, "starts n"]:
    """Return the task's start, or NUM_STARTS draws where starts are random; float64 in any precision."""
    if task.starts == "fixed":
        return np.array([[float(state.start) for state in task.states]])
    with jax.enable_x64(True), jax.ensure_compile_time_eval():
        draw = jax.jit(jax.vmap(task.sample_start), compiler_options=compilation.quick_options())
        drawn = draw(jr.split(jr.key(STARTS_SEED), NUM_STARTS))
    return np.vectorize(lambda value: float(f"{value:.10g}"))(drawn)  # the same on machines that round differently
