"""HIV treatment: chemotherapy keeps healthy CD4+ T cells alive; u = 0 is full therapy, u = 1 none.

    min  ∫₀ᵀ -A x₀ + (1 - u)² dt      0 <= u <= 1,   T = 20 days
    x₀' = s / (1 + x₂) - m₁ x₀ + r x₀ (1 - (x₀ + x₁) / T_max) - u k x₀ x₂      healthy cells
    x₁' = u k x₀ x₂ - m₂ x₁                                                    infected cells
    x₂' = N m₂ x₁ - m₃ x₂                                                      free virus

Source: Lenhart & Workman, *Optimal Control Applied to Biological Models* (Chapman & Hall/CRC, 2007),
ch. 14, lab 8 (a maximum there); Butler, Kirschner & Lenhart, *Optimal control of chemotherapy affecting the
infectivity of HIV* (1997). Concentrations are per mm³.
"""

import jax.numpy as jnp

from tasks.base import AbstractTask, ControlVar, StateVar


class HIVTreatment(AbstractTask):
    states = (
        StateVar("healthy cells", 800.0, 0.0, 1600.0, unit="1/mm3"),
        StateVar("infected cells", 0.04, 0.0, 100.0, unit="1/mm3"),
        StateVar("virus", 1.5, 0.0, 100.0, unit="1/mm3"),
    )
    controls = (ControlVar("infectivity left", 0.0, 1.0),)
    time_unit = "day"
    s: float = 10.0  # supply of healthy cells, 1/(mm3 day)
    m_1: float = 0.02  # death rate of healthy cells, 1/day
    m_2: float = 0.5  # death rate of infected cells, 1/day
    m_3: float = 4.4  # death rate of virus, 1/day
    r: float = 0.03  # growth rate of healthy cells, 1/day
    T_max: float = 1500.0  # cells at which growth stops, 1/mm3
    k: float = 2.4e-5  # infection rate, mm3/day
    N: float = 300.0  # virus particles that an infected cell sets free
    A: float = 0.05  # value of healthy cells
    horizon: float = 20.0
    num_steps: int = 100
    solver: str = "tsit5"
    substeps: int = 1

    def vector_field(self, t, x, u):
        healthy, infected, virus = x
        infection = u[0] * self.k * healthy * virus
        growth = self.r * healthy * (1 - (healthy + infected) / self.T_max)
        d_healthy = self.s / (1 + virus) - self.m_1 * healthy + growth - infection
        d_infected = infection - self.m_2 * infected
        d_virus = self.N * self.m_2 * infected - self.m_3 * virus
        return jnp.stack([d_healthy, d_infected, d_virus])

    def running_cost(self, t, x, u):
        return -self.A * x[0] + (1 - u[0]) ** 2

    def terminal_cost(self, x):
        return jnp.zeros_like(x[0])
