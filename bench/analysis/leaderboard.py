"""Records -> leaderboard. No JAX here.

Scores are costs between the floor (0) and the best known control sequence (1) of the task on its grid. A row's score is
the unclipped mean over the runs that finished. Everything else clips every run's score to [-1, 1] and counts failed and
diverged runs as -1: aggregates over the tasks with headroom, ranks, learning curves, profiles. Intervals are 95 % by
bootstrap.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.analysis import scores as grouping
from bench.analysis import stats, tables, trajectories
from bench.analysis.scores import CellKey
from bench.analysis.simulator_gap import cost_gap, largest, marked, target_miss
from bench.analysis.tables import AGGREGATE, AREAS, MARKS, PAIRS, PROFILES, SPENT, TARGETS, ScoredCell
from bench.analysis.trajectories import MedianTrajectory
from bench.records.reference import Reference
from bench.records.run import RunRecord
from bench.records.trajectory import FindTrajectory
from bench.records.tuning import Tuning

if TYPE_CHECKING:
    import pandas as pd

COUNTS = dict.fromkeys(MARKS, "Int64")  # integers, and none where nothing was measured

INDICATIVE = 10  # fewer seeds than this are labelled
TOLERANCE = 1e-3  # a score above 1 by more than this says that the reference is stale

ROWS = [
    "suite",
    "task",
    "num_steps",
    "method",
    "seeds",
    "failed",
    "cost",
    "score",
    "score_low",
    "score_high",
    *AREAS,
    "cost_gap",
    "cost_gaps",
    "end_miss",
    "end_misses",
    "env_steps",
    "train_seconds",
    "compile_seconds",
]
CURVES = ["suite", "task", "horizon", "num_steps", "method", *SPENT, "score", "low", "high"]
RUNS = ["suite", "task", "horizon", "num_steps", "method", "seed", "status", "cost", "score", "auc", "env_steps"]
RUNS += [
    "train_seconds",
    "cost_gap",
    "end_miss",
    "version",
    "commit",
    "dirty",
    "device",
    "precision",
    "started",
    "settings",
    "error",
]


@dataclass(frozen=True)
class Leaderboard:
    """Tables, and what a reader must know.

    `rows`: one per task, grid and method; `score` is the unclipped mean, `auc` the mean area under the learning curve;
    `cost_gap` and `end_miss` are the largest of a run (`bench.analysis.simulator_gap`), `cost_gaps` and `end_misses`
    the numbers of runs that are marked.
    `aggregate`: one per suite and method, best first; `score` is the interquartile mean over tasks and seeds, and
    methods share a `rank` where paired permutation tests cannot tell them apart; an oracle has none; `trials` is how
    many settings were tried before the one that ran was chosen, 0 where it was not tuned. `pairs`: the
    chance that a run of `method` scores above one of `other`, and the corrected p-value of their difference. `curves`:
    mean score at every evaluation. `profiles`: share of runs above a threshold of score. `targets`: share of (run,
    regret target) pairs reached against what was spent on a run. `runs`: one per record, with its provenance.
    `trajectories`: that of the run with the median cost of each cell, where it was kept. `notes`: missing cells and
    references, runs that beat their reference, few seeds, and tasks on which a method was tuned. `diagnostics`: what
    else a folder holds, see `bench.gradients.report.section`.
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


def build(
    records: Iterable[RunRecord],
    references: Mapping[str, Reference],
    tunings: Mapping[str, Tuning] | None = None,
    find: FindTrajectory = trajectories.no_trajectory,
) -> Leaderboard:
    """A leaderboard of `records`; `references` by fingerprint, `tunings` by method; `find` looks for the trajectory of
    a run.

    Raises MixtureError if a table would mix two versions of a task, or two settings of a method.
    """
    import pandas as pd

    cells = grouping.group_by_cell(records)
    notes = _missing(cells) + _devices(cells)
    rows, all_runs, curves = [], [], []
    scored: dict[str, dict[str, dict[CellKey, ScoredCell]]] = defaultdict(lambda: defaultdict(dict))
    spent: dict[tuple, list[RunRecord]] = defaultdict(list)
    for key, runs in cells.items():
        spent[key[:-1]] += runs
    most = {grid: tables.most_spent(runs) for grid, runs in spent.items()}
    for key, runs in cells.items():
        reference = references.get(runs[0].fingerprint)
        if reference is None:
            notes.append(f"{key.grid}: no reference, so no scores. `python -m bench run` makes it.")
        scores = grouping.scores(runs, reference)
        finished = scores[np.isfinite(scores)]
        if len(finished) and finished.max() > 1 + TOLERANCE:
            notes.append(
                f"BEATEN REFERENCE: {key.method} reaches score {finished.max():.4f} on {key.grid}. "
                "The best known cost is stale: recompute it with `python -m bench reference`."
            )
        areas = dict.fromkeys(AREAS, np.full(len(runs), np.nan))
        if reference is not None and reference.headroom is not None:
            cell = tables.scored(runs, reference, most[key[:-1]])
            scored[key.suite][key.method][key] = cell
            areas = cell.areas
            curves += _curve(key, cell)
        gaps, misses = [cost_gap(run, reference) for run in runs], [target_miss(run) for run in runs]
        rows.append(_row(key, runs, finished, areas, gaps, misses))
        all_runs += [_run(*of_run) for of_run in zip(runs, scores, areas["auc"], gaps, misses, strict=True)]
    aggregate, pairs, profiles, targets = [], [], [], []
    for suite, methods in scored.items():
        ranked = {method: cells for method, cells in methods.items() if not tables.is_oracle(cells)}
        p_values = tables.significance(ranked)
        tuned = _tuned(methods, tunings or {})
        notes += [
            f"Tuned here: {method} was tuned on {task}, which {suite} scores."
            for method, tuning in tuned.items()
            for task in sorted({key.task for key in methods[method]} & {*tuning.tasks})
        ]
        trials = {method: tuning.trials for method, tuning in tuned.items()}
        aggregate += tables.aggregates(suite, methods, tables.ranks_of(ranked, p_values), trials)
        pairs += tables.pairs(suite, ranked, p_values)
        profiles += tables.profiles(suite, methods)
        targets += tables.targets(suite, methods)
    if any(row["seeds"] < INDICATIVE for row in rows):
        notes.append(f"Indicative: some cells have fewer than {INDICATIVE} seeds.")
    table = (
        pd.DataFrame(rows, columns=ROWS).astype({"env_steps": int, **COUNTS}) if rows else pd.DataFrame(columns=ROWS)
    )
    return Leaderboard(
        table.sort_values(["suite", "task", "num_steps", "score", "method"], ascending=[True, True, True, False, True]),
        pd.DataFrame(aggregate, columns=AGGREGATE)
        .astype({"rank": "Int64", **COUNTS})  # integers, and none for an oracle
        .sort_values(["suite", "rank", "score"], ascending=[True, True, False], kind="stable"),
        pd.DataFrame(pairs, columns=PAIRS),
        pd.DataFrame(curves, columns=CURVES),
        pd.DataFrame(profiles, columns=PROFILES),
        pd.DataFrame(targets, columns=TARGETS),
        pd.DataFrame(all_runs, columns=RUNS),
        tuple(trajectories.median_trajectories(cells, find)),
        tuple(dict.fromkeys(notes)),
    )


def _row(key, runs, finished, areas, gaps, misses):
    low, high = stats.bootstrap_interval([finished], stats.mean)
    costs = [r.cost for r in runs if r.cost is not None]
    return {
        "suite": key.suite,
        "task": key.task,
        "num_steps": key.num_steps,
        "method": key.method,
        "seeds": len(runs),
        "failed": sum(r.status != "ok" for r in runs),
        "cost": np.mean(costs) if costs else np.nan,
        "score": np.mean(finished) if len(finished) else np.nan,
        "score_low": float(low),
        "score_high": float(high),
        **{name: np.mean(values) for name, values in areas.items()},
        "cost_gap": largest(gaps),
        "cost_gaps": marked(gaps),
        "end_miss": largest(misses),
        "end_misses": marked(misses),
        **{name: np.mean([r.usage[name] for r in runs]) for name in ROWS[-3:]},
    }


def _run(run, score, area, cost_gap, end_miss):
    stamp = {
        name: run.provenance.get(name) for name in ("version", "commit", "dirty", "device", "precision", "started")
    }
    own = {name: getattr(run, name) for name in RUNS[:8]}
    usage = {name: run.usage[name] for name in ("env_steps", "train_seconds")}
    judged = {"score": score, "auc": area, "cost_gap": cost_gap, "end_miss": end_miss}
    return {**own, **judged, **usage, **stamp, "settings": run.settings, "error": run.error}


def _curve(key, cell):
    """One line per evaluation; a run that failed before it counts as -1."""
    points = np.array([len(run.curve) for run in cell.runs])
    longest = cell.runs[points.argmax()].curve
    scores = np.where(np.arange(len(longest)) < points[:, None], cell.curves[:, : len(longest)], -1)
    columns = stats.mean([scores]), *stats.bootstrap_interval([scores], stats.mean)
    for point, numbers in zip(longest, np.column_stack(columns).tolist(), strict=True):
        spent = [point.get(unit, np.nan) for unit in SPENT]
        yield dict(zip(CURVES, (*key, *spent, *numbers), strict=True))


def _tuned(methods: tables.Methods, tunings: Mapping[str, Tuning]) -> dict[str, Tuning]:
    """The tunings whose best setting is the one that ran."""
    runs = {method: [run for cell in of.values() for run in cell.runs] for method, of in methods.items()}
    return {m: tunings[m] for m, of in runs.items() if m in tunings and tunings[m].was_used_in(of)}


def _devices(cells):
    """Suites whose records are of several devices, so that their seconds must not be compared."""
    devices = defaultdict(dict)
    for key, runs in cells.items():
        devices[key.suite] |= dict.fromkeys(d for r in runs if (d := r.provenance.get("device")))
    return [
        f"Seconds: the records of {suite} are of {len(found)} devices ({', '.join(found)}); compare seconds only "
        "between records of one."
        for suite, found in devices.items()
        if len(found) > 1
    ]


def _missing(cells):
    """Combinations of a suite's tasks and methods that have no record."""
    suites = defaultdict(lambda: ({}, {}))
    for suite, *grid, method in cells:
        suites[suite][0][tuple(grid)] = suites[suite][1][method] = None
    return [
        f"Missing: {method} on {grid[0]} ({grid[2]} steps) in {suite}."
        for suite, (grids, methods) in suites.items()
        for grid, method in product(grids, methods)
        if (suite, *grid, method) not in cells
    ]
