"""Glucose: insulin at rate u brings the blood glucose x₀ of a diabetic to a wanted level l through a hormone x₁.

    min  ∫₀ᵀ S (A (x₀ - l)² + u²) dt      0 <= u <= 0.01,   T = 0.2 days
    x₀' = -a x₀ - b x₁      glucose, x₀(0) = 0.75
    x₁' = -c x₁ + u         net hormone, x₁(0) = 0

The bounds are Myriad's; the book has none. Within them the highest constant rate is nearly optimal.

Source: Lenhart & Workman, *Optimal Control Applied to Biological Models* (Chapman & Hall/CRC, 2007),
ch. 16, lab 10; Eisen, *Mathematical Methods and Models in the Biological Sciences* (1988). Concentrations are relative.
"""

import jax.numpy as jnp

from tasks.base import AbstractTask, ControlVar, StateVar


class Glucose(AbstractTask):
    states = (StateVar("glucose", 0.75, 0.0, 1.0), StateVar("hormone", 0.0, 0.0, 1.0))
    controls = (ControlVar("insulin", 0.0, 0.01, "1/day"),)
    time_unit = "day"
    a: float = 1.0  # use of glucose by itself, 1/day
    b: float = 1.0  # use of glucose due to the hormone, 1/day
    c: float = 1.0  # decay of the hormone, 1/day
    A: float = 2.0  # price of a wrong level, relative to that of insulin
    l: float = 0.5  # wanted level of glucose
    S: float = 1e5  # scale of the cost
    horizon: float = 0.2
    num_steps: int = 100
    solver: str = "tsit5"
    substeps: int = 1

    def vector_field(self, t, x, u):
        glucose, hormone = x
        return jnp.stack([-self.a * glucose - self.b * hormone, -self.c * hormone + u[0]])

    def running_cost(self, t, x, u):
        return self.S * (self.A * (x[0] - self.l) ** 2 + u[0] ** 2)

    def terminal_cost(self, x):
        return jnp.zeros_like(x[0])
