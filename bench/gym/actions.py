"""Observations and actions of the environments: their spaces, and what an agent's action means."""

from typing import Any

import gymnasium
import jax.numpy as jnp
import numpy as np
from gymnasium.spaces import Box
from jaxtyping import Array, Float

from bench.simulate import clip
from tasks.base import AbstractTask


def spaces(task: AbstractTask, physical_units: bool) -> tuple[Box, Box]:
    """Return the spaces (observations, actions). A state's range is no constraint, so observations are unbounded."""
    dtype, m = task.x0.dtype, len(task.controls)
    low, high = task.bounds if physical_units else (-np.ones(m), np.ones(m))
    return Box(-np.inf, np.inf, (len(task.states) + 1,), dtype), Box(low.astype(dtype), high.astype(dtype), dtype=dtype)


def control(task: AbstractTask, physical_units: bool, action: Float[Array, " m"]) -> Float[Array, " m"]:
    """Return the control in bounds that an action stands for."""
    low, high = (jnp.asarray(b, action.dtype) for b in task.bounds)
    return clip(task, action if physical_units else low + (high - low) * (action + 1) / 2)


def shaped(action: Any, shape: tuple[int, ...] | None) -> np.ndarray:
    """Return the action as an array. Raises gymnasium.error.InvalidAction for another shape, and for no numbers."""
    if np.shape(action) != shape:
        raise gymnasium.error.InvalidAction(
            f"an action has shape {shape}, one number a control, got {np.shape(action)}."
        )
    numbers = np.asarray(action)
    if numbers.dtype.kind not in "biuf":
        raise gymnasium.error.InvalidAction(f"an action is numbers, one a control, got {numbers.tolist()}.")
    return numbers


def trained_action(action: Any, shape: tuple[int, ...] | None, dtype: np.dtype) -> np.ndarray:
    """Return the action of an agent in training, which must not be NaN. Raises gymnasium.error.InvalidAction."""
    numbers = shaped(action, shape)
    if np.isnan(numbers).any():
        raise gymnasium.error.InvalidAction(f"an action is numbers, one a control, got {numbers.tolist()}.")
    return np.asarray(numbers, dtype)
