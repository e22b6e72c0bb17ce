"""Invasive plant: a weed spreads from five foci of radius xⱼ, and effort removes the share uⱼ of each.

    min  ∫₀ᵀ B Σ uⱼ² dt + Σ xⱼ(T)      xⱼ' = (xⱼ + k xⱼ / (ε + xⱼ)) (1 - uⱼ) - xⱼ,   0 <= uⱼ <= 1,   T = 10

Source: Lenhart & Workman, *Optimal Control Applied to Biological Models* (Chapman & Hall/CRC, 2007),
ch. 24, lab 14; Moody & Mack, J. Applied Ecology 25 (1988) 1009-1021; Whittle, Lenhart & Gross, Mathematical
Biosciences and Engineering 4 (2007) 101-112.

Differs from Myriad: this is an ODE. With Euler steps of 1 it is Myriad's map x ← (x + k x / (ε + x)) (1 - u). And the
plants that are left at the end have their documented price; without it doing nothing is optimal.
"""

import jax.numpy as jnp

from tasks.base import AbstractTask, ControlVar, StateVar


class InvasivePlant(AbstractTask):
    states = tuple(StateVar(f"radius {j + 1}", x, 0.0, 20.0) for j, x in enumerate((0.5, 1.0, 1.5, 2.0, 10.0)))
    controls = tuple(ControlVar(f"removed share {j + 1}", 0.0, 1.0) for j in range(5))
    B: float = 1.0  # price of the effort
    k: float = 1.0  # growth of a large focus per unit of time
    eps: float = 0.01  # radius below which growth slows down
    horizon: float = 10.0
    num_steps: int = 100
    solver: str = "tsit5"
    substeps: int = 1

    def vector_field(self, t, x, u):
        return (x + self.k * x / (self.eps + x)) * (1 - u) - x

    def running_cost(self, t, x, u):
        return self.B * jnp.sum(u**2)

    def terminal_cost(self, x):
        return jnp.sum(x)
