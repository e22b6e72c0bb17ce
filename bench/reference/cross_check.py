"""A reference confirmed: multiple shooting beside single shooting, then the better of both, improved, and its grade."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from bench.records.reference import AGREEMENT_RTOL, Reference, cost_size, cost_unit
from bench.reference import single_shooting
from bench.reference.multiple_shooting import Program, Solution
from bench.reference.starts import evaluation_starts
from bench.simulate import from_knots, open_loop
from tasks.base import AbstractSolvedTask, AbstractTask

STARTS_AT_LOWEST = 4  # starts that end at the lowest cost before no more are tried,
FEWEST = 7  # and the fewest that are tried in any case
FIRST_ORDER = 1e-4  # a residual below this: the cost is known to its square or better
SAME = 1e-6  # relative: two costs of one minimum, by two integrators
FLAT = 1e-7  # a Hessian in float64 has eigenvalues of this size, relative to the largest, where it should have zeros


def cross_check(task: AbstractTask, first: Reference, earlier: Reference | None = None) -> Reference:
    """`first`, from single shooting, with the second route taken and a grade. Deterministic.

    `earlier` is a reference of the same task that a search may not have found again: its controls are one more start.
    """
    x0 = evaluation_starts(task)[0] if first.start is None else np.array(first.start)
    unit = cost_unit(first.floor, first.best)
    size = cost_size(first.floor, first.best)
    # The smaller one: a floor far above the best cost, or a headroom far below it, would make IPOPT stop early.
    program = Program(task, x0, min(unit, size))
    second = _solutions(program, size)
    states, improve = _simulation(task, x0), single_shooting.improver(task, x0, unit)
    # What either route found, and what was known, is a start for the other one.
    known = [np.array(r.controls) for r in (first, earlier) if r]
    near = [program.solve(us, states(us), near=True) for us in known]
    if earlier and earlier.states:
        near.append(program.solve(known[-1], np.array(earlier.states), near=True))
    lowest = min((s for s in [*second, *near] if s), key=lambda s: s.cost, default=None)
    found = min(map(improve, [*known, *([lowest.us] if lowest else [])]), key=lambda r: r.cost)
    # Open loop may be unable to hold an optimum, or only with an error that the last digit of a control makes.
    lost = lowest and (lowest.cost < found.cost - AGREEMENT_RTOL * size or found.residual > FIRST_ORDER)
    held = _in_pieces(task, lowest) if lowest and lost else None
    if lowest and held is not None and held < found.cost:
        changes = {"best": held, "states": lowest.xs.tolist(), "found_by": "multiple shooting, IPOPT"}
        best, us, at = held, lowest.us, lowest
        residual = program.check(lowest)[0]
    else:
        best, us, residual = found
        changes = {"best": best, "found_by": "both routes, each started from the other; L-BFGS-B and Newton at last"}
        at = program.solve(us, states(us), near=True)
        at = at if at and abs(at.cost - best) < SAME * size else None
    made = dataclasses.replace(
        first,
        **changes,
        controls=single_shooting.rounded(us),
        residual=residual,
        second_order=bool(program.check(at)[1] > -FLAT) if at else None,
        multiple_shooting=[s.cost for s in second],
    )
    return dataclasses.replace(made, grade=_grade(task, made))


def _solutions(program: Program, size: float) -> list[Solution]:
    """From one start after another, until the lowest cost has been reached several times."""
    found: list[Solution] = []
    for i, (us, xs) in enumerate(program.guesses()):
        costs = np.array([s.cost for s in found])
        if i >= FEWEST and np.sum(costs < np.min(costs, initial=np.inf) + SAME * size) >= STARTS_AT_LOWEST:
            break
        solution = program.solve(us, xs)
        found += [solution] if solution else []
    return found


def _simulation(task, x0):
    """A function from controls to the states at the knots, by our simulator; compiled once."""
    with jax.enable_x64(True):
        run = jax.jit(lambda us: open_loop(task, us, jnp.asarray(x0)).xs)

    def states(us):
        with jax.enable_x64(True):
            xs = np.array(run(us))
        return np.where(np.isfinite(xs), xs, x0)

    return states


def _in_pieces(task, solution) -> float | None:
    """The cost by our simulator with each interval started from its knot; None if one misses the next knot."""
    with jax.enable_x64(True):
        xs = jnp.asarray(solution.xs)
        pieces = from_knots(task, jnp.asarray(solution.us), xs)
        gaps = jnp.max(jnp.abs(pieces.xs - xs) / (1 + jnp.abs(xs)))
        return float(pieces.cost) if gaps < SAME else None


def _grade(task, reference) -> str:
    optimum = task.optimum() if isinstance(task, AbstractSolvedTask) and task.starts == "fixed" else None
    size = cost_size(reference.floor, reference.best)
    if optimum is not None and abs(reference.best - optimum) < SAME * size:
        return "A"
    difference = reference.difference
    return "B" if difference is not None and difference < AGREEMENT_RTOL else "C"
