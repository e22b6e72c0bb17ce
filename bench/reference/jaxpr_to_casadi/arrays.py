"""Arrays whose entries are CasADi expressions: NumPy arrays of objects. Arrays of numbers stay what they are."""

from collections.abc import Callable, Sequence
from typing import Any

import casadi
import jax.numpy as jnp
import numpy as np


class UntranslatableError(NotImplementedError):
    """A task uses a JAX primitive that has no translation."""


def expression(entry: Any) -> Any:
    return entry if isinstance(entry, casadi.SX) else casadi.SX(float(entry))


def array_of(entries: Sequence[Any], shape: tuple[int, ...]) -> np.ndarray:
    array = np.empty(len(entries), object)
    array[:] = entries
    return array.reshape(shape)


def is_symbolic(value: np.ndarray) -> bool:
    return value.dtype == object


def run_primitive(equation: Any, numbers: Sequence[Any]) -> list[np.ndarray]:
    """What JAX makes of numbers."""
    found = equation.primitive.bind(*map(jnp.asarray, numbers), **equation.params)
    return [np.asarray(part) for part in (found if equation.primitive.multiple_results else [found])]


def elementwise(compute: Callable[..., Any], operands: Sequence[np.ndarray]) -> np.ndarray:
    shape = np.broadcast_shapes(*(value.shape for value in operands))
    entries = zip(*(np.broadcast_to(value, shape).ravel() for value in operands), strict=True)
    return array_of([compute(*map(expression, entry)) for entry in entries], shape)
