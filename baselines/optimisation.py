"""Gradient descent: the optimiser that most methods share, its start, one update, and a scan of updates."""

from collections.abc import Callable
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from baselines.schedules import cosine
from tasks.base import Scalar

Parameters = TypeVar("Parameters")


def adam(
    learning_rate: Scalar, decay_updates: Scalar, momentum: Scalar = 0.9, end: Scalar = 0.1
) -> optax.GradientTransformation:
    """Return Adam with gradients clipped to norm 1 and a learning rate that a cosine takes to its share `end`.

    An update with a gradient that is not finite is skipped and counted. The second moment is an average over 20
    updates, not the usual 1000: gradients shrink by orders of magnitude within a run of some hundred updates, and a
    longer memory of the first ones stalls it. All parameters are flattened to one vector. Against one vector for each
    array, a step of a program is traced in two thirds of the time, compiled in six sevenths, and runs as fast.
    """
    schedule = cosine(learning_rate, decay_updates, end)
    chain = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(schedule, b1=momentum, b2=0.95))
    return optax.flatten(optax.apply_if_finite(chain, max_consecutive_errors=jnp.iinfo(jnp.int32).max))


def begin(optimiser: optax.GradientTransformation, parameters: Any) -> optax.OptState:
    """Return the optimiser's state before the first update of the arrays in `parameters`."""
    return optimiser.init(eqx.filter(parameters, eqx.is_array))


def apply_gradient(
    optimiser: optax.GradientTransformation, gradient: Any, parameters: Parameters, state: optax.OptState
) -> tuple[Parameters, optax.OptState]:
    """Return the parameters and the optimiser's state after one update."""
    updates, state = optimiser.update(gradient, state)
    return eqx.apply_updates(parameters, updates), state


def descend(
    optimiser: optax.GradientTransformation,
    loss: Callable[[Parameters, Any], Float[Array, ""]],
    parameters: Parameters,
    state: optax.OptState,
    inputs: Any = None,
    updates: int | None = None,
) -> tuple[Parameters, optax.OptState]:
    """Return the parameters and the optimiser's state after a descent of `loss(parameters, input)`.

    Each update reads one entry of `inputs` along the leading axis, usually a key that draws its batch. Without inputs,
    `updates` is the number of updates, and the loss gets None.
    """

    def update(carry, each):
        parameters, state = carry
        return apply_gradient(optimiser, jax.grad(loss)(parameters, each), parameters, state), None

    return jax.lax.scan(update, (parameters, state), inputs, updates)[0]
