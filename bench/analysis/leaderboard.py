"""Records -> leaderboard. No JAX here.

A score is a cost on the scale from the floor (0) to the best known control sequence (1) of the task on its grid. All
that compares methods clips every run's score to [-1, 1], counts failed and diverged runs as -1, and leaves out tasks
without headroom. A task's own table also shows the unclipped mean over the runs that finished. Intervals are 95 %
intervals by Student's t (`bench.analysis.stats`), which need 5 seeds.
"""

from __future__ import annotations

from collections import ChainMap, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

import numpy as np

from bench.analysis import cell_tables, tables, trajectories
from bench.analysis.cell_tables import Best, CellLearning, CellScores
from bench.analysis.rows import (
    AggregateRow,
    CurvePoint,
    PairRow,
    ProfilePoint,
    RunRow,
    TargetPoint,
    TaskRow,
    to_frame,
)
from bench.analysis.scores import CellKey, Cells, GridKey, group_by_cell
from bench.analysis.trajectories import MedianTrajectory
from bench.records.reference import Reference
from bench.records.run import Kind, RunRecord
from bench.records.trajectory import FindTrajectory
from bench.records.tuning import Tuning

if TYPE_CHECKING:
    import pandas as pd

RANKED_KINDS: tuple[Kind, ...] = ("learner", "planner")
INDICATIVE_BELOW = 10  # results of fewer seeds are called indicative
STALE_ABOVE = 1e-3  # a score this far above 1 says that the reference is stale


@dataclass(frozen=True)
class Leaderboard:
    """The tables of a set of records, and what a reader must know. `bench.analysis.rows` says what each column means.

    rows: one TaskRow per suite, task, grid and method, the highest score of a task first
    aggregate: one AggregateRow per suite and method: learners, planners, oracles; of each class the ranked first
    pairs: two PairRows per suite and pair of ranked methods
    curves: one CurvePoint per cell with a score and evaluation
    profiles: one ProfilePoint per suite, method and threshold
    targets: one TargetPoint per suite, method, unit and amount spent
    runs: one RunRow per record
    trajectories: that of the median run of each cell, where it was kept
    notes: missing cells and references, tasks without headroom, runs that beat their reference, few seeds, tasks on
        which a method was tuned
    diagnostics: what else a folder holds for the page, by `bench.claims.report.section`; empty where there is nothing
    """

    rows: pd.DataFrame
    aggregate: pd.DataFrame
    pairs: pd.DataFrame
    curves: pd.DataFrame
    profiles: pd.DataFrame
    targets: pd.DataFrame
    runs: pd.DataFrame
    trajectories: tuple[MedianTrajectory, ...]
    notes: tuple[str, ...]
    diagnostics: Mapping[str, Any] = field(default_factory=dict)


class SuiteRows(NamedTuple):
    """The methods of one suite against each other."""

    aggregate: list[AggregateRow]
    pairs: list[PairRow]
    best: Mapping[CellKey, Best]
    profiles: list[ProfilePoint]
    targets: list[TargetPoint]
    notes: list[str]


def build(
    records: Iterable[RunRecord],
    references: Mapping[str, Reference],
    tunings: Mapping[str, Tuning] | None = None,
    find: FindTrajectory = trajectories.no_trajectory,
) -> Leaderboard:
    """Build the leaderboard of `records`.

    Raises MixtureError if a table would mix two versions of a task, or two settings of a method.

    Args:
        references: by fingerprint.
        tunings: by method.
        find: looks for the stored trajectory of a run.
    """
    groups = group_by_cell(records)
    cells = [cell_tables.score_cell(key, runs, references.get(runs[0].fingerprint)) for key, runs in groups.items()]
    learning = _learning(cells)
    suites = [_compare(suite, methods, tunings or {}) for suite, methods in _by_suite(learning.values()).items()]
    best = {key: found for suite in suites for key, found in suite.best.items()}
    task_rows = [
        cell_tables.task_row(cell, learning.get(cell.key), best.get(cell.key, cell_tables.NO_BEST)) for cell in cells
    ]
    notes = [
        *_missing(groups),
        *_devices(groups),
        *_external(groups),
        *(note for cell in cells for note in _reference_notes(cell)),
        *(note for suite in suites for note in suite.notes),
        *_few_seeds(task_rows),
    ]
    return Leaderboard(
        rows=to_frame(TaskRow, task_rows).sort_values(
            ["suite", "task", "num_steps", "score", "method"], ascending=[True, True, True, False, True]
        ),
        aggregate=to_frame(AggregateRow, sorted((row for suite in suites for row in suite.aggregate), key=_standing)),
        pairs=to_frame(PairRow, [row for suite in suites for row in suite.pairs]),
        curves=to_frame(CurvePoint, [point for each in learning.values() for point in cell_tables.curve_points(each)]),
        profiles=to_frame(ProfilePoint, [point for suite in suites for point in suite.profiles]),
        targets=to_frame(TargetPoint, [point for suite in suites for point in suite.targets]),
        runs=to_frame(RunRow, [row for cell in cells for row in cell_tables.run_rows(cell, learning.get(cell.key))]),
        trajectories=tuple(trajectories.median_trajectories(groups, find)),
        notes=tuple(dict.fromkeys(notes)),
    )


def _standing(row: AggregateRow) -> tuple[str, int, bool, float]:
    """What orders the rows of methods: the classes of each suite one after the other, each by its scores."""
    return row.suite, get_args(Kind).index(row.kind), row.rank is None, -row.score


def _learning(cells: Sequence[CellScores]) -> dict[CellKey, CellLearning]:
    """The learning of every cell on a task with headroom."""
    on_grid: dict[GridKey, list[RunRecord]] = defaultdict(list)
    for cell in cells:
        on_grid[cell.key.grid_key] += cell.runs
    largest = {grid: cell_tables.most_spent(runs) for grid, runs in on_grid.items()}
    return {
        cell.key: cell_tables.learning_of(cell, cell.reference, largest[cell.key.grid_key])
        for cell in cells
        if cell.reference is not None and cell.reference.headroom is not None
    }


def _by_suite(cells: Iterable[CellLearning]) -> dict[str, tables.Methods]:
    """Cells by suite, method and grid."""
    suites: dict[str, dict[str, dict[GridKey, CellLearning]]] = defaultdict(lambda: defaultdict(dict))
    for learning in cells:
        key = learning.cell.key
        suites[key.suite][key.method][key.grid_key] = learning
    return {**suites}


def _compare(suite: str, methods: tables.Methods, tunings: Mapping[str, Tuning]) -> SuiteRows:
    """Compare the ranked methods of a suite within their class; others are in no pair and have no rank."""
    grids = {grid for cells in methods.values() for grid in cells}
    kinds: dict[str, Kind] = {method: tables.kind_of(cells.values()) for method, cells in methods.items()}
    rankings = [
        tables.rank({m: cells for m, cells in methods.items() if kinds[m] == kind and tables.is_ranked(cells, grids)})
        for kind in RANKED_KINDS
    ]
    tuned = _tuned(methods, tunings)
    trials = {method: tuning.all_trials for method, tuning in tuned.items()}
    return SuiteRows(
        aggregate=list(tables.aggregate_rows(suite, methods, kinds, rankings, trials)),
        pairs=[pair for ranked in rankings for pair in tables.pair_rows(suite, methods, ranked)],
        best=dict(ChainMap(*(ranked.best for ranked in rankings))),
        profiles=list(tables.profile_points(suite, methods)),
        targets=list(tables.target_points(suite, methods)),
        notes=[
            f"Tuned here: {method} was tuned on {task}, which {suite} scores."
            for method, tuning in tuned.items()
            for task in sorted({grid.task for grid in methods[method]} & {*tuning.tasks})
        ],
    )


def _tuned(methods: tables.Methods, tunings: Mapping[str, Tuning]) -> dict[str, Tuning]:
    """The tunings whose best setting is the one that ran."""
    runs = {method: [run for each in cells.values() for run in each.cell.runs] for method, cells in methods.items()}
    return {m: tunings[m] for m, of_method in runs.items() if m in tunings and tunings[m].was_used_in(of_method)}


def _missing(cells: Cells) -> list[str]:
    """A note for each combination of a suite's grids and methods that has no record."""
    suites: dict[str, tuple[dict[GridKey, None], dict[str, None]]] = defaultdict(lambda: ({}, {}))
    for key in cells:
        grids, methods = suites[key.suite]
        grids[key.grid_key] = methods[key.method] = None
    return [
        f"Missing: {method} on {grid.task} ({grid.num_steps} steps) in {grid.suite}."
        for grids, methods in suites.values()
        for grid, method in product(grids, methods)
        if CellKey(grid.suite, grid.task, grid.horizon, grid.num_steps, method) not in cells
    ]


def _devices(cells: Cells) -> list[str]:
    """A note for each suite whose records come from several devices: their seconds must not be compared."""
    devices: dict[str, dict[str, None]] = defaultdict(dict)
    for key, runs in cells.items():
        devices[key.suite] |= dict.fromkeys(d for r in runs if (d := r.provenance.get("device")))
    return [
        f"Seconds: the records of {suite} are of {len(names)} devices ({', '.join(names)}); compare seconds only "
        "between records of one."
        for suite, names in devices.items()
        if len(names) > 1
    ]


def _external(cells: Cells) -> list[str]:
    """A note for each agent of another library: what is known of its run, and what is not."""
    frameworks = {
        (key.method, run.provenance["external"])
        for key, runs in cells.items()
        for run in runs
        if "external" in run.provenance
    }
    return [
        f"External: {method} was trained outside this package ({framework}), whose environment counted its steps and "
        "judged it; its code is not identified."
        for method, framework in sorted(frameworks)
    ]


def _reference_notes(cell: CellScores) -> Iterator[str]:
    """Notes on a cell without a reference, and on one that beats it."""
    if cell.reference is None:
        yield f"{cell.key.grid}: no reference, so no scores. `python -m bench run` makes it."
    elif cell.reference.headroom is None:
        yield (
            f"{cell.key.grid}: no scores and no weight, because there is no headroom: the floor costs "
            f"{cell.reference.floor:.9g}, and the best known control sequence {cell.reference.best:.9g}."
        )
    if cell.reference is not None and cell.reference.bound:
        yield f"{cell.key.grid}: noisy, so score 1 is a bound: the best known cost without the noise."
        return
    finished = cell.scores[np.isfinite(cell.scores)]
    if len(finished) and finished.max() > 1 + STALE_ABOVE:
        yield (
            f"BEATEN REFERENCE: {cell.key.method} reaches score {finished.max():.4f} on {cell.key.grid}. "
            "The best known cost is stale: recompute it with `python -m bench reference`."
        )


def _few_seeds(rows: Sequence[TaskRow]) -> list[str]:
    """A note if any cell has few seeds."""
    if all(row.seeds >= INDICATIVE_BELOW for row in rows):
        return []
    return [f"Indicative: some cells have fewer than {INDICATIVE_BELOW} seeds."]
