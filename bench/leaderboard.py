"""Records -> leaderboard. No JAX here.

Scores are costs between the floor (0) and the best known control sequence (1) of the task on its grid. A row's score is
the unclipped mean over the runs that finished. An aggregate clips every run's score to [-1, 1], counts failed and
diverged runs as -1, and takes the interquartile mean over the tasks with headroom. Intervals are 95 % by bootstrap.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from bench import cells as grouping
from bench import stats
from bench.records import RunRecord
from bench.reference import Reference

if TYPE_CHECKING:
    import pandas as pd

SEED = 0  # of the bootstrap
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
    "env_steps",
    "train_seconds",
    "compile_seconds",
]
AGGREGATE = ["suite", "method", "tasks", "seeds", "score", "score_low", "score_high"]


@dataclass(frozen=True)
class Leaderboard:
    """`rows`: one per task, grid and method. `aggregate`: one per suite and method, best first. `notes`: what a reader
    must know: missing cells, missing references, runs that beat their reference, few seeds.
    """

    rows: pd.DataFrame
    aggregate: pd.DataFrame
    notes: tuple[str, ...]


def build(records: Iterable[RunRecord], references: Mapping[str, Reference]) -> Leaderboard:
    """A leaderboard of `records`; `references` by fingerprint.

    Raises MixtureError if a table would mix two versions of a task, or two settings of a method.
    """
    import pandas as pd

    cells = grouping.group(records)
    notes = _missing(cells)
    rows, strata = [], defaultdict(dict)
    rng = np.random.default_rng(SEED)
    for (suite, task, horizon, num_steps, method), runs in cells.items():
        reference = references.get(runs[0].fingerprint)
        if reference is None:
            notes.append(f"{task} ({num_steps} steps): no reference, so no scores. `python -m bench run` makes it.")
        scores = grouping.scores(runs, reference)
        finished = scores[np.isfinite(scores)]
        if len(finished) and finished.max() > 1 + TOLERANCE:
            notes.append(
                f"BEATEN REFERENCE: {method} reaches score {finished.max():.4f} on {task} ({num_steps} steps). "
                "The best known cost is stale: recompute it with `python -m bench reference`."
            )
        low, high = stats.bootstrap_interval([finished], stats.mean, rng)
        costs = [r.cost for r in runs if r.cost is not None]
        rows.append(
            {
                "suite": suite,
                "task": task,
                "num_steps": num_steps,
                "method": method,
                "seeds": len(runs),
                "failed": sum(r.status != "ok" for r in runs),
                "cost": np.mean(costs) if costs else np.nan,
                "score": np.mean(finished) if len(finished) else np.nan,
                "score_low": low,
                "score_high": high,
                **{key: np.mean([r.usage[key] for r in runs]) for key in ROWS[-3:]},
            }
        )
        if reference is not None and reference.headroom is not None:
            strata[suite, method][task, horizon, num_steps] = grouping.clipped(scores)
    aggregate = [_aggregate(suite, method, list(tasks.values()), rng) for (suite, method), tasks in strata.items()]
    if any(row["seeds"] < INDICATIVE for row in rows):
        notes.append(f"Indicative: some cells have fewer than {INDICATIVE} seeds.")
    table = pd.DataFrame(rows, columns=ROWS).astype({"env_steps": int}) if rows else pd.DataFrame(columns=ROWS)
    return Leaderboard(
        table.sort_values(["suite", "task", "num_steps", "score", "method"], ascending=[True, True, True, False, True]),
        pd.DataFrame(aggregate, columns=AGGREGATE).sort_values(["suite", "score"], ascending=[True, False]),
        tuple(dict.fromkeys(notes)),
    )


def _aggregate(suite, method, strata, rng):
    low, high = stats.bootstrap_interval(strata, stats.interquartile_mean, rng)
    score = float(stats.interquartile_mean(np.concatenate(strata)))
    return dict(zip(AGGREGATE, (suite, method, len(strata), min(map(len, strata)), score, low, high), strict=True))


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
