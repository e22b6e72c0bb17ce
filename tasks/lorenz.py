"""Lorenz: a small force u steers a chaotic flow to an unstable fixed point and holds it there.

    min  ∫₀ᵀ 0.01 |x - x*|² + 0.001 u² dt,   x* = (c, c, ρ - 1), c = √(β (ρ - 1))      -10 <= u <= 10,   T = 5
    x₀' = σ (x₁ - x₀) + u,   x₁' = x₀ (ρ - x₂) - x₁,   x₂' = x₀ x₁ - β x₂      x(0) = (1, 1, 20)

The horizon is about 4.5 Lyapunov times. The control problem is ours.

Source of the flow: Lorenz, *Deterministic nonperiodic flow*, J. Atmospheric Sciences 20 (1963) 130-141.
"""

import jax.numpy as jnp

from tasks.base import AbstractTask, ControlVar, StateVar


class Lorenz(AbstractTask):
    states = (
        StateVar("convection", 1.0, -25.0, 25.0),
        StateVar("horizontal gradient", 1.0, -30.0, 30.0),
        StateVar("vertical gradient", 20.0, 0.0, 50.0),
    )
    controls = (ControlVar("force", -10.0, 10.0),)
    sigma: float = 10.0
    rho: float = 28.0
    beta: float = 8 / 3
    price_distance: float = 0.01  # price of the squared distance to the fixed point
    price_force: float = 0.001  # price of the squared force
    horizon: float = 5.0
    num_steps: int = 100
    solver: str = "dopri8"
    substeps: int = 2

    def vector_field(self, t, x, u):
        x0, x1, x2 = x
        d0 = self.sigma * (x1 - x0) + u[0]
        return jnp.stack([d0, x0 * (self.rho - x2) - x1, x0 * x1 - self.beta * x2])

    def running_cost(self, t, x, u):
        c = jnp.sqrt(self.beta * (self.rho - 1))
        distance = (x[0] - c) ** 2 + (x[1] - c) ** 2 + (x[2] - self.rho + 1) ** 2
        return self.price_distance * distance + self.price_force * u[0] ** 2

    def terminal_cost(self, x):
        return jnp.zeros_like(x[0])
