"""The rows of a suite: its methods against each other, over all cells. No JAX here."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import combinations
from typing import NamedTuple

import numpy as np

from bench.analysis import learning_curves, ranking, simulator_gap, stats
from bench.analysis.cell_tables import UNITS, Best, CellLearning, count_failed, with_interval
from bench.analysis.rows import AggregateRow, PairRow, ProfilePoint, TargetPoint
from bench.analysis.scores import CellKey, GridKey
from bench.analysis.stats import MIN_SEEDS, Floats

THRESHOLDS = np.linspace(-1, 1, 81)  # scores at which a performance profile is evaluated
TARGET_POINTS = 60  # points of a curve of regret targets


Methods = Mapping[str, Mapping[GridKey, CellLearning]]  # method -> grid -> cell, within one suite
KINDS = ("ranked", "unranked", "oracle")  # classes of methods, in the order of their rows


class Ranking(NamedTuple):
    """The ranked methods of a suite against each other.

    places: by method, in the order of `p_values`
    p_values: "methods methods", corrected for the number of pairs
    best: the cells that are in the best group of their task
    won: by method, the number of tasks on which no ranked method has a higher mean score
    """

    places: dict[str, ranking.Place]
    p_values: Floats
    best: dict[CellKey, Best]
    won: Counter[str]


def kind_of(cells: Mapping[GridKey, CellLearning], grids: Collection[GridKey]) -> str:
    """The class of a method with these cells in a suite that has these grids: one of KINDS. Only one is compared.

    An oracle was free to simulate more than it declared. A method is unranked if it lacks a task, or runs for a test.
    """
    if any(not run.charged for learning in cells.values() for run in learning.cell.runs):
        return "oracle"
    complete = len(cells) == len(grids) and all(learning.score.seeds >= MIN_SEEDS for learning in cells.values())
    return "ranked" if complete else "unranked"


def rank(methods: Methods) -> Ranking:
    """Compare methods that all have every task: over all tasks by interquartile means, and on each task."""
    if not methods:
        return Ranking({}, np.ones((0, 0)), {}, Counter())
    totals = [stats.interquartile_mean([each.clipped for each in cells.values()]) for cells in methods.values()]
    p_values = ranking.corrected_p_values(totals)
    places = dict(zip(methods, ranking.places(totals, p_values), strict=True))
    best: dict[CellKey, Best] = {}
    won: Counter[str] = Counter()
    for grid in next(iter(methods.values())):
        cells = {method: of_method[grid] for method, of_method in methods.items()}
        groups = [ranking.best_group([getattr(cell, scale) for cell in cells.values()]) for scale in Best._fields]
        best |= {cell.cell.key: Best(*of_cell) for cell, *of_cell in zip(cells.values(), *groups, strict=True)}
        highest = max(cell.score.value for cell in cells.values())
        won.update(m for m, cell in cells.items() if cell.score.value >= highest - ranking.RESOLUTION)
    return Ranking(places, p_values, best, won)


def aggregate_rows(
    suite: str, methods: Methods, kinds: Mapping[str, str], ranked: Ranking, trials: Mapping[str, int]
) -> Iterator[AggregateRow]:
    """One row for each method; one without trials was not tuned."""
    for method, cells in methods.items():
        strata = [learning.clipped for learning in cells.values()]
        score, score_low, score_high = with_interval(stats.interquartile_mean(strata), -1.0, 1.0)
        mean, mean_low, mean_high = with_interval(stats.mean(strata), -1.0, 1.0)
        areas = {unit: float(np.mean([np.mean(each.areas[unit]) for each in cells.values()])) for unit in UNITS}
        place = ranked.places.get(method)
        yield AggregateRow(
            suite=suite,
            method=method,
            kind=kinds[method],
            rank=place.rank if place else None,
            rank_low=place.low if place else None,
            rank_high=place.high if place else None,
            letters=place.letters if place else "",
            trials=trials.get(method, 0),
            tasks=len(strata),
            seeds=min(map(len, strata)),
            failed=sum(count_failed(learning.cell.runs) for learning in cells.values()),
            score=score,
            score_low=score_low,
            score_high=score_high,
            mean=mean,
            mean_low=mean_low,
            mean_high=mean_high,
            won=ranked.won[method] if place else None,
            auc=areas["env_steps"],
            auc_updates=areas["updates"],
            auc_seconds=areas["train_seconds"],
            cost_gaps=_total(simulator_gap.count_marked(learning.cell.cost_gaps) for learning in cells.values()),
            end_misses=_total(simulator_gap.count_marked(learning.cell.end_misses) for learning in cells.values()),
            violations=_total(simulator_gap.count_marked(learning.cell.violations) for learning in cells.values()),
        )


def pair_rows(suite: str, methods: Methods, ranked: Ranking) -> Iterator[PairRow]:
    """Two rows for each pair of ranked methods, one for either order."""
    for (i, one), (j, other) in combinations(enumerate(ranked.places), 2):
        mine, theirs = ([learning.clipped for learning in methods[each].values()] for each in (one, other))
        chance, low, high = with_interval(stats.win_chance(mine, theirs), 0.0, 1.0)
        pair = PairRow(suite, one, other, chance, low, high, p_value=float(ranked.p_values[i, j]))
        yield pair
        yield pair._replace(method=other, other=one, probability=1 - chance, low=1 - high, high=1 - low)


def profile_points(suite: str, methods: Methods) -> Iterator[ProfilePoint]:
    """One point for each method and threshold: the mean over tasks of the share of runs with a score above it."""
    for method, cells in methods.items():
        above = [(learning.clipped[:, None] > THRESHOLDS).astype(float) for learning in cells.values()]
        shares = stats.mean(above)
        numbers = np.column_stack((THRESHOLDS, shares.value, *stats.interval(shares, 0.0, 1.0))).tolist()
        for threshold, share, low, high in numbers:
            yield ProfilePoint(suite, method, threshold, share, low, high)


def target_points(suite: str, methods: Methods) -> Iterator[TargetPoint]:
    """TARGET_POINTS points for each unit and method, between the first and the last evaluation of any run.

    Methods whose older records do not say what was spent are left out.
    """
    for unit in UNITS:
        spent = {method: [learning.spent[unit] for learning in cells.values()] for method, cells in methods.items()}
        positive = np.concatenate([amounts[amounts > 0] for strata in spent.values() for amounts in strata])
        if not len(positive):
            continue
        grid = np.geomspace(positive.min(), positive.max(), TARGET_POINTS)
        for method, cells in methods.items():
            if any(np.isnan(amounts).any() for amounts in spent[method]):
                continue
            strata = [learning_curves.first_reached(cell.spent[unit], cell.curves) for cell in cells.values()]
            shares = learning_curves.share_reached(strata, grid)
            for amount, share in zip(grid.tolist(), shares.tolist(), strict=True):
                yield TargetPoint(suite, method, unit, amount, share)


def _total(counts: Iterable[int | None]) -> int | None:
    """Sum of the counts that were measured; None if none was."""
    measured = [count for count in counts if count is not None]
    return sum(measured) if measured else None
