"""Where an episode of an environment starts: at the task's start, one drawn by its law, or numbers of the user."""

from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Key

from bench.errors import UsageError, did_you_mean
from bench.noisy_task import NoisyTask
from tasks.base import AbstractTask, State

START_KINDS = ("fixed", "random")


def start_of(
    task: AbstractTask, options: Mapping[str, Any] | None, shape: tuple[int, ...]
) -> Float[Array, "*batch n"] | None:
    """Return the states of this shape in which episodes start, or None where they are drawn. Raises UsageError."""
    for option in options or {}:
        if option != "start":
            raise UsageError(did_you_mean("reset option", str(option), ["start"]))
    start = (options or {}).get("start", task.starts)
    if isinstance(start, str):
        if start not in START_KINDS:
            raise UsageError(did_you_mean("start", start, START_KINDS))
        return jnp.broadcast_to(task.x0, shape) if start == "fixed" else None
    try:
        given = np.asarray(start, float)
    except (TypeError, ValueError):
        given = np.full(1, np.nan)
    if given.shape not in (shape, shape[-1:]) or not np.all(np.isfinite(given)):
        raise UsageError(f"a start is 'fixed', 'random' or {shape[-1]} finite numbers, one a state, got {start!r}.")
    return jnp.broadcast_to(jnp.asarray(given, task.x0.dtype), shape)


def begun(task: AbstractTask, start: Float[Array, "*batch n"] | None, draw: Callable[[], Any]) -> Any:
    """Return the state or states in which episodes begin: the start, unless it or its noise is drawn."""
    return draw() if start is None or isinstance(task, NoisyTask) else start


def drawn(task: AbstractTask, key: Key[Array, ""], start: Float[Array, " n"] | None) -> State:
    """Draw the start of an episode, unless it is given, and its noise."""
    if not isinstance(task, NoisyTask):
        return task.sample_start(key)
    start_key, noise_key = jr.split(key)
    return task.begin_at(task.plant.sample_start(start_key) if start is None else start, noise_key)
