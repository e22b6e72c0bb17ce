"""What every task must satisfy, as checks of a trial, which compiles once for all of them."""

from collections.abc import Callable, Mapping
from functools import cached_property

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from bench.errors import require
from bench.reference.fingerprint import fingerprint
from bench.simulate import open_loop
from tasks.base import AbstractTask


class TaskTrial:
    """A task in float64, with random controls to try it with."""

    def __init__(self, task: AbstractTask, count: int = 64):
        self.task = task
        low, high = task.bounds
        shape = (count, task.num_steps, len(low))
        self.us = np.random.default_rng(0).uniform(low, high, shape)

    @cached_property
    def costs(self) -> tuple[np.ndarray, np.ndarray]:
        """Costs and their gradients in float32, as in training."""
        task = self.task
        program = jax.jit(jax.vmap(jax.value_and_grad(lambda u: open_loop(task, u, task.x0).cost)))
        return jax.device_get(program(jnp.asarray(self.us, jnp.float32)))


def shapes_are_as_declared(trial: TaskTrial) -> None:
    task = trial.task
    x, u = (jax.ShapeDtypeStruct((len(v),), jnp.float32) for v in (task.states, task.controls))
    for name, found, wanted in (
        ("vector_field", jax.eval_shape(task.vector_field, 0.0, x, u), x.shape),
        ("running_cost", jax.eval_shape(task.running_cost, 0.0, x, u), ()),
        ("terminal_cost", jax.eval_shape(task.terminal_cost, x), ()),
    ):
        require(found.shape == wanted, f"{name} returns shape {found.shape}, it must be {wanted}")
        require(found.dtype == jnp.float32, f"{name} makes {found.dtype} of float32")


def stays_finite(trial: TaskTrial) -> None:
    bad = np.sum(~np.isfinite(trial.costs[0]))
    require(bad == 0, f"the cost of {bad} of {len(trial.us)} random control sequences is not finite")


def has_finite_gradients(trial: TaskTrial) -> None:
    bad = np.sum(~np.all(np.isfinite(trial.costs[1]), axis=(1, 2)))
    require(bad == 0, f"the gradient of {bad} of {len(trial.us)} random control sequences is not finite")


def gradients_are_derivatives(trial: TaskTrial) -> None:
    """Against central differences of fourth order along a random direction, in float64."""
    task, step = trial.task, 1e-6
    low, high = task.bounds
    middle = (low + high) / 2
    us, direction = middle + 0.9 * (trial.us[0] - middle), (trial.us[1] - middle) / np.sqrt(task.num_steps)
    with jax.enable_x64(True):
        program = jax.jit(jax.value_and_grad(lambda u: open_loop(task, u, task.x0).cost))
        costs = [float(program(jnp.asarray(us + k * step * direction))[0]) for k in (-2, -1, 1, 2)]
        cost, gradient = jax.device_get(program(jnp.asarray(us)))
    differences = (costs[0] - 8 * costs[1] + 8 * costs[2] - costs[3]) / (12 * step)
    along = float(np.sum(gradient * direction))
    # Of fourth order in the step, so rounding is left: of the cost, over the step.
    tolerance = 1e-5 * abs(differences) + 1e-13 * abs(cost) / step
    require(np.any(gradient != 0), "no control changes the cost")
    require(
        abs(along - differences) <= tolerance,
        f"the gradient along a direction is {along:.9g}, finite differences give {differences:.9g}",
    )


def starts_in_range(trial: TaskTrial) -> None:
    starts = jax.vmap(trial.task.sample_start)(jr.split(jr.key(0), 100))
    for state, column in zip(trial.task.states, np.asarray(starts).T, strict=True):
        inside = np.all((column >= state.low) & (column <= state.high))
        require(inside, f"sample_start draws '{state.name}' outside of [{state.low}, {state.high}]")


def is_one_problem(trial: TaskTrial) -> None:
    require(fingerprint(trial.task) == fingerprint(trial.task), "its mathematics changes from one call to the next")


TASK_CHECKS: Mapping[str, Callable[[TaskTrial], None]] = {
    "shapes and dtypes are as declared": shapes_are_as_declared,
    "random controls have finite costs": stays_finite,
    "random controls have finite gradients": has_finite_gradients,
    "gradients are derivatives": gradients_are_derivatives,
    "starts are in the states' ranges": starts_in_range,
    "it is one problem": is_one_problem,
}
