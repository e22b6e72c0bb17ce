"""The shapes that a task's functions return, before anything is compiled."""

import jax
import jax.numpy as jnp

from tasks.base import AbstractHybridTask, AbstractTask
from tasks.constrained import AbstractConstrainedTask


def shape_fault(task: AbstractTask) -> str:
    """Return which of f, g, Φ and the jump returns no array of its shape, and what to write; "" where all do.

    Nothing is compiled. Raises what the task's own functions raise.
    """
    x, u = (jax.ShapeDtypeStruct((len(v),), jnp.float32) for v in (task.states, task.controls))
    functions = [
        ("vector_field", task.vector_field, (0.0, x, u), x.shape),
        ("running_cost", task.running_cost, (0.0, x, u), ()),
        ("terminal_cost", task.terminal_cost, (x,), ()),
    ]
    if isinstance(task, AbstractHybridTask):
        functions.append(("jump", task.jump, (0.0, x, u), x.shape))
    if isinstance(task, AbstractConstrainedTask):
        functions[1:3] = [
            ("unpriced_running_cost", task.unpriced_running_cost, (0.0, x, u), ()),
            ("unpriced_terminal_cost", task.unpriced_terminal_cost, (x,), ()),
        ]
        constraints = {"path_constraints": (0.0, x, u), "end_constraints": (x,)}
        for name, arguments in constraints.items():
            found = jax.eval_shape(getattr(task, name), *arguments)
            if not isinstance(found, jax.ShapeDtypeStruct) or len(found.shape) != 1:
                got = f"shape {found.shape}" if isinstance(found, jax.ShapeDtypeStruct) else f"a {type(found).__name__}"
                return f"{name} returns {got}, it must be one vector: jnp.stack([...]), or jnp.zeros(0, x.dtype)"
    for name, function, arguments, wanted in functions:
        found = jax.eval_shape(function, *arguments)
        hint = "give one number, such as x[0] in place of x" if wanted == () else "give it by jnp.stack([...])"
        if not isinstance(found, jax.ShapeDtypeStruct):
            return f"{name} returns a {type(found).__name__}, it must be one array of shape {wanted}: {hint}"
        if found.shape != wanted:
            return f"{name} returns shape {found.shape}, it must be {wanted}: {hint}"
    return ""
