"""Verdicts on claims, by a rule that stands before any run.

The interval of an effect is that of its mean over the strata, by Student's t over seeds (Welch's degrees of freedom). A
claim of one method over several others is one comparison with each. RULE turns the intervals into a verdict. No JAX.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np

from bench.analysis.stats import Floats
from bench.claims.claim import Claim, Experiment
from bench.claims.effects import EFFECTS, Evidence, Samples, fit_error
from bench.gradients.records import SIMULATOR

RULE = (
    "A claim holds if the 95 % interval of every comparison lies above 0; it fails if that of any comparison, at the "
    "level 1 - 0.05 / comparisons, does not reach above 0; else it is undecided."
)
Verdict = Literal["holds", "fails", "undecided"]


@dataclass(frozen=True)
class Comparison:
    """The effect of the subject over one other, with its interval and the one at the corrected level."""

    other: str
    effect: float
    low: float | None
    high: float | None
    corrected_high: float | None
    samples: int


@dataclass(frozen=True)
class Finding:
    """A claim, what was measured, and the verdict. `where_run` names tasks with their Lyapunov exponent x horizon."""

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


def judge(claim: Claim, experiment: Experiment, evidence: Evidence, quick: bool) -> Finding:
    """The finding about one claim."""
    make, unit = EFFECTS[claim.effect]
    tested = [name for name in claim.others if name in (*experiment.methods, *experiment.models, SIMULATOR)]
    comparisons, remarks = [], []
    for other in tested:
        samples = make(claim, other, experiment, evidence)
        if samples:
            comparisons.append(compare(other, samples, len(tested)))
        else:
            remarks.append(f"no result of {other}" if other != claim.subject else "no result")
    left_out = [name for name in claim.others if name not in tested]
    if left_out:
        remarks.append(f"not compared with {', '.join(left_out)}")
    remarks += _fits(claim, evidence)
    found = verdict(comparisons) if len(comparisons) == len(tested) else "undecided"
    return Finding(
        claim.name,
        claim.statement,
        claim.where,
        unit,
        claim.subject,
        comparisons,
        found,
        experiment.seeds,
        _where(experiment, evidence),
        quick,
        remarks,
    )


def compare(other: str, samples: Samples, comparisons: int) -> Comparison:
    """The mean over strata, with its 95 % interval and the upper end at the level corrected for many comparisons."""
    strata = [values for values in samples.values() if len(values)]
    effect, low, high = mean_interval(strata, 0.95)
    _, _, corrected = mean_interval(strata, 1 - 0.05 / comparisons)
    return Comparison(other, effect, low, high, corrected, sum(map(len, strata)))


def mean_interval(strata: Sequence[Floats], level: float) -> tuple[float, float | None, float | None]:
    """(mean over strata of their means, low, high) by Student's t; no ends where a stratum has a single value."""
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
    """By RULE."""
    if comparisons and all(c.low is not None and c.low > 0 for c in comparisons):
        return "holds"
    if any(c.corrected_high is not None and c.corrected_high <= 0 for c in comparisons):
        return "fails"
    return "undecided"


def _fits(claim: Claim, evidence: Evidence) -> Iterator[str]:
    """Of claims about models: how well each predicted."""
    if not claim.effect.startswith("growth"):
        return
    for name in dict.fromkeys((claim.subject, *claim.others)):
        lengths: dict[int, list[float]] = {}
        for m in evidence.measurements:
            if m.model == name:
                lengths.setdefault(m.updates, []).append(fit_error(m))
        words = ", ".join(f"{np.median(errors):.2g} after {updates}" for updates, errors in lengths.items() if updates)
        if words:
            yield f"fit error of {name}: {words} updates"


def _where(experiment: Experiment, evidence: Evidence) -> str:
    """Tasks with their exponent times the horizon, where it is known."""
    known = {m.task: m.lyapunov for m in (*evidence.measurements, *evidence.landscapes)}
    known |= {
        r.task: evidence.references[r.fingerprint].lyapunov
        for r in evidence.records
        if r.fingerprint in evidence.references and evidence.references[r.fingerprint].lyapunov is not None
    }
    return ", ".join(f"{task} ({known[task]:+.1f})" if task in known else task for task in experiment.tasks)


def findings_to_json(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """As values of JSON."""
    return [asdict(finding) for finding in findings]
