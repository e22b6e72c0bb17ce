"""Branches and loops. `evaluate` computes a jaxpr's outputs from its inputs."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from bench.reference.jaxpr_to_casadi.arrays import UntranslatableError, elementwise, is_symbolic
from bench.reference.jaxpr_to_casadi.entries import select

Evaluate = Callable[[Any, Sequence[np.ndarray]], list[np.ndarray]]


def branched(evaluate: Evaluate, equation: Any, operands: list[np.ndarray]) -> list[np.ndarray]:
    """All branches, and `if_else` between them; only the chosen one where that is known."""
    which, *inputs = operands
    branches = equation.params["branches"]
    if not is_symbolic(which):
        return evaluate(branches[int(np.clip(int(which), 0, len(branches) - 1))], inputs)
    results = [evaluate(branch, inputs) for branch in branches]
    return [elementwise(select, [which, *cases]) for cases in zip(*results, strict=True)]


def scanned(evaluate: Evaluate, equation: Any, operands: list[np.ndarray]) -> list[np.ndarray]:
    """A scan, unrolled."""
    parameters = equation.params
    consts, carries = parameters["num_consts"], parameters["num_carry"]
    fixed, carry, xs = operands[:consts], operands[consts : consts + carries], operands[consts + carries :]
    steps = range(parameters["length"])
    collected: list[list[np.ndarray]] = []
    for i in reversed(steps) if parameters["reverse"] else steps:
        out = evaluate(parameters["jaxpr"], [*fixed, *carry, *(np.asarray(x[i]) for x in xs)])
        carry = out[:carries]
        collected.append(out[carries:])
    if parameters["reverse"]:
        collected.reverse()
    return [*carry, *(np.stack(column) for column in zip(*collected, strict=True))]


def looped(evaluate: Evaluate, equation: Any, operands: list[np.ndarray]) -> list[np.ndarray]:
    """A while loop whose end does not depend on the inputs, unrolled."""
    parameters = equation.params
    n, m = parameters["cond_nconsts"], parameters["body_nconsts"]
    for_end, for_body, carry = operands[:n], operands[n : n + m], operands[n + m :]
    while True:
        (goes_on,) = evaluate(parameters["cond_jaxpr"], [*for_end, *carry])
        if is_symbolic(goes_on):
            raise UntranslatableError(
                "a loop that ends when the inputs say so ('while') has no translation to CasADi. Give it a fixed "
                "number of rounds."
            )
        if not goes_on:
            return carry
        carry = evaluate(parameters["body_jaxpr"], [*for_body, *carry])
