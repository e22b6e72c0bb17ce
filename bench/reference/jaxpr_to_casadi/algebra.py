"""Functions of whole arrays: reductions, cumulations, products and linear systems."""

import itertools
import math
from collections.abc import Callable
from functools import reduce
from typing import Any

import casadi
import numpy as np

from bench.reference.jaxpr_to_casadi.arrays import UntranslatableError, array_of, expression

PAIRWISE: dict[str, Callable[[Any, Any], Any]] = {
    "sum": lambda a, b: a + b,
    "prod": lambda a, b: a * b,
    "max": casadi.fmax,
    "min": casadi.fmin,
    "and": casadi.logic_and,
    "or": casadi.logic_or,
}


REDUCTIONS = {f"reduce_{name}": combine for name, combine in PAIRWISE.items()}


CUMULATIONS = {f"cum{name}": PAIRWISE[name] for name in ("sum", "prod", "max", "min")}


def reduced(combine: Callable[[Any, Any], Any], a: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    rest = [axis for axis in range(a.ndim) if axis not in axes]
    shape = tuple(a.shape[axis] for axis in rest)
    rows = a.transpose(*rest, *axes).reshape(math.prod(shape), -1)
    return array_of([reduce(combine, map(expression, row)) for row in rows], shape)


def cumulated(combine: Callable[[Any, Any], Any], a: np.ndarray, axis: int, reverse: bool) -> np.ndarray:
    rows = np.moveaxis(a, axis, -1)
    lines = rows.reshape(-1, a.shape[axis])[:, :: -1 if reverse else 1]
    sums = [list(itertools.accumulate(map(expression, line), combine))[:: -1 if reverse else 1] for line in lines]
    return np.moveaxis(array_of([entry for line in sums for entry in line], rows.shape), -1, axis)


def first_of(better: Callable[[Any, Any], Any], equation: Any, operands: list[np.ndarray]) -> list[np.ndarray]:
    """argmax and argmin: the first entry that no later one beats."""
    (axis,) = equation.params["axes"]
    rows = np.moveaxis(operands[0], axis, -1)

    def first(row: np.ndarray) -> Any:
        best, place = expression(row[0]), casadi.SX(0)
        for i, entry in enumerate(map(expression, row[1:]), start=1):
            wins = better(entry, best)
            best, place = casadi.if_else(wins, entry, best), casadi.if_else(wins, i, place)
        return place

    return [array_of([first(row) for row in rows.reshape(-1, rows.shape[-1])], rows.shape[:-1])]


def dot(equation: Any, operands: list[np.ndarray]) -> list[np.ndarray]:
    """Contract two arrays: the output has the batch axes, then the free ones of either."""
    (over_a, over_b), (batch_a, batch_b) = equation.params["dimension_numbers"]
    a, b = operands
    free_a = [i for i in range(a.ndim) if i not in (*over_a, *batch_a)]
    free_b = [i for i in range(b.ndim) if i not in (*over_b, *batch_b)]
    batch, size = [a.shape[i] for i in batch_a], math.prod(a.shape[i] for i in over_a)
    left = a.transpose(*batch_a, *free_a, *over_a).reshape(math.prod(batch), -1, size)
    right = b.transpose(*batch_b, *free_b, *over_b).reshape(math.prod(batch), -1, size)
    entries = [
        sum((expression(p) * expression(q) for p, q in zip(row, column, strict=True)), casadi.SX(0))
        for rows, columns in zip(left, right, strict=True)
        for row in rows
        for column in columns
    ]
    return [array_of(entries, (*batch, *(a.shape[i] for i in free_a), *(b.shape[i] for i in free_b)))]


def linear_operands(equation: Any, operands: list[np.ndarray]) -> list[np.ndarray]:
    """What the solver in `jax.numpy.linalg.solve` reads, of the constants of four functions (it is the third) and b."""
    lengths = equation.params["const_lengths"]
    before = lengths.matvec + lengths.vecmat
    rest = before + lengths.solve + lengths.transpose_solve
    return [*operands[before : before + lengths.solve], *operands[rest:]]


def triangular_solution(equation: Any, operands: list[np.ndarray]) -> list[np.ndarray]:
    """The solution of a x = b, or of x a = b, by substitution."""
    p = equation.params
    a, b = operands
    if a.ndim != 2 or b.ndim != 2:
        raise UntranslatableError("a batch of triangular systems has no translation to CasADi.")
    transposed = p["transpose_a"] == p["left_side"]  # x a = b is aᵀ xᵀ = bᵀ
    a, lower = (a.T, not p["lower"]) if transposed else (a, p["lower"])
    b = b if p["left_side"] else b.T
    x = np.empty(b.shape, object)
    order = range(len(a)) if lower else range(len(a) - 1, -1, -1)
    for i in order:
        known = range(i) if lower else range(i + 1, len(a))
        for k in range(b.shape[1]):
            rest = expression(b[i, k]) - sum((expression(a[i, j]) * x[j, k] for j in known), casadi.SX(0))
            x[i, k] = rest if p["unit_diagonal"] else rest / expression(a[i, i])
    return [x if p["left_side"] else x.T]
