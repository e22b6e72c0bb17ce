"""The methods of one suite against each other, as lines of tables. No JAX here."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from bench import efficiency, exploitation, ranks, stats
from bench.cells import CellKey, clipped, scores
from bench.records import RunRecord
from bench.reference import Reference
from bench.stats import Floats

SPENT = ("env_steps", "updates", "train_seconds")  # what targets and areas are counted against
AREAS = {"auc": "env_steps", "auc_updates": "updates", "auc_seconds": "train_seconds"}
MARKS = ("cost_gaps", "end_misses")  # numbers of runs

AGGREGATE = ["suite", "method", "rank", "trials", "tasks", "seeds", "failed"]
AGGREGATE += [name + end for name in ("score", "median", "mean") for end in ("", "_low", "_high")]
AGGREGATE += [*AREAS, *MARKS]
PAIRS = ["suite", "method", "other", "probability", "low", "high", "p_value"]
PROFILES = ["suite", "method", "threshold", "share", "low", "high"]
TARGETS = ["suite", "method", "unit", "spent", "share"]

THRESHOLDS = np.linspace(-1, 1, 81)  # of performance profiles
POINTS = 60  # of a curve of targets
AGGREGATES = (("score", stats.interquartile_mean), ("median", stats.median), ("mean", stats.mean))


class ScoredCell(NamedTuple):
    """A cell of a task with headroom: runs, final scores and learning curves clipped to [-1, 1], the areas under these
    by the names of AREAS, and how many runs carry which of MARKS, None where that was not measured."""

    runs: list[RunRecord]
    scores: Floats
    curves: list[Floats]
    areas: dict[str, Floats]
    marks: dict[str, int | None]


Methods = Mapping[str, Mapping[CellKey, ScoredCell]]
Line = dict[str, Any]


def scored(runs: list[RunRecord], reference: Reference, most: Mapping[str, float]) -> ScoredCell:
    """The scores of a cell on a task with headroom; `most` is the largest amount that any run there spent."""
    curves = [efficiency.curve(run, reference) for run in runs]
    areas = {}
    for name, unit in AREAS.items():
        budgets = [run.settings["budget"]["env_steps"] if unit == "env_steps" else most[unit] for run in runs]
        parts = zip(runs, curves, budgets, strict=True)
        areas[name] = np.array([efficiency.area(spent(run, unit), curve, budget) for run, curve, budget in parts])
    gaps, misses = [exploitation.gap(run, reference) for run in runs], [exploitation.miss(run) for run in runs]
    marks = {name: exploitation.marked(values) for name, values in zip(MARKS, (gaps, misses), strict=True)}
    return ScoredCell(runs, clipped(scores(runs, reference)), curves, areas, marks)


def spent(run: RunRecord, unit: str) -> Floats:
    """What was spent at each evaluation; nan where a record of an older version does not say."""
    return np.array([point.get(unit, np.nan) for point in run.curve], float)


def most_spent(runs: Iterable[RunRecord]) -> dict[str, float]:
    """The largest amount that any of the runs spent, by unit; 0 where none spent anything."""
    amounts = {unit: [run.curve[-1].get(unit) or 0 for run in runs if run.curve] for unit in SPENT}
    return {unit: float(max(values, default=0)) for unit, values in amounts.items()}


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
        line += [float(stats.mean([cell.areas[name] for cell in cells.values()])) for name in AREAS]
        for name in MARKS:
            counts = [cell.marks[name] for cell in cells.values()]
            line.append(sum(c for c in counts if c is not None) if any(c is not None for c in counts) else None)
        yield dict(zip(AGGREGATE, line, strict=True))


def pairs(suite: str, methods: Methods, p_values: Floats, rng: np.random.Generator) -> Iterator[Line]:
    """One line per ordered pair of methods, over the tasks that both have."""
    scores = [{key[:-1]: cell.scores for key, cell in cells.items()} for cells in methods.values()]
    weights = [{grid: stats.resamples(len(runs), rng) for grid, runs in of.items()} for of in scores]
    for (i, one), (j, other) in combinations(enumerate(methods), 2):
        if not (common := [grid for grid in scores[i] if grid in scores[j]]):
            continue
        mine, theirs = ([scores[k][grid] for grid in common] for k in (i, j))
        drawn, their_drawn = ([weights[k][grid] for grid in common] for k in (i, j))
        chance = stats.probability_of_improvement(mine, theirs)
        low, high = map(float, stats.improvement_interval(mine, theirs, drawn, their_drawn))
        p = float(p_values[i, j])
        yield dict(zip(PAIRS, (suite, one, other, chance, low, high, p), strict=True))
        yield dict(zip(PAIRS, (suite, other, one, 1 - chance, 1 - high, 1 - low, p), strict=True))


def profiles(suite: str, methods: Methods, rng: np.random.Generator) -> Iterator[Line]:
    """One line per method and threshold: the mean over the tasks of the share of runs with a score above it."""
    for method, cells in methods.items():
        above = [(cell.scores[:, None] > THRESHOLDS).astype(float) for cell in cells.values()]
        low, high = stats.mean_interval(above, rng)
        for numbers in zip(THRESHOLDS, np.mean([runs.mean(axis=0) for runs in above], axis=0), low, high, strict=True):
            yield dict(zip(PROFILES, (suite, method, *map(float, numbers)), strict=True))


def targets(suite: str, methods: Methods) -> Iterator[Line]:
    """One line per method, unit of what is spent, and point of it, from the first to the last evaluation of any run."""
    cells = {method: list(of.values()) for method, of in methods.items()}
    for unit in SPENT:
        times = {m: [[spent(run, unit) for run in cell.runs] for cell in of] for m, of in cells.items()}
        later = np.concatenate([[0.0], *(t for of in times.values() for runs in of for t in runs)])
        later = later[later > 0]
        if not len(later):
            continue
        grid = np.geomspace(later.min(), later.max(), POINTS)
        for method, of in cells.items():
            if any(np.isnan(t).any() for runs in times[method] for t in runs):
                continue  # older records, which do not say what was spent
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
