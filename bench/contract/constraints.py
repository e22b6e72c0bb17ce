"""Traps that the constraints of a task can set: they are tried along random and extreme control sequences."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from bench.errors import require
from bench.simulate import open_loop
from bench.solvers import within
from tasks.constrained import AbstractConstrainedTask

MAX_CORNERS = 16  # constant controls on bounds that are tried


def check_constraints(task: AbstractConstrainedTask, us: Float[np.ndarray, "batch steps m"]) -> None:
    """Require that constraints are finite, can be violated and can be met, at the start too, with finite gradients.

    Raises ContractError.
    """
    corners = itertools.islice(itertools.product(*zip(*task.bounds, strict=True)), MAX_CORNERS)
    constants = [np.broadcast_to(corner, us.shape[1:]) for corner in [*corners, np.mean(task.bounds, axis=0)]]
    tried = jnp.asarray(np.concatenate([us, constants]), task.x0.dtype)
    path, end, gradients = jax.device_get(jax.jit(jax.vmap(lambda u: _along(task, u)))(tried))
    for name, values in (("path_constraints", path), ("end_constraints", end[:, None])):
        for i in range(values.shape[-1]):
            found, what = values[..., i], f"{name}[{i}]"
            require(np.all(np.isfinite(found)), f"{what} is not finite in a state that controls within bounds reach")
            require(np.any(found > 0), f"{what} is never above 0 under {len(tried)} controls: is its sign right?")
            require(np.any(found <= 0), f"{what} is always above 0, a violation: is its sign right?")
            if name == "path_constraints":
                at_start = np.any(found[:, 0] <= 0)
                require(at_start, f"{what} is above 0, violated, at the start under all controls: move the start or it")
    require(np.all(np.isfinite(gradients)), "the gradient of a constraint is not finite in a state that controls reach")


def _along(task: AbstractConstrainedTask, us: Float[Array, "steps m"]):
    """(path constraints at the starts of intervals, end constraints, gradients of both)."""
    xs = open_loop(task, us, task.x0).xs
    ts = jax.vmap(lambda t: within(task, t, t))(task.dt * jnp.arange(task.num_steps))
    path = jax.vmap(task.path_constraints)(ts, xs[:-1], us)
    slopes = jax.vmap(jax.jacrev(task.path_constraints, argnums=(1, 2)))(ts, xs[:-1], us)
    parts = [*slopes, jax.jacrev(task.end_constraints)(xs[-1])]
    return path, task.end_constraints(xs[-1]), jnp.concatenate([part.ravel() for part in parts])
