"""Cancer treatment: a drug of strength u shrinks a tumour of normalised density x that grows by Gompertz' law.

    min  ∫₀ᵀ a x² + u² dt      x' = r x ln(1/x) - δ u x,   x(0) = 0.975,   0 <= u <= 2,   T = 20 days

Source: Lenhart & Workman, *Optimal Control Applied to Biological Models* (Chapman & Hall/CRC, 2007),
ch. 10, lab 5; Fister & Panetta, SIAM J. Appl. Math. 63 (2003) 1954-1971 (Skipper's log-kill hypothesis).
"""

import jax.numpy as jnp

from tasks.base import AbstractTask, ControlVar, StateVar


class CancerTreatment(AbstractTask):
    states = (StateVar("tumour density", 0.975, 0.001, 1.0),)
    controls = (ControlVar("drug strength", 0.0, 2.0),)
    time_unit = "day"
    r: float = 0.3  # growth rate, 1/day
    a: float = 3.0  # price of the tumour
    delta: float = 0.45  # effect of the drug, 1/day
    horizon: float = 20.0
    num_steps: int = 100
    solver: str = "tsit5"
    substeps: int = 1

    def vector_field(self, t, x, u):
        return -self.r * x * jnp.log(x) - self.delta * u * x

    def running_cost(self, t, x, u):
        return self.a * x[0] ** 2 + u[0] ** 2

    def terminal_cost(self, x):
        return jnp.zeros_like(x[0])
