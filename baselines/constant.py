"""Floor: the best constant control of the task's reference, held throughout. It learns nothing and spends nothing."""

import dataclasses

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from bench.budget import Usage
from bench.method import AbstractInformedMethod, filled_in
from bench.records.reference import Reference
from bench.simulate import AbstractPolicy


class ConstantState(eqx.Module):
    """The best constant for each start of the evaluation. A task with a fixed start has one."""

    x0: Float[Array, "starts n"]
    us: Float[Array, "starts m"]


class ConstantPolicy(AbstractPolicy):
    """u(t, x) = the best constant for the start that is nearest to the state at t = 0."""

    best: ConstantState

    def initial(self):
        return jnp.full(self.best.us.shape[1:], jnp.nan)

    def __call__(self, t, x, held):
        nearest = jnp.argmin(jnp.sum((self.best.x0 - x) ** 2, axis=1))
        u = jnp.where(jnp.isnan(held), self.best.us[nearest], held)
        return u, u


class Constant(AbstractInformedMethod[ConstantState]):
    """The floor of every score. `init` raises LookupError if the task's references are not known."""

    references: tuple[Reference, ...] = filled_in(())

    def informed(self, references):
        return dataclasses.replace(self, references=references)  # also of a user's subclass

    def usage(self, task):
        return Usage(0)

    def init(self, task, key):
        if not self.references:
            raise LookupError("the best constant control is read off the task's reference, which is not known.")
        x0 = [task.x0 if r.start is None else jnp.array(r.start) for r in self.references]
        return ConstantState(jnp.stack(x0), jnp.array([r.floor_control for r in self.references]))

    def step(self, task, state, key):
        return state

    def policy(self, task, state):
        return ConstantPolicy(state)
