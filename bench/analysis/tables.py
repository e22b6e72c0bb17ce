"""The methods of one suite against each other, as lines of tables. No JAX here."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from bench.analysis import learning_curves, ranking, simulator_gap, stats
from bench.analysis.scores import CellKey, clipped, scores
from bench.analysis.stats import Floats
from bench.records.reference import Reference
from bench.records.run import RunRecord

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
    """A cell of a task with headroom: runs, final scores and learning curves "runs points" clipped to [-1, 1], what was
    `spent` at the points by SPENT, the areas under the curves by the names of AREAS, and how many runs carry which of
    MARKS, None where that was not measured."""

    runs: list[RunRecord]
    scores: Floats
    curves: Floats
    spent: dict[str, Floats]
    areas: dict[str, Floats]
    marks: dict[str, int | None]


Methods = Mapping[str, Mapping[CellKey, ScoredCell]]
Line = dict[str, Any]


def scored(runs: list[RunRecord], reference: Reference, most: Mapping[str, float]) -> ScoredCell:
    """The scores of a cell on a task with headroom; `most` is the largest amount that any run there spent."""
    curves = learning_curves.curves(runs, reference)
    spent = {unit: learning_curves.spent_or_reached(runs, unit, 0.0) for unit in SPENT}
    budgets = {**most, "env_steps": runs[0].settings["budget"]["env_steps"]}
    areas = {name: learning_curves.area(spent[unit], curves, budgets[unit]) for name, unit in AREAS.items()}
    gaps, misses = (
        [simulator_gap.cost_gap(run, reference) for run in runs],
        [simulator_gap.target_miss(run) for run in runs],
    )
    marks = {name: simulator_gap.marked(values) for name, values in zip(MARKS, (gaps, misses), strict=True)}
    return ScoredCell(runs, clipped(scores(runs, reference)), curves, spent, areas, marks)


def most_spent(runs: Iterable[RunRecord]) -> dict[str, float]:
    """The largest amount that any of the runs spent, by unit; 0 where none spent anything."""
    amounts = {unit: [run.curve[-1].get(unit) or 0 for run in runs if run.curve] for unit in SPENT}
    return {unit: float(max(values, default=0)) for unit, values in amounts.items()}


def significance(methods: Methods) -> Floats:
    """Corrected p-values of all pairs of methods."""
    return ranking.significance(_by_seed(methods))


def is_oracle(cells: Mapping[CellKey, ScoredCell]) -> bool:
    """Whether a method was free to simulate more than it declared: such a one is shown and never ranked."""
    return any(not run.charged for cell in cells.values() for run in cell.runs)


def ranks_of(methods: Methods, p_values: Floats) -> dict[str, int]:
    """The rank of each method."""
    return dict(zip(methods, ranking.ranks(_by_seed(methods), p_values), strict=True))


def aggregates(suite: str, methods: Methods, places: Mapping[str, int], trials: Mapping[str, int]) -> Iterator[Line]:
    """One line per method; those without a place are not ranked, those without trials not tuned."""
    for method, cells in methods.items():
        strata = [cell.scores for cell in cells.values()]
        failed = sum(run.status != "ok" for cell in cells.values() for run in cell.runs)
        line = [suite, method, places.get(method), trials.get(method, 0), len(strata), min(map(len, strata)), failed]
        for _, statistic in AGGREGATES:
            line += [float(statistic(strata)), *map(float, stats.bootstrap_interval(strata, statistic))]
        line += [float(stats.mean([cell.areas[name] for cell in cells.values()])) for name in AREAS]
        for name in MARKS:
            counts = [cell.marks[name] for cell in cells.values()]
            line.append(sum(c for c in counts if c is not None) if any(c is not None for c in counts) else None)
        yield dict(zip(AGGREGATE, line, strict=True))


def pairs(suite: str, methods: Methods, p_values: Floats) -> Iterator[Line]:
    """One line per ordered pair of methods, over the tasks that both have."""
    scores = [{key[:-1]: cell.scores for key, cell in cells.items()} for cells in methods.values()]
    for (i, one), (j, other) in combinations(enumerate(methods), 2):
        if not (common := [grid for grid in scores[i] if grid in scores[j]]):
            continue
        mine, theirs = ([scores[k][grid] for grid in common] for k in (i, j))
        chance = stats.probability_of_improvement(mine, theirs)
        low, high = map(float, stats.improvement_interval(mine, theirs))
        p = float(p_values[i, j])
        yield dict(zip(PAIRS, (suite, one, other, chance, low, high, p), strict=True))
        yield dict(zip(PAIRS, (suite, other, one, 1 - chance, 1 - high, 1 - low, p), strict=True))


def profiles(suite: str, methods: Methods) -> Iterator[Line]:
    """One line per method and threshold: the mean over the tasks of the share of runs with a score above it."""
    for method, cells in methods.items():
        above = [(cell.scores[:, None] > THRESHOLDS).astype(float) for cell in cells.values()]
        columns = THRESHOLDS, stats.mean(above), *stats.bootstrap_interval(above, stats.mean)
        for numbers in np.column_stack(columns).tolist():
            yield dict(zip(PROFILES, (suite, method, *numbers), strict=True))


def targets(suite: str, methods: Methods) -> Iterator[Line]:
    """One line per method, unit of what is spent, and point of it, from the first to the last evaluation of any run."""
    for unit in SPENT:
        times = {method: [cell.spent[unit] for cell in of.values()] for method, of in methods.items()}
        later = np.concatenate([spent[spent > 0] for of in times.values() for spent in of])
        if not len(later):
            continue
        grid = np.geomspace(later.min(), later.max(), POINTS)
        for method, of in methods.items():
            if any(np.isnan(spent).any() for spent in times[method]):
                continue  # older records, which do not say what was spent
            strata = [learning_curves.first_reached(cell.spent[unit], cell.curves) for cell in of.values()]
            for point, share in zip(grid, learning_curves.share_reached(strata, grid), strict=True):
                yield dict(zip(TARGETS, (suite, method, unit, float(point), float(share)), strict=True))


def _by_seed(methods: Methods) -> list[ranking.Runs]:
    return [
        {key[:-1]: {r.seed: float(s) for r, s in zip(c.runs, c.scores, strict=True)} for key, c in cells.items()}
        for cells in methods.values()
    ]
