"""Verdicts on claims, by a rule that is fixed before any run: RULE. No JAX.

A claim compares its subject with each of its others. Every comparison is estimated on each scale of its effect (decades
of regret and score, for runs) and over both units of replication (seeds and tasks). One of these estimates decides.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import product
from typing import Any

import numpy as np

from bench.claims import differences, sequential
from bench.claims.claim import Claim, Experiment
from bench.claims.differences import MIN_TASKS, Difference, Replication
from bench.claims.effects import EFFECTS, Evidence, Scale, floored_fit_error, tabulate, tasks_without_headroom
from bench.claims.pair import SOLVED, Pair
from bench.claims.sequential import LOOKS, Answer, Decision

FEW_TASKS = 2
RULE = (
    "A comparison is equivalent if the 90 % interval of its effect lies within the margin (two one-sided tests), "
    "better or worse if its 95 % interval excludes 0, else undecided. These levels are spent over looks at "
    f"{', '.join(map(str, LOOKS[:-1]))} and {LOOKS[-1]} seeds (Pocock's spending function). With {MIN_TASKS} tasks or "
    "more the tasks are a random sample; with fewer, the verdict is over seeds. Decades of regret decide; the score "
    "decides where, on half of the tasks or more, only one of both methods has solved the task (its median run scores "
    f"{SOLVED:g}). A claim holds if every comparison is better; it fails if one is worse or equivalent at a level that "
    "the comparisons share (Holm's rule), marked *; else it holds against k of m."
)


@dataclass(frozen=True)
class Estimate:
    """An effect on one scale and over one unit of replication, with its 95 % interval; ends are None if unknown."""

    scale: Scale
    over: Replication
    effect: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class TaskEffect:
    """The effect on one task, on the scale that decides, with its 95 % interval over seeds."""

    task: str
    effect: float
    standard_error: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Comparison:
    """The subject against one other: the verdict, what it rests on, and all estimates.

    The verdict rests on `seeds` seeds, on `scale` and `over` a unit of replication; it is `corrected` if it stands at
    the level that all comparisons of the claim share. `level` is the confidence of
    [`low`, `high`], the interval that decided; it is 0 where no look was possible. `power` has, by effect size, the
    chance that the comparison finds it (see `bench.claims.power`).
    """

    other: str
    verdict: Answer
    corrected: bool
    scale: Scale
    over: Replication
    margin: float
    seeds: int
    level: float
    low: float | None
    high: float | None
    estimates: list[Estimate]
    tasks: list[TaskEffect]
    power: dict[str, float] = field(default_factory=dict)

    @property
    def decisive(self) -> Estimate:
        """The estimate that the verdict rests on, with its 95 % interval."""
        return next(e for e in self.estimates if (e.scale, e.over) == (self.scale, self.over))

    @property
    def wins(self) -> int:
        """The number of tasks on which the subject is ahead."""
        return sum(task.effect > 0 for task in self.tasks)


@dataclass(frozen=True)
class Finding:
    """A claim, the comparisons that test it, and the verdict.

    `where_run` names the tasks with their Lyapunov exponents, `design` what was run, `sources` where runs come from.
    """

    claim: str
    statement: str
    where: str
    unit: str
    subject: str
    comparisons: list[Comparison]
    verdict: str
    where_run: str
    design: str = ""
    remarks: list[str] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)

    def those(self, *answers: Answer) -> list[str]:
        """The others against which the verdict is one of `answers`."""
        return [c.other for c in self.comparisons if c.verdict in answers]


def judge(claim: Claim, experiment: Experiment, evidence: Evidence) -> Finding:
    """Compare the subject of a claim with each of its others, and give the verdict."""
    effect = EFFECTS[claim.effect]
    margins = {**effect.margins, **claim.margins}
    tables = {scale: tabulate(claim, experiment, evidence, scale) for scale in margins}
    pairs = [Pair(claim.subject, other, effect, tables) for other in claim.others]
    looks, own_margins = [pair.looks() for pair in pairs], [margins[pair.scale] for pair in pairs]
    shared = sequential.decide(looks, own_margins)
    alone = [sequential.decide([each], [m])[0] for each, m in zip(looks, own_margins, strict=True)]
    comparisons = [
        _comparison(pair, decision, decision.answer == corrected.answer, margins)
        for pair, decision, corrected in zip(pairs, alone, shared, strict=True)
        if pair.tasks(pair.scale, LOOKS[-1])
    ]
    return Finding(
        claim=claim.name,
        statement=claim.statement,
        where=claim.where,
        unit=effect.unit,
        subject=claim.subject,
        comparisons=comparisons,
        verdict=verdict([(c.verdict, c.corrected) for c in comparisons], len(pairs)),
        where_run=_tasks_with_exponents(claim, experiment, evidence),
        design=experiment.design,
        remarks=[*_remarks(claim, comparisons, evidence), *_fit_remarks(claim, evidence)],
    )


def verdict(answers: Sequence[tuple[Answer, bool]], comparisons: int) -> str:
    """The verdict on a claim from those of its `comparisons`, of which some may have no results.

    answers: each with whether it stands at the level that all comparisons share
    """
    if any(answer in ("worse", "equivalent") and corrected for answer, corrected in answers):
        return "fails"
    better = sum(answer == "better" for answer, _ in answers)
    return "holds" if better == comparisons else f"holds against {better} of {comparisons}"


def _comparison(pair: Pair, decision: Decision, corrected: bool, margins: Mapping[Scale, float]) -> Comparison:
    seeds = LOOKS[decision.look] if decision.look >= 0 else min(pair.known_seeds, LOOKS[-1])
    by_scale = {scale: pair.tasks(scale, seeds) for scale in margins}
    tasks = by_scale[pair.scale]
    decisive = differences.over(pair.over, tasks)
    low, high = _ends(decisive, 1 - decision.level) if decision.look >= 0 else (None, None)
    return Comparison(
        other=pair.other,
        verdict=decision.answer,
        corrected=corrected and decision.answer != "undecided",
        scale=pair.scale,
        over=pair.over,
        margin=margins[pair.scale],
        seeds=seeds,
        level=1 - decision.level if decision.look >= 0 else 0.0,
        low=low,
        high=high,
        estimates=[
            _estimate(scale, over, differences.over(over, by_scale[scale]))
            for scale, over in product(margins, ("seeds", "tasks"))
            if by_scale[scale]
        ],
        tasks=[_task_effect(task, found) for task, found in tasks.items()],
    )


def _estimate(scale: Scale, over: Replication, found: Difference) -> Estimate:
    return Estimate(scale, over, found.difference, *_ends(found, 0.95))


def _task_effect(task: str, found: Difference) -> TaskEffect:
    error = None if math.isnan(found.standard_error) else found.standard_error
    return TaskEffect(task, found.difference, error, *_ends(found, 0.95))


def _ends(found: Difference, level: float) -> tuple[float | None, float | None]:
    """The ends of an interval; (None, None) where its spread is not known."""
    return differences.interval(found, level) or (None, None)


def _remarks(claim: Claim, comparisons: Sequence[Comparison], evidence: Evidence) -> Iterator[str]:
    """Say what limits a verdict: few tasks, tasks without headroom, missing results."""
    compared = {task.task for c in comparisons for task in c.tasks}
    if 0 < len(compared) <= FEW_TASKS:
        yield f"{len(compared)} task{'s' * (len(compared) > 1)} only: the verdict says nothing about others"
    without = tasks_without_headroom(claim.experiment, evidence)
    if without:
        yield f"without headroom and left out: {', '.join(without)}"
    missing = [other for other in claim.others if other not in [c.other for c in comparisons]]
    if missing:
        yield f"no result of {', '.join(missing)}" if missing != [claim.subject] else "no result"
    waiting = [f"{c.other} ({c.seeds})" for c in comparisons if not c.level]
    if waiting:
        yield f"fewer than {LOOKS[0]} seeds on every task, so undecided: {', '.join(waiting)}"
    if claim.reason:
        yield f"margin: {claim.reason}"


def _fit_remarks(claim: Claim, evidence: Evidence) -> Iterator[str]:
    """Report each model's median fit error after each number of updates, for claims about growth."""
    if not claim.effect.startswith("growth"):
        return
    for name in dict.fromkeys((claim.subject, *claim.others)):
        by_updates: dict[int, list[float]] = {}
        for m in evidence.measurements:
            if m.model == name:
                by_updates.setdefault(m.updates, []).append(floored_fit_error(m))
        medians = [f"{np.median(errors):.2g} after {updates}" for updates, errors in by_updates.items() if updates]
        if medians:
            yield f"fit error of {name}: {', '.join(medians)} updates"


def _tasks_with_exponents(claim: Claim, experiment: Experiment, evidence: Evidence) -> str:
    """Name the tasks, each with its Lyapunov exponent times the horizon where that is known."""
    runs = evidence.runs.get(claim.experiment, ())
    known = {m.task: m.lyapunov for m in (*evidence.measurements, *evidence.landscapes)}
    for run in runs:
        reference = evidence.references.get(run.fingerprint)
        if reference is not None and reference.lyapunov is not None:
            known[run.task] = reference.lyapunov
    tasks = experiment.tasks or dict.fromkeys(run.task for run in runs)
    return ", ".join(f"{task} ({known[task]:+.1f})" if task in known else task for task in tasks)


def findings_to_json(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """Findings as values of JSON; a number that is not finite, such as an effect over one task, is None."""
    return [_finite(asdict(finding)) for finding in findings]


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
