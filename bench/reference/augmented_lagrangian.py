"""Single shooting under constraints: the method of multipliers (Bertsekas, *Constrained Optimization and Lagrange
Multiplier Methods*, 1982, ch. 3).

    min over v   J(v) + Σ (max(0, λ + μ c(v))² - λ²) / 2μ + Σ λ m(v) + μ m(v)² / 2,      λ <- max(0, λ + μ c), λ + μ m

c are the path constraints at CHECKS points of each interval and the end constraints, m the misses of targets. The price
that learning pays has a kink where the optimum lies, where a descent stops early. This has none.
"""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy.optimize import minimize

from bench.solvers import SOLVERS, within
from tasks.base import AbstractHybridTask
from tasks.constrained import AbstractConstrainedTask

Vector = Float[np.ndarray, " unknowns"]
CHECKS = 8  # points of an interval at which constraints hold
ROUNDS = 10  # updates of the multipliers
GROWTH = 4.0  # of μ, where a round has not reduced the violation by as much
ITERATIONS = 100  # of quasi-Newton in a round
VIOLATION_TOL = 1e-7  # a tenth of what a reference of grade B may have
NO_PRICE = 1e-300  # a penalty far below rounding


def constrained_minimiser(
    task: AbstractConstrainedTask, x0: Float[np.ndarray, " n"], evaluate: Callable[[Vector], tuple[float, Vector]]
) -> Callable[[Vector], tuple[float, Vector, Vector]]:
    """Return a function v -> (priced cost, v, its gradient) that goes to a local minimum over the unit box.

    `evaluate` gives the priced cost of controls in units of their range, and its gradient. Call within `float64`.
    """
    lagrangian = jax.jit(jax.value_and_grad(lambda v, *at: _lagrangian(task, x0, v, *at)))
    conditions = jax.jit(lambda v: _cost_and_conditions(task, x0, v)[1:])

    def minimise_from(v: Vector) -> tuple[float, Vector, Vector]:
        below, equal = conditions(v)
        multipliers = np.zeros(below.shape), np.zeros(equal.shape)
        weight, last = max(abs(evaluate(v)[0]), 1e-300), np.inf
        for _ in range(ROUNDS):
            scale = max(np.max(np.abs(lagrangian(v, *multipliers, weight)[1])), 1e-300)

            def scaled(v, at=(*multipliers, weight), scale=scale):
                cost, gradient = lagrangian(v, *at)
                return float(cost) / scale, np.asarray(gradient) / scale

            options = {"maxiter": ITERATIONS, "maxfun": 10 * ITERATIONS, "ftol": 1e-15, "gtol": 1e-10, "maxcor": 40}
            bounds = [(0.0, 1.0)] * len(v)
            v = minimize(scaled, v, jac=True, method="L-BFGS-B", bounds=bounds, options=options).x
            below, equal = map(np.asarray, conditions(v))
            multipliers = np.maximum(0, multipliers[0] + weight * below), multipliers[1] + weight * equal
            violation = max(np.max(below, initial=0.0), np.max(np.abs(equal), initial=0.0))
            if not np.isfinite(violation) or violation < VIOLATION_TOL:
                break
            weight *= GROWTH if violation > last / GROWTH else 1.0
            last = violation
        cost, gradient = evaluate(v)
        return cost, v, gradient

    return minimise_from


def _lagrangian(task, x0, v, multipliers, targets, weight):
    cost, below, equal = _cost_and_conditions(task, x0, v)
    active = jnp.sum(jnp.maximum(0, multipliers + weight * below) ** 2 - multipliers**2) / (2 * weight)
    return cost + active + jnp.sum(targets * equal) + weight * jnp.sum(equal**2) / 2


def _cost_and_conditions(task, x0, v):
    """(unpriced cost, c and e, misses of targets)."""
    low, high = task.bounds
    us = low + (high - low) * v.reshape(task.num_steps, -1)
    unpriced = dataclasses.replace(
        task, penalty=NO_PRICE, num_steps=CHECKS * task.num_steps, substeps=-(-task.solver_steps // CHECKS)
    )

    def interval(x, inputs):
        k, u = inputs
        t = k * task.dt
        at_start = task.path_constraints(within(task, t, t), x, u)

        def part(x, i):
            s = t + i * unpriced.dt
            x, cost = SOLVERS[task.solver].fixed(unpriced, s, x, u)
            return x, (cost, task.path_constraints(within(task, t, s + unpriced.dt), x, u))

        x, (costs, ways) = jax.lax.scan(part, x, jnp.arange(CHECKS))
        x = task.jump(t + task.dt, x, u) if isinstance(task, AbstractHybridTask) else x
        return x, (jnp.sum(costs), jnp.append(at_start, ways))

    x, (costs, ways) = jax.lax.scan(interval, jnp.asarray(x0), (jnp.arange(task.num_steps), us))
    cost = jnp.sum(costs) + task.unpriced_terminal_cost(x)
    return cost, jnp.append(ways, task.end_constraints(x)), task.misses(x)
