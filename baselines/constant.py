"""Floor: the best constant control of the task's reference, held from start to end. Learns nothing, spends nothing."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from bench.method import AbstractMethod, Usage
from bench.reference import lookup
from bench.simulate import AbstractPolicy


class ConstantState(eqx.Module):
    u: Float[Array, " m"]


class ConstantPolicy(AbstractPolicy):
    """u(t, x) = u."""

    u: Float[Array, " m"]

    def initial(self):
        return ()

    def __call__(self, t, x, carry):
        return self.u, carry


class Constant(AbstractMethod[ConstantState]):
    """Raises LookupError where the task has no reference."""

    def usage(self, task):
        return Usage(0)

    def init(self, task, key):
        return ConstantState(jnp.array(lookup(task).floor_control))

    def step(self, task, state, key):
        return state

    def policy(self, task, state):
        return ConstantPolicy(state.u)
