"""Two collections of records side by side, cell by cell. No JAX here.

Scores are clipped to [-1, 1] and -1 for a run that did not finish, like those of every comparison of methods. Both
sides are scored by the reference of the first. Differences are the second less the first, with Welch's interval.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from bench.analysis import stats
from bench.analysis.cell_tables import NOTHING, with_interval
from bench.analysis.scores import CellKey, Cells, changed_settings, clipped, scores
from bench.analysis.stats import Estimate
from bench.records.identity import code_difference
from bench.records.reference import Reference
from bench.records.run import RunRecord


class ComparisonRow(NamedTuple):
    """One method on one task and grid, in two collections A and B.

    suite, task, num_steps, method: the cell
    a_seeds, b_seeds: number of runs; 0 where a collection lacks the cell
    a_score, b_score: mean clipped scores; nan without a reference, and in B where it ran another version of the task
    difference: `b_score` less `a_score`
    *_low, *_high: ends of the 95 % interval of the number before them; nan for fewer than 5 runs on a side
    """

    suite: str
    task: str
    num_steps: int
    method: str
    a_seeds: int
    a_score: float
    a_score_low: float
    a_score_high: float
    b_seeds: int
    b_score: float
    b_score_low: float
    b_score_high: float
    difference: float
    difference_low: float
    difference_high: float


@dataclass(frozen=True)
class Comparison:
    """Rows of all cells of either collection, and in words what differs besides the scores."""

    rows: tuple[ComparisonRow, ...]
    notes: tuple[str, ...]


def compare(a: Cells, b: Cells, references: Mapping[str, Reference], others: Mapping[str, Reference]) -> Comparison:
    """Compare two collections; `references` and `others` are theirs, by fingerprint.

    Where each has a single suite, the names of the suites need not agree.
    """
    rows, notes = [], []
    suites = {key.suite for key in a}, {key.suite for key in b}
    if suites[0] != suites[1] and [*map(len, suites)] == [1, 1]:
        (one,), (other,) = suites
        b = {key._replace(suite=one): runs for key, runs in b.items()}
        notes.append(f"Suites: A is of {one}, B of {other}; cells are matched by task, grid and method.")
    keys = sorted({*a, *b})
    for key in keys:
        one, other = a.get(key, []), b.get(key, [])
        rows.append(_row(key, one, other, {**others, **references}))
        notes += _notes(key, one, other, references, others)
    return Comparison(tuple(rows), tuple(dict.fromkeys(notes)))


def _row(
    key: CellKey, one: Sequence[RunRecord], other: Sequence[RunRecord], references: Mapping[str, Reference]
) -> ComparisonRow:
    comparable = not one or not other or one[0].fingerprint == other[0].fingerprint
    first, second = (_estimate(runs, references) for runs in (one, other if comparable else []))
    between = stats.difference(second, first)
    change = Estimate(between.difference, between.standard_error, between.freedom, min(first.seeds, second.seeds))
    return ComparisonRow(
        key.suite,
        key.task,
        key.num_steps,
        key.method,
        len(one),
        *with_interval(first, -1.0, 1.0),
        len(other),
        *with_interval(second, -1.0, 1.0),
        *with_interval(change, -2.0, 2.0),
    )


def _estimate(runs: Sequence[RunRecord], references: Mapping[str, Reference]) -> Estimate:
    """The mean clipped score of runs; nothing where there is no run, reference or headroom."""
    reference = references.get(runs[0].fingerprint) if runs else None
    if reference is None or reference.headroom is None:
        return NOTHING
    return stats.mean([np.asarray(clipped(scores(runs, reference)), np.float64)])


def _notes(
    key: CellKey,
    one: Sequence[RunRecord],
    other: Sequence[RunRecord],
    references: Mapping[str, Reference],
    others: Mapping[str, Reference],
) -> Iterator[str]:
    """What a reader must know of a cell besides its scores."""
    cell = f"{key.method} on {key.grid} of {key.suite}"
    if not one or not other:
        yield f"Only in {'A' if one else 'B'}: {cell}."
        return
    a, b = one[0], other[0]
    grid = f"{key.grid} of {key.suite}"
    if a.fingerprint != b.fingerprint:
        yield f"Another version of the task: {grid} ({a.fingerprint} in A, {b.fingerprint} in B); not compared."
    elif a.fingerprint not in references and a.fingerprint not in others:
        yield f"No reference: {grid}; not compared."
    else:
        yield from _reference_difference(grid, references.get(a.fingerprint), others.get(a.fingerprint))
    if changed := changed_settings(a.settings, b.settings):
        yield f"Other settings: {cell} ({', '.join(changed)})."
    if code := code_difference(a, b):
        yield f"Other code: {cell}: {code}."


def _reference_difference(grid: str, a: Reference | None, b: Reference | None) -> Iterator[str]:
    if a is None or b is None:
        yield f"Reference: only {'A' if a else 'B'} has one of {grid}; both are scored by it."
    elif not math.isclose(a.floor, b.floor) or not math.isclose(a.best, b.best):
        yield (
            f"Other reference: {grid}, floor {a.floor:.6g} and best {a.best:.6g} in A, {b.floor:.6g} and {b.best:.6g} "
            "in B; both are scored by that of A."
        )
