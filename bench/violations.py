"""How far a state is from meeting a task's constraints, in units of their ranges; targets are measured apart."""

import math

import jax.numpy as jnp
from jaxtyping import Array, Float

from tasks.base import AbstractTask, Scalar
from tasks.constrained import AbstractConstrainedTask


def on_path(task: AbstractTask, t: Scalar, x: Float[Array, " n"], u: Float[Array, " m"]) -> Float[Array, ""]:
    """Return the largest violation of a path constraint, 0 where all hold and on a task without any."""
    found = task.path_constraints(t, x, u) if isinstance(task, AbstractConstrainedTask) else jnp.zeros(0, x.dtype)
    return jnp.max(found, initial=0.0)


def at_end(task: AbstractTask, x: Float[Array, " n"]) -> Float[Array, ""]:
    """Return the largest violation of an end constraint, 0 where all hold and on a task without any."""
    found = task.end_constraints(x) if isinstance(task, AbstractConstrainedTask) else jnp.zeros(0, x.dtype)
    return jnp.max(found, initial=0.0)


def of_ranges(task: AbstractTask, xs: Float[Array, "points n"]) -> Float[Array, ""]:
    """Return how far the states leave their declared ranges, in units of these; an angle with a period cannot."""
    beyond = [
        jnp.max(jnp.maximum(state.low - x, x - state.high)) / (state.high - state.low)
        for state, x in zip(task.states, xs.T, strict=True)
        if math.isfinite(state.high - state.low) and not state.period
    ]
    return jnp.max(jnp.stack(beyond), initial=0.0) if beyond else jnp.zeros((), xs.dtype)
