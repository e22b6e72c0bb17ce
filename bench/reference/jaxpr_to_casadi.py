"""A task's functions for CasADi, made from JAX's trace of them, so that the mathematics is stated once, in the task.

An array becomes a NumPy array of scalar CasADi expressions. A table translates the primitives that compute. JAX runs
those that only move entries, on the indices of the entries. Any other primitive is an error.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import casadi
import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Literal

from tasks.base import AbstractHybridTask, AbstractTask

ELEMENTWISE: dict[str, Callable[..., Any]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "neg": lambda a: -a,
    "pow": lambda a, b: a**b,
    "rem": casadi.fmod,
    "max": casadi.fmax,
    "min": casadi.fmin,
    "clamp": lambda low, a, high: casadi.fmin(casadi.fmax(a, low), high),
    "exp": casadi.exp,
    "log": casadi.log,
    "sqrt": casadi.sqrt,
    "sin": casadi.sin,
    "cos": casadi.cos,
    "lt": lambda a, b: a < b,
    "gt": lambda a, b: a > b,
    "ne": lambda a, b: a != b,
    "and": casadi.logic_and,
    "select_n": lambda which, no, yes: casadi.if_else(which, yes, no),
}
MOVING_PRIMITIVES = {"squeeze", "slice", "stack", "concatenate", "broadcast_in_dim", "scatter"}
CALL_BODIES = {"jit": "jaxpr", "custom_jvp_call": "call_jaxpr"}  # primitive -> the parameter that holds its body


class UntranslatableError(NotImplementedError):
    """A task uses a JAX primitive that has no translation."""


class TaskFunctions(NamedTuple):
    """CasADi functions of a task, in float64: f(t, x, u), g(t, x, u), Φ(x), and the reset (t, x, u) -> x, if any."""

    vector_field: casadi.Function
    running_cost: casadi.Function
    terminal_cost: casadi.Function
    jump: casadi.Function | None


def casadi_functions(task: AbstractTask) -> TaskFunctions:
    """Return the task's mathematics as CasADi functions. Raises UntranslatableError."""
    n, m = len(task.states), len(task.controls)
    full, state = ((), (n,), (m,)), ((n,),)
    return TaskFunctions(
        casadi_function(task.vector_field, full),
        casadi_function(task.running_cost, full),
        casadi_function(task.terminal_cost, state),
        casadi_function(task.jump, full) if isinstance(task, AbstractHybridTask) else None,
    )


def casadi_function(compute: Callable[..., jax.Array], shapes: tuple[tuple[int, ...], ...]) -> casadi.Function:
    """Translate `compute`, a function of float64 arrays with these shapes, to a CasADi function of column vectors."""
    with jax.enable_x64(True):
        traced = jax.make_jaxpr(compute)(*[jnp.zeros(shape) for shape in shapes])
        symbols = [casadi.SX.sym(f"a{i}", int(np.prod(shape))) for i, shape in enumerate(shapes)]
        inputs = [_array(casadi.vertsplit(s), shape) for s, shape in zip(symbols, shapes, strict=True)]
        (out,) = _evaluate(traced.jaxpr, traced.consts, inputs)
    return casadi.Function("f", symbols, [casadi.vertcat(*np.asarray(out).ravel())])


def _array(entries, shape) -> np.ndarray:
    array = np.empty(len(entries), object)
    array[:] = entries
    return array.reshape(shape)


def _evaluate(jaxpr, consts, inputs) -> list[np.ndarray]:
    """Evaluate a jaxpr; values that depend on no input stay numbers."""
    values = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*map(np.asarray, consts), *inputs], strict=True))

    def read(v):
        return np.asarray(v.val) if isinstance(v, Literal) else values[v]

    for equation in jaxpr.eqns:
        values.update(zip(equation.outvars, _outputs(equation, [read(v) for v in equation.invars]), strict=True))
    return [read(v) for v in jaxpr.outvars]


def _outputs(equation, operands) -> list[np.ndarray]:
    name, parameters = equation.primitive.name, equation.params
    if name in CALL_BODIES:
        body = parameters[CALL_BODIES[name]]
        return _evaluate(body.jaxpr, body.consts, operands)
    if all(value.dtype != object for value in operands):
        found = equation.primitive.bind(*map(jnp.asarray, operands), **parameters)
        return [np.asarray(part) for part in (found if equation.primitive.multiple_results else [found])]
    if name in MOVING_PRIMITIVES:
        return [_move_entries(equation, operands)]
    if name == "convert_element_type" and jnp.issubdtype(parameters["new_dtype"], jnp.floating):
        return operands
    if name == "reduce_sum":
        return [np.asarray(np.sum(operands[0], axis=tuple(parameters["axes"])), object)]
    compute = (lambda a: a ** parameters["y"]) if name == "integer_pow" else ELEMENTWISE.get(name)
    if compute:
        shape = np.broadcast_shapes(*(value.shape for value in operands))
        entries = zip(*(np.broadcast_to(value, shape).ravel() for value in operands), strict=True)
        return [_array([compute(*map(casadi.SX, entry)) for entry in entries], shape)]
    known = ", ".join(sorted({*ELEMENTWISE, *MOVING_PRIMITIVES, *CALL_BODIES, "integer_pow", "reduce_sum"}))
    raise UntranslatableError(
        f"the JAX primitive '{name}' has no translation to CasADi; known are {known}. Write the task without it, or "
        "add it to bench/reference/jaxpr_to_casadi.py."
    )


def _move_entries(equation, operands) -> np.ndarray:
    """Run a primitive that only moves entries on their indices. A scatter's own indices are values."""
    entries: list[Any] = []
    indices = []
    for i, value in enumerate(operands):
        if equation.primitive.name == "scatter" and i == 1:
            indices.append(jnp.asarray(value))
            continue
        indices.append(jnp.arange(len(entries), len(entries) + value.size).reshape(value.shape))
        entries.extend(map(casadi.SX, value.ravel()))
    places = np.asarray(equation.primitive.bind(*indices, **equation.params))
    return _array([entries[i] for i in places.ravel()], places.shape)
