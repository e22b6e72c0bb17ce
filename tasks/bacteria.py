"""Bacteria: a chemical nutrient of strength u helps bacteria x to grow, and its by-product hinders them.

    min  ∫₀ᵀ u² dt - C x(T)      x' = r x + A u x - B u² e⁻ˣ,   x(0) = 1,   0 <= u <= 2,   T = 1

Source: Lenhart & Workman, *Optimal Control Applied to Biological Models* (Chapman & Hall/CRC, 2007),
ch. 7, lab 3 (a maximum there). Time and concentration are in the book's own units.

Differs from Myriad: the model is undefined for x < 0, and there it blows up under half of all controls. Here f and Φ
read max(x, 0), and the velocity at 0 never points outward. So extinction is absorbing and does not depend on the grid.
"""

import jax.numpy as jnp

from tasks.base import AbstractTask, ControlVar, StateVar


class Bacteria(AbstractTask):
    states = (StateVar("bacteria", 1.0, 0.0, 10.0),)
    controls = (ControlVar("nutrient", 0.0, 2.0),)
    r: float = 1.0  # growth rate
    A: float = 1.0  # effect of the nutrient
    B: float = 12.0  # effect of its by-product
    C: float = 1.0  # value of the final population
    horizon: float = 1.0
    num_steps: int = 100
    solver: str = "tsit5"
    substeps: int = 1

    def vector_field(self, t, x, u):
        alive = jnp.maximum(x, 0)
        velocity = self.r * alive + self.A * u * alive - self.B * u**2 * jnp.exp(-alive)
        return jnp.where(x > 0, velocity, jnp.maximum(velocity, 0))

    def running_cost(self, t, x, u):
        return u[0] ** 2

    def terminal_cost(self, x):
        return -self.C * jnp.maximum(x[0], 0)
