"""How soon a method gets where: the area under its learning curve, and the targets that it has reached. No JAX here.

Targets are relative regrets: what is lost to the best known cost, in units of the headroom; 1 is the best constant
control. Hansen et al., *COCO: a platform for comparing continuous optimizers* (2021), for the share of (run, target)
pairs reached against what was spent.
"""

from collections.abc import Sequence

import numpy as np

from bench.records import RunRecord
from bench.reference import Reference
from bench.stats import Floats, score

TARGETS = (1.0, 1 / 3, 0.1, 1 / 30, 0.01, 1 / 300, 0.001)
ROUNDING = 1e-4  # of a score: costs are evaluated in float32


def curve(run: RunRecord, reference: Reference) -> Floats:
    """The score at each evaluation, clipped to [-1, 1]; -1 where a cost is not finite, everywhere if the run failed."""
    if run.status == "failed":
        return np.full(len(run.curve), -1.0)
    costs = [point["cost"] for point in run.curve]
    scores = [-1.0 if c is None else score(c, reference.floor, reference.best) for c in costs]
    return np.clip(np.array(scores, float), -1, 1)


def area(spent: Floats, scores: Floats, budget: int | float) -> float:
    """Mean score over a budget that is spent evenly: trapezes between evaluations, level before the first and after the
    last; -1 without any evaluation, nan where it is not known what was spent, or nobody spent anything.
    """
    if not budget:
        return np.nan
    if not len(scores):
        return -1.0
    inside = np.clip(spent, 0, budget)
    return float(np.trapezoid([scores[0], *scores, scores[-1]], [0.0, *inside, budget]) / budget)


def first_reached(spent: Floats, scores: Floats) -> Floats:
    """What was spent when each of TARGETS was first met; inf where it never was."""
    met = scores[:, None] >= 1 - np.array(TARGETS) - ROUNDING
    return np.array([spent[np.argmax(m)] if m.any() else np.inf for m in met.T])


def share_reached(strata: Sequence[Floats], grid: Floats) -> Floats:
    """The share of (run, target) pairs reached at each point of `grid`, every stratum of "runs targets" alike."""
    return np.mean([np.mean(s.ravel() <= grid[:, None], axis=1) for s in strata], axis=0)
