"""Difficulty of a task: how hard it is to simulate and to differentiate, on random control sequences, in float64."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from bench.precision import float64
from bench.simulate import adaptive_transition, open_loop, transition
from tasks.base import AbstractTask

NUM_SEQUENCES = 16
ADAPTIVE_RTOL = 1e-10  # for costs that count as true


def integration_error(task: AbstractTask) -> float:
    """Return the largest relative difference between a cost and its value by an adaptive solver."""
    with float64(task):
        us = _random_sequences(task)
        cost = jax.jit(lambda us: jax.vmap(lambda u: open_loop(task, u, task.x0).cost)(us))(us)

        def adaptive(*at):
            return adaptive_transition(*at, rtol=ADAPTIVE_RTOL)

        # One after another: under vmap every interval would take as many steps as the slowest of all.
        truth = jax.jit(lambda us: jax.lax.map(lambda u: open_loop(task, u, task.x0, adaptive).cost, us))(us)
    # A cost of 0 that is found exactly has no error; any other distance to 0 is infinite.
    differences = np.abs(np.asarray(cost) - np.asarray(truth))
    relative = np.divide(
        differences, np.abs(truth), out=np.full_like(differences, np.inf), where=np.asarray(truth) != 0
    )
    return float(np.max(np.where(differences > 0, relative, 0.0)))


def lyapunov(task: AbstractTask) -> float:
    """Return the finite-time Lyapunov exponent times the horizon: the mean of ln σ_max(∂x(T) / ∂x(Δt)), with states in
    units of their sizes (Haller, Annu. Rev. Fluid Mech. 47, 2015).

    It begins at the end of the first interval, because some resets forget the start.
    """
    with float64(task):
        sizes = jnp.array([s.size for s in task.states])
        ts = task.dt * jnp.arange(1, task.num_steps)

        def exponent(us):
            xs = open_loop(task, us, task.x0).xs[1:-1]
            jacobians = jax.vmap(lambda t, x, u: jax.jacrev(lambda x: transition(task, t, x, u)[0])(x))(ts, xs, us[1:])
            scaled = jacobians * sizes / sizes[:, None]
            product = jax.lax.scan(lambda p, j: (j @ p, None), jnp.eye(len(sizes)), scaled)[0]
            return jnp.log(jnp.linalg.norm(product, 2))

        return float(np.mean(jax.jit(lambda us: jax.lax.map(exponent, us))(_random_sequences(task))))


def _random_sequences(task):
    low, high = task.bounds
    return low + (high - low) * jr.uniform(jr.key(1), (NUM_SEQUENCES, task.num_steps, len(low)))
