"""Slices of the space of control sequences: lines and planes, along which a landscape is surveyed.

    u(α) = ū + α₁ d₁ (+ α₂ d₂)     or     u(α) = π_{θ + α₁ d₁ (+ α₂ d₂)}(t, x[t]) at fixed states

ū holds every control in the middle of its range. At α = ±1 the control that moves farthest has moved by half of its
range, or the weight that moves farthest by 1. The direction `first` is the first control, with one direction for each
of its components.
"""

from collections.abc import Callable
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from bench.gradients import differentiate
from bench.method import AbstractModelMethod
from bench.registry import SettingError
from tasks.base import AbstractTask

Direction = Literal["first", "gradient", "random"]
Space = Literal["controls", "policy"]


class Slice(eqx.Module):
    """The controls u(α) along a line or over a plane, in the space of controls or of a policy's parameters."""

    base: Float[Array, "..."]
    directions: Float[Array, "directions ..."]
    context: Any  # the arrays that `act` needs
    act: Callable = eqx.field(static=True)  # from (context, a point of the space) to controls

    def __call__(self, alpha: Float[Array, " directions"]) -> Float[Array, "steps m"]:
        return self.act(self.context, self.base + jnp.tensordot(alpha, self.directions, 1))


def make_slice(
    task: AbstractTask,
    method: AbstractModelMethod,
    state: Any,
    x0: Float[Array, " n"],
    key: Any,
    direction: Direction,
    space: Space,
    plane: bool,
) -> Slice:
    """A line, or a plane, in the space of controls or of the parameters of the method's policy at `state`.

    In a plane, the second direction is random unless both are components of the first control; `key` draws the random
    directions. Raises UsageError for the direction `first` in the space of a policy.
    """
    low, high = (jnp.asarray(bound, x0.dtype) for bound in task.bounds)
    if space == "policy":
        base, context, act = _policy_space(task, method, state, x0)
    else:
        base = jnp.broadcast_to((low + high) / 2, (task.num_steps, len(low)))
        context, act = (), _same_controls
    count = 2 if plane else 1
    if direction == "first":
        if space == "policy":
            raise SettingError("the direction 'first' moves a control. Give 'gradient' or 'random' for a policy.")
        return Slice(base, _first_control(base.shape, (high - low) / 2, count), context, act)
    directions = jr.normal(key, (count, *base.shape), base.dtype)
    if direction == "gradient":
        dynamics = differentiate.simulator_dynamics(task, x0)
        directions = directions.at[0].set(
            -jax.grad(lambda at: -differentiate.total_return(task, dynamics, act(context, at)))(base)
        )
    unit = (high - low) / 2 if space == "controls" else 1.0
    largest = jnp.max(jnp.abs(directions / unit), axis=tuple(range(1, directions.ndim)), keepdims=True)
    return Slice(base, directions / largest, context, act)


def _policy_space(
    task: AbstractTask, method: AbstractModelMethod, state: Any, x0: Float[Array, " n"]
) -> tuple[Array, Any, Callable]:
    """The base, context and act of a `Slice` of policy parameters, at the states of an episode of the policy."""
    xs, _ = differentiate.policy_episode(task, method, state, x0)

    def act(context, at):
        state, xs = context
        parameters = ravel_pytree(method.parameters(state))[1](at)
        return differentiate.policy_controls(task, method, method.with_parameters(state, parameters), xs)

    return ravel_pytree(method.parameters(state))[0], (state, xs), act


def _same_controls(context: Any, at: Any) -> Any:
    return at


def _first_control(shape: tuple[int, ...], half_range: Any, count: int) -> Array:
    """One direction for each of the first `count` components of the first control."""
    count = min(count, shape[1])
    directions = jnp.zeros((count, *shape))
    for i in range(count):
        directions = directions.at[i, 0, i].set(half_range[i])
    return directions
