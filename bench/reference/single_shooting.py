"""Reference optima by single shooting: bounded quasi-Newton on the control sequence, through the project's simulator.

    min over u in [low, high]^H   J(u) = cost of open_loop(task, u, x0)

Float64, gradients by reverse mode, L-BFGS-B (Byrd, Lu, Nocedal & Zhu, 1995; SciPy) from several starts; Newton's method
finds the last digits of a stored optimum. Under constraints it is the method of multipliers. The starts are the best
constant, constants in the middle and near both bounds, switches between the bounds at several times, smooth random
sequences, and the best random sequences of a task whose floor they are. Every result is the cost of a feasible control
sequence, so an upper bound of the true minimum.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy.optimize import minimize

from bench.precision import float64
from bench.records.reference import Reference, cost_unit
from bench.reference.augmented_lagrangian import constrained_minimiser
from bench.reference.fingerprint import fingerprint
from bench.reference.newton import polish
from bench.simulate import open_loop
from tasks.base import AbstractTask
from tasks.constrained import AbstractConstrainedTask

RANDOM_STARTS = 6
FLOOR_SEQUENCES = 1000  # random sequences, for tasks whose floor is their mean cost
ITERATIONS_PER_START = 300
RANDOM_SEQUENCES = 32  # whose lower quartile says what a large difference of costs is
MAX_ITERATIONS = 3000  # for constants, and for the search that goes on from the best start
GRADIENT_BATCH = 32  # gradients in one call
LBFGSB_OPTIONS = {"maxfun": 20_000, "ftol": 1e-15, "gtol": 1e-12, "maxcor": 40}


class LocalMinimum(NamedTuple):
    """A local minimum.

    `us` are the controls in physical units, `cost` is the cost of exactly these, infinite if it is not finite, and
    `residual` the norm of the projected gradient.
    """

    cost: float
    us: Float[np.ndarray, "steps m"]
    residual: float


def single_shooting(name: str, task: AbstractTask, x0: Float[np.ndarray, " n"]) -> Reference:
    """Find the floor and the best control sequence from x0, one of the evaluation's starts. Deterministic.

    `name` is the task's name in the reference. Raises ArithmeticError if no start has a finite cost.
    """
    low, high = task.bounds
    shape = (task.num_steps, len(low))
    cost = partial(_cost, task, x0)
    with float64(task):
        evaluate = _value_and_gradient(task, x0)
        if isinstance(task, AbstractConstrainedTask):
            minimise_sequence = constrained_minimiser(task, x0, evaluate)
        else:
            minimise_sequence = _minimiser(evaluate, ITERATIONS_PER_START)

        def evaluate_constant(v):
            value, gradient = evaluate(np.tile(v, task.num_steps))
            return value, gradient.reshape(shape).sum(axis=0)

        floor, floor_v, _ = _lowest(map(_minimiser(evaluate_constant), _constant_starts(len(low))))
        best_draws = []
        drawn = np.random.default_rng(1).random((RANDOM_SEQUENCES, *shape))
        random = float(np.nan_to_num(np.quantile(np.asarray(jax.jit(jax.vmap(cost))(drawn)), 0.25), nan=np.inf))
        if task.floor == "random":
            draws = np.random.default_rng(0).random((FLOOR_SEQUENCES, *shape))
            costs = np.asarray(jax.jit(jax.vmap(cost))(draws))
            floor = float(np.mean(costs))
            best_draws = draws[np.argsort(costs)[:RANDOM_STARTS]]
        starts = [np.broadcast_to(floor_v, shape), *_sequence_starts(shape), *best_draws]
        if isinstance(task, AbstractConstrainedTask):
            starts = starts[::5]  # each takes as long as a handful without constraints
        results = [minimise_sequence(v.ravel()) for v in starts]
        goes_on = minimise_sequence if isinstance(task, AbstractConstrainedTask) else _minimiser(evaluate)
        best, v, gradient = _lowest([goes_on(_lowest(results)[1]), *results])
    costs = [float(result[0]) for result in results if np.isfinite(result[0])]
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
        random=random if np.isfinite(random) else None,
        start=None if task.starts == "fixed" else x0.tolist(),
    )


def local_search(
    task: AbstractTask, x0: Float[np.ndarray, " n"], unit: float
) -> Callable[[Float[np.ndarray, "steps m"]], LocalMinimum]:
    """Return a function from controls to the local minimum that they lead to, to Newton's precision, rounded to ten
    digits. Its residuals have costs in units of `unit`.
    """
    low, high = task.bounds
    with float64(task):
        evaluate, gradients = _value_and_gradient(task, x0), _gradients(task, x0)
        minimise_sequence = _minimiser(evaluate)

    def search(us):
        with float64(task):
            v = polish(evaluate, gradients, minimise_sequence(((us - low) / (high - low)).ravel())[1])
            kept = np.array(rounded(low + (high - low) * v.reshape(us.shape)))
            v = np.clip((kept - low) / (high - low), 0, 1).ravel()
            cost, gradient = evaluate(v)
        return LocalMinimum(cost if np.isfinite(cost) else np.inf, kept, _residual(v, gradient, unit))

    return search


def simulated(
    task: AbstractTask, x0: Float[np.ndarray, " n"]
) -> Callable[[Float[np.ndarray, "steps m"]], LocalMinimum]:
    """Return a function from controls to these, rounded to ten digits, and their cost, without a search."""
    with float64(task):
        cost = jax.jit(lambda us: open_loop(task, us, jnp.asarray(x0)).cost)

    def simulate(us):
        kept = np.array(rounded(us))
        with float64(task):
            found = float(cost(kept))
        return LocalMinimum(found if np.isfinite(found) else np.inf, kept, 0.0)

    return simulate


def rounded(rows: Float[np.ndarray, "rows columns"]) -> list[list[float]]:
    """Round to ten digits, the precision of stored sequences."""
    return [[float(f"{value:.10g}") for value in row] for row in rows]


def _cost(task, x0, v):
    """The cost of controls v in units of their range, [0, 1], which scales the unknowns of quasi-Newton alike."""
    low, high = task.bounds
    return open_loop(task, low + (high - low) * v, jnp.asarray(x0)).cost


def _value_and_gradient(task, x0):
    """A function from a flat control sequence to its cost and gradient; compiled once."""
    shape = (task.num_steps, len(task.controls))
    compiled = jax.jit(jax.value_and_grad(lambda v: _cost(task, x0, v.reshape(shape))))

    def evaluate(v):
        cost, gradient = compiled(v)
        return float(cost), np.asarray(gradient)

    return evaluate


def _gradients(task, x0):
    """A function from any number of flat sequences to their gradients; compiled once, for GRADIENT_BATCH at a time."""
    shape = (task.num_steps, len(task.controls))
    compiled = jax.jit(jax.vmap(jax.grad(lambda v: _cost(task, x0, v.reshape(shape)))))

    def evaluate(vs):
        padded = np.pad(vs, ((0, -len(vs) % GRADIENT_BATCH), (0, 0)))
        batches = padded.reshape(-1, GRADIENT_BATCH, vs.shape[1])
        return np.concatenate([compiled(batch) for batch in batches])[: len(vs)]

    return evaluate


def _residual(v, gradient, unit) -> float:
    return float(np.linalg.norm(np.clip(v - gradient / unit, 0, 1) - v))


def _lowest(results):
    """The result (cost, ...) of least cost. Raises ArithmeticError if no cost is finite."""
    finite = [result for result in results if np.isfinite(result[0])]
    if not finite:
        raise ArithmeticError("the cost was not finite from any start: this task cannot be judged on this grid.")
    return min(finite, key=lambda result: result[0])


def _minimiser(evaluate, max_iterations=MAX_ITERATIONS):
    """A function v -> (cost, v, gradient) that goes to a local minimum over the unit box."""

    def minimise_from(v):
        # Dividing by the first gradient gives the stopping rules one meaning for costs of 1 and of 1e4.
        scale = np.max(np.abs(evaluate(v)[1])) or 1.0
        result = minimize(
            lambda v: tuple(part / scale for part in evaluate(v)),
            v,
            jac=True,
            method="L-BFGS-B",
            bounds=[(0.0, 1.0)] * len(v),
            options={**LBFGSB_OPTIONS, "maxiter": max_iterations},
        )
        cost, gradient = evaluate(result.x)
        return cost, result.x, gradient

    return minimise_from


def _constant_starts(m):
    """Starts of a constant control: a grid over each axis, the others in the middle."""
    for i in range(m):
        for level in (0.0, 0.02, 0.1, 0.25, 0.5, 0.75, 1.0):
            start = np.full(m, 0.5)
            start[i] = level
            yield start


def _sequence_starts(shape):
    """Starts of a control sequence: constants, switches between the bounds, and smooth random sequences."""
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
