"""Effects: the numbers that a claim is tested by, one per method, stratum (a task on a grid) and seed. No JAX.

Numbers are turned so that the claim is right where its subject has the larger ones.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from bench.analysis import stats
from bench.claims.claim import Claim, Experiment
from bench.claims.differences import FAILED, Stratum, Table
from bench.gradients.records import Landscape, Measurement, Surface
from bench.records.reference import Reference
from bench.records.run import RunRecord

MIN_REGRET = 1e-4  # in units of the headroom; smaller regrets count as this one
MIN_FIT_ERROR = 1e-6
Scale = str  # "decades", "score" or another, a key of the effect's margins
Numbers = Iterable[tuple[Stratum, str, int, float]]  # stratum, method, seed, number


@dataclass(frozen=True)
class Evidence:
    """All that the experiments computed or found.

    `runs` has, for each experiment of training runs, its own: one record for each cell and seed. `references` are by
    fingerprint.
    """

    runs: Mapping[str, Sequence[RunRecord]]
    references: Mapping[str, Reference]
    measurements: Sequence[Measurement]
    landscapes: Sequence[Landscape]


class Effect(NamedTuple):
    """How an effect is computed, what its numbers are in words, and its margins of equivalence by scale.

    The first scale decides, but for solved tasks (see `bench.claims.verdicts`). Numbers of two methods are `paired` if
    they are of the same policy and episodes. A `trend` is the slope of the difference per doubling of the steps.
    """

    compute: Callable[[Claim, Experiment, Evidence, Scale], Numbers]
    unit: str
    margins: Mapping[Scale, float]
    paired: bool = False
    trend: bool = False


def tabulate(claim: Claim, experiment: Experiment, evidence: Evidence, scale: Scale) -> Table:
    """The numbers of an effect by stratum and method, each array in the order of seeds; nan for a seed without one."""
    found: dict[Stratum, dict[str, dict[int, float]]] = {}
    for stratum, method, seed, number in EFFECTS[claim.effect].compute(claim, experiment, evidence, scale):
        found.setdefault(stratum, {}).setdefault(method, {})[seed] = number
    return {
        stratum: {
            method: np.array([by_seed.get(seed, math.nan) for seed in range(max(by_seed) + 1)])
            for method, by_seed in methods.items()
        }
        for stratum, methods in found.items()
    }


def regret(claim: Claim, experiment: Experiment, evidence: Evidence, scale: Scale) -> Numbers:
    """Final regret, or score, of training runs."""
    for run, reference in _runs(claim, evidence):
        yield (run.task, run.num_steps), run.method, run.seed, _worth(run.cost, reference, scale)


def regret_on_the_way(claim: Claim, experiment: Experiment, evidence: Evidence, scale: Scale) -> Numbers:
    """Regret, or score, averaged over all evaluations: early success counts for longer."""
    for run, reference in _runs(claim, evidence):
        costs = [None] if run.cost is None else [point["cost"] for point in run.curve[1:]]
        yield (
            (run.task, run.num_steps),
            run.method,
            run.seed,
            float(np.mean([_worth(c, reference, scale) for c in costs])),
        )


def ascent_regret(claim: Claim, experiment: Experiment, evidence: Evidence, scale: Scale) -> Numbers:
    """Regret, or score, of the true returns where ascents on a landscape end, averaged over the ascents."""
    for found, surface in _surfaces(experiment, evidence):
        reference = evidence.references.get(found.fingerprint)
        if reference is not None and reference.headroom is not None:
            ends = [None if each is None else -each for each in surface.end_returns]
            worths = [_worth(cost, reference, scale) for cost in ends]
            lost = FAILED if scale == "decades" else -1.0  # one lost ascent is no lost seed
            mean = float(np.mean([lost if math.isinf(worth) else worth for worth in worths]))
            yield (found.task, found.num_steps), surface.model, found.seed, mean


def reaching(claim: Claim, experiment: Experiment, evidence: Evidence, scale: Scale) -> Numbers:
    """Share of starts whose ascent reaches the best basin of the true return."""
    for found, surface in _surfaces(experiment, evidence):
        yield (found.task, found.num_steps), surface.model, found.seed, surface.reached


def growth(claim: Claim, experiment: Experiment, evidence: Evidence, scale: Scale) -> Numbers:
    """Minus the decades by which the norm of the gradient grows from the shortest to the longest horizon."""
    for m in _measured(experiment, evidence):
        if m.updates >= max(experiment.updates):
            yield (m.task, m.num_steps), m.model, m.seed, -_decades_of_growth(m)


def growth_at_equal_fit(claim: Claim, experiment: Experiment, evidence: Evidence, scale: Scale) -> Numbers:
    """The same, with models compared where they predict equally well.

    Each model is taken after the number of updates at which its fit error is nearest to a common level: that of the
    worst model at its best.
    """
    for fits in _fits(claim, experiment, evidence):
        common = max(min(map(floored_fit_error, each)) for each in fits.values())
        for each in fits.values():
            m = min(each, key=lambda fit: abs(math.log(floored_fit_error(fit) / common)))
            yield (m.task, m.num_steps), m.model, m.seed, -_decades_of_growth(m)


def below_cubic(claim: Claim, experiment: Experiment, evidence: Evidence, scale: Scale) -> Numbers:
    """3 minus the exponent of the power law that is fitted to the gradient norms."""
    for m in _measured(experiment, evidence):
        power = m.numbers["growth"]["power"]
        if m.updates >= max(experiment.updates) and power is not None:
            yield (m.task, m.num_steps), m.model, m.seed, 3 - power


def cosine_of_the_rest(claim: Claim, experiment: Experiment, evidence: Evidence, scale: Scale) -> Numbers:
    """Gain in the cosine to the true gradient, at the longest horizon, when paths through predictions are cut."""
    for m in _measured(experiment, evidence):
        cut, whole = m.at("direct_cosine", m.horizons[-1]), m.at("cosine", m.horizons[-1])
        if m.updates >= max(experiment.updates) and cut is not None and whole is not None:
            yield (m.task, m.num_steps), m.model, m.seed, cut - whole


# A margin of .2 decades is a factor of 1.6 in regret or in a norm; one of .02 of the score is a fiftieth of the way
# from the best constant control to the optimum. Exponents, cosines and shares of ascents have margins of a like size:
# a tenth of a power, and a twentieth of the range from chance to perfect.
REGRET_MARGINS = {"decades": 0.2, "score": 0.02}
EFFECTS: dict[str, Effect] = {
    "regret": Effect(regret, "final regret", REGRET_MARGINS),
    "regret_on_the_way": Effect(regret_on_the_way, "regret, mean over the budget", REGRET_MARGINS),
    "regret_by_doubling": Effect(regret, "final regret per doubling of the horizon", REGRET_MARGINS, trend=True),
    "ascent_regret": Effect(ascent_regret, "true regret where ascents end", REGRET_MARGINS, paired=True),
    "reaching": Effect(reaching, "share of ascents that reach the best basin", {"share": 0.05}, paired=True),
    "growth": Effect(growth, "growth of the gradient's norm over the horizon", {"decades": 0.2}, paired=True),
    "growth_at_equal_fit": Effect(
        growth_at_equal_fit, "the same, models compared where they predict equally well", {"decades": 0.2}, paired=True
    ),
    "below_cubic": Effect(below_cubic, "3 minus the exponent of the norm", {"exponent": 0.1}, paired=True),
    "cosine_of_the_rest": Effect(
        cosine_of_the_rest, "gain in cosine to the true gradient", {"cosine": 0.05}, paired=True
    ),
}


def tasks_without_headroom(experiment: str, evidence: Evidence) -> list[str]:
    """The tasks of an experiment that a constant control solves: they carry no weight."""
    known = [(run.task, evidence.references.get(run.fingerprint)) for run in evidence.runs.get(experiment, ())]
    return list(dict.fromkeys(task for task, r in known if r is not None and r.headroom is None))


def _runs(claim: Claim, evidence: Evidence) -> Iterable[tuple[RunRecord, Reference]]:
    """The runs of a claim's methods on tasks with headroom, each with its reference."""
    names = {claim.subject, *claim.others}
    for run in evidence.runs.get(claim.experiment, ()):
        reference = evidence.references.get(run.fingerprint)
        if run.method in names and reference is not None and reference.headroom is not None:
            yield run, reference


def _worth(cost: float | None, reference: Reference, scale: Scale) -> float:
    """A cost as a clipped score, or as decades of the headroom that it has closed.

    Without a cost the score is -1, as on leaderboards, and the decades are -inf.
    """
    if cost is None:
        return -math.inf if scale == "decades" else -1.0
    score = float(stats.score(cost, reference.floor, reference.best))
    return -math.log10(max(1 - score, MIN_REGRET)) if scale == "decades" else min(max(score, -1.0), 1.0)


def _surfaces(experiment: Experiment, evidence: Evidence) -> Iterable[tuple[Landscape, Surface]]:
    for found in evidence.landscapes:
        if found.task in experiment.tasks and found.offline == experiment.offline:
            yield from ((found, Surface(**each)) for each in found.surfaces)


def _measured(experiment: Experiment, evidence: Evidence) -> Iterable[Measurement]:
    for m in evidence.measurements:
        if m.task in experiment.tasks and m.model in experiment.models and m.offline == experiment.offline:
            yield m


def _fits(claim: Claim, experiment: Experiment, evidence: Evidence) -> Iterable[dict[str, list[Measurement]]]:
    """For each task and seed, the measurements of each of a claim's models, one for each number of updates."""
    groups: dict[tuple[str, int], dict[str, list[Measurement]]] = {}
    for m in _measured(experiment, evidence):
        if m.model in (claim.subject, *claim.others):
            groups.setdefault((m.task, m.seed), {}).setdefault(m.model, []).append(m)
    return groups.values()


def _decades_of_growth(m: Measurement) -> float:
    """nan where a norm is 0 or not finite."""
    first, last = m.at("norm", m.horizons[0]), m.at("norm", m.horizons[-1])
    return math.log10(last / first) if first and last else math.nan


def floored_fit_error(m: Measurement) -> float:
    """The fit error, at least MIN_FIT_ERROR: the simulator's is 0, which has no logarithm."""
    return max(m.numbers["fit_error"], MIN_FIT_ERROR)
