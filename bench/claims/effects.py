"""Effects: what a claim comes down to, a number per stratum (a task on a grid) and seed, above 0 where it is right."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.analysis.stats import Floats
from bench.claims.claim import SUITE, Claim, Experiment
from bench.gradients.records import Landscape, Measurement
from bench.records.reference import Reference, cost_unit
from bench.records.run import RunRecord

SOLVED = 1e-4  # of the headroom: smaller regrets are the same
Stratum = tuple[str, int]  # a task and its number of steps
Samples = dict[Stratum, Floats]  # one number for each seed


@dataclass(frozen=True)
class Evidence:
    """All that was computed, and by experiment the grids (task, horizon, steps) of its training runs."""

    records: Sequence[RunRecord]
    grids: Mapping[str, Collection[tuple[str, float, int]]]
    references: Mapping[str, Reference]
    measurements: Sequence[Measurement]
    landscapes: Sequence[Landscape]


def regret(claim: Claim, other: str, experiment: Experiment, evidence: Evidence) -> Samples:
    """Decades by which the final regret of the other is larger."""
    return _by_regret(claim, other, experiment, evidence, _final)


def regret_on_the_way(claim: Claim, other: str, experiment: Experiment, evidence: Evidence) -> Samples:
    """The same, averaged over all evaluations: what is reached early counts for longer."""
    return _by_regret(claim, other, experiment, evidence, _on_the_way)


def regret_by_doubling(claim: Claim, other: str, experiment: Experiment, evidence: Evidence) -> Samples:
    """How many decades the advantage in final regret gains with every doubling of the steps, per task and seed."""
    by_task: dict[str, dict[int, Floats]] = {}
    for (task, steps), values in regret(claim, other, experiment, evidence).items():
        by_task.setdefault(task, {})[steps] = values
    slopes = {}
    for task, grids in by_task.items():
        if len(grids) > 1:
            x = np.log2(list(grids))
            # One seed makes one slope: the rest of the seeds of a longer list have no partner.
            seeds = min(map(len, grids.values()))
            y = np.stack([values[:seeds] for values in grids.values()])
            centred = x - x.mean()
            slopes[task, max(grids)] = centred @ y / (centred @ centred)
    return slopes


def growth(claim: Claim, other: str, experiment: Experiment, evidence: Evidence) -> Samples:
    """Decades by which the other's gradient norm grows more from the shortest to the longest horizon."""
    longest = max(experiment.updates)
    return _by_growth(claim, other, evidence, lambda runs: next((m for m in runs if m.updates >= longest), None))


def growth_at_equal_fit(claim: Claim, other: str, experiment: Experiment, evidence: Evidence) -> Samples:
    """The same, each model at the length of training at which it predicts as badly as the worst one at its best."""

    def at_equal_fit(runs: Sequence[Measurement]) -> Measurement | None:
        task, seed = runs[0].task, runs[0].seed
        return min(runs, key=lambda m: abs(math.log(fit_error(m) / level(task, seed))), default=None)

    def level(task: str, seed: int) -> float:
        groups = [_runs(evidence, name, task, seed) for name in (claim.subject, *claim.others)]
        return max(min(map(fit_error, runs)) for runs in groups if runs)

    return _by_growth(claim, other, evidence, at_equal_fit)


def below_cubic(claim: Claim, other: str, experiment: Experiment, evidence: Evidence) -> Samples:
    """3 minus the exponent of the power law fitted to the subject's gradient norms."""
    found = [m for m in evidence.measurements if m.model == claim.subject and m.updates >= max(experiment.updates)]
    return _samples((m.task, m.num_steps, 3 - m.numbers["growth"]["power"]) for m in found if _has_power(m))


def cosine_of_the_rest(claim: Claim, other: str, experiment: Experiment, evidence: Evidence) -> Samples:
    """What the cosine to the true gradient gains, at the longest horizon, when paths through predictions are cut."""
    found = [m for m in evidence.measurements if m.model == other and m.updates >= max(experiment.updates)]
    pairs = [(m, m.at("direct_cosine", m.horizons[-1]), m.at("cosine", m.horizons[-1])) for m in found]
    return _samples((m.task, m.num_steps, a - b) for m, a, b in pairs if a is not None and b is not None)


def reaching(claim: Claim, other: str, experiment: Experiment, evidence: Evidence) -> Samples:
    """By how much more of the starts ascent reaches the best basin of the true return."""
    shares = []
    for found in evidence.landscapes:
        subject, against = found.surface(claim.subject), found.surface(other)
        if found.task in experiment.tasks and subject and against:
            shares.append((found.task, found.num_steps, subject.reached - against.reached))
    return _samples(shares)


EFFECTS: dict[str, tuple[Any, str]] = {
    "regret": (regret, "decades of final regret"),
    "regret_on_the_way": (regret_on_the_way, "decades of regret, mean over the budget"),
    "regret_by_doubling": (regret_by_doubling, "decades of final regret per doubling of the horizon"),
    "growth": (growth, "decades of gradient norm from the shortest to the longest horizon"),
    "growth_at_equal_fit": (growth_at_equal_fit, "the same, models compared where they predict equally well"),
    "below_cubic": (below_cubic, "3 minus the exponent of the norm"),
    "cosine_of_the_rest": (cosine_of_the_rest, "cosine to the true gradient"),
    "reaching": (reaching, "share of ascents that reach the best basin"),
}


def _by_regret(claim: Claim, other: str, experiment: Experiment, evidence: Evidence, read: Any) -> Samples:
    """log10 of the other's regret minus that of the subject, paired by seed. A run without a cost has the largest
    regret of all runs of the claim on its grid."""
    names = {claim.subject, *claim.others}
    grids = evidence.grids.get(claim.experiment, ())
    groups: dict[tuple[str, float, int], list[RunRecord]] = {}
    for record in evidence.records:
        grid = record.task, record.horizon, record.num_steps
        own = record.suite == SUITE and record.method in names and grid in grids
        if own and record.fingerprint in evidence.references:
            groups.setdefault(grid, []).append(record)
    samples = {}
    for (task, _, steps), records in groups.items():
        values = {(r.method, r.seed): read(r, evidence.references[r.fingerprint]) for r in records}
        worst = max((v for v in values.values() if v is not None), default=0.0)
        filled = {key: worst if v is None else v for key, v in values.items()}
        seeds = sorted(s for m, s in filled if m == claim.subject and (other, s) in filled and s < experiment.seeds)
        if seeds:
            samples[task, steps] = np.array([filled[other, s] - filled[claim.subject, s] for s in seeds])
    return samples


def _final(record: RunRecord, reference: Reference) -> float | None:
    return None if record.cost is None else _log_regret(record.cost, reference)


def _on_the_way(record: RunRecord, reference: Reference) -> float | None:
    costs = [point["cost"] for point in record.curve[1:]]
    if record.cost is None or any(cost is None for cost in costs):
        return None
    return float(np.mean([_log_regret(cost, reference) for cost in costs if cost is not None]))


def _log_regret(cost: float, reference: Reference) -> float:
    unit = cost_unit(reference.floor, reference.best)
    return math.log10(max((cost - reference.best) / unit, SOLVED))


def _by_growth(claim: Claim, other: str, evidence: Evidence, choose: Any) -> Samples:
    pairs = []
    for m in evidence.measurements:
        if m.model == claim.subject and m is choose(_runs(evidence, m.model, m.task, m.seed)):
            against = _runs(evidence, other, m.task, m.seed)
            own, others = _decades(m), _decades(choose(against)) if against else None
            if own is not None and others is not None:
                pairs.append((m.task, m.num_steps, others - own))
    return _samples(pairs)


def _runs(evidence: Evidence, model: str, task: str, seed: int) -> list[Measurement]:
    return [m for m in evidence.measurements if (m.model, m.task, m.seed) == (model, task, seed)]


def _decades(m: Measurement | None) -> float | None:
    if m is None:
        return None
    first, last = m.at("norm", m.horizons[0]), m.at("norm", m.horizons[-1])
    return math.log10(last / first) if first and last else None


def fit_error(m: Measurement) -> float:
    """The true dynamics, with an error of 0, are not made worse to match."""
    return max(m.numbers["fit_error"], 1e-6)


def _has_power(m: Measurement) -> bool:
    return m.numbers["growth"]["power"] is not None


def _samples(values: Iterable[tuple[str, int, float]]) -> Samples:
    found: dict[Stratum, list[float]] = {}
    for task, steps, value in values:
        found.setdefault((task, steps), []).append(value)
    return {stratum: np.array(numbers) for stratum, numbers in found.items()}
