"""Bioreactor: feed u bacteria x that degrade a contaminant, at a price for the nutrient.

    min  ∫₀ᵀ -K x + u dt      x' = G u x - D x²,   x(0) = 0.5,   0 <= u <= 1,   T = 2

With the defaults it is optimal never to feed: then x(t) = 1 / (2 + t) and J = -2 ln 2. So a constant control is best.

Source: Lenhart & Workman, *Optimal Control Applied to Biological Models* (Chapman & Hall/CRC, 2007),
ch. 19, lab 12 (a maximum there); Heinricher, Lenhart & Solomon, Natural Resource Modeling 9 (1995) 61-80.
"""

import math

import jax.numpy as jnp

from tasks.base import AbstractSolvedTask, ControlVar, StateVar


class Bioreactor(AbstractSolvedTask):
    states = (StateVar("bacteria", 0.5, 0.0, 1.0),)
    controls = (ControlVar("nutrient", 0.0, 1.0),)
    K: float = 2.0  # value of the degraded contaminant
    G: float = 1.0  # growth rate
    D: float = 1.0  # death rate
    horizon: float = 2.0
    num_steps: int = 100
    solver: str = "tsit5"
    substeps: int = 1

    def vector_field(self, t, x, u):
        return self.G * u * x - self.D * x**2

    def running_cost(self, t, x, u):
        return -self.K * x[0] + u[0]

    def terminal_cost(self, x):
        return jnp.zeros_like(x[0])

    def optimum(self):
        # With these constants feeding costs more than it earns wherever a control can lead: (T - t) x <= 1 if T <= 2.
        known = (self.K, self.G, self.D) == (2.0, 1.0, 1.0) and self.horizon <= 2
        return -2 * math.log(1 + self.horizon / 2) if known else None
