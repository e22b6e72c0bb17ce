"""Mountain car: an engine u that is too weak for the hill drives a car out of a valley by rocking it.

    min  ∫₀ᵀ 10 u² dt + w Σ miss²,   targets x = 0.45, v = 0 at T = 300      -1 <= u <= 1
    x' = v,   v' = power u - gravity cos(3 x)      x(0) = -0.1, v(0) = 0; the valley is at x = -π/6

Source: Moore, *Efficient memory-based learning for robot control* (PhD thesis, Cambridge, 1990); Brockman et al.,
*OpenAI Gym* (2016), MountainCarContinuous, whose time step of 1 is the unit of time.

Differs from Myriad: the hill is sin(3 x) / 3. Myriad has a parabola, which makes the task linear-quadratic. Myriad's
targets are constraints of the optimiser. Here they are priced at the end, and a miss is in units of the state's range.
"""

import jax.numpy as jnp

from tasks.base import AbstractTask, ControlVar, StateVar


class MountainCar(AbstractTask):
    states = (
        StateVar("position", -0.1, -1.2, 0.6, target=0.45, spread=0.05),
        StateVar("velocity", 0.0, -0.07, 0.07, target=0.0),
    )
    controls = (ControlVar("force", -1.0, 1.0),)
    power: float = 0.0015  # acceleration by the engine at full throttle
    gravity: float = 0.0025
    price: float = 10.0  # price of the squared force
    weight: float = 3000.0  # price of missing a target by the whole range
    horizon: float = 300.0
    num_steps: int = 100
    solver: str = "tsit5"
    substeps: int = 2

    def vector_field(self, t, x, u):
        return jnp.stack([x[1], self.power * u[0] - self.gravity * jnp.cos(3 * x[0])])

    def running_cost(self, t, x, u):
        return self.price * u[0] ** 2

    def terminal_cost(self, x):
        return self.weight * jnp.sum(self.misses(x) ** 2)
