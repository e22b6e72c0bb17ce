"""Verdicts on claims, by a rule that is fixed before any run.

An effect is averaged over the strata. Its interval is by Student's t over seeds, with Welch's degrees of freedom. A
claim of one method over several others makes one comparison with each. RULE turns the intervals into a verdict. No JAX.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np

from bench.analysis.stats import Floats
from bench.claims.claim import Claim, Experiment
from bench.claims.effects import EFFECTS, Evidence, Samples, floored_fit_error, runs_by_grid
from bench.gradients.records import SIMULATOR
from bench.records.identity import is_unknown

RULE = (
    "A claim holds if the 95 % interval of every comparison lies above 0; it fails if that of any comparison, at the "
    "level 1 - 0.05 / comparisons, does not reach above 0; else it is undecided."
)
Verdict = Literal["holds", "fails", "undecided"]


@dataclass(frozen=True)
class Comparison:
    """The effect of the subject over one other, with its 95 % interval and the number of samples behind it.

    `corrected_high` is the upper end at the level 1 - 0.05 / comparisons. Ends are None where they are not known.
    """

    other: str
    effect: float
    low: float | None
    high: float | None
    corrected_high: float | None
    samples: int


@dataclass(frozen=True)
class Finding:
    """A claim, the comparisons that test it, and the verdict.

    `where_run` names the tasks, each with its Lyapunov exponent x horizon. `quick` marks a small experiment.
    `unknown_code` is the number of runs whose records are older than fingerprints of methods.
    """

    claim: str
    statement: str
    where: str
    unit: str
    subject: str
    comparisons: list[Comparison]
    verdict: Verdict
    seeds: int
    where_run: str
    quick: bool
    remarks: list[str] = field(default_factory=list)
    unknown_code: int = 0


def judge(claim: Claim, experiment: Experiment, evidence: Evidence, quick: bool) -> Finding:
    """Compare the subject of a claim with each of its others, and give the verdict."""
    effect = EFFECTS[claim.effect]
    tested = [name for name in claim.others if name in (*experiment.methods, *experiment.models, SIMULATOR)]
    comparisons, remarks = [], []
    for other in tested:
        samples = effect.compute(claim, other, experiment, evidence)
        if samples:
            comparisons.append(compare(other, samples, len(tested)))
        else:
            remarks.append(f"no result of {other}" if other != claim.subject else "no result")
    left_out = [name for name in claim.others if name not in tested]
    if left_out:
        remarks.append(f"not compared with {', '.join(left_out)}")
    remarks += _fit_remarks(claim, evidence)
    return Finding(
        claim=claim.name,
        statement=claim.statement,
        where=claim.where,
        unit=effect.unit,
        subject=claim.subject,
        comparisons=comparisons,
        verdict=verdict(comparisons) if len(comparisons) == len(tested) else "undecided",
        seeds=experiment.seeds,
        where_run=_tasks_with_exponents(experiment, evidence),
        quick=quick,
        remarks=remarks,
        unknown_code=sum(is_unknown(run) for runs in runs_by_grid(claim, evidence).values() for run in runs),
    )


def compare(other: str, samples: Samples, comparisons: int) -> Comparison:
    """Summarise the samples of one among so many `comparisons` of a claim; every stratum has the same weight."""
    strata = [values for values in samples.values() if len(values)]
    effect, low, high = mean_interval(strata, 0.95)
    _, _, corrected = mean_interval(strata, 1 - 0.05 / comparisons)
    return Comparison(other, effect, low, high, corrected, sum(map(len, strata)))


def mean_interval(strata: Sequence[Floats], level: float) -> tuple[float, float | None, float | None]:
    """(mean over strata of their means, low, high) by Student's t; no ends (None) if a stratum has a single value."""
    mean = float(np.mean([values.mean() for values in strata]))
    if any(len(values) < 2 for values in strata):
        return mean, None, None
    parts = np.array([values.var(ddof=1) / len(values) for values in strata]) / len(strata) ** 2
    if not parts.sum():
        return mean, mean, mean
    from scipy.stats import t  # slow to import

    freedom = parts.sum() ** 2 / np.sum(parts**2 / [len(values) - 1 for values in strata])
    half = float(t.ppf((1 + level) / 2, freedom)) * math.sqrt(parts.sum())
    return mean, mean - half, mean + half


def verdict(comparisons: Sequence[Comparison]) -> Verdict:
    """The verdict by RULE."""
    if comparisons and all(c.low is not None and c.low > 0 for c in comparisons):
        return "holds"
    if any(c.corrected_high is not None and c.corrected_high <= 0 for c in comparisons):
        return "fails"
    return "undecided"


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


def _tasks_with_exponents(experiment: Experiment, evidence: Evidence) -> str:
    """Name the tasks, each with its Lyapunov exponent times the horizon where that is known."""
    known = {m.task: m.lyapunov for m in (*evidence.measurements, *evidence.landscapes)}
    known |= {
        r.task: evidence.references[r.fingerprint].lyapunov
        for r in evidence.records
        if r.fingerprint in evidence.references and evidence.references[r.fingerprint].lyapunov is not None
    }
    return ", ".join(f"{task} ({known[task]:+.1f})" if task in known else task for task in experiment.tasks)


def findings_to_json(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """Findings as values of JSON, the contents of claims.json."""
    return [asdict(finding) for finding in findings]
