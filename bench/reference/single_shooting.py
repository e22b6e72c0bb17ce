"""Reference optima by single shooting: bounded quasi-Newton on the control sequence, through our own simulator.

    min over u in [low, high]^H   J(u) = cost of open_loop(task, u, x0)

Float64, gradients by reverse mode, L-BFGS-B (Byrd, Lu, Nocedal & Zhu, 1995; SciPy), from several starts, and Newton's
method for the last digits of what is stored. The starts are the best constant, constants at the middle and near both
bounds, switches between the bounds at several times, smooth random sequences, and the best of those that a floor draws.
Every value is the cost of a feasible control sequence, so an upper bound of the true minimum.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy.optimize import minimize

from bench.records.reference import Reference, cost_unit
from bench.reference.fingerprint import fingerprint
from bench.reference.newton import polish
from bench.simulate import open_loop
from tasks.base import AbstractTask

RANDOM_STARTS = 6
RANDOM_SEQUENCES = 1000  # for tasks whose floor they are
FIRST, LAST = 300, 3000  # iterations from every start, and then from the lowest point that they reached
TOGETHER = 32  # gradients
OPTIONS = {"maxfun": 20_000, "ftol": 1e-15, "gtol": 1e-12, "maxcor": 40}


class Improved(NamedTuple):
    """A local minimum: the cost of exactly these controls, in physical units, infinite if not finite; its residual."""

    cost: float
    us: Float[np.ndarray, "steps m"]
    residual: float


def single_shooting(name: str, task: AbstractTask, x0: Float[np.ndarray, " n"]) -> Reference:
    """Floor and best sequence of `task` on its grid from x0, one of its evaluation's starts. Deterministic."""
    low, high = task.bounds
    shape = (task.num_steps, len(low))
    cost = partial(_cost, task, x0)
    with jax.enable_x64(True):
        evaluate = _evaluator(task, x0)
        sequence = _minimiser(evaluate, FIRST)

        def held(v):
            value, gradient = evaluate(np.tile(v, task.num_steps))
            return value, gradient.reshape(shape).sum(axis=0)

        constant = _minimiser(held)
        floor, floor_v, _ = _lowest(map(constant, _constants(len(low))))
        lowest = []
        if task.floor == "random":
            draws = np.random.default_rng(0).random((RANDOM_SEQUENCES, *shape))
            costs = np.asarray(jax.jit(jax.vmap(cost))(draws))
            floor = float(np.mean(costs))
            lowest = draws[np.argsort(costs)[:RANDOM_STARTS]]
        starts = [np.broadcast_to(floor_v, shape), *_sequences(shape), *lowest]
        results = [sequence(v.ravel()) for v in starts]
        best, v, gradient = _lowest([_minimiser(evaluate)(_lowest(results)[1]), *results])
    costs = [float(found[0]) for found in results if np.isfinite(found[0])]
    return Reference(
        task=name,
        horizon=float(task.horizon),
        num_steps=task.num_steps,
        fingerprint=fingerprint(task),
        floor=float(floor),
        floor_control=(low + (high - low) * floor_v).tolist(),
        best=float(best),
        grade="C",
        residual=_residual(v, gradient, cost_unit(floor, best)),
        found_by="single shooting, L-BFGS-B",
        controls=rounded(low + (high - low) * v.reshape(shape)),
        single_shooting=[*costs, float(best)],
        start=None if task.starts == "fixed" else x0.tolist(),
    )


def improver(
    task: AbstractTask, x0: Float[np.ndarray, " n"], unit: float
) -> Callable[[Float[np.ndarray, "steps m"]], Improved]:
    """A function from controls to the local minimum that they lead to, to Newton's precision, kept to ten digits.

    Costs are in units of `unit` in the residual.
    """
    low, high = task.bounds
    with jax.enable_x64(True):
        evaluate, gradients = _evaluator(task, x0), _gradients(task, x0)
        minimise = _minimiser(evaluate)

    def improve(us):
        with jax.enable_x64(True):
            v = polish(evaluate, gradients, minimise(((us - low) / (high - low)).ravel())[1])
            kept = np.array(rounded(low + (high - low) * v.reshape(us.shape)))
            v = np.clip((kept - low) / (high - low), 0, 1).ravel()
            cost, gradient = evaluate(v)
        return Improved(cost if np.isfinite(cost) else np.inf, kept, _residual(v, gradient, unit))

    return improve


def rounded(rows: Float[np.ndarray, "rows columns"]) -> list[list[float]]:
    """To ten digits, as sequences are kept."""
    return [[float(f"{value:.10g}") for value in row] for row in rows]


def _cost(task, x0, v):
    """Unknowns are in [0, 1]: quasi-Newton sees controls in units of their range."""
    low, high = task.bounds
    return open_loop(task, low + (high - low) * v, jnp.asarray(x0)).cost


def _evaluator(task, x0):
    """A function from a flat control sequence to its cost and gradient; compiled once."""
    shape = (task.num_steps, len(task.controls))
    compiled = jax.jit(jax.value_and_grad(lambda v: _cost(task, x0, v.reshape(shape))))

    def evaluate(v):
        cost, gradient = compiled(v)
        return float(cost), np.asarray(gradient)

    return evaluate


def _gradients(task, x0):
    """A function from any number of flat sequences to their gradients; compiled once, for TOGETHER at a time."""
    shape = (task.num_steps, len(task.controls))
    compiled = jax.jit(jax.vmap(jax.grad(lambda v: _cost(task, x0, v.reshape(shape)))))

    def evaluate(vs):
        padded = np.pad(vs, ((0, -len(vs) % TOGETHER), (0, 0)))
        return np.concatenate([compiled(rows) for rows in padded.reshape(-1, TOGETHER, vs.shape[1])])[: len(vs)]

    return evaluate


def _residual(v, gradient, unit) -> float:
    return float(np.linalg.norm(np.clip(v - gradient / unit, 0, 1) - v))


def _lowest(results):
    finite = [found for found in results if np.isfinite(found[0])]
    if not finite:
        raise ArithmeticError("the cost was not finite from any start: this task cannot be judged on this grid.")
    return min(finite, key=lambda found: found[0])


def _minimiser(evaluate, iterations=LAST):
    """A function v -> (cost, v, gradient) at a local minimum over the unit box."""

    def run(v):
        # Scaled by the first gradient, so that the stopping rules mean the same for costs of 1 and of 1e4.
        scale = max(np.max(np.abs(evaluate(v)[1])), 1e-12)
        found = minimize(
            lambda v: tuple(part / scale for part in evaluate(v)),
            v,
            jac=True,
            method="L-BFGS-B",
            bounds=[(0.0, 1.0)] * len(v),
            options={**OPTIONS, "maxiter": iterations},
        )
        cost, gradient = evaluate(found.x)
        return cost, found.x, gradient

    return run


def _constants(m):
    """Starts for a constant control: a grid over each axis, the others in the middle."""
    for i in range(m):
        for level in (0.0, 0.02, 0.1, 0.25, 0.5, 0.75, 1.0):
            start = np.full(m, 0.5)
            start[i] = level
            yield start


def _sequences(shape):
    """Starts for a control sequence."""
    rng = np.random.default_rng(0)
    k = np.arange(shape[0])[:, None] / shape[0]
    for level in (0.02, 0.5, 0.98):
        yield np.full(shape, level)
    for switch in (0.25, 0.5, 0.75):
        yield np.where(k < switch, 0.98, 0.02) * np.ones(shape)
        yield np.where(k < switch, 0.02, 0.98) * np.ones(shape)
    for _ in range(RANDOM_STARTS):
        waves = rng.normal(size=(4, shape[1])) / np.arange(1, 5)[:, None]
        yield 1 / (1 + np.exp(-2 * np.cos(np.pi * k * np.arange(4)) @ waves))
