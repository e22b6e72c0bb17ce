"""Calibration of the regression gate: its false alarms, and the drops that it finds. No JAX here.

The gate judges halves of one set of records. A repetition splits the seeds of every cell at random into a candidate and
a baseline. Nothing has changed between them, so a verdict "worse" is a false alarm. Then it lowers the candidate's
scores of one method by a drop, and the gate has to find the drop.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bench.analysis.scores import CellKey
from bench.errors import UsageError
from bench.gate.power import MIN_PAIRS, Scores
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
    found: for each drop, the number of repetitions in which the gate found it
    """

    repetitions: int
    seeds: int
    false_alarms: int
    unclear: int
    verdicts: int
    found: Mapping[float, int]


def calibrate_gate(
    scores: Scores, seeds: int, repetitions: int, limits: Thresholds, rng: np.random.Generator
) -> Calibration:
    """Measure the gate on `scores`, with `seeds` seeds of each cell as the candidate.

    Raises UsageError if a cell has too few seeds to be split.
    """
    _check_seeds(scores, seeds)
    alarms = unclear = verdicts = 0
    found = dict.fromkeys(DROPS, 0)
    methods = sorted({(key.suite, key.method) for key in scores})
    above_lowest = {  # mean distance of a method's scores from -1
        method: np.mean([s + 1 for k, runs in scores.items() if method == _method(k) for s in runs.values()])
        for method in methods
    }
    for _ in range(repetitions):
        baseline, candidate = _split(scores, seeds, rng)
        unchanged = compare(baseline, candidate, limits)
        alarms += any(v.verdict == "worse" for v in unchanged)
        unclear += sum(v.verdict == "unclear" for v in unchanged)
        verdicts += len(unchanged)
        for drop in DROPS:
            possible = [method for method in methods if above_lowest[method] >= drop]
            if not possible:
                continue
            lowered = possible[rng.integers(len(possible))]
            judged = compare(baseline, _lower(candidate, lowered, drop), limits)
            found[drop] += any(v.verdict == "worse" and _method(v.cells[0]) == lowered for v in judged)
    return Calibration(repetitions, seeds, alarms, unclear, verdicts, found)


def _check_seeds(scores: Scores, seeds: int) -> None:
    """Raise UsageError if a cell has too few seeds for a candidate with `seeds` of them and a baseline."""
    needed = 2 * seeds if seeds >= MIN_PAIRS else seeds + 2
    short = [key for key, runs in scores.items() if len(runs) < needed]
    if short or not scores:
        what = f"{short[0].method} on {short[0].grid} has {len(scores[short[0]])}" if short else "there are none"
        raise UsageError(f"calibration with {seeds} seeds of a candidate needs cells of at least {needed}; {what}.")


def _method(key: CellKey) -> tuple[str, str]:
    """The suite and the method of a cell: drops are put into all its tasks."""
    return key.suite, key.method


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


def _lower(scores: Scores, method: tuple[str, str], drop: float) -> Scores:
    """Scores with those of one method lowered by `drop`, to no less than -1."""
    return {
        key: {seed: max(score - drop, -1.0) for seed, score in runs.items()} if _method(key) == method else runs
        for key, runs in scores.items()
    }
