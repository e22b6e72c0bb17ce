"""Epidemic: vaccinate the susceptible at rate u to keep few people infectious.

    min  ∫₀ᵀ A I + u² dt,   x = (S, E, I, N): susceptible, exposed, infectious, all      0 <= u <= 0.9,   T = 20 years
    S' = b N - d S - c S I - u S        E' = c S I - (e + d) E
    I' = e E - (g + a + d) I            N' = (b - d) N - a I

Source: Lenhart & Workman, *Optimal Control Applied to Biological Models* (Chapman & Hall/CRC, 2007),
ch. 13, lab 7; Joshi, Lenhart, Li & Wang, Contemporary Mathematics 410 (2006) 187-207.

Differs from Myriad: Myriad has a second copy of this model, `SEIR` with u <= 1, which is left out here.
"""

import jax.numpy as jnp

from tasks.base import AbstractTask, ControlVar, StateVar


class EpidemicSEIRN(AbstractTask):
    # With these spreads N - S - E - I, the number of recovered people, is at least 0.
    states = (
        StateVar("susceptible", 1000.0, 0.0, 2000.0, spread=5.0),
        StateVar("exposed", 100.0, 0.0, 250.0, spread=5.0),
        StateVar("infectious", 50.0, 0.0, 250.0, spread=5.0),
        StateVar("all", 1165.0, 0.0, 3000.0, spread=0.0),
    )
    controls = (ControlVar("vaccination rate", 0.0, 0.9, "1/year"),)
    time_unit = "year"
    b: float = 0.525  # birth rate, 1/year
    d: float = 0.5  # death rate, 1/year
    c: float = 1e-4  # infection rate, 1/year
    e: float = 0.5  # rate at which the exposed become infectious, 1/year
    g: float = 0.1  # recovery rate, 1/year
    a: float = 0.2  # death rate due to the disease, 1/year
    A: float = 0.1  # price of an infectious person
    horizon: float = 20.0
    num_steps: int = 100
    solver: str = "tsit5"
    substeps: int = 1

    def vector_field(self, t, x, u):
        S, E, I, N = x
        infection = self.c * S * I
        dS = self.b * N - self.d * S - infection - u[0] * S
        dE = infection - (self.e + self.d) * E
        dI = self.e * E - (self.g + self.a + self.d) * I
        return jnp.stack([dS, dE, dI, (self.b - self.d) * N - self.a * I])

    def running_cost(self, t, x, u):
        return self.A * x[2] + u[0] ** 2

    def terminal_cost(self, x):
        return jnp.zeros_like(x[0])
