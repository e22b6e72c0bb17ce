"""Checks that every task must pass; its gradients are compiled once for all of them."""

from collections.abc import Callable, Mapping
from functools import cached_property

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from bench.contract.accuracy import accuracy_fault
from bench.contract.constraints import check_constraints
from bench.errors import require
from bench.machine import compilation
from bench.precision import float64
from bench.reference.fingerprint import fingerprint
from bench.simulate import open_loop
from tasks.base import AbstractTask
from tasks.constrained import AbstractConstrainedTask
from tasks.shapes import shape_fault


class TaskUnderTest:
    """A task with random control sequences."""

    def __init__(self, task: AbstractTask, count: int = 64):
        self.task = task
        low, high = task.bounds
        shape = (count, task.num_steps, len(low))
        self.us = np.random.default_rng(0).uniform(low, high, shape)

    @cached_property
    def costs(self) -> tuple[np.ndarray, np.ndarray]:
        """Costs and their gradients in float32, the precision of training."""
        task = self.task
        function = jax.vmap(jax.value_and_grad(lambda u: open_loop(task, u, task.x0).cost))
        program = jax.jit(function, compiler_options=compilation.quick_options())
        return jax.device_get(program(jnp.asarray(self.us, jnp.float32)))


def shapes_are_as_declared(subject: TaskUnderTest) -> None:
    """f, g, Φ and the constraints return the declared shapes, and keep float32."""
    task = subject.task
    fault = shape_fault(task)
    require(not fault, fault)
    x, u = (jax.ShapeDtypeStruct((len(v),), jnp.float32) for v in (task.states, task.controls))
    outputs = [
        ("vector_field", jax.eval_shape(task.vector_field, 0.0, x, u)),
        ("running_cost", jax.eval_shape(task.running_cost, 0.0, x, u)),
        ("terminal_cost", jax.eval_shape(task.terminal_cost, x)),
    ]
    if isinstance(task, AbstractConstrainedTask):
        outputs += [
            ("path_constraints", jax.eval_shape(task.path_constraints, 0.0, x, u)),
            ("end_constraints", jax.eval_shape(task.end_constraints, x)),
        ]
    for name, found in outputs:
        require(found.dtype == jnp.float32, f"{name} makes {found.dtype} of float32")


def stays_finite(subject: TaskUnderTest) -> None:
    """Random control sequences have finite costs."""
    bad = np.sum(~np.isfinite(subject.costs[0]))
    require(bad == 0, f"the cost of {bad} of {len(subject.us)} random control sequences is not finite")


def has_finite_gradients(subject: TaskUnderTest) -> None:
    """Random control sequences have finite gradients."""
    bad = np.sum(~np.all(np.isfinite(subject.costs[1]), axis=(1, 2)))
    require(bad == 0, f"the gradient of {bad} of {len(subject.us)} random control sequences is not finite")


def gradients_are_derivatives(subject: TaskUnderTest) -> None:
    """The gradient along a random direction agrees with central differences of fourth order, in float64."""
    task, step = subject.task, 1e-6
    low, high = task.bounds
    middle = (low + high) / 2
    us, direction = middle + 0.9 * (subject.us[0] - middle), (subject.us[1] - middle) / np.sqrt(task.num_steps)
    with float64(task):
        function = jax.value_and_grad(lambda u: open_loop(task, u, task.x0).cost)
        program = jax.jit(function, compiler_options=compilation.quick_options())
        costs = [float(program(jnp.asarray(us + k * step * direction))[0]) for k in (-2, -1, 1, 2)]
        cost, gradient = jax.device_get(program(jnp.asarray(us)))
    differences = (costs[0] - 8 * costs[1] + 8 * costs[2] - costs[3]) / (12 * step)
    along = float(np.sum(gradient * direction))
    # The differences are of fourth order in the step, so the error left is the cost's rounding over the step.
    tolerance = 1e-5 * abs(differences) + 1e-13 * abs(cost) / step
    require(np.any(gradient != 0), "no control changes the cost")
    require(
        abs(along - differences) <= tolerance,
        f"the gradient along a direction is {along:.9g}, finite differences give {differences:.9g}",
    )


def starts_in_range(subject: TaskUnderTest) -> None:
    """Random starts lie in the ranges of the states."""
    starts = jax.vmap(subject.task.sample_start)(jr.split(jr.key(0), 100))
    for state, column in zip(subject.task.states, np.asarray(starts).T, strict=True):
        inside = np.all((column >= state.low) & (column <= state.high))
        require(inside, f"sample_start draws '{state.name}' outside of [{state.low}, {state.high}]")


def is_one_problem(subject: TaskUnderTest) -> None:
    """Two evaluations of the mathematics agree."""
    require(fingerprint(subject.task) == fingerprint(subject.task), "its mathematics changes from one call to the next")


def constraints_bind(subject: TaskUnderTest) -> None:
    """Constraints are finite, with finite gradients; controls can meet them, at the start too, and violate them."""
    if isinstance(subject.task, AbstractConstrainedTask):
        check_constraints(subject.task, subject.us)


def grid_is_accurate(subject: TaskUnderTest) -> None:
    """The grid gives random controls the costs that an adaptive solver gives them."""
    fault = accuracy_fault(subject.task, subject.us)
    require(not fault, fault)


TASK_CHECKS: Mapping[str, Callable[[TaskUnderTest], None]] = {
    "shapes and dtypes are as declared": shapes_are_as_declared,
    "its grid is accurate": grid_is_accurate,
    "random controls have finite costs": stays_finite,
    "random controls have finite gradients": has_finite_gradients,
    "gradients are derivatives": gradients_are_derivatives,
    "its constraints bind": constraints_bind,
    "starts are in the states' ranges": starts_in_range,
    "it is one problem": is_one_problem,
}
