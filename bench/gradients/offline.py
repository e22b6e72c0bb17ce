"""A fixed data set, as in the toy experiments of Ma et al. (2024): no policy takes part in collecting it.

    u[0] ~ U(low, high),   u[t] = (low + high) / 2 for t > 0

Models that are fitted to it know the task along the first control, which is where landscapes are surveyed by default.
"""

import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Key

from bench.simulate import Trajectory, open_loop
from tasks.base import AbstractTask

EPISODES = 200


def fixed_data(task: AbstractTask, key: Key[Array, ""]) -> Trajectory:
    """Play EPISODES episodes from the task's starts; a Trajectory with the episodes as a leading axis."""
    low, high = task.bounds

    def episode(keys):
        first = jr.uniform(keys[0], low.shape, minval=low, maxval=high)
        us = jnp.broadcast_to((low + high) / 2, (task.num_steps, len(low))).at[0].set(first)
        return open_loop(task, us, task.start(keys[1]))

    return jax.vmap(episode)(jr.split(key, (EPISODES, 2)))
