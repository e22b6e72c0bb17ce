"""One held control by RK4, for CasADi: the state after it, what it costs, and the constraints to enforce on it."""

from collections.abc import Callable

import casadi
import numpy as np
from jaxtyping import Float

from bench.reference.jaxpr_to_casadi import TaskFunctions
from bench.solvers import KNOT_MARGIN
from tasks.base import AbstractTask


def rk4_interval(task: AbstractTask, functions: TaskFunctions, substeps: int) -> casadi.Function:
    """(t, x, u) -> (x after one held control and its reset, running cost over it, its path constraints), by RK4."""
    t, x, u = casadi.SX.sym("t"), casadi.SX.sym("x", len(task.states)), casadi.SX.sym("u", len(task.controls))
    h = task.dt / substeps
    margin = KNOT_MARGIN * np.finfo(float).eps * (t + task.dt)  # as `solvers.within`: stages read their own interval
    y, cost = x, casadi.SX(0)
    check = _path_checks(task, functions)
    ways = [check(t + margin, y, u, True)]
    for i in range(substeps):
        slopes: list[tuple[casadi.SX, casadi.SX]] = []
        for share in (0.0, 0.5, 0.5, 1.0):
            s = casadi.fmin(casadi.fmax(t + (i + share) * h, t + margin), t + task.dt - margin)
            at = y + share * h * slopes[-1][0] if slopes else y
            slopes.append((functions.vector_field(s, at, u), functions.running_cost(s, at, u)))
        (a, p), (b, q), (c, r), (d, o) = slopes
        y, cost = y + h / 6 * (a + 2 * b + 2 * c + d), cost + h / 6 * (p + 2 * q + 2 * r + o)
        ways.append(check(casadi.fmin(t + (i + 1) * h, t + task.dt - margin), y, u, False))
    if functions.jump:
        y = functions.jump(t + task.dt, y, u)
    return casadi.Function("interval", [t, x, u], [y, cost, casadi.vertcat(*ways)])


def _path_checks(task: AbstractTask, functions: TaskFunctions) -> Callable[..., casadi.SX]:
    """(t, x, u, at the start?) -> the path constraints to enforce there.

    The start of an interval is the end of the one before it, where only what u changes is not yet enforced. What t and
    x do not change needs to be enforced at the start alone. So no constraint is there twice.
    """
    constraints = functions.path_constraints
    if constraints is None:
        return lambda t, x, u, at_start: casadi.SX(0, 1)
    t, x, u = casadi.SX.sym("t"), casadi.SX.sym("x", len(task.states)), casadi.SX.sym("u", len(task.controls))
    found = constraints(t, x, u)
    on_u, on_tx = ({*casadi.jacobian(found, v).sparsity().row()} for v in (u, casadi.vertcat(t, x)))
    rows = range(found.numel())
    starting, later = [i for i in rows if i in on_u or i not in on_tx], [i for i in rows if i in on_tx]

    def check(t, x, u, at_start):
        kept = starting if at_start else later
        return constraints(t, x, u)[kept] if kept else casadi.SX(0, 1)

    return check


def batched_rollouts(
    interval: casadi.Function,
    functions: TaskFunctions,
    task: AbstractTask,
    x0: Float[np.ndarray, " n"],
    us: Float[np.ndarray, "batch steps m"],
) -> tuple[Float[np.ndarray, "batch knots n"], Float[np.ndarray, " batch"]]:
    """Return states at the knots and costs. An episode that is not finite stops at its last finite state, and costs
    infinity."""
    batch, H, _ = us.shape
    batched_interval = interval.map(batch)
    x = np.tile(x0, (batch, 1))
    xs, total = [x], np.zeros(batch)
    for k in range(H):
        ends, costs, _ = (part.full().T for part in batched_interval(k * task.dt, x.T, us[:, k].T))
        finite = np.all(np.isfinite(ends), axis=1)
        x = np.where(finite[:, None], ends, x)
        total += np.where(finite, costs[:, 0], np.inf)
        xs.append(x)
    total += functions.terminal_cost.map(batch)(x.T).full().ravel()
    return np.stack(xs, axis=1), np.nan_to_num(total, nan=np.inf)
