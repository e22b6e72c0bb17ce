"""How far the regression gate can be trusted: it judges halves of one set of records, and drops put in by hand.

The seeds of every cell are split at random into a candidate and a baseline, so that nothing has changed; a verdict
"worse" is then a false alarm. The same with a drop taken off the scores of one method tells how often it is found.
No JAX here.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bench.analysis.scores import CellKey
from bench.errors import UsageError
from bench.gate.power import PAIRED_FROM, Scores
from bench.gate.regression import Thresholds, compare

DROPS = (0.05, 0.1, 0.2, 0.5)


@dataclass(frozen=True)
class Calibration:
    """Counts over `repetitions` checks with `seeds` of the candidate: how many had any verdict "worse", how many
    verdicts of how many were "unclear", and for each drop how many times it was found."""

    repetitions: int
    seeds: int
    false_alarms: int
    unclear: int
    verdicts: int
    found: Mapping[float, int]


def calibrate_gate(
    scores: Scores, seeds: int, repetitions: int, limits: Thresholds, rng: np.random.Generator
) -> Calibration:
    """Measure the gate on `scores`. Raises UsageError if a cell has too few seeds to be split."""
    least = 2 * seeds if seeds >= PAIRED_FROM else seeds + 2
    short = [key for key, runs in scores.items() if len(runs) < least]
    if short or not scores:
        what = f"{short[0].method} on {short[0].grid} has {len(scores[short[0]])}" if short else "there are none"
        raise UsageError(f"calibration with {seeds} seeds of a candidate needs cells of at least {least}; {what}.")
    alarms = unclear = verdicts = 0
    found = dict.fromkeys(DROPS, 0)
    methods = sorted({(key.suite, key.method) for key in scores})
    room = {
        name: np.mean([s + 1 for k, runs in scores.items() if name == _name(k) for s in runs.values()])
        for name in methods
    }
    for _ in range(repetitions):
        baseline, candidate = _split(scores, seeds, rng)
        comparisons = compare(baseline, candidate, limits)
        alarms += any(c.verdict == "worse" for c in comparisons)
        unclear += sum(c.verdict == "unclear" for c in comparisons)
        verdicts += len(comparisons)
        for drop in DROPS:
            possible = [name for name in methods if room[name] >= drop]  # a score cannot fall below -1
            if not possible:
                continue
            worsened = possible[rng.integers(len(possible))]
            worse = {
                key: {s: max(v - drop, -1.0) for s, v in runs.items()} if _name(key) == worsened else runs
                for key, runs in candidate.items()
            }
            judged = compare(baseline, worse, limits)
            found[drop] += any(c.verdict == "worse" and _name(c.cells[0]) == worsened for c in judged)
    return Calibration(repetitions, seeds, alarms, unclear, verdicts, found)


def _name(key: CellKey) -> tuple[str, str]:
    return key.suite, key.method


def _split(scores: Scores, seeds: int, rng: np.random.Generator) -> tuple[Scores, Scores]:
    """Baseline and candidate with other runs each, both numbered from 0 so that they also have seeds in common."""
    baseline, candidate = {}, {}
    for key, runs in scores.items():
        values = rng.permutation(list(runs.values()))
        candidate[key] = dict(enumerate(map(float, values[:seeds])))
        baseline[key] = dict(enumerate(map(float, values[seeds:])))
    return baseline, candidate
