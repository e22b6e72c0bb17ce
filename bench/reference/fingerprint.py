"""An identity for a task's mathematics: it changes when f, g, Φ, a constant or the grid does, not with a comment."""

import dataclasses
import hashlib
import json

import jax
import jax.numpy as jnp
import numpy as np

from bench.reference.starts import evaluation_starts
from tasks.base import AbstractHybridTask, AbstractTask


def fingerprint(task: AbstractTask) -> str:
    """Twelve hex digits of a hash over the field values, the variables, f, g, Φ and the reset at 8 fixed points, and
    the starts where they are random.

    Evaluated in float64 whatever the precision in use, to 10 digits. A field that is no plain value counts by its repr.
    """
    fields = {f.name: getattr(task, f.name) for f in dataclasses.fields(task)}
    if fields["starts"] == "fixed":  # that start is one of the variables
        del fields["starts"]
    else:
        fields["starts"] = [f"{value:.9e}" for value in evaluation_starts(task).flat]
    # None is what a variable leaves unsaid: a new optional attribute does not make every other task another one.
    variables = [[[part for part in v if part is not None] for v in (*task.states, *task.controls)]]
    with jax.enable_x64(True), jax.ensure_compile_time_eval():
        values = [_digits(task, *point) for point in points(task)]
    text = json.dumps([fields, variables, values], sort_keys=True, default=repr)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def points(task):
    """States around the start and in their ranges, controls in their bounds, times in the horizon."""
    rng = np.random.default_rng(0)
    low, high = task.bounds
    start = np.array([s.start for s in task.states])
    spread = np.array([s.high - s.low if np.isfinite(s.high - s.low) else 1 + abs(s.start) for s in task.states])
    below = np.array([s.low if np.isfinite(s.high - s.low) else s.start - (1 + abs(s.start)) / 2 for s in task.states])
    for i in range(8):
        x = start * (1 + 0.1 * rng.random(len(start))) if i < 4 else below + spread * rng.random(len(start))
        yield task.horizon * rng.random(), x, low + (high - low) * rng.random(len(low))


def _digits(task, t, x, u):
    x, u = jnp.asarray(x), jnp.asarray(u)
    parts = [task.vector_field(t, x, u), task.running_cost(t, x, u), task.terminal_cost(x)]
    if isinstance(task, AbstractHybridTask):
        parts.append(task.jump(t, x, u))
    return [f"{value:.9e}" for part in parts for value in np.atleast_1d(np.asarray(part))]
