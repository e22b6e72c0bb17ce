"""Simple case: one decaying state x is pushed up by a control whose square is its price.

    min  ∫₀ᵀ -A x + B u² dt      x' = -x²/2 + C u,   x(0) = 1,   -1 <= u <= 2,   T = 1

Source: Lenhart & Workman, *Optimal Control Applied to Biological Models* (Chapman & Hall/CRC, 2007),
ch. 5, lab 1 and ch. 9, lab 4 (maxima there).

Differs from Myriad: there is one task, with finite bounds that the optimum does not touch. Myriad also has a task
without bounds.
"""

import jax.numpy as jnp

from tasks.base import AbstractTask, ControlVar, StateVar


class SimpleCase(AbstractTask):
    states = (StateVar("state", 1.0, 0.0, 3.0),)
    controls = (ControlVar("push", -1.0, 2.0),)
    A: float = 1.0  # value of the state
    B: float = 1.0  # price of the control
    C: float = 4.0  # effect of the control
    horizon: float = 1.0
    num_steps: int = 100
    solver: str = "tsit5"
    substeps: int = 1

    def vector_field(self, t, x, u):
        return -(x**2) / 2 + self.C * u

    def running_cost(self, t, x, u):
        return -self.A * x[0] + self.B * u[0] ** 2

    def terminal_cost(self, x):
        return jnp.zeros_like(x[0])
