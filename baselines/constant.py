"""Floor: the best constant control of the task's reference, held throughout. It learns nothing and spends nothing."""

import dataclasses

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from bench.budget import Usage
from bench.method import AbstractInformedMethod, Floor, filled_in
from bench.noisy_task import plant_of
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

    floors: tuple[Floor, ...] = filled_in(())

    def informed(self, floors):
        return dataclasses.replace(self, floors=floors)  # also of a user's subclass

    def usage(self, task):
        return Usage(0)

    def init(self, task, key):
        if not self.floors:
            raise LookupError("the best constant control is read off the task's reference, which is not known.")
        # A start is of the plant; of a noisy task more than that is observed.
        more = [0.0] * (len(task.states) - len(plant_of(task).states))
        x0 = [task.x0 if floor.start is None else jnp.array([*floor.start, *more]) for floor in self.floors]
        return ConstantState(jnp.stack(x0), jnp.array([floor.control for floor in self.floors]))

    def step(self, task, state, key):
        return state

    def policy(self, task, state):
        return ConstantPolicy(state)
