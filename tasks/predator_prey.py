"""Predator and prey: a pesticide u kills the pest x₀ and its predator x₁ alike; exactly B of it is to be used.

    min  ∫₀ᵀ (A/2) u² dt + x₀(T) + w miss²      0 <= u <= M = 1,   T = 10,   miss = (z(T) - B) / 5
    x₀' = (1 - x₁) x₀ - d₁ x₀ u      pest, x₀(0) = 10
    x₁' = (x₀ - 1) x₁ - d₂ x₁ u      predator, x₁(0) = 1
    z'  = u                          pesticide used, z(0) = 0, end-state target B = 5

Source: Lenhart & Workman, *Optimal Control Applied to Biological Models* (Chapman & Hall/CRC, 2007),
ch. 22, lab 13; Goh, Leitmann & Vincent, Mathematical Biosciences 19 (1974) 263-286. Time and populations are scaled.

Differs from Myriad: the target z(T) = B is priced at the end, and not a constraint of the optimiser.
"""

import jax.numpy as jnp

from tasks.base import AbstractTask, ControlVar, StateVar


class PredatorPrey(AbstractTask):
    states = (
        StateVar("pest", 10.0, 0.0, 11.0),
        StateVar("predator", 1.0, 0.0, 11.0),
        StateVar("pesticide used", 0.0, 0.0, 5.0, target=5.0),
    )
    controls = (ControlVar("pesticide", 0.0, 1.0),)
    d_1: float = 0.1  # effect of the pesticide on the pest
    d_2: float = 0.1  # effect on the predator
    A: float = 1.0  # price of the pesticide
    weight: float = 1000.0  # price of missing the target by the whole range
    horizon: float = 10.0
    num_steps: int = 100
    solver: str = "tsit5"
    substeps: int = 2

    def vector_field(self, t, x, u):
        pest, predator, _ = x
        d_pest = (1 - predator) * pest - self.d_1 * pest * u[0]
        d_predator = (pest - 1) * predator - self.d_2 * predator * u[0]
        return jnp.stack([d_pest, d_predator, u[0]])

    def running_cost(self, t, x, u):
        return self.A / 2 * u[0] ** 2

    def terminal_cost(self, x):
        return x[0] + self.weight * jnp.sum(self.misses(x) ** 2)
