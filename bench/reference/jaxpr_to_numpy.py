"""Evaluate a traced program by NumPy: at a few points it is not worth compiling."""

from collections.abc import Callable, Iterable
from typing import Any

import jax
import numpy as np
from jax.extend import core

# Primitives of floating-point numbers or booleans that are a function of NumPy.
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": np.abs,
    "add": np.add,
    "and": np.bitwise_and,
    "cos": np.cos,
    "div": np.divide,
    "eq": np.equal,
    "exp": np.exp,
    "ge": np.greater_equal,
    "gt": np.greater,
    "le": np.less_equal,
    "log": np.log,
    "lt": np.less,
    "max": np.maximum,
    "min": np.minimum,
    "mul": np.multiply,
    "ne": np.not_equal,
    "neg": np.negative,
    "not": np.bitwise_not,
    "or": np.bitwise_or,
    "pow": np.power,
    "rem": np.fmod,
    "sin": np.sin,
    "sqrt": np.sqrt,
    "stop_gradient": np.asarray,
    "sub": np.subtract,
    "tanh": np.tanh,
}


def evaluate(program: core.ClosedJaxpr, *arguments: np.ndarray | np.generic | jax.Array) -> list[Any]:
    """Return the float64 program's values. JAX computes the primitives that are not known here, one by one."""
    with np.errstate(all="ignore"), jax.enable_x64(True), jax.ensure_compile_time_eval():
        return _evaluate(program, arguments)


def _evaluate(program: core.ClosedJaxpr, arguments: Iterable[Any]) -> list[Any]:
    values: dict[core.Var, Any] = dict(zip(program.jaxpr.constvars, program.consts, strict=True))
    values |= dict(zip(program.jaxpr.invars, arguments, strict=True))

    def read(atom: Any) -> Any:
        return values[atom] if isinstance(atom, core.Var) else np.asarray(atom.val, atom.aval.dtype)

    for equation in program.jaxpr.eqns:
        inputs = [read(atom) for atom in equation.invars]
        if equation.primitive.name == "jit":
            found = _evaluate(equation.params["jaxpr"], inputs)
        elif (known := _by_numpy(equation, inputs)) is not None:
            variable: Any = equation.outvars[0]
            found = [np.asarray(known, variable.aval.dtype)]
        else:
            computed = equation.primitive.bind(*inputs, **equation.primitive.get_bind_params(equation.params))
            found = computed if equation.primitive.multiple_results else [computed]
        values |= dict(zip(equation.outvars, found, strict=True))
    return [read(atom) for atom in program.jaxpr.outvars]


def _by_numpy(equation: core.JaxprEqn, inputs: list[Any]) -> Any:
    """Return the value of one primitive, or None where NumPy would take another function or other rules."""
    if not inputs:  # such as a range of numbers
        return None
    name, given, x = equation.primitive.name, equation.params, inputs[0]
    if name in FUNCTIONS:
        return FUNCTIONS[name](*inputs) if x.dtype == bool or np.issubdtype(x.dtype, np.floating) else None
    match name:
        case "convert_element_type" if np.issubdtype(given["new_dtype"], np.floating):
            return np.asarray(x)
        case "integer_pow" if np.issubdtype(x.dtype, np.floating):
            return np.asarray(x) ** given["y"]
        case "squeeze":
            return np.squeeze(np.asarray(x), given["dimensions"])
        case "slice":
            strides = given["strides"] or (1,) * np.ndim(x)
            return np.asarray(x)[tuple(map(slice, given["start_indices"], given["limit_indices"], strides))]
        case "broadcast_in_dim":
            shape = np.ones(len(given["shape"]), int)
            shape[list(given["broadcast_dimensions"])] = np.shape(x)
            return np.broadcast_to(np.reshape(np.asarray(x), shape), given["shape"])
        case "stack":
            return np.stack(inputs, given["axis"])
        case "concatenate":
            return np.concatenate(inputs, given["dimension"])
        case "select_n" if x.dtype == bool:
            return np.where(x, inputs[2], inputs[1])
        case "reduce_sum":
            return np.sum(np.asarray(x), given["axes"])
        case _:
            return None
