"""Effects: the numbers that a claim is tested by, one per stratum (a task on a grid) and seed, above 0 if it is right.

No JAX here.
"""

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from bench.analysis.stats import Floats
from bench.claims.claim import SUITE, Claim, Experiment
from bench.gradients.records import Landscape, Measurement
from bench.records.reference import Reference, cost_unit
from bench.records.run import RunRecord

MIN_REGRET = 1e-4  # in units of the headroom; smaller regrets count as this one
MIN_FIT_ERROR = 1e-6
Stratum = tuple[str, int]  # a task and its number of steps
Samples = dict[Stratum, Floats]  # one number for each seed
ReadRegret = Callable[[RunRecord, Reference], float | None]
ChooseMeasurement = Callable[[Sequence[Measurement]], Measurement | None]


@dataclass(frozen=True)
class Evidence:
    """All that the experiments computed.

    `grids` has, for each experiment of training runs, their grids as (task, horizon, steps). `references` are by
    fingerprint.
    """

    records: Sequence[RunRecord]
    grids: Mapping[str, Collection[tuple[str, float, int]]]
    references: Mapping[str, Reference]
    measurements: Sequence[Measurement]
    landscapes: Sequence[Landscape]


class ComputeEffect(Protocol):
    """Compute the effect of a claim's subject over one `other`."""

    def __call__(self, claim: Claim, other: str, experiment: Experiment, evidence: Evidence) -> Samples: ...


class Effect(NamedTuple):
    """How an effect is computed, and its unit in words."""

    compute: ComputeEffect
    unit: str


def regret(claim: Claim, other: str, experiment: Experiment, evidence: Evidence) -> Samples:
    """Decades by which the other's final regret is larger than the subject's."""
    return _regret_difference(claim, other, experiment, evidence, _final_log_regret)


def regret_on_the_way(claim: Claim, other: str, experiment: Experiment, evidence: Evidence) -> Samples:
    """Decades by which the other's regret is larger, averaged over all evaluations: early success counts for longer."""
    return _regret_difference(claim, other, experiment, evidence, _mean_log_regret)


def regret_by_doubling(claim: Claim, other: str, experiment: Experiment, evidence: Evidence) -> Samples:
    """Decades that the advantage in final regret gains with every doubling of the steps, per task and seed."""
    by_task: dict[str, dict[int, Floats]] = {}
    for (task, steps), values in regret(claim, other, experiment, evidence).items():
        by_task.setdefault(task, {})[steps] = values
    slopes = {}
    for task, grids in by_task.items():
        if len(grids) > 1:
            doublings = np.log2(list(grids))
            # Each seed makes one slope; the last seeds of a longer list have no partner.
            seeds = min(map(len, grids.values()))
            advantages = np.stack([values[:seeds] for values in grids.values()])
            centred = doublings - doublings.mean()
            slopes[task, max(grids)] = centred @ advantages / (centred @ centred)
    return slopes


def growth(claim: Claim, other: str, experiment: Experiment, evidence: Evidence) -> Samples:
    """Decades by which the other's gradient norm grows more from the shortest to the longest horizon."""
    longest = max(experiment.updates)
    return _growth_difference(
        claim, other, evidence, lambda fits: next((m for m in fits if m.updates >= longest), None)
    )


def growth_at_equal_fit(claim: Claim, other: str, experiment: Experiment, evidence: Evidence) -> Samples:
    """Decades by which the other's gradient norm grows more, with models compared where they predict equally well.

    Each model is taken after the number of updates at which its fit error is nearest to a common level: that of the
    worst model at its best.
    """

    def at_common_level(fits: Sequence[Measurement]) -> Measurement | None:
        task, seed = fits[0].task, fits[0].seed
        return min(fits, key=lambda m: abs(math.log(floored_fit_error(m) / common_level(task, seed))), default=None)

    def common_level(task: str, seed: int) -> float:
        groups = [_fits(evidence, name, task, seed) for name in (claim.subject, *claim.others)]
        return max(min(map(floored_fit_error, fits)) for fits in groups if fits)

    return _growth_difference(claim, other, evidence, at_common_level)


def below_cubic(claim: Claim, other: str, experiment: Experiment, evidence: Evidence) -> Samples:
    """3 minus the exponent of the power law that is fitted to the subject's gradient norms."""
    found = [m for m in evidence.measurements if m.model == claim.subject and m.updates >= max(experiment.updates)]
    powers = [(m, m.numbers["growth"]["power"]) for m in found]
    return _samples((m.task, m.num_steps, 3 - power) for m, power in powers if power is not None)


def cosine_of_the_rest(claim: Claim, other: str, experiment: Experiment, evidence: Evidence) -> Samples:
    """Gain in the cosine to the true gradient, at the longest horizon, when paths through predictions are cut."""
    found = [m for m in evidence.measurements if m.model == other and m.updates >= max(experiment.updates)]
    pairs = [(m, m.at("direct_cosine", m.horizons[-1]), m.at("cosine", m.horizons[-1])) for m in found]
    return _samples(
        (m.task, m.num_steps, cut - whole) for m, cut, whole in pairs if cut is not None and whole is not None
    )


def reaching(claim: Claim, other: str, experiment: Experiment, evidence: Evidence) -> Samples:
    """Difference in the share of starts whose ascent reaches the best basin of the true return."""
    differences = []
    for found in evidence.landscapes:
        subject, against = found.surface(claim.subject), found.surface(other)
        if found.task in experiment.tasks and subject and against:
            differences.append((found.task, found.num_steps, subject.reached - against.reached))
    return _samples(differences)


EFFECTS: dict[str, Effect] = {
    "regret": Effect(regret, "decades of final regret"),
    "regret_on_the_way": Effect(regret_on_the_way, "decades of regret, mean over the budget"),
    "regret_by_doubling": Effect(regret_by_doubling, "decades of final regret per doubling of the horizon"),
    "growth": Effect(growth, "decades of gradient norm from the shortest to the longest horizon"),
    "growth_at_equal_fit": Effect(growth_at_equal_fit, "the same, models compared where they predict equally well"),
    "below_cubic": Effect(below_cubic, "3 minus the exponent of the norm"),
    "cosine_of_the_rest": Effect(cosine_of_the_rest, "cosine to the true gradient"),
    "reaching": Effect(reaching, "share of ascents that reach the best basin"),
}


def _regret_difference(
    claim: Claim, other: str, experiment: Experiment, evidence: Evidence, read: ReadRegret
) -> Samples:
    """log10 of the other's regret minus log10 of the subject's, paired by seed.

    A run without a cost gets the largest regret among all runs of the claim on its grid.
    """
    samples = {}
    for (task, _, steps), records in runs_by_grid(claim, evidence).items():
        values = {(r.method, r.seed): read(r, evidence.references[r.fingerprint]) for r in records}
        worst = max((v for v in values.values() if v is not None), default=0.0)
        filled = {key: worst if v is None else v for key, v in values.items()}
        seeds = sorted(s for m, s in filled if m == claim.subject and (other, s) in filled and s < experiment.seeds)
        if seeds:
            samples[task, steps] = np.array([filled[other, s] - filled[claim.subject, s] for s in seeds])
    return samples


def runs_by_grid(claim: Claim, evidence: Evidence) -> dict[tuple[str, float, int], list[RunRecord]]:
    """The runs of the claim's methods in its experiment, by (task, horizon, steps)."""
    names = {claim.subject, *claim.others}
    grids = evidence.grids.get(claim.experiment, ())
    groups: dict[tuple[str, float, int], list[RunRecord]] = {}
    for record in evidence.records:
        grid = record.task, record.horizon, record.num_steps
        belongs = record.suite == SUITE and record.method in names and grid in grids
        if belongs and record.fingerprint in evidence.references:
            groups.setdefault(grid, []).append(record)
    return groups


def _final_log_regret(record: RunRecord, reference: Reference) -> float | None:
    return None if record.cost is None else _log_regret(record.cost, reference)


def _mean_log_regret(record: RunRecord, reference: Reference) -> float | None:
    costs = [point["cost"] for point in record.curve[1:]]
    if record.cost is None or any(cost is None for cost in costs):
        return None
    return float(np.mean([_log_regret(cost, reference) for cost in costs if cost is not None]))


def _log_regret(cost: float, reference: Reference) -> float:
    unit = cost_unit(reference.floor, reference.best)
    return math.log10(max((cost - reference.best) / unit, MIN_REGRET))


def _growth_difference(claim: Claim, other: str, evidence: Evidence, choose: ChooseMeasurement) -> Samples:
    """The other's decades of growth minus the subject's, each at the fit that `choose` picks, paired by seed."""
    differences = []
    for m in evidence.measurements:
        if m.model == claim.subject and m is choose(_fits(evidence, m.model, m.task, m.seed)):
            others = _fits(evidence, other, m.task, m.seed)
            subject_decades = _decades_of_growth(m)
            other_decades = _decades_of_growth(choose(others)) if others else None
            if subject_decades is not None and other_decades is not None:
                differences.append((m.task, m.num_steps, other_decades - subject_decades))
    return _samples(differences)


def _fits(evidence: Evidence, model: str, task: str, seed: int) -> list[Measurement]:
    """The measurements of a model on a task and seed, one for each number of updates."""
    return [m for m in evidence.measurements if (m.model, m.task, m.seed) == (model, task, seed)]


def _decades_of_growth(m: Measurement | None) -> float | None:
    if m is None:
        return None
    first, last = m.at("norm", m.horizons[0]), m.at("norm", m.horizons[-1])
    return math.log10(last / first) if first and last else None


def floored_fit_error(m: Measurement) -> float:
    """The fit error, at least MIN_FIT_ERROR: the simulator's is 0, which has no logarithm."""
    return max(m.numbers["fit_error"], MIN_FIT_ERROR)


def _samples(values: Iterable[tuple[str, int, float]]) -> Samples:
    """Group (task, steps, value) by stratum."""
    groups: dict[Stratum, list[float]] = {}
    for task, steps, value in values:
        groups.setdefault((task, steps), []).append(value)
    return {stratum: np.array(numbers) for stratum, numbers in groups.items()}
