"""Copy: the first control is remembered, and only at the end does it matter.

    min  min(20 (m(T) - 0.5)² - 10, 10) + (δ/T) ∫ (r - u)² dt from the second control on      -1 <= u <= 1
    m' = 0;   at the end of the first of T = 20 intervals, m <- u

The best cost is -10, at u₀ = 0.5, and the credit for it has to travel the whole horizon. δ = 1 adds a distraction that
is paid at once: each of the H controls but the first costs (r - u)² / H. Draw the target r anew per instance.

Source: Ma, Ni, Gehring, D'Oro & Bacon, *Do Transformer World Models Give Better Policy Gradients?* (ICML 2024),
the copy task of its toy experiments.
"""

import jax.numpy as jnp

from tasks.base import AbstractHybridTask, AbstractSolvedTask, ControlVar, StateVar


class Copy(AbstractHybridTask, AbstractSolvedTask):
    states = (StateVar("memory", 0.0, -1.0, 1.0),)
    controls = (ControlVar("symbol", -1.0, 1.0),)
    floor = "random"
    distraction: float = 0.0  # δ
    r: float = 0.0  # the target of the distraction
    horizon: float = 20.0
    num_steps: int = 20
    solver: str = "euler"
    substeps: int = 1

    def vector_field(self, t, x, u):
        return jnp.zeros_like(x)

    def jump(self, t, x, u):
        return jnp.where(t < 1.5 * self.dt, u, x)

    def running_cost(self, t, x, u):
        return jnp.where(t < 0.5 * self.dt, 0.0, self.distraction / self.horizon * (self.r - u[0]) ** 2)

    def terminal_cost(self, x):
        return jnp.minimum(20 * (x[0] - 0.5) ** 2 - 10, 10)

    def optimum(self):
        return -10.0 if abs(self.r) <= 1 else None  # u = 0.5, then u = r: both terms are at their minimum
