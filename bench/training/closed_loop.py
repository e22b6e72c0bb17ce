"""Closed-loop episodes in float64, by an adaptive solver and on a finer grid.

The loop over intervals is Python's. So the solvers are compiled once for a task, whatever acts on it. A scan over
everything would compile for seconds in every cell.
"""

import dataclasses
from collections.abc import Callable
from functools import cache, partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from bench import violations
from bench.machine import compilation
from bench.noisy_task import plant_of
from bench.precision import float64
from bench.simulate import adaptive_transition, clip, end_error, path_violation, transition
from bench.training.evaluation_noise import EvaluationNoise
from tasks.base import AbstractTask, Scalar

GRID_REFINEMENT = 4  # intervals of the finer grid in one of the task's


class Episodes(NamedTuple):
    """Total costs, nan where an episode was lost, misses of end-state targets, violations of constraints, and the first
    episode of each seed."""

    totals: Float[np.ndarray, "seeds episodes"]
    misses: Float[np.ndarray, "seeds episodes"]
    violations: Float[np.ndarray, "seeds episodes"]
    states: Float[np.ndarray, "seeds knots n"]
    controls: Float[np.ndarray, "seeds steps m"]
    costs: Float[np.ndarray, "seeds steps"]


class ClosedLoop(NamedTuple):
    """The plant, its compiled interval, and the starts and noise of all episodes.

    A noisy task has the noise of every other evaluation, held over its own intervals. The first half of a seed's
    episodes is for the adaptive solver, the other for the finer grid.
    """

    plant: AbstractTask
    interval: Callable
    origin: Float[np.ndarray, "seeds episodes n"]
    noise: EvaluationNoise

    @classmethod
    def of(cls, task: AbstractTask, starts: Float[np.ndarray, "starts n"], together: int) -> "ClosedLoop":
        """The episodes of a task from each of `starts`, for as many seeds together."""
        noise = EvaluationNoise.of(task)
        starts = np.broadcast_to(np.asarray(starts, np.float64), (noise.episodes or len(starts), starts.shape[1]))
        origin, noise = np.tile(starts, (together, 2, 1)), noise.tiled(together)
        plant = plant_of(task)
        arrays, rest = eqx.partition(plant, eqx.is_array)
        with float64(plant):
            shapes = jax.tree.map(jax.typeof, arrays), origin.shape[:-1], noise.push is not None
            interval = partial(_compiled_interval(rest, *shapes), arrays)
        return cls(plant, interval, origin, noise)

    def play(self, act: Callable, carry: Any) -> Episodes:
        """Play all episodes: `act` is (k, xs, carry) -> (us, carry) with the observed states at knot k."""
        plant, interval, origin, noise = self
        trained = plant.x0.dtype
        xs, totals = origin, np.zeros(origin.shape[:-1])
        first, end, worst = [], (totals, totals, totals), totals
        with np.errstate(over="ignore"):  # an episode that blows up is lost, which is a result
            for k in range(plant.num_steps):
                us, carry = act(k, noise.observed(k, xs).astype(trained), carry)
                us = np.asarray(us, np.float64)
                alive = np.isfinite(totals) & np.isfinite(us).all(-1)
                us = np.where(alive[..., None], us, plant.bounds[0])
                with jax.enable_x64(True):
                    after, us, costs, on_path, end = jax.device_get(
                        interval(np.float64(k * plant.dt), xs, us, *noise.pushes(k))
                    )
                worst = np.maximum(worst, on_path)
                first.append((xs[:, 0], us[:, 0], costs[:, 0]))
                totals = np.where(alive & np.isfinite(after).all(-1), totals + costs, np.nan)
                # A lost episode goes on from its start: given nan, an adaptive solver halves its steps until it gives
                # up, which takes long.
                xs = np.where(np.isfinite(totals)[..., None], after, origin)
        terminal_costs, misses, at_end = end
        states, controls, costs = (np.stack(part, axis=1) for part in zip(*first, strict=True))
        return Episodes(
            totals=totals + terminal_costs,
            misses=misses,
            violations=np.maximum(worst, at_end),
            states=np.concatenate([states, xs[:, None, 0]], axis=1),
            controls=controls,
            costs=costs,
        )


@cache
def _compiled_interval(rest: AbstractTask, arrays: AbstractTask, episodes: tuple[int, int], pushed: bool) -> Callable:
    """Compile `_interval` for a task in two parts, the types of its arrays and all else, and for "seeds episodes".

    It is called within `float64`. The compiled function takes the arrays in place of the task.
    """

    def call(arrays, *others):
        return _interval(eqx.combine(arrays, rest), *others)

    x, u = (*episodes, len(rest.states)), (*episodes, len(rest.controls))
    shapes = [jax.ShapeDtypeStruct(shape, np.float64) for shape in [(), x, u, *([x] if pushed else [])]]
    return jax.jit(call).lower(arrays, *shapes).compile(compilation.quick_options())


def forget_programs() -> None:
    """Forget the solvers that were compiled, because the code of a task has changed."""
    _compiled_interval.cache_clear()


def _interval(
    task: AbstractTask,
    t: Scalar,
    xs: Float[Array, "seeds episodes n"],
    us: Float[Array, "seeds episodes m"],
    push: Float[Array, "seeds episodes n"] | None = None,
) -> tuple:
    """Simulate one interval: the first half of each seed's episodes by the adaptive solver, the others on the finer
    grid.

    Returns (states, controls in bounds, running costs, violations on the way, (terminal costs, misses of end-state
    targets, violations at the end)), the last three as if this interval was the last.
    """
    # A fine interval takes as many solver steps as a whole one, also where that was long and had more than `substeps`.
    fine = dataclasses.replace(task, num_steps=GRID_REFINEMENT * task.num_steps, substeps=task.solver_steps)

    def finer(t, x, u, push):
        def part(x, i):
            after, cost = transition(fine, t + i * fine.dt, x, u, push)
            return after, (cost, path_violation(fine, t + i * fine.dt, x, after, u))

        x, (costs, on_path) = jax.lax.scan(part, x, jnp.arange(GRID_REFINEMENT))
        return x, jnp.sum(costs), jnp.max(on_path)

    def adaptive(t, x, u, push):
        after, cost = adaptive_transition(task, t, x, u, push)
        return after, cost, path_violation(task, t, x, after, u)

    def move(solver, x, u, push):
        u = clip(task, u)
        x, cost, on_path = solver(t, x, u, push)
        return x, u, cost, on_path, (task.terminal_cost(x), end_error(task, x), violations.at_end(task, x))

    def halves(a):  # all episodes on one axis: a second one more than doubles the time to trace the solvers
        return [None, None] if a is None else [h.reshape(-1, h.shape[-1]) for h in jnp.split(a, 2, axis=1)]

    parts = zip((adaptive, finer), halves(xs), halves(us), halves(push), strict=True)
    both = [jax.vmap(partial(move, solver))(*part) for solver, *part in parts]
    return jax.tree.map(lambda *a: jnp.concatenate([h.reshape(len(xs), -1, *h.shape[1:]) for h in a], axis=1), *both)
