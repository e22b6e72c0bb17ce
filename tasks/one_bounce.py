"""One bounce: a ball is thrown at a wall at -1 and is to come to rest at a goal. The first control sets its speed.

    min  (x(T) - goal)²      x' = v,   v' = -10 v,   x(0) = v(0) = 0,   -1 <= u <= 1,   T = 1 in 100 intervals
    v <- 10 (u - 2) at the end of the first interval;   v <- -v at the end of an interval with x < -1

Like simple game engines, the task does not locate the bounce within an interval. So the exact derivative of the
simulator is the wrong one: x(T) falls with u at a slope of about -1, while automatic differentiation yields -0.2 to
+0.9.

Source: Ma, Ni, Gehring, D'Oro & Bacon, *Do Transformer World Models Give Better Policy Gradients?* (ICML 2024),
the bounce of its toy experiments, after Metz et al., *Gradients are not all you need* (2021).
"""

import jax.numpy as jnp

from tasks.base import AbstractHybridTask, ControlVar, StateVar


class OneBounce(AbstractHybridTask):
    states = (StateVar("position", 0.0, -1.5, 1.0), StateVar("velocity", 0.0, -30.0, 30.0))
    controls = (ControlVar("throw", -1.0, 1.0),)
    floor = "random"
    drag: float = 10.0
    wall: float = -1.0
    goal: float = 0.0
    horizon: float = 1.0
    num_steps: int = 100
    solver: str = "tsit5"
    substeps: int = 1

    def vector_field(self, t, x, u):
        return jnp.stack([x[1], -self.drag * x[1]])

    def jump(self, t, x, u):
        position, velocity = x
        velocity = jnp.where(position < self.wall, -velocity, velocity)
        return jnp.stack([position, jnp.where(t < 1.5 * self.dt, 10 * (u[0] - 2), velocity)])

    def running_cost(self, t, x, u):
        return jnp.zeros_like(x[0])

    def terminal_cost(self, x):
        return (x[0] - self.goal) ** 2
