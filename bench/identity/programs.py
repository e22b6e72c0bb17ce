"""Canonical hashing of traced programs: what is computed, not how variables, functions and files are called."""

from typing import Any

import jax
import numpy as np
from jax.core import ShapedArray
from jax.extend import core

from bench.identity.values import Writer

# Parameters of primitives that do not say what is computed: names, places in memory, and rules of derivatives, which
# tracing has applied.
NO_MEANING = {
    *("name", "debug_info", "jvp", "jvp_jaxpr_fun", "jvp_jaxpr_thunk", "fwd", "fwd_jaxpr_thunk", "bwd", "out_trees"),
    *("ctx_mesh", "in_shardings", "out_shardings", "sharding", "in_layouts", "out_layouts", "donated_invars"),
    *("keep_unused", "inline", "policy"),
}


def write_program(writer: Writer, value: Any) -> bool:
    """Write a traced program, or a part of one; return whether the value was one."""
    if isinstance(value, core.ClosedJaxpr):
        writer.write_all("constants", map(_constant, value.consts))
        writer.write(value.jaxpr)
    elif isinstance(value, core.Jaxpr):
        _write_program(writer, value)
    elif isinstance(value, ShapedArray):
        writer.tag(_type(value))
    else:
        return False
    return True


def _write_program(writer: Writer, program: core.Jaxpr) -> None:
    numbers: dict[core.Var, int] = {}

    def define(variables: Any) -> None:
        for variable in variables:
            numbers[variable] = len(numbers)
            writer.tag(_type(variable.aval))

    def use(atoms: Any) -> None:
        for atom in atoms:
            if isinstance(atom, core.Literal):
                writer.tag(_type(atom.aval))
                writer.write(_constant(atom.val))
            else:
                writer.tag(f"variable {numbers[atom]}")

    writer.tag(f"program {len(program.constvars)} {len(program.invars)} {len(program.eqns)}")
    define((*program.constvars, *program.invars))
    for equation in program.eqns:
        writer.tag(equation.primitive.name)
        use(equation.invars)
        for name, parameter in sorted(equation.params.items()):
            if name not in NO_MEANING:
                writer.tag(name)
                writer.write_if_possible(parameter)
        define(equation.outvars)
    use(program.outvars)


def _constant(value: Any) -> Any:
    return value if isinstance(value, jax.Array) else np.asarray(value)


def _type(aval: Any) -> str:
    if isinstance(aval, ShapedArray):
        return f"{aval.dtype}{list(aval.shape)}{'*' * aval.weak_type}"
    return type(aval).__name__
