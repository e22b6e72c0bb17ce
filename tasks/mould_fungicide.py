"""Mould and fungicide: spray at rate u against a mould of concentration x that grows towards M.

    min  ∫₀ᵀ A x² + u² dt      x' = r (M - x) - u x,   x(0) = 1,   0 <= u <= 5,   T = 5 days

Source: Lenhart & Workman, *Optimal Control Applied to Biological Models* (Chapman & Hall/CRC, 2007),
ch. 6, lab 2 (where A = 1; here A = 10, the default of the Myriad package).
"""

import jax.numpy as jnp

from tasks.base import AbstractTask, ControlVar, StateVar


class MouldFungicide(AbstractTask):
    states = (StateVar("mould", 1.0, 0.0, 5.0),)
    controls = (ControlVar("fungicide", 0.0, 5.0, "1/day"),)
    time_unit = "day"
    r: float = 0.3  # growth rate, 1/day
    M: float = 10.0  # concentration at which growth stops
    A: float = 10.0  # price of the mould
    horizon: float = 5.0
    num_steps: int = 100
    solver: str = "tsit5"
    substeps: int = 1

    def vector_field(self, t, x, u):
        return self.r * (self.M - x) - u * x

    def running_cost(self, t, x, u):
        return self.A * x[0] ** 2 + u[0] ** 2

    def terminal_cost(self, x):
        return jnp.zeros_like(x[0])
