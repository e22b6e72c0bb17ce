"""Harvest: fish or crop x is sold at a price k t / (t + 1) that rises with its age; effort costs u².

    min  ∫₀ᵀ -A k t / (t + 1) x u + u² dt      x' = -(m + u) x,   x(0) = 0.4,   0 <= u <= M = 1,   T = 10

Source: Lenhart & Workman, *Optimal Control Applied to Biological Models* (Chapman & Hall/CRC, 2007),
ch. 11, lab 6 (a maximum there); Getz, *Optimal control and principles in population management* (1984).
The running cost depends on time.
"""

import jax.numpy as jnp

from tasks.base import AbstractTask, ControlVar, StateVar


class Harvest(AbstractTask):
    states = (StateVar("population", 0.4, 0.0, 0.4),)
    controls = (ControlVar("harvest rate", 0.0, 1.0),)
    A: float = 5.0  # value of a unit of mass
    k: float = 10.0  # maximum mass of one individual
    m: float = 0.2  # natural death rate
    horizon: float = 10.0
    num_steps: int = 100
    solver: str = "tsit5"
    substeps: int = 1

    def vector_field(self, t, x, u):
        return -(self.m + u) * x

    def running_cost(self, t, x, u):
        mass = self.k * t / (t + 1)
        return -self.A * mass * x[0] * u[0] + u[0] ** 2

    def terminal_cost(self, x):
        return jnp.zeros_like(x[0])
