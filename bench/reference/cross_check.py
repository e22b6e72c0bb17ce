"""Cross-check of a reference: multiple shooting beside single shooting, each started from the other, and a grade."""

import dataclasses
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from bench.precision import float64
from bench.records.reference import AGREEMENT_RTOL, MAX_VIOLATION, Reference, cost_size, cost_unit
from bench.reference.adaptive_cost import adaptive_cost
from bench.reference.feasibility import with_violations
from bench.reference.multiple_shooting import NonlinearProgram, Solution
from bench.reference.single_shooting import local_search, rounded, simulated
from bench.reference.starts import evaluation_starts
from bench.simulate import from_knots, open_loop
from tasks.base import AbstractSolvedTask, AbstractTask
from tasks.constrained import AbstractConstrainedTask

MIN_STARTS = 7
MIN_STARTS_AT_LOWEST = 4  # then no more starts are tried
RESIDUAL_TOL = 1e-4  # for a first-order point: its cost is known to the square of this or better
COST_RTOL = 1e-6  # between two costs of one minimum, by two integrators
MAX_MARGIN = 1e-3  # for constraints between their checks, of a range; more says that controls alone lose the optimum
ROUNDING = 1e-12  # of a cost, over the some hundred intervals of a task in float64
KNOT_RTOL = 1e-6  # between a knot and the end of the interval before it, by two integrators
EIGENVALUE_TOL = 1e-7  # relative to the largest; zero eigenvalues of a Hessian in float64 come out of this size


def cross_check(task: AbstractTask, first: Reference, earlier: Reference | None = None) -> Reference:
    """Improve `first`, which single shooting found, by multiple shooting, and grade it. Deterministic.

    The controls of `earlier`, an older reference, are one more start, for a new search may miss its optimum.
    """
    x0 = evaluation_starts(task)[0] if first.start is None else np.array(first.start)
    unit = cost_unit(first.floor, first.best)
    size = cost_size(first.floor, first.best)
    # IPOPT would stop early in units of a headroom far above the best cost, or of a size far above the headroom.
    program = NonlinearProgram(task, x0, min(unit, size))
    solutions = _solve_from_guesses(program, size)
    states = _state_simulator(task, x0)
    constrained = isinstance(task, AbstractConstrainedTask)
    # The price of a constraint has a kink where the optimum lies: a descent there stops early.
    search = simulated(task, x0) if constrained else local_search(task, x0, unit)
    known = [np.array(r.controls) for r in (first, earlier) if r]
    continued = [program.solve(us, states(us), warm_start=True) for us in known]
    if earlier and earlier.states:
        continued.append(program.solve(known[-1], np.array(earlier.states), warm_start=True))
    lowest = min((s for s in [*solutions, *continued] if s), key=lambda s: s.cost, default=None)
    if constrained and lowest:
        lowest = _tightened(task, program, first, lowest)
        known = []  # IPOPT has continued these, and has not let them violate a constraint
    found = min(map(search, [*known, *([lowest.us] if lowest else [])]), key=lambda r: r.cost)
    # Open loop may lose an optimum, or keep it only with an error that the last digit of a control makes.
    lost = lowest and (lowest.cost < found.cost - AGREEMENT_RTOL * size or found.residual > RESIDUAL_TOL)
    held_cost = _cost_from_knots(task, lowest) if lowest and lost else None
    if lowest and held_cost is not None and held_cost < found.cost:
        changes = {"best": held_cost, "states": lowest.xs.tolist(), "found_by": "multiple shooting, IPOPT"}
        us, optimum = lowest.us, lowest
        residual = program.optimality(lowest)[0]
    else:
        best, us, residual = found
        changes = {"best": best, "found_by": "both routes, each started from the other; L-BFGS-B and Newton at last"}
        optimum = program.solve(us, states(us), warm_start=True)
        # The price of a violation by rounding is no other minimum.
        rtol = AGREEMENT_RTOL if constrained else COST_RTOL
        optimum = optimum if optimum and abs(optimum.cost - best) < rtol * size else None
        if constrained:
            residual = program.optimality(optimum)[0] if optimum else math.inf
            changes["found_by"] = "both routes, each started from the other; IPOPT at last"
    improved = dataclasses.replace(
        first,
        **changes,
        controls=rounded(us),
        residual=residual,
        second_order=bool(program.optimality(optimum)[1] > -EIGENVALUE_TOL) if optimum else None,
        multiple_shooting=[s.cost for s in solutions],
    )
    improved = with_violations(task, dataclasses.replace(improved, adaptive=adaptive_cost(task, improved)))
    improved = dataclasses.replace(improved, grade=_grade(task, improved))
    return earlier if earlier and _is_same(improved, earlier, size) else improved


def _is_same(found: Reference, earlier: Reference, size: float) -> bool:
    """Whether an older reference was found again, to rounding: then its stored digits stay as they are."""
    digits = {name: getattr(earlier, name) for name in ("best", "adaptive", "controls", "residual")}
    return dataclasses.replace(found, **digits) == earlier and abs(found.best - earlier.best) < ROUNDING * size


def _tightened(task: AbstractTask, program: NonlinearProgram, first: Reference, solution: Solution) -> Solution:
    """The solution again, with a margin for what it violates between the points where constraints are enforced."""
    found = with_violations(task, dataclasses.replace(first, controls=rounded(solution.us), states=None)).violation
    if found is None or not MAX_VIOLATION / 2 < found < MAX_MARGIN:
        return solution
    return program.solve(solution.us, solution.xs, warm_start=True, margin=1.5 * found) or solution


def _solve_from_guesses(program: NonlinearProgram, size: float) -> list[Solution]:
    """Solve from one guess after another, until enough of them have reached the lowest cost."""
    found: list[Solution] = []
    for i, (us, xs) in enumerate(program.guesses()):
        costs = np.array([s.cost for s in found])
        at_lowest = np.sum(costs < np.min(costs, initial=np.inf) + COST_RTOL * size)
        if i >= MIN_STARTS and at_lowest >= MIN_STARTS_AT_LOWEST:
            break
        solution = program.solve(us, xs)
        found += [solution] if solution else []
    return found


def _state_simulator(
    task: AbstractTask, x0: Float[np.ndarray, " n"]
) -> Callable[[Float[np.ndarray, "steps m"]], Float[np.ndarray, "knots n"]]:
    """Return a function from controls to the states at the knots, by the project's simulator; compiled once.

    States that are not finite are replaced by x0, so that they can be a guess.
    """
    with float64(task):
        run = jax.jit(lambda us: open_loop(task, us, jnp.asarray(x0)).xs)

    def states(us):
        with float64(task):
            xs = np.array(run(us))
        return np.where(np.isfinite(xs), xs, x0)

    return states


def _cost_from_knots(task: AbstractTask, solution: Solution) -> float | None:
    """The cost by the project's simulator, each interval started from its knot; None if one misses the next knot."""
    with float64(task):
        xs = jnp.asarray(solution.xs)
        trajectory = from_knots(task, jnp.asarray(solution.us), xs)
        gaps = jnp.max(jnp.abs(trajectory.xs - xs) / (1 + jnp.abs(xs)))
        return float(trajectory.cost) if gaps < KNOT_RTOL else None


def _grade(task: AbstractTask, reference: Reference) -> str:
    optimum = task.optimum() if isinstance(task, AbstractSolvedTask) and task.starts == "fixed" else None
    size = cost_size(reference.floor, reference.best)
    if optimum is not None and abs(reference.best - optimum) < COST_RTOL * size:
        return "A"
    sound = reference.is_feasible and not reference.is_doubtful
    difference = reference.difference if sound else None
    return "B" if difference is not None and difference < AGREEMENT_RTOL else "C"
