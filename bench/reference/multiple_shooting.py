"""Reference optima by direct multiple shooting (Bock & Plitt, 1984).

    min over u, x   Σ q(t_k, x_k, u_k) + Φ(x_H)     s.t.   x_{k+1} = F(t_k, x_k, u_k),   x_0 fixed,   low <= u <= high

On a task with constraints, c <= 0 is enforced at the ends of RK4's substeps, at least MIN_CHECKS a control, and
e(x_H) <= 0 and the targets at the end; then g and Φ are without a price for them.

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
from scipy.linalg import null_space

from bench.reference.held_control import batched_rollouts, rk4_interval
from bench.reference.jaxpr_to_casadi import casadi_functions
from tasks.base import AbstractTask
from tasks.constrained import AbstractConstrainedTask

MAX_SUBSTEPS = 64
MIN_CHECKS = 8  # substeps of an interval where constraints are enforced: between two, 1/64 of what is possible remains
ACTIVE_ABOVE = 1e-7  # multiplier of a constraint that holds the solution back
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
    """A point where IPOPT stopped with its first-order conditions met, and the multipliers of gaps and constraints."""

    cost: float
    us: Float[np.ndarray, "steps m"]
    xs: Float[np.ndarray, "knots n"]
    multipliers: Float[np.ndarray, " rows"]


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
        ends, costs, ways = self.interval.map(H)(casadi.DM(np.arange(H) * task.dt).T, xs[:, :-1], us)
        w = casadi.veccat(v, z)
        cost = (casadi.sum2(costs) + self._functions.terminal_cost(xs[:, -1])) / unit
        gaps = casadi.vec(casadi.diag(casadi.DM(1 / self.sizes)) @ (ends - xs[:, 1:]))
        # Rows of equality, then those that are at most 0.
        equal, below = [gaps], []
        if isinstance(task, AbstractConstrainedTask) and self._functions.end_constraints:
            at_end = self._functions.end_constraints(xs[:, -1])
            inequalities = at_end.numel() - sum(not math.isnan(s.target) for s in task.states)
            equal, below = [gaps, at_end[inequalities:]], [casadi.vec(ways), at_end[:inequalities]]
        rows = casadi.vertcat(*equal, *below)
        self._is_equality = np.arange(rows.numel()) < casadi.vertcat(*equal).numel()
        program = {"x": w, "f": cost, "g": rows}
        multipliers = casadi.MX.sym("lambda", rows.numel())
        hessian, gradient = casadi.hessian(cost + casadi.dot(multipliers, rows), w)
        self._second_order = casadi.Function("o", [w, multipliers], [gradient, hessian, casadi.jacobian(rows, w)])
        self._bounds = (
            np.concatenate([np.zeros(m * H), np.full(n * H, -np.inf)]),
            np.concatenate([np.ones(m * H), np.full(n * H, np.inf)]),
        )
        self._solvers = {
            warm: casadi.nlpsol("s", "ipopt", program, IPOPT_OPTIONS | WARM_START_OPTIONS if warm else IPOPT_OPTIONS)
            for warm in (False, True)
        }

    def solve(
        self,
        us: Float[np.ndarray, "steps m"],
        xs: Float[np.ndarray, "knots n"],
        warm_start: bool = False,
        margin: float = 0.0,
    ) -> Solution | None:
        """Return the local minimum that IPOPT reaches from a guess, or None if it reaches none.

        The states of a guess need not follow from its controls. `warm_start` is for a guess that is almost optimal. All
        constraints are kept by at least `margin`.
        """
        solver = self._solvers[warm_start]
        low, high = self._bounds
        lowest, highest = np.where(self._is_equality, 0.0, -np.inf), np.where(self._is_equality, 0.0, -margin)
        found = solver(x0=self._unknowns(us, xs), lbx=low, ubx=high, lbg=lowest, ubg=highest)
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
        active = self._is_equality | (solution.multipliers > ACTIVE_ABOVE)
        return float(residual), _curvature(hessian[np.ix_(free, free)], jacobian[np.ix_(active, free)])

    def guesses(self) -> Iterator[tuple[Float[np.ndarray, "steps m"], Float[np.ndarray, "knots n"]]]:
        """Yield guesses: constants, then random sequences of low cost and those that come near to the targets."""
        H, m = self.task.num_steps, len(self.low)
        for level in (0.5, 0.02, 0.98):
            us = np.tile(self.low + level * (self.high - self.low), (H, 1))
            yield us, self.rollouts(us[None])[0][0]
        # Each random sequence holds a level, and switches to another now and then.
        rng = np.random.default_rng(1)
        switches = rng.random((RANDOM_SEQUENCES, H, 1)) < rng.uniform(0.02, 0.3, (RANDOM_SEQUENCES, 1, 1))
        pieces = np.minimum(np.cumsum(switches, axis=1)[..., 0], H - 1)
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
        return batched_rollouts(self.interval, self._functions, self.task, self.x0, us)

    def _unknowns(self, us, xs) -> Float[np.ndarray, " unknowns"]:
        return np.concatenate([((us - self.low) / (self.high - self.low)).ravel(), (xs[1:] / self.sizes).ravel()])

    def _accurate_interval(self) -> casadi.Function:
        """One held control by RK4, with enough substeps that twice as many change less than INTERVAL_TOL."""
        substeps = MIN_CHECKS if isinstance(self.task, AbstractConstrainedTask) else 2
        coarse = rk4_interval(self.task, self._functions, substeps)
        while True:
            fine = rk4_interval(self.task, self._functions, 2 * substeps)
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
            xs = batched_rollouts(fine, self._functions, self.task, self.x0, us)[0][0, :-1]
            (a, p, _), (b, q, _) = (interval.map(H)(ts, xs.T, us[0].T) for interval in (coarse, fine))
            differences += [np.abs((a - b).full().T / self.sizes).max(axis=1), np.abs((p - q).full()[0]) / self.unit]
        return float(np.quantile(np.nan_to_num(np.concatenate(differences), nan=0.0, posinf=0.0), 0.95))


def _curvature(hessian, jacobian) -> float:
    """Least over largest eigenvalue of the Hessian on the null space of the Jacobian; 0 where that is a point."""
    basis = null_space(jacobian)
    if not basis.size:
        return 0.0
    eigenvalues = np.linalg.eigvalsh(basis.T @ hessian @ basis)
    largest = np.max(np.abs(eigenvalues))
    return float(eigenvalues[0] / largest) if largest > 0 else 0.0
