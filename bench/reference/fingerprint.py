"""Identity of a task's mathematics: it changes with f, g, Φ, a constant or the grid, and not with a comment."""

import dataclasses
import hashlib
import json
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from bench.reference.starts import evaluation_starts
from tasks.base import AbstractConstrainedTask, AbstractHybridTask, AbstractTask

NUM_PROBES = 8


def fingerprint(task: AbstractTask) -> str:
    """Return twelve hex digits of a hash over the field values, the variables, f, g, Φ, the reset and the constraints
    at the probe points, and the starts where they are random.

    Functions are evaluated in float64 whatever the precision in use, to 10 digits. A field that is not a JSON value
    counts by its repr.
    """
    fields = {f.name: getattr(task, f.name) for f in dataclasses.fields(task)}
    if fields["starts"] == "fixed":  # that start is one of the variables
        del fields["starts"]
    else:
        fields["starts"] = [f"{value:.9e}" for value in evaluation_starts(task).flat]
    # A variable leaves optional attributes at None. Leaving those out lets a new one change no other task's identity.
    variables = [[[part for part in v if part is not None] for v in (*task.states, *task.controls)]]
    with jax.enable_x64(True), jax.ensure_compile_time_eval():
        values = [_function_values(task, *point) for point in probe_points(task)]
    text = json.dumps([fields, variables, values], sort_keys=True, default=repr)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def probe_points(
    task: AbstractTask,
) -> Iterator[tuple[float, Float[np.ndarray, " n"], Float[np.ndarray, " m"]]]:
    """Yield fixed (t, x, u): times in the horizon, states around the start and in their ranges, controls in bounds."""
    rng = np.random.default_rng(0)
    low, high = task.bounds
    start = np.array([s.start for s in task.states])
    spread = np.array([s.high - s.low if np.isfinite(s.high - s.low) else 1 + abs(s.start) for s in task.states])
    below = np.array([s.low if np.isfinite(s.high - s.low) else s.start - (1 + abs(s.start)) / 2 for s in task.states])
    for i in range(NUM_PROBES):
        around_start = i < NUM_PROBES // 2
        x = start * (1 + 0.1 * rng.random(len(start))) if around_start else below + spread * rng.random(len(start))
        yield task.horizon * rng.random(), x, low + (high - low) * rng.random(len(low))


def _function_values(task, t, x, u):
    x, u = jnp.asarray(x), jnp.asarray(u)
    parts = [task.vector_field(t, x, u), task.running_cost(t, x, u), task.terminal_cost(x)]
    if isinstance(task, AbstractHybridTask):
        parts.append(task.jump(t, x, u))
    if isinstance(task, AbstractConstrainedTask):
        parts += [task.path_constraints(t, x, u), task.end_constraints(x)]
    return [f"{value:.9e}" for part in parts for value in np.atleast_1d(np.asarray(part))]
