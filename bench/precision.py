"""Float64 for a while, whatever the precision in use: references and scores are computed in it."""

from collections.abc import Iterator
from contextlib import contextmanager

import jax
import jax.numpy as jnp

from tasks.base import AbstractTask


@contextmanager
def float64(task: AbstractTask) -> Iterator[None]:
    """Trace and compute `task` in float64.

    JAX keeps a NumPy array that a function closes over, a table of prices say, in the precision in which it was first
    traced, for as long as a cached program holds it (jax-ml/jax#6407): the next trace would mix both. For a task with
    such arrays the caches are cleared at both ends.
    """
    if jax.config.read("jax_enable_x64"):
        yield
        return
    mixes = _closes_over_arrays(task)
    if mixes:
        jax.clear_caches()
    try:
        with jax.enable_x64(True):
            yield
    finally:
        if mixes:
            jax.clear_caches()


def _closes_over_arrays(task: AbstractTask) -> bool:
    x, u = (jax.ShapeDtypeStruct((len(v),), jnp.float32) for v in (task.states, task.controls))
    traced = (
        jax.make_jaxpr(task.vector_field)(0.0, x, u),
        jax.make_jaxpr(task.running_cost)(0.0, x, u),
        jax.make_jaxpr(task.terminal_cost)(x),
    )
    return any(each.consts for each in traced)
