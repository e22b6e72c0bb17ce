"""A task with constraints on the way and at the end, which learning prices by an exact penalty."""

import abc
import dataclasses
import math

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from tasks.base import AbstractTask, Scalar


class AbstractConstrainedTask(AbstractTask):
    """A task with constraints: c(t, x, u) <= 0 all the way, e(x(T)) <= 0, and every target met at the end.

    Write c and e in units of their range, so that 1 is a large violation: x <= limit becomes x / limit - 1 <= 0. The
    second route to a reference enforces them. Learning prices them by the exact (L1) penalty ρ, so that every method
    meets them through `running_cost` and `terminal_cost`:

        min   ∫₀ᵀ g + ρ Σ max(c, 0) dt + Φ(x(T)) + ρ Σ max(e, 0) + ρ Σ |misses of the targets|

    A penalty above every multiplier moves no optimum. Begin with ten to a hundred times the size of the cost. A larger
    one makes learning stiff; under a smaller one a violation pays.
    """

    penalty: eqx.AbstractVar[float]  # ρ: cost of a violation as large as the range, per unit of time on the way

    @abc.abstractmethod
    def unpriced_running_cost(self, t: Scalar, x: Float[Array, " n"], u: Float[Array, " m"]) -> Float[Array, ""]:
        """Return g(t, x, u), the cost per unit of time, without a price for constraints."""

    @abc.abstractmethod
    def unpriced_terminal_cost(self, x: Float[Array, " n"]) -> Float[Array, ""]:
        """Return Φ(x(T)), without a price for constraints and targets."""

    @abc.abstractmethod
    def path_constraints(self, t: Scalar, x: Float[Array, " n"], u: Float[Array, " m"]) -> Float[Array, " paths"]:
        """Return c(t, x, u), at most 0 where it holds; jnp.zeros(0, x.dtype) where there is none."""

    @abc.abstractmethod
    def end_constraints(self, x: Float[Array, " n"]) -> Float[Array, " ends"]:
        """Return e(x(T)), at most 0 where it holds; jnp.zeros(0, x.dtype) where there is none."""

    def __check_init__(self):
        if "penalty" not in [field.name for field in dataclasses.fields(self)]:
            raise ValueError(f"{type(self).__name__}: penalty must be a field: write `penalty: float = 100.0`.")
        if not (math.isfinite(self.penalty) and self.penalty > 0):
            raise ValueError(f"{type(self).__name__}: penalty must be a positive number, got {self.penalty}.")

    def running_cost(self, t: Scalar, x: Float[Array, " n"], u: Float[Array, " m"]) -> Float[Array, ""]:
        """Return g and the price of violated path constraints, per unit of time."""
        excess = jnp.maximum(self.path_constraints(t, x, u), 0)
        return self.unpriced_running_cost(t, x, u) + self.penalty * jnp.sum(excess)

    def terminal_cost(self, x: Float[Array, " n"]) -> Float[Array, ""]:
        """Return Φ and the price of violated end constraints and missed targets."""
        excess = jnp.sum(jnp.maximum(self.end_constraints(x), 0)) + jnp.sum(jnp.abs(self.misses(x)))
        return self.unpriced_terminal_cost(x) + self.penalty * excess
