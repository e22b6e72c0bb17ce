"""Is a task's grid accurate? Its costs beside those of an adaptive solver, and what solver and substeps would do."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from bench.precision import float64
from bench.records.reference import MAX_SOLVER_GAP
from bench.simulate import adaptive_transition, open_loop
from tasks.base import AbstractTask

NUM_SEQUENCES = 4
MAX_SUBSTEPS = 2048  # that are tried; a plant that needs more is stiff
IMPLICIT = "radau5"
ADAPTIVE_RTOL = 1e-10  # for costs that count as true
# The spread of costs over random controls stands for the headroom, which only a reference knows. A reference that an
# adaptive solver changes by more than this share of the headroom is never graded B.
MAX_ERROR = MAX_SOLVER_GAP


def accuracy_fault(task: AbstractTask, us: Float[np.ndarray, "batch steps m"]) -> str:
    """Return by how much the grid misses the costs of controls, and what to write instead; "" where it does not."""
    us = us[:NUM_SEQUENCES]
    with float64(task):
        truth = _adaptive_costs(task, us)
        implicit = _with(task, solver=IMPLICIT)
        if not np.all(np.isfinite(truth)) and task.solver != IMPLICIT:
            truth = _adaptive_costs(implicit, us)  # an explicit solver gives up on a stiff plant
        if not np.all(np.isfinite(truth)):
            return "an adaptive solver does not reach the end under random controls: does the state explode?"
        spread = float(np.ptp(truth))
        unit = spread if spread > 0 else float(np.max(np.abs(truth)))

        def error(task: AbstractTask) -> float:
            gap = float(np.max(np.abs(_costs(task, us) - truth)))
            return gap if np.isfinite(gap) else np.inf

        own = error(task)
        starts = {task.solver: 2 * task.substeps} | ({} if task.solver == IMPLICIT else {IMPLICIT: 1})
        if own <= MAX_ERROR * unit:
            return ""
        enough = {
            solver: _first_enough(_with(task, solver=solver), start, lambda tried: error(tried) <= MAX_ERROR * unit)
            for solver, start in starts.items()
        }
    found = "costs that are not finite" if own == np.inf else f"costs that are wrong by {own:.1e}"
    ways = [f'solver = "{solver}" with substeps >= {count}' for solver, count in enough.items() if count]
    if ways:
        ways[0] = ways[0].removeprefix(f'solver = "{task.solver}" with ')
    advice = f"use {' or '.join(ways)}" if ways else f"{MAX_SUBSTEPS} substeps are too few: shorten the intervals"
    return f"the grid gives random controls {found}, of a spread of {spread:.1e}, by an adaptive solver: {advice}"


def _first_enough(task: AbstractTask, substeps: int, is_enough) -> int | None:
    """The first number of substeps that is enough, by doubling; None up to MAX_SUBSTEPS."""
    while substeps <= MAX_SUBSTEPS:
        if is_enough(_with(task, substeps=substeps)):
            return substeps
        substeps *= 2
    return None


def _with(task: AbstractTask, **settings: str | int) -> AbstractTask:
    values: dict[str, Any] = dict(settings)  # of Any, because each field has a type of its own
    return dataclasses.replace(task, **values)


@eqx.filter_jit
def _simulated(task: AbstractTask, us: Float[Array, "batch steps m"]) -> Float[Array, " batch"]:
    return jax.vmap(lambda u: open_loop(task, u, task.x0).cost)(us)


@eqx.filter_jit
def _adaptively(task: AbstractTask, us: Float[Array, "batch steps m"]) -> Float[Array, " batch"]:
    def adaptive(*at):
        return adaptive_transition(*at, rtol=ADAPTIVE_RTOL)

    # One after another: under vmap every interval would take as many steps as the slowest of all.
    return jax.lax.map(lambda u: open_loop(task, u, task.x0, adaptive).cost, us)


def _costs(task: AbstractTask, us: Float[np.ndarray, "batch steps m"]) -> Float[np.ndarray, " batch"]:
    return np.asarray(_simulated(task, jnp.asarray(us)))


def _adaptive_costs(task: AbstractTask, us: Float[np.ndarray, "batch steps m"]) -> Float[np.ndarray, " batch"]:
    return np.asarray(_adaptively(task, jnp.asarray(us)))
