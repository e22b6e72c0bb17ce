"""Starts of the episodes that judge a policy: the task's fixed start, or 16 draws that are the same in every run.

The noise of a noisy task, too, is drawn 16 times, and always alike: for each start once, or for the fixed one 16 times.
"""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float

from bench.machine import compilation
from bench.noisy_task import NoisyState, NoisyTask, plant_of
from bench.records.reference import NUM_STARTS
from tasks.base import AbstractTask

STARTS_SEED = 16_003  # far from the seeds of training: keys split alike from one seed draw the same numbers
NOISE_SEED = 23_006


def evaluation_starts(task: AbstractTask) -> Float[np.ndarray, "starts n"]:
    """Return the task's start, or NUM_STARTS draws where starts are random; float64 in any precision.

    Those of a noisy task are its plant's.
    """
    task = plant_of(task)
    if task.starts == "fixed":
        return np.array([[float(state.start) for state in task.states]])
    with jax.enable_x64(True), jax.ensure_compile_time_eval():
        draw = jax.jit(jax.vmap(task.sample_start), compiler_options=compilation.quick_options())
        drawn = draw(jr.split(jr.key(STARTS_SEED), NUM_STARTS))
    return np.vectorize(lambda value: float(f"{value:.10g}"))(drawn)  # the same on machines that round differently


def evaluation_states(task: AbstractTask) -> Float[Array, "starts n"] | NoisyState:
    """Return the starts in the task's own precision; of a noisy task NUM_STARTS of them, each with a draw of noise."""
    starts = jnp.asarray(evaluation_starts(task), task.x0.dtype)
    if not isinstance(task, NoisyTask):
        return starts
    keys = jr.split(jr.key(NOISE_SEED), NUM_STARTS)
    return jax.vmap(task.begin_at)(jnp.broadcast_to(starts, (NUM_STARTS, starts.shape[1])), keys)
