"""Reference of a task on its grid: the floor, mostly the cost of the best constant control, and the best known cost."""

import hashlib
import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from bench.records.decode import Name, Size

NUM_STARTS = 16  # in an evaluation with random starts
MAX_SOLVER_GAP = 1e-3  # of a best cost, in units of `cost_unit`, when an adaptive solver scores its controls again
MAX_VIOLATION = 1e-6  # of a constraint or a declared range, in units of the range, in a reference of grade B
SAMPLES = 16  # points of an interval at which constraints and ranges of a reference are checked
COST_ROUNDING = 1e-10  # relative; a smaller gap between two costs is rounding over an episode
AGREEMENT_RTOL = 1e-4  # between two routes; solver tolerances and two integrators make them differ by at most 1e-6


@dataclass(frozen=True)
class Reference:
    """Floor and best known cost of one task on one grid, and how they were found.

    `floor` is the cost of the best constant control `floor_control` or, for a task that says so, the mean cost of
    random control sequences.

    `residual` is the norm of the projected gradient at `controls`, with controls in units of their range and the cost
    in units of `cost_unit`: 0 at a first-order point. `second_order` says whether the Hessian has no negative
    eigenvalue there, None where that is unknown. `grade` is A (the cost meets a formula), B (both routes reach `best`
    to AGREEMENT_RTOL, an adaptive solver changes it by at most MAX_SOLVER_GAP, and it
    `is_feasible`) or C (best known).

    `adaptive` is the cost of `controls` by an adaptive solver: the task's own grid may be too coarse for them.

    `violation` is the largest violation of a constraint or, on a task with constraints, of a target by `controls`, and
    `outside` says how far a state leaves its declared range. Both are in units of a range and are also looked for
    within intervals, at SAMPLES points of each.

    A `bound` is the reference of a noisy task: that of its plant without noise, which no policy need reach.

    `random` is the lower quartile of the costs of random control sequences, whose distance to `best` says what a small
    headroom is, whatever the unit of cost.

    `single_shooting` and `multiple_shooting` are the costs that each route reached from its own starts; the last one of
    single shooting continues its best. `multiple_shooting` is None where it was not tried, as with settings of one's
    own. `states`, at the knots, exists if the optimum is so unstable that rounding makes `controls` alone lose it: each
    interval then starts from its knot, and the residual is that of the Lagrangian.

    `start` is one of the NUM_STARTS starts of a task with random starts; None is the task's own. `integration_error`
    (relative) and `lyapunov` (finite-time exponent times horizon) are those of `bench.reference.difficulty`.
    """

    task: Name
    horizon: float
    num_steps: Size
    fingerprint: Name
    floor: float
    floor_control: list[float]
    best: float
    grade: Literal["A", "B", "C"]
    residual: float
    found_by: str
    controls: list[list[float]]
    single_shooting: list[float]
    multiple_shooting: list[float] | None = None
    second_order: bool | None = None
    states: list[list[float]] | None = None
    start: list[float] | None = None
    integration_error: float | None = None
    lyapunov: float | None = None
    adaptive: float | None = None
    violation: float | None = None
    outside: float | None = None
    random: float | None = None
    bound: bool | None = None

    @property
    def key(self) -> str:
        """The key under which `References` hold it."""
        return key_of(self.fingerprint, self.start)

    @property
    def digest(self) -> str:
        """A hash of the task's fingerprint and of the best known control sequence, with its states."""
        return hashlib.sha256(json.dumps([self.fingerprint, self.controls, self.states]).encode()).hexdigest()

    @property
    def is_complete(self) -> bool:
        """Whether both routes were taken and, at the task's own start, the difficulty was measured."""
        measured = self.start is not None or self.lyapunov is not None
        checked = self.adaptive is not None and self.outside is not None
        return self.multiple_shooting is not None and checked and measured

    @property
    def solver_gap(self) -> float | None:
        """Change of the best cost by an adaptive solver, in units of `cost_unit`; None where it was not scored again.

        inf where the adaptive solver loses the episode.
        """
        if self.adaptive is None:
            return None
        gap = abs(self.adaptive - self.best) / cost_unit(self.floor, self.best)
        return gap if math.isfinite(gap) else math.inf

    @property
    def is_doubtful(self) -> bool:
        """Whether the best cost lives off the grid: an adaptive solver changes it by more than MAX_SOLVER_GAP."""
        return self.solver_gap is not None and self.solver_gap > MAX_SOLVER_GAP

    @property
    def is_feasible(self) -> bool:
        """Whether no constraint and no declared range is violated by more than MAX_VIOLATION, as far as it is known."""
        return max(self.violation or 0.0, self.outside or 0.0) <= MAX_VIOLATION

    @property
    def difference(self) -> float | None:
        """Relative distance from the best cost to the worse of the two routes alone; None without two results."""
        if not self.multiple_shooting:
            return None
        return max(self._relative(min(costs)) for costs in (self.single_shooting, self.multiple_shooting))

    @property
    def spread(self) -> float:
        """Relative distance from the best cost to the median result over the starts of both routes."""
        return self._relative(statistics.median([*self.single_shooting, *(self.multiple_shooting or [])]))

    def _relative(self, cost: float) -> float:
        return abs(cost - self.best) / cost_size(self.floor, self.best)

    @property
    def headroom(self) -> float | None:
        """floor - best, or None where it is too small to tell methods apart.

        It is too small up to 1e-3 of the distance from `random` to `best`, or of |best| in older references. A cost in
        another unit, or with a constant added, has the same scores.
        """
        gap = self.floor - self.best
        size = abs(self.best) if self.random is None else self.random - self.best
        return gap if gap > max(1e-3 * size, COST_ROUNDING * abs(self.best)) else None


def key_of(fingerprint: str, start: list[float] | None) -> str:
    """Return the key of a reference: the task's fingerprint, and the start if it is one of several."""
    return fingerprint if start is None else f"{fingerprint} {json.dumps(start)}"


def cost_unit(floor: float, best: float) -> float:
    """Return the unit of cost in which a gradient counts as small: the headroom, or |best| where there is none."""
    gap = floor - best
    return gap if gap > COST_ROUNDING * max(abs(floor), abs(best)) else abs(best) or 1.0


def cost_size(floor: float, best: float) -> float:
    """Return the size of a cost, for relative differences: |best|, but from a thousandth of the unit to the unit.

    A constant that is added to a cost makes |best| large, and no difference more acceptable.
    """
    unit = cost_unit(floor, best)
    return min(max(abs(best), 1e-3 * unit), unit)


def over_starts(group: Sequence[Reference]) -> Reference:
    """Return the reference of mean costs over several starts: mean floor, mean best cost, worst grade and residual.

    Its floor has one best constant for each start.
    """
    if len(group) == 1:
        return group[0]
    scored = [r.adaptive for r in group]
    return replace(
        group[0],
        floor=statistics.fmean(r.floor for r in group),
        best=statistics.fmean(r.best for r in group),
        grade=max(r.grade for r in group),
        residual=max(r.residual for r in group),
        start=None,
        adaptive=None if None in scored else statistics.fmean(cost for cost in scored if cost is not None),
    )
