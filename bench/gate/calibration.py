"""Calibration of the regression gate: its false alarms, and the drops that it finds. No JAX here.

The gate judges halves of one set of records. A repetition splits the seeds of every cell at random into a candidate and
a baseline. Nothing has changed between them, so a verdict "worse" is a false alarm. Then it lowers the candidate's
scores by a drop, of one method on all its tasks or on one task alone, and the gate has to find the drop.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from bench.analysis.scores import CellKey
from bench.errors import UsageError
from bench.gate.power import Scores
from bench.gate.regression import Thresholds, compare

DROPS = (0.05, 0.1, 0.2, 0.5)  # amounts by which scores are lowered


@dataclass(frozen=True)
class Calibration:
    """Counts of a calibration.

    repetitions: number of random splits, each one check without a change
    seeds: number of seeds of the candidate
    false_alarms: number of checks with any verdict "worse"
    unclear: number of verdicts "unclear" in these checks
    verdicts: number of all verdicts in these checks
    found: for each drop of a method on all its tasks, the number of repetitions in which the gate found it
    found_on_one_task: for each drop of a method on one task
    """

    repetitions: int
    seeds: int
    false_alarms: int
    unclear: int
    verdicts: int
    found: Mapping[float, int]
    found_on_one_task: Mapping[float, int]


def calibrate_gate(
    scores: Scores, seeds: int, repetitions: int, limits: Thresholds, rng: np.random.Generator
) -> Calibration:
    """Measure the gate on `scores`, with `seeds` seeds of each cell as the candidate.

    Raises UsageError if a cell has too few seeds to be split.
    """
    _check_seeds(scores, seeds)
    alarms = unclear = verdicts = 0
    of_method, of_cell = _methods(scores), [[key] for key in scores]
    found, found_on_one_task = dict.fromkeys(DROPS, 0), dict.fromkeys(DROPS, 0)
    for _ in range(repetitions):
        baseline, candidate = _split(scores, seeds, rng)
        unchanged = compare(baseline, candidate, limits)
        alarms += any(v.verdict == "worse" for v in unchanged)
        unclear += sum(v.verdict == "unclear" for v in unchanged)
        verdicts += len(unchanged)
        for groups, counts in ((of_method, found), (of_cell, found_on_one_task)):
            for drop in DROPS:
                counts[drop] += _finds(baseline, candidate, groups, drop, limits, rng)
    return Calibration(repetitions, seeds, alarms, unclear, verdicts, found, found_on_one_task)


def _methods(scores: Scores) -> list[list[CellKey]]:
    """The cells of each method."""
    of_method = defaultdict(list)
    for key in scores:
        of_method[key.suite, key.method].append(key)
    return list(of_method.values())


def _finds(
    baseline: Scores,
    candidate: Scores,
    groups: list[list[CellKey]],
    drop: float,
    limits: Thresholds,
    rng: np.random.Generator,
) -> bool:
    """Lower one of the groups of cells by a drop, and return whether the gate finds its method worse.

    Only groups count whose scores are far enough from -1 to fall by as much.
    """
    possible = [keys for keys in groups if np.mean([s + 1 for key in keys for s in candidate[key].values()]) >= drop]
    if not possible:
        return False
    lowered = possible[rng.integers(len(possible))]
    of = lowered[0].suite, lowered[0].method
    judged = compare(baseline, _lower(candidate, lowered, drop), limits)
    return any(v.verdict == "worse" and (v.cells[0].suite, v.cells[0].method) == of for v in judged)


def _check_seeds(scores: Scores, seeds: int) -> None:
    """Raise UsageError if a cell has too few seeds for a candidate with `seeds` of them and a baseline."""
    needed = seeds + 2
    short = [key for key, runs in scores.items() if len(runs) < needed]
    if short or not scores:
        what = f"{short[0].method} on {short[0].grid} has {len(scores[short[0]])}" if short else "there are none"
        raise UsageError(f"calibration with {seeds} seeds of a candidate needs cells of at least {needed}; {what}.")


def _split(scores: Scores, seeds: int, rng: np.random.Generator) -> tuple[Scores, Scores]:
    """Split the runs of every cell into a baseline and a candidate.

    Both number their runs from 0, so that they have seeds in common, as two sets of records have.
    """
    baseline, candidate = {}, {}
    for key, runs in scores.items():
        values = rng.permutation(list(runs.values()))
        candidate[key] = dict(enumerate(map(float, values[:seeds])))
        baseline[key] = dict(enumerate(map(float, values[seeds:])))
    return baseline, candidate


def _lower(scores: Scores, cells: Collection[CellKey], drop: float) -> Scores:
    """Scores with those of some cells lowered by `drop`, to no less than -1."""
    return {
        key: {seed: max(score - drop, -1.0) for seed, score in runs.items()} if key in cells else runs
        for key, runs in scores.items()
    }
