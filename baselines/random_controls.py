"""Floor: independent uniform controls in the bounds, one sequence per seed. It learns nothing and spends nothing."""

import equinox as eqx
import jax.random as jr
from jaxtyping import Array, Float

from baselines.normalisation import from_unit
from baselines.policies import SequencePolicy
from bench.budget import Usage
from bench.method import AbstractMethod


class RandomState(eqx.Module):
    us: Float[Array, "steps m"]


class Random(AbstractMethod[RandomState]):
    """Draw the sequence in `init`."""

    def usage(self, task):
        return Usage(0)

    def init(self, task, key):
        shape = (task.num_steps, len(task.controls))
        return RandomState(from_unit(task, jr.uniform(key, shape, minval=-1.0, maxval=1.0)))

    def step(self, task, state, key):
        return state

    def policy(self, task, state):
        return SequencePolicy(state.us)
