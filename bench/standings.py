"""The methods of one suite against each other, as lines of tables. No JAX here."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import permutations
from typing import Any, NamedTuple

import numpy as np

from bench import efficiency, ranks, stats
from bench.cells import CellKey, clipped, scores
from bench.records import RunRecord
from bench.reference import Reference
from bench.stats import Floats

AGGREGATE = ["suite", "method", "rank", "trials", "tasks", "seeds", "failed"]
AGGREGATE += [name + end for name in ("score", "median", "mean") for end in ("", "_low", "_high")] + ["auc"]
PAIRS = ["suite", "method", "other", "probability", "low", "high", "p_value"]
PROFILES = ["suite", "method", "threshold", "share", "low", "high"]
TARGETS = ["suite", "method", "unit", "spent", "share"]

THRESHOLDS = np.linspace(-1, 1, 81)  # of performance profiles
SPENT = ("env_steps", "train_seconds")  # what targets are counted against
POINTS = 60  # of a curve of targets
AGGREGATES = (("score", stats.interquartile_mean), ("median", stats.median), ("mean", stats.mean))


class ScoredCell(NamedTuple):
    """A cell of a task with headroom: runs, final scores and learning curves clipped to [-1, 1], areas under these."""

    runs: list[RunRecord]
    scores: Floats
    curves: list[Floats]
    areas: Floats


Methods = Mapping[str, Mapping[CellKey, ScoredCell]]
Line = dict[str, Any]


def scored(runs: list[RunRecord], reference: Reference) -> ScoredCell:
    """The scores of a cell on a task with headroom."""
    curves = [efficiency.curve(run, reference) for run in runs]
    areas = [
        efficiency.area(spent(run, "env_steps"), curve, run.settings["budget"]["env_steps"])
        for run, curve in zip(runs, curves, strict=True)
    ]
    return ScoredCell(runs, clipped(scores(runs, reference)), curves, np.array(areas))


def spent(run: RunRecord, unit: str) -> Floats:
    """What was spent at each evaluation."""
    return np.array([point[unit] for point in run.curve], float)


def significance(methods: Methods) -> Floats:
    """Corrected p-values of all pairs of methods."""
    return ranks.significance(_by_seed(methods))


def is_oracle(cells: Mapping[CellKey, ScoredCell]) -> bool:
    """Whether a method was free to simulate more than it declared: such a one is shown and never ranked."""
    return any(not run.settings["method"].get("charged", True) for cell in cells.values() for run in cell.runs)


def ranks_of(methods: Methods, p_values: Floats) -> dict[str, int]:
    """The rank of each method."""
    return dict(zip(methods, ranks.ranks(_by_seed(methods), p_values), strict=True))


def aggregates(
    suite: str, methods: Methods, places: Mapping[str, int], trials: Mapping[str, int], rng: np.random.Generator
) -> Iterator[Line]:
    """One line per method; those without a place are not ranked, those without trials not tuned."""
    for method, cells in methods.items():
        strata = [cell.scores for cell in cells.values()]
        failed = sum(run.status != "ok" for cell in cells.values() for run in cell.runs)
        line = [suite, method, places.get(method), trials.get(method, 0), len(strata), min(map(len, strata)), failed]
        for _, statistic in AGGREGATES:
            line += [float(statistic(strata)), *map(float, stats.bootstrap_interval(strata, statistic, rng))]
        area = float(stats.mean([cell.areas for cell in cells.values()]))
        yield dict(zip(AGGREGATE, (*line, area), strict=True))


def pairs(suite: str, methods: Methods, p_values: Floats, rng: np.random.Generator) -> Iterator[Line]:
    """One line per ordered pair of methods, over the tasks that both have."""
    for (i, one), (j, other) in permutations(enumerate(methods), 2):
        cells = {key[:-1]: cell.scores for key, cell in methods[one].items()}
        others = {key[:-1]: cell.scores for key, cell in methods[other].items()}
        common = [key for key in cells if key in others]
        if not common:
            continue
        strata = [cells[key] for key in common] + [others[key] for key in common]
        low, high = stats.bootstrap_interval(strata, _halves_improve, rng)
        numbers = float(_halves_improve(strata)), float(low), float(high), float(p_values[i, j])
        yield dict(zip(PAIRS, (suite, one, other, *numbers), strict=True))


def profiles(suite: str, methods: Methods, rng: np.random.Generator) -> Iterator[Line]:
    """One line per method and threshold."""
    for method, cells in methods.items():
        strata = [cell.scores for cell in cells.values()]

        def profile(strata: Sequence[Floats]) -> stats.Values:
            return stats.performance_profile(strata, THRESHOLDS)

        low, high = stats.bootstrap_interval(strata, profile, rng)
        for numbers in zip(THRESHOLDS, np.ravel(profile(strata)), np.ravel(low), np.ravel(high), strict=True):
            yield dict(zip(PROFILES, (suite, method, *map(float, numbers)), strict=True))


def targets(suite: str, methods: Methods) -> Iterator[Line]:
    """One line per method, unit of what is spent, and point of it, from the first to the last evaluation of any run."""
    cells = {method: list(of.values()) for method, of in methods.items()}
    for unit in SPENT:
        times = {m: [[spent(run, unit) for run in cell.runs] for cell in of] for m, of in cells.items()}
        later = np.concatenate([[0.0], *(t for of in times.values() for runs in of for t in runs)])
        later = later[later > 0]
        grid = np.geomspace(later.min(), later.max(), POINTS) if len(later) else np.zeros(1)
        for method, of in cells.items():
            strata = [
                np.array([efficiency.first_reached(t, c) for t, c in zip(runs, cell.curves, strict=True)])
                for cell, runs in zip(of, times[method], strict=True)
            ]
            for point, share in zip(grid, efficiency.share_reached(strata, grid), strict=True):
                yield dict(zip(TARGETS, (suite, method, unit, float(point), float(share)), strict=True))


def _by_seed(methods: Methods) -> list[ranks.Runs]:
    return [
        {key[:-1]: {r.seed: float(s) for r, s in zip(c.runs, c.scores, strict=True)} for key, c in cells.items()}
        for cells in methods.values()
    ]


def _halves_improve(strata: Sequence[Floats]) -> stats.Values:
    """The first half of the strata are a method's, the second another's, task by task."""
    half = len(strata) // 2
    return stats.probability_of_improvement(strata[:half], strata[half:])
