"""Tasks that close over NumPy arrays, in float32 and in float64 by turns, in one process."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array

from bench.precision import float64
from bench.run import run
from bench.simulate import open_loop
from bench.suite import Allowance, Cell
from tasks.base import AbstractTask, ControlVar, StateVar

A = np.array([[0.0, 1.0], [-1.0, -0.5]])
TIMES = np.linspace(0.0, 2.0, 11)
DEMAND = np.sin(TIMES) + 1.0
WEIGHTS = np.array([1.0, 0.1])


class Plant(AbstractTask):
    """A spring with friction that follows a demand; its constants are held in several ways."""

    states = (StateVar("q", 1.0, -2.0, 2.0), StateVar("p", 0.0, -2.0, 2.0))
    controls = (ControlVar("u", -1.0, 1.0),)
    how: str = "python"
    weights: Array | None = None
    horizon: float = 2.0
    num_steps: int = 20
    solver: str = "tsit5"
    substeps: int = 1

    def vector_field(self, t, x, u):
        if self.how == "matrix":
            return A @ x + jnp.array([0.0, 1.0]) * u[0]
        return jnp.stack([x[1], -x[0] - 0.5 * x[1] + u[0]])

    def running_cost(self, t, x, u):
        if self.how == "table":
            return (x[0] - jnp.interp(t, TIMES, DEMAND)) ** 2 + 0.1 * u[0] ** 2
        if self.how == "weights":
            return jnp.sum(WEIGHTS * x**2) + 0.1 * u[0] ** 2
        weights = WEIGHTS.tolist() if self.weights is None else self.weights
        return weights[0] * x[0] ** 2 + weights[1] * x[1] ** 2 + 0.1 * u[0] ** 2

    def terminal_cost(self, x):
        return jnp.zeros_like(x[0])


def cost(task):
    us = jnp.linspace(-1, 1, task.num_steps)[:, None]
    return jax.jit(lambda us: open_loop(task, us, task.x0).cost)(us)


@pytest.mark.parametrize("how", ["python", "matrix", "weights", "table"])
def test_precisions_do_not_mix(how):
    task = Plant(how)
    single = cost(task)
    with float64(task):
        double = cost(task)
    again = cost(task)
    assert (single.dtype, double.dtype, again.dtype) == (jnp.float32, jnp.float64, jnp.float32)
    assert single == again
    assert float(single) == pytest.approx(float(double), rel=1e-5)  # some tens of roundings of float32


METHODS = ("simulator_gradient", "constant")
matrix, table = (partial(Plant, how) for how in ("matrix", "table"))


@pytest.mark.parametrize("how", ["matrix", "table"])
def test_such_a_task_is_trained_and_judged(how, tmp_path):
    cells = [Cell("own", f"test_precision:{how}", name, (0,), Allowance(env_steps=1500, evals=3)) for name in METHODS]
    records = run(cells, tmp_path)
    assert [r.status for r in records] == ["ok"] * len(METHODS), [r.error for r in records]
    assert all(
        r.rescored["adaptive"] == pytest.approx(r.curve[-1]["cost"], rel=1e-4) for r in records
    )  # the grid's error
