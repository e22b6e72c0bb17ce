"""Tumour: a limited dose of a drug u that stops blood vessels q from growing starves a tumour p.

    min  p(T) + w max(y(T) - A, 0)²      0 <= u <= 75,   T = 1.2 days
    p' = -ξ p ln(p / q)                         tumour volume, p(0) = p̄/2
    q' = q (b - μ - d p^(2/3) - G u)            volume that the vessels support, q(0) = p̄/4
    y' = u                                      dose used, y(0) = 0, at most A = 15;   p̄ = ((b - μ) / d)^(3/2)

Source: Ledzewicz & Schättler, SIAM J. Control Optim. 46 (2007) 1052-1079; Betts, *Practical Methods for Optimal
Control Using Nonlinear Programming* (3rd ed., SIAM, 2020), problem 10.70. Volumes are in mm³.

Differs from Myriad: the dose limit is priced at the end, and not a bound on the state.
"""

import jax.numpy as jnp

from tasks.base import AbstractTask, ControlVar, StateVar

EQUILIBRIUM = ((5.85 - 0.02) / 0.00873) ** 1.5  # p̄, the volume without treatment, with the default rates


class Tumour(AbstractTask):
    states = (
        StateVar("tumour", EQUILIBRIUM / 2, 0.0, EQUILIBRIUM, unit="mm3"),
        StateVar("vessels", EQUILIBRIUM / 4, 0.0, EQUILIBRIUM, unit="mm3"),
        StateVar("dose used", 0.0, 0.0, 15.0),
    )
    controls = (ControlVar("dose rate", 0.0, 75.0, "1/day"),)
    time_unit = "day"
    xi: float = 0.084  # growth rate of the tumour, 1/day
    b: float = 5.85  # growth rate of the vessels, 1/day
    d: float = 0.00873  # inhibition by the tumour, 1/(mm2 day)
    G: float = 0.15  # effect of the drug
    mu: float = 0.02  # natural loss of vessels, 1/day
    A: float = 15.0  # dose limit
    weight: float = 500.0  # price of the squared dose beyond the limit
    horizon: float = 1.2
    num_steps: int = 100
    solver: str = "tsit5"
    substeps: int = 1

    def vector_field(self, t, x, u):
        p, q, _ = x
        dp = -self.xi * p * jnp.log(p / q)
        dq = q * (self.b - self.mu - self.d * p ** (2 / 3) - self.G * u[0])
        return jnp.stack([dp, dq, u[0]])

    def running_cost(self, t, x, u):
        return jnp.zeros_like(x[0])

    def terminal_cost(self, x):
        return x[0] + self.weight * jnp.maximum(x[2] - self.A, 0) ** 2
