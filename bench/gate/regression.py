"""The regression gate: two sets of records -> a verdict on every cell. No JAX here.

A cell whose runs are equal bit for bit is "same". Tests judge the other cells by their scores, which are clipped to
[-1, 1], and -1 for a run that did not finish: cell by cell, or all cells of a method together (`bench.gate.power`).
p-values are corrected for their number (Benjamini-Hochberg). A difference counts if it is significant and at least
`effect`. Where there is none, the verdict is "same" only if a drop of `detect` would have been found with a chance of
`bench.gate.power.POWER`.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from bench.analysis import permutation
from bench.analysis.scores import CellKey, Cells, changed_settings, clipped_by_seed
from bench.errors import UsageError
from bench.gate.power import AbstractTest, Scores, detectable_drop, plan_tests
from bench.records.identity import code_difference, environment_difference, is_unknown
from bench.records.reference import Reference
from bench.records.run import RunRecord

MAX_SEEDS = 1000  # largest number of seeds that the gate advises

Verdict = Literal["same", "better", "worse", "unclear", "differs"]


@dataclass(frozen=True)
class Thresholds:
    """What counts as a difference. Raises UsageError where the numbers contradict each other.

    effect: the smallest difference of score that matters
    detect: the drop of score that must not be missed
    alpha: the accepted share of false alarms among alarms
    """

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
    """The verdict on a cell, or on several cells of a method that were tested together.

    cells: what was judged
    test: how it was judged; "exact" where only equal bits were asked for
    verdict: of the candidate against the baseline; "differs" is that of an exact comparison
    seeds: the smallest number of seeds of a cell, in the baseline and in the candidate
    difference: mean score of the candidate less that of the baseline; all cells have the same weight
    differences: the difference of each cell; empty without a test
    p_value: of the difference, corrected for the number of tests; nan without a test
    detectable: smallest drop that would have been found with a chance of POWER; nan without a test
    enough_seeds: number of seeds of the candidate that would find a drop of `detect`; None unless the verdict is
        "unclear" and at most MAX_SEEDS are enough
    first_difference: where runs first differ, of an exact comparison
    """

    cells: tuple[CellKey, ...]
    test: Literal["bit-equal", "paired", "unpaired", "exact"]
    verdict: Verdict
    seeds: tuple[int, int]
    difference: float = 0.0
    differences: tuple[float, ...] = ()
    p_value: float = math.nan
    detectable: float = math.nan
    enough_seeds: int | None = None
    first_difference: str = ""


@dataclass(frozen=True)
class Check:
    """The result of the gate.

    verdicts: on the cells that could be compared
    not_compared: cells that could not be compared, with the reasons
    notes: what else a reader must know
    """

    verdicts: tuple[CellVerdict, ...]
    not_compared: tuple[tuple[CellKey, str], ...]
    notes: tuple[str, ...] = ()

    @property
    def status(self) -> int:
        """The exit status: 1 for a regression, 3 if something could not be told, else 0."""
        verdicts = {v.verdict for v in self.verdicts}
        if verdicts & {"worse", "differs"}:
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
    return Check((*equal, *compare(old, new, limits)), tuple(not_compared), tuple(notes))


def check_exactly(baseline: Cells, candidate: Cells) -> Check:
    """Judge whether every run of the candidate repeats the baseline's bit by bit."""
    verdicts = []
    for key in (key for key in baseline if key in candidate):
        where = first_difference(baseline[key], candidate[key]) or _differs_in_the_end(baseline[key], candidate[key])
        seeds = len(baseline[key]), len(candidate[key])
        verdicts.append(CellVerdict((key,), "exact", "differs" if where else "same", seeds, first_difference=where))
    return Check(
        tuple(verdicts), tuple(_not_comparable(baseline, candidate)), tuple(_identity_notes(baseline, candidate))
    )


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


def first_difference(baseline: Sequence[RunRecord], candidate: Sequence[RunRecord]) -> str:
    """Where the candidate's runs first differ from the baseline's in what they computed, not in time or place.

    The result is "" if they differ nowhere.
    """
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


def _differs_in_the_end(baseline: Sequence[RunRecord], candidate: Sequence[RunRecord]) -> str:
    """Where final states, or the second scores of final policies, differ among runs that record both; "" if nowhere."""
    known = {run.seed: run for run in baseline}
    for run in candidate:
        old = known[run.seed]
        states = [r.provenance.get("final_state") for r in (old, run)]
        if None not in states and states[0] != states[1]:
            return f"seed {run.seed} differs in its final state"
        if old.rescored and run.rescored and old.rescored != run.rescored:
            return f"seed {run.seed} differs in its score by the adaptive solver or on the finer grid"
    return ""


def compare(baseline: Scores, candidate: Scores, limits: Thresholds) -> list[CellVerdict]:
    """Test the scores of cells that both have, and judge each test. `bench.gate.power` chooses the tests."""
    tests = list(plan_tests(baseline, candidate, limits.alpha))
    corrected = permutation.benjamini_hochberg([test.p_value() for test in tests])
    level = limits.alpha / max(len(tests), 1)  # the uncorrected p-value that a single regression must reach
    return [_judge(test, float(p), level, limits) for test, p in zip(tests, corrected, strict=True)]


def _judge(test: AbstractTest, p_value: float, level: float, limits: Thresholds) -> CellVerdict:
    """The verdict of a test with a corrected `p_value`; `level` serves to say which drops it could find."""
    difference = float(np.mean(test.differences))
    _, seeds = test.seeds
    detectable = detectable_drop(test, seeds, level)
    enough = None
    if p_value <= limits.alpha:
        verdict = "same" if abs(difference) < limits.effect else "better" if difference > 0 else "worse"
    elif detectable <= limits.detect:
        verdict = "same"
    else:
        verdict = "unclear"
        more = range(seeds + 1, MAX_SEEDS + 1)
        enough = next((n for n in more if detectable_drop(test, n, level) <= limits.detect), None)
    return CellVerdict(
        cells=test.cells,
        test=test.kind,
        verdict=verdict,
        seeds=test.seeds,
        difference=difference,
        differences=test.differences,
        p_value=p_value,
        detectable=detectable,
        enough_seeds=enough,
    )


def _not_comparable(baseline: Cells, candidate: Cells) -> Iterator[tuple[CellKey, str]]:
    """Cells of the baseline that the candidate lacks or has on other terms, with the reasons."""
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
    """Select the cells of some tasks and methods; an empty list stands for all."""
    tasks, methods = set(tasks), set(methods)
    return {
        key: runs
        for key, runs in cells.items()
        if (not tasks or key.task in tasks) and (not methods or key.method in methods)
    }
