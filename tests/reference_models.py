"""A world model that only tests use: the simulator."""

import jax
import jax.numpy as jnp

from baselines.abstract_models import AbstractWorldModel
from baselines.normalisation import Scales
from bench.simulate import open_loop, transition
from tasks.base import AbstractTask


class Simulator(AbstractWorldModel):
    """A perfect model: imagination in it must agree with reality.

    Forecasts may have an error that grows with time and depends on no control.
    """

    scales: Scales
    task: AbstractTask
    error: float = 0.0

    def __call__(self, x0, us):
        return open_loop(self.task, us, x0).xs[1:]

    def residuals(self, xs, us):
        return self(xs[0], us) - xs[1:]

    def initial(self, x0, steps):
        return x0, jnp.zeros((), jnp.int32)

    def advance(self, carry, u):
        x, k = carry
        x, _ = transition(self.task, k * self.task.dt, x, u)
        return (x, k + 1), x

    def forecast(self, xs, us, k):
        def step(carry, inputs):
            i, observed, u = inputs
            return self.advance((jnp.where(i <= k, observed, carry[0]), carry[1]), u)

        steps = jnp.arange(len(us))
        predicted = jax.lax.scan(step, self.initial(xs[0], len(us)), (steps, xs[:-1], us))[1]
        return predicted + self.error * steps[:, None]
