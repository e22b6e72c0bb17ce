"""A task's functions for CasADi, translated from JAX's own trace of them: the mathematics is stated once, in the task.

An array becomes a NumPy array of scalar CasADi expressions; an array that no input touches stays one of numbers, and
JAX itself computes with it. Tables translate the rest: elementwise functions, reductions, moves of entries, and rules.
Loops are unrolled, and branches become `if_else`.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import casadi
import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Literal

from bench.reference.jaxpr_to_casadi.algebra import (
    CUMULATIONS,
    REDUCTIONS,
    cumulated,
    dot,
    first_of,
    linear_operands,
    reduced,
    triangular_solution,
)
from bench.reference.jaxpr_to_casadi.arrays import (
    UntranslatableError,
    array_of,
    elementwise,
    expression,
    is_symbolic,
    run_primitive,
)
from bench.reference.jaxpr_to_casadi.control_flow import branched, looped, scanned
from bench.reference.jaxpr_to_casadi.entries import (
    ELEMENTWISE,
    OF_TRUTH_VALUES,
    WITH_PARAMETERS,
    converted,
    divided,
)
from bench.reference.jaxpr_to_casadi.moves import MOVES, SCATTERS, moved, scattered
from tasks.base import AbstractHybridTask, AbstractTask
from tasks.constrained import AbstractConstrainedTask

__all__ = ["TaskFunctions", "UntranslatableError", "casadi_function", "casadi_functions"]

# The primitives that call another program -> the parameter that holds it.
CALLS = {
    "checkpoint": "jaxpr",
    "closed_call": "call_jaxpr",
    "core_call": "call_jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
    "jit": "jaxpr",
    "remat2": "jaxpr",
}


class TaskFunctions(NamedTuple):
    """CasADi functions of a task, in float64: f and g of (t, x, u), Φ of x, and the reset of (t, x, u), if any.

    Where the task has constraints, g and Φ are without their price, and c of (t, x, u) and e of x are the constraints.
    """

    vector_field: casadi.Function
    running_cost: casadi.Function
    terminal_cost: casadi.Function
    jump: casadi.Function | None
    path_constraints: casadi.Function | None = None
    end_constraints: casadi.Function | None = None


def casadi_functions(task: AbstractTask) -> TaskFunctions:
    """Translate a task's mathematics into CasADi functions. Raises UntranslatableError."""
    n, m = len(task.states), len(task.controls)
    full, state = ((), (n,), (m,)), ((n,),)
    constrained = isinstance(task, AbstractConstrainedTask)
    return TaskFunctions(
        casadi_function(task.vector_field, full),
        casadi_function(task.unpriced_running_cost if constrained else task.running_cost, full),
        casadi_function(task.unpriced_terminal_cost if constrained else task.terminal_cost, state),
        casadi_function(task.jump, full) if isinstance(task, AbstractHybridTask) else None,
        casadi_function(task.path_constraints, full) if constrained else None,
        casadi_function(_end_conditions(task), state) if constrained else None,
    )


def _end_conditions(task: AbstractConstrainedTask) -> Callable[[jax.Array], jax.Array]:
    """Constraints at the end, to be at most 0, and then the misses of targets, to be 0."""
    return lambda x: jnp.concatenate([task.end_constraints(x), task.misses(x)])


def casadi_function(compute: Callable[..., jax.Array], shapes: tuple[tuple[int, ...], ...]) -> casadi.Function:
    """Return a CasADi function of column vectors that computes what `compute` does with float64 arrays of these shapes.

    Raises UntranslatableError.
    """
    with jax.enable_x64(True):
        traced = jax.make_jaxpr(compute)(*[jnp.zeros(shape) for shape in shapes])
        symbols = [casadi.SX.sym(f"a{i}", int(np.prod(shape))) for i, shape in enumerate(shapes)]
        inputs = [array_of(casadi.vertsplit(s), shape) for s, shape in zip(symbols, shapes, strict=True)]
        (out,) = evaluate(traced, inputs)
    rows = [expression(each) for each in out.ravel()]
    return casadi.Function("f", symbols, [casadi.vertcat(*rows) if rows else casadi.SX(0, 1)])


def evaluate(program: Any, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The outputs of a jaxpr, closed or without constants."""
    body, consts = (program.jaxpr, program.consts) if isinstance(program, ClosedJaxpr) else (program, ())
    values = dict(zip([*body.constvars, *body.invars], [*map(np.asarray, consts), *inputs], strict=True))

    def read(v: Any) -> np.ndarray:
        return np.asarray(v.val) if isinstance(v, Literal) else values[v]

    for equation in body.eqns:
        values.update(zip(equation.outvars, _outputs(equation, [read(v) for v in equation.invars]), strict=True))
    return [read(v) for v in body.outvars]


def _outputs(equation: Any, operands: list[np.ndarray]) -> list[np.ndarray]:
    name, parameters = equation.primitive.name, equation.params
    if name in CALLS:
        return evaluate(parameters[CALLS[name]], operands)
    if not any(map(is_symbolic, operands)):
        return run_primitive(equation, operands)
    if name in RULES:
        return RULES[name](equation, operands)
    if name in MOVES:
        return moved(equation, operands)
    if name in REDUCTIONS:
        return [reduced(REDUCTIONS[name], operands[0], tuple(parameters["axes"]))]
    if name in CUMULATIONS:
        return [cumulated(CUMULATIONS[name], operands[0], parameters["axis"], parameters["reverse"])]
    if name in SCATTERS:
        return [scattered(SCATTERS[name], equation, operands)]
    if name in ELEMENTWISE and not (name in OF_TRUTH_VALUES and equation.outvars[0].aval.dtype != bool):
        given = {key: parameters[key] for key in WITH_PARAMETERS.get(name, ())}
        return [elementwise(partial(ELEMENTWISE[name], **given), operands)]
    raise UntranslatableError(
        f"the JAX primitive '{name}' has no translation to CasADi, so the second route to a reference is not taken. "
        "Write the task without it, or add it to the tables of bench/reference/jaxpr_to_casadi."
    )


def _linear_solution(equation: Any, operands: list[np.ndarray]) -> list[np.ndarray]:
    return evaluate(equation.params["jaxprs"].solve, linear_operands(equation, operands))


RULES: dict[str, Callable[[Any, list[np.ndarray]], list[np.ndarray]]] = {
    "argmax": partial(first_of, lambda a, b: a > b),
    "argmin": partial(first_of, lambda a, b: a < b),
    "cond": partial(branched, evaluate),
    "convert_element_type": converted,
    "custom_linear_solve": _linear_solution,
    "div": divided,
    "dot_general": dot,
    "scan": partial(scanned, evaluate),
    "triangular_solve": triangular_solution,
    "while": partial(looped, evaluate),
}
