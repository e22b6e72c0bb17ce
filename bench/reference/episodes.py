"""Episodes of stored control sequences, simulated in float64 like the references."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from bench.noisy_task import plant_of
from bench.precision import float64
from bench.records import trajectory
from bench.records.reference import Reference
from bench.simulate import Trajectory, from_knots, open_loop
from tasks.base import AbstractTask


def simulate_controls(
    task: AbstractTask,
    us: Float[np.ndarray, "steps m"],
    knots: list[list[float]] | None = None,
    x0: Float[np.ndarray, " n"] | None = None,
) -> Trajectory:
    """Simulate controls from x0, by default the task's start; arrays are NumPy's, and a task is compiled once.

    `knots` are the states of an optimum that is too unstable to be reached again from its controls alone.
    """
    with float64(task):
        if knots is not None:
            return jax.device_get(from_knots(task, jnp.asarray(us), jnp.asarray(knots)))
        return jax.device_get(_open_loop(task, jnp.asarray(us), task.x0 if x0 is None else jnp.asarray(x0)))


_open_loop = eqx.filter_jit(open_loop)


def best_known_episode(task: AbstractTask, reference: Reference) -> dict[str, Any]:
    """Return the episode of a reference, from its start, in the form of `bench.records.trajectory`.

    That of a noisy task is without noise.
    """
    start = None if reference.start is None else np.array(reference.start)
    found = simulate_controls(plant_of(task), np.array(reference.controls), reference.states, start)
    return trajectory.episode_to_json(found.xs, found.us, found.costs, found.cost)


def describe_task(task: AbstractTask) -> dict[str, Any]:
    """Return what a stored trajectory says about its task; the target of a state that has none is None.

    The trajectories of a noisy task are of its plant.
    """
    task = plant_of(task)
    return {
        "horizon": float(task.horizon),
        "time_unit": task.time_unit,
        "states": [
            {"name": s.name, "unit": s.unit, "target": None if np.isnan(s.target) else s.target} for s in task.states
        ],
        "controls": [c._asdict() for c in task.controls],
    }
