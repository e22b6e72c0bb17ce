"""Grids that are too coarse, and plants that are stiff: `bench validate` says what would do."""

import re

import jax.numpy as jnp
import numpy as np
import pytest

from bench.contract.accuracy import accuracy_fault
from tasks.base import AbstractTask, ControlVar, StateVar


class VanDerPol(AbstractTask):
    """x'' = mu (1 - x²) x' - x + u: stiff where mu is large."""

    states = (StateVar("x", 2.0, -3.0, 3.0), StateVar("v", 0.0, -3.0, 3.0))
    controls = (ControlVar("u", -1.0, 1.0),)
    mu: float = 1000.0
    horizon: float = 10.0
    num_steps: int = 10
    solver: str = "tsit5"
    substeps: int = 1

    def vector_field(self, t, x, u):
        return jnp.stack([x[1], self.mu * (1 - x[0] ** 2) * x[1] - x[0] + u[0]])

    def running_cost(self, t, x, u):
        return x[0] ** 2 + 0.1 * u[0] ** 2

    def terminal_cost(self, x):
        return jnp.zeros_like(x[0])


US = np.random.default_rng(0).uniform(-1, 1, (4, 10, 1))


@pytest.mark.parametrize(
    ("mu", "substeps", "advice"),
    [
        (1000.0, 1, 'not finite, .* use substeps >= 1024 or solver = "radau5" with substeps >= 1$'),
        (1.0, 1, "not finite, .* use substeps >= 4 or"),
        (1.0, 8, "^$"),
    ],
)
def test_a_grid_that_is_too_coarse_is_told_what_would_do(mu, substeps, advice):
    fault = accuracy_fault(VanDerPol(mu=mu, substeps=substeps), US)
    assert re.search(advice, fault), fault
