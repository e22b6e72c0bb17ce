"""Does a function that declares no simulated steps simulate after all? Found by tracing it; nothing is run.

This is a cheap guard of every run. `bench validate` counts the steps themselves.
"""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend import core

from bench.method import AbstractMethod
from bench.simulate import simulated_interval
from tasks.base import AbstractHybridTask, AbstractNoisyTask, AbstractTask

CALLBACKS = {"pure_callback", "io_callback"}  # primitives whose results Python computes


def hidden_simulation(task: AbstractTask, function: Callable[..., Any], *arguments: Any) -> str:
    """Return in words how `function(task, *arguments)` simulates the task, or may; "" if it does not.

    An evaluation of the task's vector field, or of its jump, in any branch is a simulation, and so is a call of the
    simulator with a task that the function keeps or makes. Inside a callback to Python nothing can be seen.
    """
    evaluated: list[str] = []
    program = jax.make_jaxpr(lambda *arguments: function(watched(task, _noted(evaluated)), *arguments))(*arguments)
    if evaluated:
        return f"evaluates the task's {evaluated[0]}"
    return next(_suspects(program.jaxpr), "")


def simulation_in_usage(task: AbstractTask, method: AbstractMethod) -> str:
    """Return in words how `usage` simulates the task, which it only has to declare; "" if it does not."""
    evaluated: list[str] = []
    method.usage(watched(task, _noted(evaluated)))
    return f"evaluates the task's {evaluated[0]}" if evaluated else ""


def simulation_in_policy(task: AbstractTask, method: AbstractMethod, state: Any) -> str:
    """Return in words how the method's policy for a state simulates the task in order to act, or may; "" if not."""

    def act(task, state, x):
        policy = method.policy(task, state)
        return policy(jnp.zeros((), x.dtype), x, policy.initial())

    return hidden_simulation(task, act, state, task.x0)


def watched(task: AbstractTask, tap: Callable[[str, Any], Any], **attributes: Any) -> AbstractTask:
    """Return the same task, of a class of its own with these attributes, whose dynamics' values go through `tap`.

    `tap` takes the name of the function and its value. A new class is in no cache of traced functions, so that every
    evaluation is seen.
    """
    kind: Any = type(task)

    def watch(name: str) -> Callable:
        own = getattr(kind, name)

        def evaluate(self, *arguments, **named):
            return tap(name, own(self, *arguments, **named))

        return evaluate

    dynamics = ("vector_field", "jump") if isinstance(task, AbstractHybridTask) else ("vector_field",)
    body = {"__module__": kind.__module__, "__qualname__": kind.__qualname__}
    # The attributes of a noisy task are those of its plant.
    body |= {name: watch(name) for name in dynamics} | ({} if isinstance(task, AbstractNoisyTask) else attributes)
    watching: Any = type(kind)(kind.__name__, (kind,), body)
    copy = object.__new__(watching)
    for field in dataclasses.fields(task):
        value = getattr(task, field.name)
        inner = watched(value, tap, **attributes) if isinstance(value, AbstractTask) else value  # a noisy task's plant
        if field.name not in body:
            object.__setattr__(copy, field.name, inner)
    return copy


def _noted(evaluated: list[str]) -> Callable[[str, Any], Any]:
    """Return a tap that notes what is evaluated."""

    def note(name, value):
        evaluated.append(name)
        return value

    return note


def _suspects(program: core.Jaxpr) -> Iterator[str]:
    """What simulates, or may, in a program and in its parts, in words."""
    for equation in program.eqns:
        if equation.primitive.name in CALLBACKS:
            yield f"calls back into Python ({equation.primitive.name}), where its simulation cannot be counted"
        if equation.params.get("name") == simulated_interval.__name__:
            yield "calls the simulator"
        for part in jax.tree.leaves(list(equation.params.values()), is_leaf=_is_program):
            inner = part.jaxpr if isinstance(part, core.ClosedJaxpr) else part
            if isinstance(inner, core.Jaxpr):
                yield from _suspects(inner)


def _is_program(value: Any) -> bool:
    return isinstance(value, core.ClosedJaxpr | core.Jaxpr)
