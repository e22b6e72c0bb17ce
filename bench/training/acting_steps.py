"""The fewest steps that a policy simulates to act in one judged episode, read off its program; nothing is run.

This is a cheap guard of every run of a planner. Of a branch the cheapest side counts, and a loop of unknown length
counts nothing, so that no honest declaration is refused. `bench validate` counts the steps themselves.
"""

from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr, Primitive
from jax.interpreters import ad, batching

from bench.method import AbstractMethod
from bench.simulate import rollout
from bench.training.hidden_simulation import watched
from tasks.base import AbstractTask, State

# A mark on each simulated step of a program, as many as a vmap makes of it. A reverse pass has no second one.
_step = Primitive("simulated_step")
_step.def_impl(lambda x, *, count: x)
_step.def_abstract_eval(lambda x, *, count: x)
ad.primitive_jvps[_step] = lambda xs, tangents, *, count: (_step.bind(*xs, count=count), tangents[0])
batching.primitive_batchers[_step] = lambda xs, axes, *, count: (
    _step.bind(*xs, count=count * xs[0].shape[axes[0]]),
    axes[0],
)
CALLS = {"jit", "pjit", "closed_call", "core_call", "checkpoint", "custom_jvp_call", "custom_vjp_call"}


def fewest_acting_steps(task: AbstractTask, method: AbstractMethod, state: Any, x0: State) -> int:
    """Return what `policy()` and its calls at least simulate in an episode from x0, beside the episode's own steps."""

    def mark(name, slopes):
        first, *others = jax.tree.leaves(slopes)
        marked = _step.bind(first, count=1) if name == "vector_field" else first
        return jax.tree.unflatten(jax.tree.structure(slopes), [marked, *others])

    counted = watched(task, mark, solver="euler", solver_steps=1)  # one evaluation an interval
    program = jax.make_jaxpr(lambda state, x0: rollout(counted, method.policy(counted, state), x0))(state, x0)
    return _fewest(program.jaxpr) - task.num_steps


def _fewest(program: Jaxpr) -> int:
    """The marks that a run of the program passes at least."""
    total = 0
    for equation in program.eqns:
        name, params = equation.primitive.name, equation.params
        if equation.primitive is _step:
            total += params["count"]
        elif name == "scan":
            total += params["length"] * _fewest(params["jaxpr"].jaxpr)
        elif name == "cond":
            total += min(_fewest(branch.jaxpr) for branch in params["branches"])
        elif name in CALLS:
            parts = [value for value in params.values() if isinstance(value, ClosedJaxpr | Jaxpr)]
            total += sum(_fewest(part.jaxpr if isinstance(part, ClosedJaxpr) else part) for part in parts)
    return total
