"""Score a reference again by an adaptive solver, as every final policy is: a grid must not invent a best cost."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from bench.precision import float64
from bench.records.reference import Reference
from bench.reference.starts import evaluation_starts
from bench.simulate import adaptive_transition, from_knots, open_loop
from tasks.base import AbstractTask


def adaptive_cost(task: AbstractTask, reference: Reference) -> float:
    """Return the cost of a reference's controls by an adaptive solver.

    Each interval starts from its knot where the reference has `states`.
    """
    x0 = evaluation_starts(task)[0] if reference.start is None else np.array(reference.start)
    with float64(task):
        us = jnp.array(reference.controls)
        knots = None if reference.states is None else jnp.array(reference.states)
        return float(_cost(task, us, jnp.asarray(x0), knots))


@eqx.filter_jit
def _cost(task, us, x0, knots):
    if knots is None:
        return open_loop(task, us, x0, adaptive_transition).cost
    return from_knots(task, us, knots, adaptive_transition).cost
