"""How soon a method gets where: the area under its learning curve, and the targets that it has reached. No JAX here.

Targets are relative regrets: what is lost to the best known cost, in units of the headroom; 1 is the best constant
control. Hansen et al., *COCO: a platform for comparing continuous optimizers* (2021), for the share of (run, target)
pairs reached against what was spent.
"""

from collections.abc import Sequence

import numpy as np

from bench.analysis.scores import clipped
from bench.analysis.stats import Floats, score
from bench.records.reference import Reference
from bench.records.run import RunRecord

REGRET_TARGETS = (1.0, 1 / 3, 0.1, 1 / 30, 0.01, 1 / 300, 0.001)
ROUNDING = 1e-4  # of a score: costs are evaluated in float32


def spent_or_reached(runs: Sequence[RunRecord], name: str, without: float) -> Floats:
    """ "runs points": what the evaluations of each run say by `name`, nan where they do not; `without` for a run that
    has none. The last repeats where another run has more, which changes no area and no first time."""
    longest = max(1, *(len(run.curve) for run in runs))
    rows = [[point.get(name) for point in run.curve] or [without] for run in runs]
    return np.array([row + row[-1:] * (longest - len(row)) for row in rows], float)


def curves(runs: Sequence[RunRecord], reference: Reference) -> Floats:
    """ "runs points": the scores at the evaluations, clipped to [-1, 1]; -1 where a cost is not finite, and everywhere
    if the run failed."""
    scores = clipped(score(spent_or_reached(runs, "cost", np.nan), reference.floor, reference.best))
    scores[[run.status == "failed" for run in runs]] = -1
    return scores


def area(spent: Floats, scores: Floats, budget: int | float) -> Floats:
    """ "runs": the mean scores over a budget that is spent evenly: trapezes between evaluations, level before the first
    and after the last; nan where it is not known what was spent, or nobody spent anything.
    """
    if not budget:
        return np.full(len(scores), np.nan)
    first, last = scores[:, :1], scores[:, -1:]
    inside = np.hstack([np.zeros_like(first), np.clip(spent, 0, budget), np.full_like(last, budget)])
    return np.asarray(np.trapezoid(np.hstack([first, scores, last]), inside) / budget)


def first_reached(spent: Floats, scores: Floats) -> Floats:
    """ "runs targets": what was spent when each of TARGETS was first met; inf where it never was."""
    met = scores[:, :, None] >= 1 - np.array(REGRET_TARGETS) - ROUNDING
    return np.where(met.any(axis=1), np.take_along_axis(spent, met.argmax(axis=1), axis=1), np.inf)


def share_reached(strata: Sequence[Floats], grid: Floats) -> Floats:
    """The share of (run, target) pairs reached at each point of `grid`, every stratum of "runs targets" alike."""
    return np.mean([np.mean(s.ravel() <= grid[:, None], axis=1) for s in strata], axis=0)
