"""Van der Pol oscillator: a bounded push u brings a self-excited oscillator to rest.

    min  ∫₀ᵀ x₀² + x₁² + u² dt + w Σ miss²,   targets x₀ = x₁ = 0 at T = 10      -0.75 <= u <= 1
    x₀' = a (1 - x₁²) x₀ - x₁ + u,   x₁' = x₀      x(0) = (0, 1)

Source: Andersson, Åkesson & Diehl, *CasADi User Guide* 1.8 (2013), an optimal-control example.

Differs from Myriad: the targets are priced at the end, and not constraints of the optimiser. A miss is in units of the
state's range.
"""

import jax.numpy as jnp

from tasks.base import AbstractTask, ControlVar, StateVar


class VanDerPol(AbstractTask):
    states = (
        StateVar("velocity", 0.0, -4.0, 4.0, target=0.0, spread=0.1),
        StateVar("position", 1.0, -4.0, 4.0, target=0.0),
    )
    controls = (ControlVar("push", -0.75, 1.0),)
    a: float = 1.0  # strength of the self-excitation
    weight: float = 100.0  # price of missing a target by the whole range
    horizon: float = 10.0
    num_steps: int = 100
    solver: str = "tsit5"
    substeps: int = 1

    def vector_field(self, t, x, u):
        return jnp.stack([self.a * (1 - x[1] ** 2) * x[0] - x[1] + u[0], x[0]])

    def running_cost(self, t, x, u):
        return x[0] ** 2 + x[1] ** 2 + u[0] ** 2

    def terminal_cost(self, x):
        return self.weight * jnp.sum(self.misses(x) ** 2)
