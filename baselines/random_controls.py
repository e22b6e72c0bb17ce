"""Floor: independent uniform controls within the bounds, one sequence per seed. Learns nothing, spends nothing."""

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float

from baselines.networks import from_unit
from bench.budget import Usage
from bench.method import AbstractMethod
from bench.simulate import AbstractPolicy


class RandomState(eqx.Module):
    us: Float[Array, "steps m"]


class SequencePolicy(AbstractPolicy):
    """Plays a control sequence, whatever the state."""

    us: Float[Array, "steps m"]

    def initial(self):
        return jnp.zeros((), jnp.int32)

    def __call__(self, t, x, k):
        return self.us[k], k + 1


class Random(AbstractMethod[RandomState]):
    """Draws the sequence in `init`."""

    def usage(self, task):
        return Usage(0)

    def init(self, task, key):
        shape = (task.num_steps, len(task.controls))
        return RandomState(from_unit(task, jr.uniform(key, shape, minval=-1.0, maxval=1.0)))

    def step(self, task, state, key):
        return state

    def policy(self, task, state):
        return SequencePolicy(state.us)
