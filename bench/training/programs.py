"""The programs of a method on a task: traced once, they are compiled to train it, and hashed to identify it."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from bench.budget import BudgetError, Usage
from bench.identity import digest
from bench.machine import garbage_collection
from bench.method import AbstractInformedMethod, AbstractMethod, inform
from bench.records.reference import Reference
from bench.reference.starts import evaluation_states
from bench.simulate import SIMULATOR_VERSION, rollout
from bench.training.acting_steps import fewest_acting_steps
from bench.training.blocks import Block, OneSeed
from bench.training.hidden_simulation import hidden_simulation, simulation_in_policy, simulation_in_usage
from tasks.base import AbstractTask

# JAX's errors for a method that branches on a number that is data.
BRANCHING_ERRORS = (
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerIntegerConversionError,
)


class Programs(NamedTuple):
    """The traced programs that start, advance and score seeds, and what they take."""

    numbers: Any  # the method's numbers that are data
    start: jax.stages.Traced
    advance: jax.stages.Traced
    score: jax.stages.Traced
    shapes: Any  # shapes of the state that one call takes


def method_fingerprint(task: AbstractTask, method: AbstractMethod) -> str:
    """Return a hash of what a method computes on a task: it changes with a sign, and not with a comment.

    It covers `init`, `step`, the policy as it is judged, the simulator, and the usage that decides how many steps there
    are. Fractional settings are data of these programs, so they are no part of it. A method that may know references is
    traced with made-up ones.
    """
    with garbage_collection.paused():
        programs = trace(task, inform(method, (_stand_in(task),)), OneSeed(0))
    return _digest(programs, method.usage(task))


def fingerprint_in_training(task: AbstractTask, method: AbstractMethod, programs: Programs, block: Block) -> str:
    """Return `method_fingerprint`, read off the programs of a block where these are programs of one seed."""
    if isinstance(block, OneSeed) and not isinstance(method, AbstractInformedMethod):
        return _digest(programs, method.usage(task))
    return method_fingerprint(task, method)


def _digest(programs: Programs, usage: Usage) -> str:
    spent = {name: value for name, value in vars(usage).items() if value}  # a field that is new there changes nothing
    return digest((SIMULATOR_VERSION, spent, programs.start.jaxpr, programs.advance.jaxpr, programs.score.jaxpr))


def _stand_in(task: AbstractTask) -> Reference:
    low, high = task.bounds
    middle = ((low + high) / 2).tolist()
    return Reference(
        task="",
        horizon=float(task.horizon),
        num_steps=int(task.num_steps),
        fingerprint="",
        floor=1.0,
        floor_control=middle,
        best=0.0,
        grade="C",
        residual=0.0,
        found_by="",
        controls=[middle] * int(task.num_steps),
        single_shooting=[0.0],
    )


def trace(task: AbstractTask, method: AbstractMethod, block: Block) -> Programs:
    """Trace the programs that start, advance and score seeds.

    Fractional numbers of the method are data, so that cells which differ in nothing else share a compilation. A method
    that branches on one of them is compiled for its numbers. Raises BudgetError for a simulation that is not declared.
    """
    simulation = simulation_in_usage(task, method)
    if simulation:
        raise BudgetError(
            f"usage() {simulation}. It only declares steps: simulate in init() or step(), which are charged."
        )
    try:
        return _trace_with(*eqx.partition(method, lambda leaf: isinstance(leaf, float)), task, block)
    except BRANCHING_ERRORS:
        return _trace_with(*eqx.partition(method, lambda leaf: False), task, block)


def _require_none(what: str, declared: str, simulation: str) -> None:
    if simulation:
        raise BudgetError(
            f"{what} {simulation}, but usage() declares {declared} = 0. Declare the steps that it simulates."
        )


def _require_acting_steps(task, method, state, x0) -> None:
    declared = method.usage(task).acting_env_steps
    if not declared:
        _require_none("its policy", "acting_env_steps", simulation_in_policy(task, method, state))
    elif (fewest := fewest_acting_steps(task, method, state, x0)) > declared:
        raise BudgetError(
            f"its policy simulates at least {fewest} steps to act in one judged episode, but usage() declares "
            f"acting_env_steps = {declared}. Declare the steps that it simulates at most."
        )


def _trace_with(numbers, rest, task, block) -> Programs:
    starts = evaluation_states(task)
    first = jax.tree.map(lambda each: each[0], starts)  # here, because in a trace it would be a part of the program

    def init(numbers, key):
        method = eqx.combine(numbers, rest)
        usage = method.usage(task)
        if usage.charged and not usage.init_env_steps:
            _require_none("init()", "init_env_steps", hidden_simulation(task, method.init, key))
        return method.init(task, key)

    def advance(numbers, state, key, start, stop):
        method = eqx.combine(numbers, rest)
        # Bounds are data: one program serves chunks of any length.
        return jax.lax.fori_loop(start, stop, lambda i, s: method.step(task, s, jr.fold_in(key, i)), state)

    def score(numbers, state):
        method = eqx.combine(numbers, rest)
        policy = method.policy(task, state)
        _require_acting_steps(task, method, state, first)
        trajectories = jax.vmap(lambda x0: rollout(task, policy, x0))(starts)
        return jnp.mean(trajectories.cost), jnp.mean(trajectories.end_error), jnp.max(trajectories.violation)

    init_key, step_key, zero = block.init_key, block.step_key, np.int32(0)
    start = jax.jit(block.program(init, (None, 0))).trace(numbers, init_key)
    shapes = start.out_info
    advancing = block.program(advance, (None, 0, 0, None, None))
    return Programs(
        numbers=numbers,
        start=start,
        advance=jax.jit(advancing, donate_argnums=1).trace(numbers, shapes, step_key, zero, zero),
        score=jax.jit(block.program(score, (None, 0))).trace(numbers, shapes),
        shapes=shapes,
    )
