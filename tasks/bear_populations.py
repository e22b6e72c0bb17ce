"""Bear populations: harvest in a park and a forest keeps bears from spilling over into the city.

    min  ∫₀ᵀ O + c_p u_p² + c_f u_f² dt      0 <= u_p, u_f <= 0.2,   T = 25 years
    x = (P, F, O): bears in the park, in the forest, outside
    P' = r P - (r/K) P² + (m_f r/K) (1 - P/K) F² - u_p P
    F' = r F - (r/K) F² + (m_p r/K) (1 - F/K) P² - u_f F
    O' = (r/K) (1 - m_p) P² + (r/K) (1 - m_f) F² + (r/K²) (m_f P F² + m_p P² F)

Source: Lenhart & Workman, *Optimal Control Applied to Biological Models* (Chapman & Hall/CRC, 2007),
ch. 15, lab 9; Salinas, Lenhart & Gross, Natural Resource Modeling 18 (2005). Densities are in units of a
reference population. Controls cost 1e4 u_p², so good harvests stay within 1 % of zero.
"""

import jax.numpy as jnp

from tasks.base import AbstractTask, ControlVar, StateVar


class BearPopulations(AbstractTask):
    states = (
        StateVar("park", 0.4, 0.0, 2.0),
        StateVar("forest", 0.2, 0.0, 2.0),
        StateVar("outside", 0.0, 0.0, 2.0),
    )
    controls = (ControlVar("park harvest", 0.0, 0.2, "1/year"), ControlVar("forest harvest", 0.0, 0.2, "1/year"))
    time_unit = "year"
    r: float = 0.1  # growth rate, 1/year
    K: float = 0.75  # carrying capacity
    m_p: float = 0.5  # share of the surplus that moves from park to forest
    m_f: float = 0.5  # share that moves from forest to park
    c_p: float = 1e4  # price of harvest in the park
    c_f: float = 10.0  # price of harvest in the forest
    horizon: float = 25.0
    num_steps: int = 100
    solver: str = "tsit5"
    substeps: int = 1

    def vector_field(self, t, x, u):
        P, F, _ = x
        u_p, u_f = u
        r, K, m_p, m_f = self.r, self.K, self.m_p, self.m_f
        dP = r * P - r / K * P**2 + m_f * r / K * (1 - P / K) * F**2 - u_p * P
        dF = r * F - r / K * F**2 + m_p * r / K * (1 - F / K) * P**2 - u_f * F
        dO = r / K * ((1 - m_p) * P**2 + (1 - m_f) * F**2) + r / K**2 * (m_f * P * F**2 + m_p * P**2 * F)
        return jnp.stack([dP, dF, dO])

    def running_cost(self, t, x, u):
        return x[2] + self.c_p * u[0] ** 2 + self.c_f * u[1] ** 2

    def terminal_cost(self, x):
        return jnp.zeros_like(x[0])
