"""Records of one method on one task and grid, side by side with their scores. No JAX here."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from bench.analysis import stats
from bench.analysis.stats import Floats
from bench.errors import UsageError
from bench.records.reference import Reference
from bench.records.run import RunRecord


class MixtureError(UsageError):
    """Records that must not stand in one table."""


class CellKey(NamedTuple):
    """What the seeds of a cell have in common."""

    suite: str
    task: str
    horizon: float
    num_steps: int
    method: str

    @property
    def grid(self) -> str:
        return f"{self.task} ({self.num_steps} steps)"


Cells = Mapping[CellKey, list[RunRecord]]


def group_by_cell(records: Iterable[RunRecord]) -> dict[CellKey, list[RunRecord]]:
    """Records by cell, in the order of their seeds.

    Raises MixtureError where a cell holds two settings or the same seed twice, or a grid two versions of its task.
    """
    cells: dict[CellKey, list[RunRecord]] = defaultdict(list)
    for record in records:
        cells[CellKey(record.suite, record.task, record.horizon, record.num_steps, record.method)].append(record)
    versions = defaultdict(set)
    for key, runs in cells.items():
        runs.sort(key=lambda run: run.seed)
        versions[key[:-1]] |= {r.fingerprint for r in runs}
        others = (r.settings for r in runs if r.settings != runs[0].settings)
        differing = sorted({name for settings in others for name in changed_settings(settings, runs[0].settings)})
        if differing:
            raise MixtureError(
                f"records of {key.method} on {key.grid} differ in {', '.join(differing)}: two settings must "
                "not share a row. Move the older ones away, or report them from a folder of their own."
            )
    for (_, task, _, num_steps), fingerprints in versions.items():
        if len(fingerprints) > 1:
            raise MixtureError(
                f"records of {task} ({num_steps} steps) are of {len(fingerprints)} versions of the task ("
                f"{', '.join(sorted(fingerprints))}). Move the older away, or report them from a folder of their own."
            )
    for key, runs in cells.items():
        seeds = [r.seed for r in runs]
        if len(set(seeds)) < len(seeds):
            raise MixtureError(f"two records of the same seed of {key.method} on {key.grid}. Move one of them away.")
    return dict(cells)


def changed_settings(one: Mapping, other: Mapping) -> list[str]:
    """Settings that differ, as "part.name"."""
    return [
        f"{part}.{key}"
        for part in {**one, **other}
        for key in {**one.get(part, {}), **other.get(part, {})}
        if one.get(part, {}).get(key) != other.get(part, {}).get(key)
    ]


def scores(runs: Iterable[RunRecord], reference: Reference | None) -> Floats:
    """One score per run, nan for a run that did not finish and for a task without a reference or headroom."""
    if reference is None or reference.headroom is None:
        return np.array([np.nan for _ in runs])
    return np.array([np.nan if r.cost is None else stats.score(r.cost, reference.floor, reference.best) for r in runs])


def clipped(scores: Floats) -> Floats:
    """As aggregates and tests count runs: between -1 and 1, and -1 for one that did not finish."""
    return np.where(np.isfinite(scores), np.clip(scores, -1, 1), -1)
