"""Records grouped by cell, and their scores. A cell is one method on one task and grid. No JAX here."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from bench.analysis import stats
from bench.analysis.stats import Floats
from bench.errors import UsageError
from bench.records.identity import code_difference, environment_difference, file_of, is_unknown
from bench.records.reference import Reference
from bench.records.run import RunRecord


class MixtureError(UsageError):
    """Records that must not stand in one table."""


class GridKey(NamedTuple):
    """A task on a grid within a suite: cells that share it can be compared."""

    suite: str
    task: str
    horizon: float
    num_steps: int


class CellKey(NamedTuple):
    """A method on a task and grid within a suite: what the seeds of a cell have in common."""

    suite: str
    task: str
    horizon: float
    num_steps: int
    method: str

    @property
    def grid_key(self) -> GridKey:
        """The cell without its method."""
        return GridKey(self.suite, self.task, self.horizon, self.num_steps)

    @property
    def grid(self) -> str:
        """The task and its number of steps, for people."""
        return f"{self.task} ({self.num_steps} steps)"


Cells = Mapping[CellKey, list[RunRecord]]


def group_by_cell(records: Iterable[RunRecord]) -> dict[CellKey, list[RunRecord]]:
    """Group records by cell, each group in the order of its seeds.

    Raises MixtureError where a cell holds two settings, two programs or the same seed twice, a grid two versions of its
    task, or the cells of a method two precisions or two versions of a package.
    """
    cells: dict[CellKey, list[RunRecord]] = defaultdict(list)
    for record in records:
        cells[CellKey(record.suite, record.task, record.horizon, record.num_steps, record.method)].append(record)
    versions: dict[GridKey, set[str]] = defaultdict(set)
    for key, runs in cells.items():
        runs.sort(key=lambda run: run.seed)
        versions[key.grid_key] |= {r.fingerprint for r in runs}
        others = (r.settings for r in runs if r.settings != runs[0].settings)
        differing = sorted({name for settings in others for name in changed_settings(settings, runs[0].settings)})
        if differing:
            raise MixtureError(
                f"records of {key.method} on {key.grid} differ in {', '.join(differing)}: two settings must "
                "not share a row. Move the older ones away, or report them from a folder of their own."
            )
    for grid, fingerprints in versions.items():
        if len(fingerprints) > 1:
            raise MixtureError(
                f"records of {grid.task} ({grid.num_steps} steps) are of {len(fingerprints)} versions of the task ("
                f"{', '.join(sorted(fingerprints))}). Move the older away, or report them from a folder of their own."
            )
    for key, runs in cells.items():
        for one, other in pairwise(runs):
            if one.seed == other.seed:
                raise MixtureError(
                    f"two records of seed {one.seed} of {key.method} on {key.grid}: {file_of(one)} and "
                    f"{file_of(other)}. Move one of them away."
                )
    _refuse_mixed_identities(cells)
    return dict(cells)


def _refuse_mixed_identities(cells: Cells) -> None:
    """Raise MixtureError for runs of a method that differ in what decides their bits, and would share a row."""
    of_method: dict[tuple[str, str], list[RunRecord]] = defaultdict(list)
    for key, runs in cells.items():
        of_method[key.suite, key.method] += runs
        finished = [run for run in runs if run.status != "failed"]
        for run in finished[1:]:
            _refuse(key.method, finished[0], run, code_difference(finished[0], run))
    for (_, method), runs in of_method.items():
        finished = [run for run in runs if run.status != "failed"]
        known = {is_unknown(run): run for run in reversed(finished)}
        for run in runs[1:]:
            _refuse(method, runs[0], run, environment_difference(runs[0].provenance, run.provenance))
        if len(known) > 1:
            _refuse(method, known[True], known[False], code_difference(known[True], known[False]))


def _refuse(method: str, one: RunRecord, other: RunRecord, difference: str) -> None:
    if difference:
        raise MixtureError(
            f"records of {method} differ in {difference}, so they must not share a row: {file_of(one)} and "
            f"{file_of(other)}. `bench run` of the same suite into this folder computes the older ones again; or move "
            "one of them away."
        )


def changed_settings(one: Mapping, other: Mapping) -> list[str]:
    """Names of the settings that differ, each as "part.name"."""
    return [
        f"{part}.{key}"
        for part in {**one, **other}
        for key in {**one.get(part, {}), **other.get(part, {})}
        if one.get(part, {}).get(key) != other.get(part, {}).get(key)
    ]


def scores(runs: Iterable[RunRecord], reference: Reference | None) -> Floats:
    """Unclipped score of each run, "runs"; nan for an unfinished run, and on a task without reference or headroom."""
    if reference is None or reference.headroom is None:
        return np.array([np.nan for _ in runs])
    return np.array([np.nan if r.cost is None else stats.score(r.cost, reference.floor, reference.best) for r in runs])


def clipped(scores: Floats) -> Floats:
    """Scores the way aggregates and tests count them: between -1 and 1, and -1 for a run that did not finish."""
    return np.where(np.isfinite(scores), np.clip(scores, -1, 1), -1)


def clipped_by_seed(runs: Sequence[RunRecord], reference: Reference | None) -> dict[int, float]:
    """Clipped score of each run by its seed."""
    return {run.seed: float(s) for run, s in zip(runs, clipped(scores(runs, reference)), strict=True)}
