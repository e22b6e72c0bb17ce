"""The regression gate: two sets of records -> a verdict on every method, and on tasks that changed. No JAX here.

A cell whose runs are equal bit for bit is "same". The other cells are judged by their scores, which are clipped to
[-1, 1], and -1 for a run that did not finish: each method over all its tasks, and each task for itself
(`bench.gate.power`). p-values are corrected for the number of these questions (Holm), so that at most `alpha` of the
checks of unchanged code have any false "worse". A difference counts if it is significant and at least `effect`. Where a
method has none, the verdict is "same" only if a drop of `detect` over its tasks would have been found with a chance of
`bench.gate.power.POWER`.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from bench.analysis.scores import CellKey, Cells, changed_settings, clipped_by_seed
from bench.analysis.stats import holm
from bench.errors import UsageError
from bench.gate.bits import difference_at_end, first_difference
from bench.gate.power import Question, Scores, questions
from bench.records.identity import code_difference, environment_difference, is_unknown
from bench.records.reference import Reference

MAX_SEEDS = 1000  # largest number of seeds that the gate advises

Verdict = Literal["same", "better", "worse", "unclear", "differs"]


@dataclass(frozen=True)
class Thresholds:
    """What counts as a difference. Raises UsageError where the numbers contradict each other.

    effect: the smallest difference of score that matters
    detect: the drop of score that must not be missed
    alpha: the accepted chance of any false "worse" in a check of unchanged code; the same, apart, of any "better"
    """

    effect: float = 0.02
    detect: float = 0.2
    alpha: float = 0.05

    def __post_init__(self):
        if not (0 <= self.effect <= self.detect and 0 < self.detect < math.inf and 0 < self.alpha < 1):
            raise UsageError(
                "the check needs 0 <= effect <= detect, 0 < detect < infinity and 0 < alpha < 1, got "
                f"effect={self.effect}, detect={self.detect}, alpha={self.alpha}."
            )


@dataclass(frozen=True)
class CellVerdict:
    """The verdict on a method over its cells, or on one cell.

    cells: what was judged
    test: how it was judged; "exact" where only equal bits were asked for
    verdict: of the candidate against the baseline; "differs" is that of an exact comparison
    seeds: the smallest number of seeds of a cell, in the baseline and in the candidate
    difference: mean score of the candidate less that of the baseline; all cells have the same weight
    differences: the difference of each cell; empty without a test
    p_value: of the difference, corrected for the number of tests; nan without a test
    detectable: smallest drop of the mean that would have been found with a chance of POWER; nan without a test
    detectable_on_one_task: the same of a drop on one task alone, whichever it is
    enough_seeds: number of seeds of the candidate that would find a drop of `detect`; None unless the verdict is
        "unclear" and at most MAX_SEEDS are enough
    first_difference: where runs first differ, of an exact comparison
    """

    cells: tuple[CellKey, ...]
    test: Literal["bit-equal", "scores", "exact"]
    verdict: Verdict
    seeds: tuple[int, int]
    difference: float = 0.0
    differences: tuple[float, ...] = ()
    p_value: float = math.nan
    detectable: float = math.nan
    detectable_on_one_task: float = math.nan
    enough_seeds: int | None = None
    first_difference: str = ""


@dataclass(frozen=True)
class Check:
    """The result of the gate.

    verdicts: on the cells that could be compared
    not_compared: cells that could not be compared, with the reasons
    notes: what else a reader must know
    missing: cells that only the baseline has
    unreadable: records that could not be read, each with its file and the reason
    """

    verdicts: tuple[CellVerdict, ...]
    not_compared: tuple[tuple[CellKey, str], ...]
    notes: tuple[str, ...] = ()
    missing: tuple[CellKey, ...] = ()
    unreadable: tuple[str, ...] = ()

    @property
    def status(self) -> int:
        """The exit status: 1 for a regression, also where results are missing or unreadable; 3 if something could not
        be told; else 0."""
        verdicts = {v.verdict for v in self.verdicts}
        if verdicts & {"worse", "differs"} or self.missing or self.unreadable:
            return 1
        return 3 if "unclear" in verdicts or self.not_compared else 0


def check(baseline: Cells, candidate: Cells, references: Mapping[str, Reference], limits: Thresholds) -> Check:
    """Judge the candidate's cells against the baseline's. `references` are by fingerprint."""
    not_compared, notes, equal = list(_not_comparable(baseline, candidate)), [], []
    old: dict[CellKey, dict[int, float]] = {}
    new: dict[CellKey, dict[int, float]] = {}
    left_out = {key for key, _ in not_compared}
    for key in (key for key in baseline if key in candidate and key not in left_out):
        settings = changed_settings(candidate[key][0].settings, baseline[key][0].settings)
        if settings:
            notes.append(f"{key.method} on {key.grid}: other settings than in the baseline: {', '.join(settings)}.")
        if not first_difference(baseline[key], candidate[key]):
            equal.append(CellVerdict((key,), "bit-equal", "same", (len(baseline[key]), len(candidate[key]))))
            continue
        reference = references.get(baseline[key][0].fingerprint)
        if reference is None or reference.headroom is None:
            why = "not bit-equal, and no reference to score it" if reference is None else "no headroom"
            not_compared.append((key, why))
            continue
        old[key] = clipped_by_seed(baseline[key], reference)
        new[key] = clipped_by_seed(candidate[key], reference)
    notes += [f"New, not in the baseline: {k.method} on {k.grid}." for k in candidate if k not in baseline]
    notes += _identity_notes(baseline, candidate)
    verdicts = (*equal, *compare(old, new, limits))
    return Check(verdicts, tuple(not_compared), tuple(notes), _missing(baseline, candidate))


def check_exactly(baseline: Cells, candidate: Cells) -> Check:
    """Judge whether every run of the candidate repeats the baseline's bit by bit."""
    verdicts = []
    for key in (key for key in baseline if key in candidate):
        where = first_difference(baseline[key], candidate[key]) or difference_at_end(baseline[key], candidate[key])
        seeds = len(baseline[key]), len(candidate[key])
        verdicts.append(CellVerdict((key,), "exact", "differs" if where else "same", seeds, first_difference=where))
    not_compared, notes = tuple(_not_comparable(baseline, candidate)), tuple(_identity_notes(baseline, candidate))
    return Check(tuple(verdicts), not_compared, notes, _missing(baseline, candidate))


def _identity_notes(baseline: Cells, candidate: Cells) -> Iterator[str]:
    """A line for each way in which programs, precision or packages differ, with the cells that it concerns."""
    concerned: dict[str, list[CellKey]] = defaultdict(list)
    for key in (key for key in baseline if key in candidate):
        old, new = baseline[key][0], candidate[key][0]
        if is_unknown(old) or is_unknown(new):
            which = "baseline" if is_unknown(old) else "candidate"
            concerned[f"The {which} does not say which code it ran (its records are older)"].append(key)
        elif code_difference(old, new):
            concerned["Other code than in the baseline"].append(key)
        if difference := environment_difference(old.provenance, new.provenance):
            concerned[f"Baseline and candidate differ in {difference}"].append(key)
    for what, keys in concerned.items():
        more = f" and {len(keys) - 1} more cells" if len(keys) > 1 else ""
        yield f"{what}: {keys[0].method} on {keys[0].grid}{more}."


def compare(baseline: Scores, candidate: Scores, limits: Thresholds) -> list[CellVerdict]:
    """Judge the scores of cells that both have: a verdict on each method, and on each task that became worse or better.

    `candidate` has every cell of `baseline`.
    """
    asked = list(questions(baseline, candidate))
    p_values = [question.p_values for question in asked]
    worse, better = (holm([p[side] for p in p_values]) for side in (0, 1))
    level = limits.alpha / max(len(asked), 1)  # the uncorrected p-value that a single regression must reach
    judged = [_judge(q, float(w), float(b), level, limits) for q, w, b in zip(asked, worse, better, strict=True)]
    verdicts = []
    for method, parts in _methods(judged):
        hardest = max((part.detectable for part in parts), default=method.detectable)
        verdicts.append(replace(method, detectable_on_one_task=hardest))
        verdicts += [part for part in parts if part.verdict in ("worse", "better")]
    return verdicts


def _methods(judged: Sequence[CellVerdict]) -> Iterator[tuple[CellVerdict, list[CellVerdict]]]:
    """Each method's verdict with those of its tasks, which follow it; there are none if it has one task."""
    rest = list(judged)
    while rest:
        method, rest = rest[0], rest[1:]
        count = len(method.cells) if len(method.cells) > 1 else 0
        yield method, rest[:count]
        rest = rest[count:]


def _judge(question: Question, worse: float, better: float, level: float, limits: Thresholds) -> CellVerdict:
    """The verdict on a question with corrected p-values; `level` serves to say which drops it could find."""
    difference = float(np.mean(question.differences))
    _, seeds = question.seeds
    detectable = question.detectable(seeds, level)
    p_value, enough = min(worse, better), None
    if p_value <= limits.alpha:
        verdict = "same" if abs(difference) < limits.effect else "worse" if worse <= better else "better"
    elif detectable <= limits.detect:
        verdict = "same"
    else:
        verdict = "unclear"
        more = range(seeds + 1, MAX_SEEDS + 1)
        enough = next((n for n in more if question.detectable(n, level) <= limits.detect), None)
    return CellVerdict(
        cells=question.cells,
        test="scores",
        verdict=verdict,
        seeds=question.seeds,
        difference=difference,
        differences=question.differences,
        p_value=p_value,
        detectable=detectable,
        enough_seeds=enough,
    )


def _missing(baseline: Cells, candidate: Cells) -> tuple[CellKey, ...]:
    return tuple(key for key in baseline if key not in candidate)


def _not_comparable(baseline: Cells, candidate: Cells) -> Iterator[tuple[CellKey, str]]:
    """Cells of the baseline that the candidate has on other terms, with the reasons."""
    for key, runs in baseline.items():
        if key not in candidate:
            continue
        if runs[0].fingerprint != candidate[key][0].fingerprint:
            yield key, "another version of the task: make a new baseline"
        else:
            settings = changed_settings(candidate[key][0].settings, runs[0].settings)
            other = [name for name in settings if not name.startswith("method.")]
            if other:
                yield key, f"not the same terms: {', '.join(other)}"


def only(cells: Cells, tasks: Iterable[str], methods: Iterable[str]) -> Cells:
    """Select the cells of some tasks and methods; an empty list stands for all."""
    tasks, methods = set(tasks), set(methods)
    return {
        key: runs
        for key, runs in cells.items()
        if (not tasks or key.task in tasks) and (not methods or key.method in methods)
    }
