"""Reference optima by direct multiple shooting (Bock & Plitt, 1984).

    min over u, x   Σ q(t_k, x_k, u_k) + Φ(x_H)     s.t.   x_{k+1} = F(t_k, x_k, u_k),   x_0 fixed,   low <= u <= high

It shares no integrator, derivative or optimiser with single shooting. F and q integrate over one held control by RK4.
The states at the knots are unknowns, so an unstable optimum is as easy to hold as a stable one. Derivatives, Hessians
included, are CasADi's; IPOPT (Wächter & Biegler, 2006) solves.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import casadi
import numpy as np
from jaxtyping import Float

from bench.reference.jaxpr_to_casadi import TaskFunctions, casadi_functions
from bench.simulate import KNOT_MARGIN
from tasks.base import AbstractTask

MAX_SUBSTEPS = 64
INTERVAL_TOL = 1e-9  # error of an interval in units of the states' sizes: over 100 intervals far below 1e-6 of a cost
RANDOM_SEQUENCES = 400
MAX_GUESSES = 20  # random guesses of each kind
IPOPT_OPTIONS = {
    "print_time": False,
    "show_eval_warnings": False,  # IPOPT cuts back a step to where a cost is not defined
    "ipopt.print_level": 0,
    "ipopt.sb": "yes",
    "ipopt.max_iter": 500,
    "ipopt.tol": 1e-10,
    "ipopt.bound_relax_factor": 0.0,  # by default IPOPT loosens bounds by 1e-8: such a sequence would not be feasible
}
# Without these IPOPT first moves an almost optimal guess away from the bounds.
WARM_START_OPTIONS = {
    "ipopt.mu_init": 1e-8,
    "ipopt.warm_start_init_point": "yes",
    "ipopt.warm_start_bound_push": 1e-9,
    "ipopt.warm_start_bound_frac": 1e-9,
    "ipopt.warm_start_mult_bound_push": 1e-9,
}


@dataclass(frozen=True)
class Solution:
    """A point where IPOPT stopped with its first-order conditions met, and the multipliers of the gaps there."""

    cost: float
    us: Float[np.ndarray, "steps m"]
    xs: Float[np.ndarray, "knots n"]
    multipliers: Float[np.ndarray, " gaps"]


class NonlinearProgram:
    """The nonlinear program of a task from x0, with costs in units of `unit`, for any number of guesses."""

    def __init__(self, task: AbstractTask, x0: Float[np.ndarray, " n"], unit: float):
        self.task, self.x0, self.unit = task, x0, unit
        self.low, self.high = task.bounds
        self.sizes = np.array([s.size for s in task.states])
        self._functions = casadi_functions(task)
        self.interval = self._accurate_interval()
        H, n, m = task.num_steps, len(task.states), len(task.controls)
        # The unknowns are the controls in units of their range, and the states after the start in units of their sizes.
        v, z = casadi.MX.sym("v", m, H), casadi.MX.sym("z", n, H)
        us = casadi.repmat(casadi.DM(self.low), 1, H) + casadi.diag(casadi.DM(self.high - self.low)) @ v
        xs = casadi.horzcat(casadi.DM(self.x0), casadi.diag(casadi.DM(self.sizes)) @ z)
        ends, costs = self.interval.map(H)(casadi.DM(np.arange(H) * task.dt).T, xs[:, :-1], us)
        w = casadi.veccat(v, z)
        cost = (casadi.sum2(costs) + self._functions.terminal_cost(xs[:, -1])) / unit
        gaps = casadi.vec(casadi.diag(casadi.DM(1 / self.sizes)) @ (ends - xs[:, 1:]))
        program = {"x": w, "f": cost, "g": gaps}
        multipliers = casadi.MX.sym("lambda", n * H)
        hessian, gradient = casadi.hessian(cost + casadi.dot(multipliers, gaps), w)
        self._second_order = casadi.Function("o", [w, multipliers], [gradient, hessian, casadi.jacobian(gaps, w)])
        self._bounds = (
            np.concatenate([np.zeros(m * H), np.full(n * H, -np.inf)]),
            np.concatenate([np.ones(m * H), np.full(n * H, np.inf)]),
        )
        self._solvers = {
            warm: casadi.nlpsol("s", "ipopt", program, IPOPT_OPTIONS | WARM_START_OPTIONS if warm else IPOPT_OPTIONS)
            for warm in (False, True)
        }

    def solve(
        self, us: Float[np.ndarray, "steps m"], xs: Float[np.ndarray, "knots n"], warm_start: bool = False
    ) -> Solution | None:
        """Return the local minimum that IPOPT reaches from a guess, or None if it reaches none.

        The states of a guess need not follow from its controls. `warm_start` is for a guess that is almost optimal.
        """
        solver = self._solvers[warm_start]
        low, high = self._bounds
        found = solver(x0=self._unknowns(us, xs), lbx=low, ubx=high, lbg=0, ubg=0)
        if not solver.stats()["success"]:
            return None
        w = found["x"].full().ravel()
        v, z = w[: us.size].reshape(us.shape), w[us.size :].reshape(-1, len(self.x0))
        return Solution(
            cost=float(found["f"]) * self.unit,
            us=self.low + (self.high - self.low) * v,
            xs=np.vstack([self.x0, z * self.sizes]),
            multipliers=found["lam_g"].full().ravel(),
        )

    def optimality(self, solution: Solution) -> tuple[float, float]:
        """Return (residual, curvature).

        The residual is the norm of the Lagrangian's projected gradient. The curvature is the least eigenvalue of its
        Hessian along the active constraints, relative to the largest: at a minimum at least 0, up to rounding.
        """
        w = self._unknowns(solution.us, solution.xs)
        gradient, hessian, jacobian = (part.full() for part in self._second_order(w, solution.multipliers))
        low, high = self._bounds
        ahead = w - gradient[:, 0]
        residual = np.linalg.norm(np.clip(ahead, low, high) - w)
        free = (ahead > low) & (ahead < high)  # the gradient drives all others to a bound, which holds them
        return float(residual), _curvature(hessian[np.ix_(free, free)], jacobian[:, free])

    def guesses(self) -> Iterator[tuple[Float[np.ndarray, "steps m"], Float[np.ndarray, "knots n"]]]:
        """Yield guesses: constants, then random sequences of low cost and those that come near to the targets."""
        H, m = self.task.num_steps, len(self.low)
        for level in (0.5, 0.02, 0.98):
            us = np.tile(self.low + level * (self.high - self.low), (H, 1))
            yield us, self.rollouts(us[None])[0][0]
        # Each random sequence holds a level, and switches to another now and then.
        rng = np.random.default_rng(1)
        switches = rng.random((RANDOM_SEQUENCES, H, 1)) < rng.uniform(0.02, 0.3, (RANDOM_SEQUENCES, 1, 1))
        pieces = np.cumsum(switches, axis=1)[..., 0]
        shares = rng.beta(0.5, 0.5, (RANDOM_SEQUENCES, H, m))[np.arange(RANDOM_SEQUENCES)[:, None], pieces]
        us = self.low + (self.high - self.low) * shares
        xs, costs = self.rollouts(us)
        lowest = np.argsort(costs)[:MAX_GUESSES]
        targeted = [i for i, s in enumerate(self.task.states) if not math.isnan(s.target)]
        if not targeted:
            yield from ((us[i], xs[i]) for i in lowest)
            return
        gaps = xs[..., targeted] - np.array([self.task.states[i].target for i in targeted])
        for j, i in enumerate(targeted):
            if period := self.task.states[i].period:
                gaps[..., j] -= period * np.round(gaps[..., j] / period)
        misses = np.linalg.norm(gaps / self.sizes[targeted], axis=-1)
        nearest = np.argsort(np.min(misses, axis=1))[:MAX_GUESSES]
        for i, j in zip(lowest, nearest, strict=True):
            yield us[i], xs[i]
            # The second kind stays at the targets from its nearest knot on, whether a control can do that or not.
            k = int(np.argmin(misses[j]))
            held = xs[j].copy()
            held[k:] = held[k]
            held[k:, targeted] -= gaps[j, k]
            yield us[j], held

    def rollouts(
        self, us: Float[np.ndarray, "batch steps m"]
    ) -> tuple[Float[np.ndarray, "batch knots n"], Float[np.ndarray, " batch"]]:
        """Return states at the knots and costs. An episode that is not finite stops at its last finite state, and costs
        infinity."""
        return _rollouts(self.interval, self._functions, self.task, self.x0, us)

    def _unknowns(self, us, xs) -> Float[np.ndarray, " unknowns"]:
        return np.concatenate([((us - self.low) / (self.high - self.low)).ravel(), (xs[1:] / self.sizes).ravel()])

    def _accurate_interval(self) -> casadi.Function:
        """One held control by RK4, with enough substeps that twice as many change less than INTERVAL_TOL."""
        substeps = 2
        coarse = _interval(self.task, self._functions, substeps)
        while True:
            fine = _interval(self.task, self._functions, 2 * substeps)
            if substeps == MAX_SUBSTEPS or self._difference(coarse, fine) < INTERVAL_TOL:
                return coarse
            coarse, substeps = fine, 2 * substeps

    def _difference(self, coarse: casadi.Function, fine: casadi.Function) -> float:
        """The 95 % quantile over intervals of their difference, along the rollouts of three constants.

        The largest 5 % do not count, because no number of substeps is enough in an interval with a kink.
        """
        H, differences = self.task.num_steps, []
        ts = np.arange(H)[None] * self.task.dt
        for level in (0.02, 0.5, 0.98):
            us = np.tile(self.low + level * (self.high - self.low), (1, H, 1))
            xs = _rollouts(fine, self._functions, self.task, self.x0, us)[0][0, :-1]
            (a, p), (b, q) = (interval.map(H)(ts, xs.T, us[0].T) for interval in (coarse, fine))
            differences += [np.abs((a - b).full().T / self.sizes).max(axis=1), np.abs((p - q).full()[0]) / self.unit]
        return float(np.quantile(np.nan_to_num(np.concatenate(differences), nan=0.0, posinf=0.0), 0.95))


def _interval(task: AbstractTask, functions: TaskFunctions, substeps: int) -> casadi.Function:
    """(t, x, u) -> (x after one held control and its reset, running cost over it), by RK4."""
    t, x, u = casadi.SX.sym("t"), casadi.SX.sym("x", len(task.states)), casadi.SX.sym("u", len(task.controls))
    h = task.dt / substeps
    margin = KNOT_MARGIN * np.finfo(float).eps * (t + task.dt)  # as `simulate.within`: stages read their own interval
    y, cost = x, casadi.SX(0)
    for i in range(substeps):
        slopes: list[tuple[casadi.SX, casadi.SX]] = []
        for share in (0.0, 0.5, 0.5, 1.0):
            s = casadi.fmin(casadi.fmax(t + (i + share) * h, t + margin), t + task.dt - margin)
            at = y + share * h * slopes[-1][0] if slopes else y
            slopes.append((functions.vector_field(s, at, u), functions.running_cost(s, at, u)))
        (a, p), (b, q), (c, r), (d, o) = slopes
        y, cost = y + h / 6 * (a + 2 * b + 2 * c + d), cost + h / 6 * (p + 2 * q + 2 * r + o)
    if functions.jump:
        y = functions.jump(t + task.dt, y, u)
    return casadi.Function("interval", [t, x, u], [y, cost])


def _rollouts(interval, functions, task, x0, us):
    batch, H, _ = us.shape
    batched_interval = interval.map(batch)
    x = np.tile(x0, (batch, 1))
    xs, total = [x], np.zeros(batch)
    for k in range(H):
        ends, costs = (part.full().T for part in batched_interval(k * task.dt, x.T, us[:, k].T))
        finite = np.all(np.isfinite(ends), axis=1)
        x = np.where(finite[:, None], ends, x)
        total += np.where(finite, costs[:, 0], np.inf)
        xs.append(x)
    total += functions.terminal_cost.map(batch)(x.T).full().ravel()
    return np.stack(xs, axis=1), np.nan_to_num(total, nan=np.inf)


def _curvature(hessian, jacobian) -> float:
    """Least over largest eigenvalue of the Hessian on the null space of the Jacobian; 0 where that is a point."""
    basis = np.linalg.qr(jacobian.T, mode="complete")[0][:, len(jacobian) :]  # the gaps' Jacobian has full rank
    if not basis.size:
        return 0.0
    eigenvalues = np.linalg.eigvalsh(basis.T @ hessian @ basis)
    largest = np.max(np.abs(eigenvalues))
    return float(eigenvalues[0] / largest) if largest > 0 else 0.0
