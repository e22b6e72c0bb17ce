"""Two sets of records -> a verdict on every cell: the gate of CI. No JAX here.

Cells that are equal bit for bit are the same. The others are tested on their scores, clipped to [-1, 1] and -1 for a
run that did not finish: cell by cell, or pooled over those of a method (see `bench.gate.power`). p-values are
corrected for their number (Benjamini-Hochberg).
A difference counts if it is significant and at least `effect`; where none is found,
the cell is "same" only if a drop of `detect` would have been found with a chance of `bench.power.POWER`.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from bench.analysis import permutation
from bench.analysis.scores import CellKey, Cells, changed_settings, clipped, scores
from bench.errors import UsageError
from bench.gate.power import Scores, Test, least_drop, planned
from bench.records.reference import Reference
from bench.records.run import RunRecord

MAX_SEEDS = 1000  # more than this is no advice

Verdict = Literal["same", "better", "worse", "unclear", "differs"]


@dataclass(frozen=True)
class Thresholds:
    """`effect`: the least difference of score that matters. `detect`: the drop that must not be missed. `alpha`: the
    share of false alarms among alarms that is accepted. Raises UsageError."""

    effect: float = 0.02
    detect: float = 0.2
    alpha: float = 0.05

    def __post_init__(self):
        if not (0 <= self.effect <= self.detect and self.detect > 0 and 0 < self.alpha < 1):
            raise UsageError(
                f"the check needs 0 <= effect <= detect and 0 < alpha < 1, got effect={self.effect}, "
                f"detect={self.detect}, alpha={self.alpha}."
            )


@dataclass(frozen=True)
class CellVerdict:
    """The verdict on a cell, or on the pooled cells of a method.

    `difference` is the mean score of the candidate less that of the baseline, each cell weighing the same, and `parts`
    that of each cell. `seeds` are the fewest of a cell, of baseline and candidate. `p_value` is corrected, and nan for
    cells that were not tested. `detectable` is the least drop that would have been found with a chance of POWER.
    `enough` is how many seeds of the candidate would find a drop of `detect`, if the verdict is "unclear" and that can
    be said.
    """

    cells: tuple[CellKey, ...]
    test: Literal["bit-equal", "paired", "unpaired", "exact"]
    verdict: Verdict
    seeds: tuple[int, int]
    difference: float = 0.0
    parts: tuple[float, ...] = ()
    p_value: float = math.nan
    detectable: float = math.nan
    enough: int | None = None
    detail: str = ""


@dataclass(frozen=True)
class Check:
    """`comparisons` are the verdicts, `gaps` what could not be compared and why, `notes` what else to know."""

    comparisons: tuple[CellVerdict, ...]
    gaps: tuple[tuple[CellKey, str], ...]
    notes: tuple[str, ...] = ()

    @property
    def status(self) -> int:
        """The exit status: 1 a regression, 3 something that could not be told, 0 neither."""
        verdicts = {c.verdict for c in self.comparisons}
        if verdicts & {"worse", "differs"}:
            return 1
        return 3 if "unclear" in verdicts or self.gaps else 0


def check(baseline: Cells, candidate: Cells, references: Mapping[str, Reference], limits: Thresholds) -> Check:
    """Compare two sets of records, grouped by cell; `references` by fingerprint."""
    gaps, notes, equal = list(_gaps(baseline, candidate)), [], []
    old: dict[CellKey, dict[int, float]] = {}
    new: dict[CellKey, dict[int, float]] = {}
    left_out = {key for key, _ in gaps}
    for key in (key for key in baseline if key in candidate and key not in left_out):
        settings = changed_settings(candidate[key][0].settings, baseline[key][0].settings)
        if settings:
            notes.append(f"{key.method} on {key.grid}: other settings than in the baseline: {', '.join(settings)}.")
        if not first_difference(baseline[key], candidate[key]):
            equal.append(CellVerdict((key,), "bit-equal", "same", (len(baseline[key]), len(candidate[key]))))
            continue
        reference = references.get(baseline[key][0].fingerprint)
        if reference is None or reference.headroom is None:
            gaps.append((key, "not bit-equal, and no reference to score it" if reference is None else "no headroom"))
            continue
        for cells, chosen in ((baseline, old), (candidate, new)):
            values = clipped(scores(cells[key], reference))
            chosen[key] = {run.seed: float(s) for run, s in zip(cells[key], values, strict=True)}
    notes += [f"New, not in the baseline: {k.method} on {k.grid}." for k in candidate if k not in baseline]
    return Check((*equal, *compare(old, new, limits)), tuple(gaps), tuple(notes))


def exactly(baseline: Cells, candidate: Cells) -> Check:
    """Whether every run of the candidate repeats the baseline's bit by bit."""
    gaps = list(_gaps(baseline, candidate))
    comparisons = []
    for key in (key for key in baseline if key in candidate):
        found = first_difference(baseline[key], candidate[key])
        sizes = len(baseline[key]), len(candidate[key])
        comparisons.append(CellVerdict((key,), "exact", "differs" if found else "same", sizes, detail=found))
    return Check(tuple(comparisons), tuple(gaps))


def first_difference(baseline: Sequence[RunRecord], candidate: Sequence[RunRecord]) -> str:
    """Where two blocks of runs first differ in what they computed (not in time or place), "" if nowhere."""
    known = {run.seed: run for run in baseline}
    for run in candidate:
        if run.seed not in known:
            return f"seed {run.seed} is not in the baseline"
        if known[run.seed].status != run.status:
            return f"seed {run.seed} is {run.status}, was {known[run.seed].status}"
        one, other = (
            [(p["env_steps"], p["cost"], p["end_error"]) for p in r.curve] + [(r.usage["env_steps"], r.cost, None)]
            for r in (known[run.seed], run)
        )
        if one != other:
            steps = next((b[0] for a, b in zip(one, other, strict=False) if a != b), "another number of")
            return f"seed {run.seed} differs from {steps} environment steps on"
    return ""


def compare(baseline: Scores, candidate: Scores, limits: Thresholds) -> list[CellVerdict]:
    """Verdicts on cells that both have; one for each test, see the top of this file."""
    tests = list(planned(baseline, candidate, limits.alpha))
    adjusted = permutation.adjust([test.p_value() for test in tests])
    level = limits.alpha / max(len(tests), 1)  # at which one regression alone is found
    return [_judge(test, float(p), level, limits) for test, p in zip(tests, adjusted, strict=True)]


def _judge(test: Test, p_value: float, level: float, limits: Thresholds) -> CellVerdict:
    difference = float(np.mean(test.parts))
    detectable = least_drop(test, test.seeds[1], level)
    enough = None
    if p_value <= limits.alpha:
        verdict = "same" if abs(difference) < limits.effect else "better" if difference > 0 else "worse"
    elif detectable <= limits.detect:
        verdict = "same"
    else:
        verdict = "unclear"
        more = range(test.seeds[1] + 1, MAX_SEEDS + 1)
        enough = next((n for n in more if least_drop(test, n, level) <= limits.detect), None)
    return CellVerdict(test.cells, test.kind, verdict, test.seeds, difference, test.parts, p_value, detectable, enough)


def _gaps(baseline: Cells, candidate: Cells) -> Iterator[tuple[CellKey, str]]:
    """Cells of the baseline that the candidate cannot be compared on, and why."""
    for key, runs in baseline.items():
        if key not in candidate:
            yield key, "missing from the candidate"
        elif runs[0].fingerprint != candidate[key][0].fingerprint:
            yield key, "another version of the task: make a new baseline"
        else:
            settings = changed_settings(candidate[key][0].settings, runs[0].settings)
            other = [name for name in settings if not name.startswith("method.")]
            if other:
                yield key, f"not the same terms: {', '.join(other)}"


def only(cells: Cells, tasks: Iterable[str], methods: Iterable[str]) -> Cells:
    """The cells of these tasks and methods; no names stand for all."""
    tasks, methods = set(tasks), set(methods)
    return {
        key: runs
        for key, runs in cells.items()
        if (not tasks or key.task in tasks) and (not methods or key.method in methods)
    }
