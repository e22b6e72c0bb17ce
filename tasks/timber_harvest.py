"""Timber harvest: the share u of the income from a forest x is invested to grow it, the rest is profit.

    min  ∫₀ᵀ -e^(-r t) x (1 - u) dt      x' = k x u,   x(0) = 100,   0 <= u <= 1,   T = 5 years

The optimum is bang-bang: invest everything until T - 1/k, then nothing; with r = 0, k = 1 it is -100 e⁴.

Source: Lenhart & Workman, *Optimal Control Applied to Biological Models* (Chapman & Hall/CRC, 2007),
ch. 18, lab 11 (a maximum there); Kamien & Schwartz, *Dynamic Optimization* (2nd ed., 1991).
"""

import math

import jax.numpy as jnp

from tasks.base import AbstractSolvedTask, ControlVar, StateVar


class TimberHarvest(AbstractSolvedTask):
    states = (StateVar("timber", 100.0, 0.0, 20000.0),)
    controls = (ControlVar("reinvested share", 0.0, 1.0),)
    time_unit = "year"
    r: float = 0.0  # discount rate, 1/year
    k: float = 1.0  # growth rate, 1/year
    horizon: float = 5.0
    num_steps: int = 100
    solver: str = "tsit5"
    substeps: int = 1

    def vector_field(self, t, x, u):
        return self.k * x * u

    def running_cost(self, t, x, u):
        return -jnp.exp(-self.r * t) * x[0] * (1 - u[0])

    def terminal_cost(self, x):
        return jnp.zeros_like(x[0])

    def optimum(self):
        switch = self.horizon - 1 / self.k
        on_grid = switch >= 0 and math.isclose(switch / self.dt, round(switch / self.dt), abs_tol=1e-9)
        return -self.states[0].start * math.exp(self.k * switch) / self.k if self.r == 0 and on_grid else None
