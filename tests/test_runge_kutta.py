"""Explicit steps: both forms are the same solver, along a field that depends on time, and in their gradients."""

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bench.runge_kutta import by_solver, by_stages

pytestmark = pytest.mark.usefixtures("x64")


def field(t, x):
    return jnp.stack([x[1] * jnp.cos(t), -jnp.sin(x[0]) + 0.3 * t])


def cost(t, x):
    return x[0] ** 2 + t * x[1]


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("solver", [diffrax.Heun, diffrax.Bosh3, diffrax.Tsit5], ids=lambda solver: solver.__name__)
def test_stages_written_out_are_those_of_the_solver(solver, count):
    def outcome(steps, scheme, x):
        after, total = steps(scheme, field, cost, 0.7, 0.4 / count, x, count)
        return jnp.append(after, total)

    x = jnp.array([0.5, -1.2])
    ours, theirs = (
        jax.jit(lambda x, way=way: (outcome(*way, x), jax.jacrev(lambda x: outcome(*way, x))(x)))(x)
        for way in ((by_stages, solver.tableau), (by_solver, solver))
    )
    # 1e-13: some hundred roundings of float64; the weakest of these methods errs by 1e-3.
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-13), ours, theirs)
