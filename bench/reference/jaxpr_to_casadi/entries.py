"""Functions of single entries, by the names of JAX's primitives."""

import math
from collections.abc import Callable
from functools import reduce
from typing import Any

import casadi
import jax.numpy as jnp
import numpy as np

from bench.reference.jaxpr_to_casadi.arrays import elementwise


def _truncated(a: Any) -> Any:
    return casadi.if_else(a < 0, casadi.ceil(a), casadi.floor(a))


def _rounded(a: Any, rounding_method: Any) -> Any:
    if int(rounding_method) == 0:  # away from zero
        return casadi.sign(a) * casadi.floor(casadi.fabs(a) + 0.5)
    lower = casadi.floor(a)  # to even
    up = casadi.logic_or(a - lower > 0.5, casadi.logic_and(a - lower == 0.5, casadi.fmod(lower, 2) != 0))
    return casadi.if_else(up, lower + 1, lower)


def _cube_root(a: Any) -> Any:
    return casadi.sign(a) * casadi.fabs(a) ** (1 / 3)


def _logistic(a: Any) -> Any:
    return (1 + casadi.tanh(a / 2)) / 2  # overflows nowhere


def select(which: Any, *cases: Any) -> Any:
    return reduce(lambda rest, i: casadi.if_else(which <= i, cases[i], rest), range(len(cases) - 2, -1, -1), cases[-1])


ELEMENTWISE: dict[str, Callable[..., Any]] = {
    "abs": casadi.fabs,
    "acos": casadi.acos,
    "acosh": casadi.acosh,
    "add": lambda a, b: a + b,
    "add_any": lambda a, b: a + b,
    "and": casadi.logic_and,
    "asin": casadi.asin,
    "asinh": casadi.asinh,
    "atan": casadi.atan,
    "atan2": casadi.atan2,
    "atanh": casadi.atanh,
    "cbrt": _cube_root,
    "ceil": casadi.ceil,
    "clamp": lambda low, a, high: casadi.fmin(casadi.fmax(a, low), high),
    "copy": lambda a: a,
    "copy_p": lambda a: a,
    "cos": casadi.cos,
    "cosh": casadi.cosh,
    "div": lambda a, b: a / b,
    "eq": lambda a, b: a == b,
    "eq_to": lambda a, b: a == b,
    "erf": casadi.erf,
    "erf_inv": casadi.erfinv,
    "erfc": lambda a: 1 - casadi.erf(a),
    "exp": casadi.exp,
    "exp2": lambda a: casadi.exp(math.log(2) * a),
    "expm1": casadi.expm1,
    "floor": casadi.floor,
    "ge": lambda a, b: a >= b,
    "gt": lambda a, b: a > b,
    "integer_pow": lambda a, y: a**y,
    "is_finite": lambda a: casadi.fabs(a) < math.inf,
    "le": lambda a, b: a <= b,
    "log": casadi.log,
    "log1p": casadi.log1p,
    "logistic": _logistic,
    "le_to": lambda a, b: a <= b,  # of a total order: where not a number is compared too
    "lt": lambda a, b: a < b,
    "lt_to": lambda a, b: a < b,
    "max": casadi.fmax,
    "min": casadi.fmin,
    "mul": lambda a, b: a * b,
    "ne": lambda a, b: a != b,
    "neg": lambda a: -a,
    "not": casadi.logic_not,
    "or": casadi.logic_or,
    "pow": lambda a, b: a**b,
    "reduce_precision": lambda a, **_: a,
    "rem": casadi.fmod,
    "round": _rounded,
    "rsqrt": lambda a: 1 / casadi.sqrt(a),
    "select_n": select,
    "sign": casadi.sign,
    "sin": casadi.sin,
    "sinh": casadi.sinh,
    "sqrt": casadi.sqrt,
    "square": lambda a: a * a,
    "stop_gradient": lambda a: a,
    "sub": lambda a, b: a - b,
    "tan": casadi.tan,
    "tanh": casadi.tanh,
    "xor": lambda a, b: a != b,
}


OF_TRUTH_VALUES = {"and", "or", "not", "xor"}  # on whole numbers they are of bits


WITH_PARAMETERS = {"integer_pow": ("y",), "round": ("rounding_method",)}


def converted(equation: Any, operands: list[np.ndarray]) -> list[np.ndarray]:
    """Other dtypes: precision is not translated, whole numbers and truth values are."""
    dtype = equation.params["new_dtype"]
    if jnp.issubdtype(dtype, jnp.floating) or not jnp.issubdtype(equation.invars[0].aval.dtype, jnp.floating):
        return operands
    return [elementwise((lambda a: a != 0) if jnp.issubdtype(dtype, jnp.bool_) else _truncated, operands)]


def divided(equation: Any, operands: list[np.ndarray]) -> list[np.ndarray]:
    """A quotient; of whole numbers it is rounded towards 0."""
    whole = jnp.issubdtype(equation.outvars[0].aval.dtype, jnp.integer)
    return [elementwise((lambda a, b: _truncated(a / b)) if whole else ELEMENTWISE["div"], operands)]
