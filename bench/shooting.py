"""Reference optima by single shooting: bounded quasi-Newton on the control sequence, through our own simulator.

    min over u in [low, high]^H   J(u) = cost of open_loop(task, u, x0)

Float64, gradients by reverse mode, L-BFGS-B (Byrd, Lu, Nocedal & Zhu, 1995; SciPy), from several starts: the best
constant, constants at the middle and near both bounds, switches between the bounds at several times, and smooth random
sequences. Every value is the cost of a feasible control sequence, so an upper bound of the true minimum.
"""

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import minimize

from bench.fingerprint import fingerprint
from bench.reference import Reference
from bench.simulate import open_loop
from tasks.base import AbstractTask

RANDOM_STARTS = 6
RANDOM_SEQUENCES = 1000  # for tasks whose floor they are
OPTIONS = {"maxiter": 3000, "maxfun": 20_000, "ftol": 1e-15, "gtol": 1e-12, "maxcor": 40}


def find(name: str, task: AbstractTask) -> Reference:
    """Floor and best sequence of `task` on its grid. Deterministic."""
    low, high = task.bounds
    with jax.enable_x64(True):
        # Unknowns are in [0, 1]: quasi-Newton sees controls in units of their range.
        def cost(v):
            return open_loop(task, low + (high - low) * v, task.x0).cost

        shape = (task.num_steps, len(low))
        sequence = _minimiser(jax.jit(jax.value_and_grad(lambda v: cost(v.reshape(shape)))))
        constant = _minimiser(jax.jit(jax.value_and_grad(lambda v: cost(jnp.broadcast_to(v, shape)))))
        floor, floor_v, _ = _lowest(map(constant, _constants(len(low))))
        if task.floor == "random":
            draws = np.random.default_rng(0).random((RANDOM_SEQUENCES, *shape))
            floor = float(jnp.mean(jax.jit(jax.vmap(cost))(draws)))
        starts = [np.broadcast_to(floor_v, shape), *_sequences(shape)]
        results = [sequence(v.ravel()) for v in starts]
        best, v, gradient = _lowest(results)
    controls = [[float(f"{u:.10g}") for u in row] for row in low + (high - low) * v.reshape(shape)]
    headroom = floor - best if floor - best > 1e-9 else max(abs(best), 1e-9)
    reached = sum(found[0] - best < 1e-6 * max(abs(best), headroom) for found in results)
    return Reference(
        task=name,
        horizon=float(task.horizon),
        num_steps=task.num_steps,
        fingerprint=fingerprint(task),
        floor=float(floor),
        floor_control=(low + (high - low) * floor_v).tolist(),
        best=float(best),
        grade="C",
        residual=float(np.linalg.norm(np.clip(v - gradient / headroom, 0, 1) - v)),
        found_by=f"single shooting, L-BFGS-B; {reached} of {len(results)} starts reach it to 1e-6",
        controls=controls,
    )


def _lowest(results):
    finite = [found for found in results if np.isfinite(found[0])]
    if not finite:
        raise ArithmeticError("the cost was not finite from any start: this task cannot be judged on this grid.")
    return min(finite, key=lambda found: found[0])


def _minimiser(value_and_grad):
    """A function v -> (cost, v, gradient) at a local minimum over the unit box."""

    def evaluate(v):
        cost, gradient = value_and_grad(v)
        return float(cost), np.asarray(gradient)

    def run(v):
        # Scaled by the first gradient, so that the stopping rules mean the same for costs of 1 and of 1e4.
        scale = max(np.max(np.abs(evaluate(v)[1])), 1e-12)
        found = minimize(
            lambda v: tuple(part / scale for part in evaluate(v)),
            v,
            jac=True,
            method="L-BFGS-B",
            bounds=[(0.0, 1.0)] * len(v),
            options=OPTIONS,
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
