"""Functions that only move entries: JAX runs them on the entries' numbers."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import casadi
import jax
import numpy as np

from bench.reference.jaxpr_to_casadi.algebra import PAIRWISE
from bench.reference.jaxpr_to_casadi.arrays import (
    UntranslatableError,
    array_of,
    elementwise,
    expression,
    is_symbolic,
    run_primitive,
)

MAX_CASES = 10_000  # of an index that depends on the inputs, each an `if_else`


# Primitive -> the operands that are no entries but say where entries go.
MOVES: dict[str, slice] = {
    **dict.fromkeys(
        (
            "broadcast_in_dim",
            "concatenate",
            "expand_dims",
            "pad",
            "reshape",
            "rev",
            "slice",
            "split",
            "squeeze",
            "stack",
        ),
        slice(0, 0),
    ),
    **dict.fromkeys(("tile", "transpose"), slice(0, 0)),
    "gather": slice(1, 2),
    "scatter": slice(1, 2),
    "dynamic_slice": slice(1, None),
    "dynamic_update_slice": slice(2, None),
}


SCATTERS: dict[str, Callable[[Any, Any], Any]] = {
    f"scatter-{name}": PAIRWISE[of] for name, of in (("add", "sum"), ("mul", "prod"), ("min", "min"), ("max", "max"))
}


def moved(equation: Any, operands: list[np.ndarray]) -> list[np.ndarray]:
    """The results of a primitive that only moves entries: JAX runs it on their numbers."""
    indices = range(len(operands))[MOVES[equation.primitive.name]]
    if any(is_symbolic(operands[i]) for i in indices):
        return _moved_by_cases(equation, operands, indices)
    entries: list[Any] = []
    numbers = []
    for i, value in enumerate(operands):
        if i in indices:
            numbers.append(value)
        else:
            numbers.append(np.arange(len(entries), len(entries) + value.size).reshape(value.shape))
            entries.extend(value.ravel())
    places = run_primitive(equation, numbers)
    # A gather beyond the end fills with the least number.
    return [array_of([entries[i] if i >= 0 else math.nan for i in p.ravel()], p.shape) for p in places]


def _moved_by_cases(equation: Any, operands: list[np.ndarray], indices: range) -> list[np.ndarray]:
    """The same where indices depend on the inputs: one case for each value of an index, nested."""
    if equation.primitive.name == "gather" and operands[1].ndim > 1 and operands[1].size > operands[1].shape[-1]:
        return [_gathered_row_by_row(equation, operands)]
    most = max(operands[0].shape)
    places = [(i, k) for i in indices for k, entry in enumerate(operands[i].ravel()) if isinstance(entry, casadi.SX)]
    if most ** len(places) > MAX_CASES:
        raise UntranslatableError(
            f"the JAX primitive '{equation.primitive.name}' with {len(places)} indices that depend on the inputs has "
            f"too many cases ({most} for each) for a translation to CasADi. Index with constants."
        )
    return _cases(equation, operands, places, most)


def _cases(equation: Any, operands: list[np.ndarray], places: list[tuple[int, int]], most: int) -> list[np.ndarray]:
    if not places:
        return moved(
            equation, [np.asarray(v, int) if i in _indices(equation, operands) else v for i, v in enumerate(operands)]
        )
    (operand, k), *rest = places
    index = operands[operand].ravel()[k]

    def at(value: int) -> list[np.ndarray]:
        chosen = operands[operand].copy()
        chosen.ravel()[k] = value
        return _cases(equation, [chosen if i == operand else v for i, v in enumerate(operands)], rest, most)

    found = at(most - 1)
    for value in reversed(range(most - 1)):  # an index beyond either end is moved to it, as JAX does
        found = [
            elementwise(partial(_choose, index < value + 0.5), [a, b]) for a, b in zip(at(value), found, strict=True)
        ]
    return found


def _choose(condition: Any, a: Any, b: Any) -> Any:
    return casadi.if_else(condition, a, b)


def _indices(equation: Any, operands: list[np.ndarray]) -> range:
    return range(len(operands))[MOVES[equation.primitive.name]]


def _gathered_row_by_row(equation: Any, operands: list[np.ndarray]) -> np.ndarray:
    """A gather with several rows of indices: each decides on its own part of the output alone."""
    offsets = equation.params["dimension_numbers"].offset_dims
    shape = equation.outvars[0].aval.shape
    out, rows = np.empty(shape, object), operands[1]
    for row in np.ndindex(*rows.shape[:-1]):
        alone = np.zeros(rows.shape, object)
        alone[row] = rows[row]
        places = [(1, k) for k, entry in enumerate(alone.ravel()) if isinstance(entry, casadi.SX)]
        (found,) = _cases(equation, [operands[0], alone, *operands[2:]], places, max(operands[0].shape))
        batch = iter(row)
        part = tuple(slice(None) if axis in offsets else next(batch) for axis in range(len(shape)))
        out[part] = found[part]
    return out


def scattered(combine: Callable[[Any, Any], Any], equation: Any, operands: list[np.ndarray]) -> np.ndarray:
    """Updates combined with the entries that they meet: a sum of one of them with zeros shows where each goes."""
    into, indices, updates = operands
    if is_symbolic(indices):
        raise UntranslatableError("a scatter whose indices depend on the inputs has no translation to CasADi.")
    kept = ("dimension_numbers", "indices_are_sorted", "unique_indices", "mode")
    parameters = {name: equation.params[name] for name in kept}
    out = into.astype(object).ravel()
    for k, update in enumerate(updates.ravel()):
        one = np.zeros(updates.size)
        one[k] = 1.0
        reached = jax.lax.scatter_add(np.zeros(into.shape), indices, one.reshape(updates.shape), **parameters)
        for place in np.flatnonzero(reached):
            out[place] = combine(expression(out[place]), expression(update))
    return out.reshape(into.shape)
