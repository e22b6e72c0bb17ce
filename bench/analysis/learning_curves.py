"""Learning curves: scores at evaluations, the area under them, and the regret targets that they reach. No JAX here.

A regret target is a relative regret: the distance to the best known cost, in units of the headroom. Regret 1 is the
best constant control. The share of (run, target) pairs reached, against what a run spent, follows Hansen et al., *COCO:
a platform for comparing continuous optimizers* (2021).
"""

from collections.abc import Mapping, Sequence

import numpy as np

from bench.analysis.scores import clipped
from bench.analysis.stats import Floats, score
from bench.records.reference import Reference
from bench.records.run import RunRecord

REGRET_TARGETS = (1.0, 1 / 3, 0.1, 1 / 30, 0.01, 1 / 300, 0.001)
SCORE_ATOL = 1e-4  # a score this far below a target still meets it: costs are evaluated in float32


def spent_at(point: Mapping[str, int | float | None], name: str) -> int | float | None:
    """The value `name` of an evaluation. Seconds are CPU seconds; older records have only those of the wall."""
    return point.get("cpu_seconds", point.get(name)) if name == "train_seconds" else point.get(name)


def values_at_evaluations(runs: Sequence[RunRecord], name: str, without: float) -> Floats:
    """The value `name` at each evaluation of each run, "runs points"; nan where an evaluation lacks it.

    A run without any evaluation has one point, `without`. A shorter run repeats its last value, which changes neither
    an area nor the first time that a target is met.
    """
    longest = max(1, *(len(run.curve) for run in runs))
    rows = [[spent_at(point, name) for point in run.curve] or [without] for run in runs]
    return np.array([row + row[-1:] * (longest - len(row)) for row in rows], float)


def score_curves(runs: Sequence[RunRecord], reference: Reference) -> Floats:
    """Scores at the evaluations of each run, "runs points", clipped to [-1, 1].

    A score is -1 where the cost is not finite. Every score of a failed run is -1.
    """
    scores = clipped(score(values_at_evaluations(runs, "cost", np.nan), reference.floor, reference.best))
    scores[[run.status == "failed" for run in runs]] = -1
    return scores


def area(spent: Floats, scores: Floats, budget: int | float) -> Floats:
    """Mean score of each run, "runs", while a budget is spent evenly; by the trapezoidal rule.

    The curve is level before the first evaluation and after the last. The area is nan where a record does not say what
    was spent, and where the budget is 0.

    Args:
        spent: "runs points", what was spent before each evaluation.
        scores: "runs points", the scores there.
        budget: in the unit of `spent`.
    """
    if not budget:
        return np.full(len(scores), np.nan)
    first, last = scores[:, :1], scores[:, -1:]
    inside = np.hstack([np.zeros_like(first), np.clip(spent, 0, budget), np.full_like(last, budget)])
    return np.asarray(np.trapezoid(np.hstack([first, scores, last]), inside) / budget)


def first_reached(spent: Floats, scores: Floats) -> Floats:
    """What each run had spent when it first met each of REGRET_TARGETS, "runs targets"; inf where it never did."""
    met = scores[:, :, None] >= 1 - np.array(REGRET_TARGETS) - SCORE_ATOL
    return np.where(met.any(axis=1), np.take_along_axis(spent, met.argmax(axis=1), axis=1), np.inf)


def share_reached(strata: Sequence[Floats], grid: Floats) -> Floats:
    """Share of (run, target) pairs that are reached at each point of `grid`.

    Each stratum (task) is "runs targets" by `first_reached`, and all have the same weight.
    """
    return np.mean([np.mean(s.ravel() <= grid[:, None], axis=1) for s in strata], axis=0)
