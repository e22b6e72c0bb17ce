"""Recurrent actions world models: x̂[t+1] = x[0] + σ W h[t+1], h[t+1] = cell(u[t], h[t]), h[0] a function of x[0].

The gradient from a late state to an early control is a product of the cell's Jacobians, one for each step between.
"""

import abc
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Key

from baselines.abstract_models import AbstractActionsModel, states_and_increments, unroll
from baselines.networks import Linear, scaled
from baselines.normalisation import Scales
from bench.settings import NotNegative, Width


class AbstractCell(eqx.Module):
    """A recurrent cell; its state may be more than its output."""

    @abc.abstractmethod
    def __init__(self, inputs: int, width: int, *, key: Key[Array, ""]): ...

    @abc.abstractmethod
    def start(self, h: Float[Array, " width"]) -> Any:
        """Return the state before the first input. Its output is h."""

    @abc.abstractmethod
    def __call__(self, u: Float[Array, " inputs"], state: Any) -> tuple[Any, Float[Array, " width"]]:
        """Return the next state and the output."""


class VanillaCell(AbstractCell):
    """h' = tanh(W [u, h] + b) (Elman, 1990)."""

    layer: Linear

    def __init__(self, inputs, width, *, key):
        self.layer = Linear(inputs + width, width, key=key)

    def start(self, h):
        return h

    def __call__(self, u, state):
        h = jnp.tanh(self.layer(jnp.concatenate([u, state])))
        return h, h


class GRUCell(AbstractCell):
    """Gated recurrent unit (Cho et al., 2014)."""

    cell: eqx.nn.GRUCell

    def __init__(self, inputs, width, *, key):
        self.cell = eqx.nn.GRUCell(inputs, width, key=key)

    def start(self, h):
        return h

    def __call__(self, u, state):
        h = self.cell(u, state)
        return h, h


class LSTMCell(AbstractCell):
    """Long short-term memory (Hochreiter & Schmidhuber, 1997)."""

    cell: eqx.nn.LSTMCell

    def __init__(self, inputs, width, *, key):
        self.cell = eqx.nn.LSTMCell(inputs, width, key=key)

    def start(self, h):
        return h, jnp.zeros_like(h)

    def __call__(self, u, state):
        state = self.cell(u, state)
        return state, state[0]


class ActionsRecurrent(AbstractActionsModel):
    """AWM: a recurrent cell carried over the controls. Its first state is a function of x[0]."""

    scales: Scales
    start: Linear
    cell: AbstractCell
    read: Linear
    increments: NotNegative = eqx.field(static=True)
    incremental: bool = eqx.field(static=True)

    def __init__(
        self,
        scales: Scales,
        *,
        cell: type[AbstractCell] = GRUCell,
        width: Width = 64,
        increments: NotNegative = 1.0,
        incremental: bool = False,
        key: Key[Array, ""],
    ):
        n, m = len(scales.mean), len(scales.low)
        keys = jr.split(key, 3)
        self.scales, self.increments, self.incremental = scales, increments, incremental
        self.start = Linear(n, width, key=keys[0])
        self.cell = cell(m, width, key=keys[1])
        self.read = scaled(Linear(width, n, key=keys[2]), 0.1)

    def __call__(self, x0, us):
        return unroll(self, x0, us)

    def residuals(self, xs, us):
        return states_and_increments(self, xs, us)

    def initial(self, x0, steps):
        return x0, x0, self.cell.start(jnp.tanh(self.start(self.scales.state(x0))))

    def advance(self, carry, u):
        x0, x, state = carry
        state, h = self.cell(self.scales.control(u), state)
        x = self.next(x0, x, self.read(h))
        return (x0, x, state), x
