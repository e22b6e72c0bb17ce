"""Double pendulum launch: the first control chooses the angle from which a free double pendulum is let go.

    min  (1/4) |x(T) - x*|², angles the short way round      -1 <= u <= 1,   T = 5 s
    x' = that of `double_pendulum` without torques;   at the end of the first interval, θ₁ <- 180 u

The start is at rest, hanging. x* is the state that u = 0.3 reaches on the default grid, to 8 decimals. 180 u is read in
radians, as in the code of the source.

Source: Ma, Ni, Gehring, D'Oro & Bacon, *Do Transformer World Models Give Better Policy Gradients?* (ICML 2024),
its chaotic double pendulum.
"""

import math

import jax.numpy as jnp

from tasks.base import AbstractHybridTask, ControlVar, StateVar, wrap
from tasks.double_pendulum import accelerations


class DoublePendulumLaunch(AbstractHybridTask):
    states = (
        StateVar("first angle", 0.0, -math.pi, math.pi, -1.42336360, "rad", period=2 * math.pi),
        StateVar("second angle", 0.0, -math.pi, math.pi, 1.09038951, "rad", period=2 * math.pi),
        StateVar("first angular velocity", 0.0, -10.0, 10.0, -4.35909462, "rad/s"),
        StateVar("second angular velocity", 0.0, -15.0, 15.0, -2.05561329, "rad/s"),
    )
    controls = (ControlVar("launch", -1.0, 1.0),)
    floor = "random"
    g: float = 9.8  # gravity, m/s2
    horizon: float = 5.0
    num_steps: int = 100
    solver: str = "dopri8"
    substeps: int = 3

    def vector_field(self, t, x, u):
        return jnp.concatenate([x[2:], accelerations(self.g, x[:2], x[2:], jnp.zeros_like(x[:2]))])

    def jump(self, t, x, u):
        return jnp.where(t < 1.5 * self.dt, x.at[0].set(180 * u[0]), x)

    def running_cost(self, t, x, u):
        return jnp.zeros_like(x[0])

    def terminal_cost(self, x):
        gaps = x - jnp.array([s.target for s in self.states])
        return jnp.mean(jnp.concatenate([wrap(gaps[:2]), gaps[2:]]) ** 2)
