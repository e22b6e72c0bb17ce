"""Records with known effects, through the whole path from records to verdicts: false statements, and power.

Regrets are log-normal, which is what published runs look like, with the published spreads of the suite paper: .1 to .6
decades within a task (the median is .3), and .3 between tasks where tasks differ in the effect.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.claims.claim import Claim, Experiment
from bench.claims.experiments import Study
from bench.claims.known import KnownRuns
from bench.claims.sequential import LOOKS
from bench.records.run import RunRecord

METHODS = ("awm_transformer", "one_step_model", "history_model", "awm_gru")
WITHIN = (0.1, 0.2, 0.3, 0.3, 0.4, 0.5, 0.6, 0.3)  # decades, a task each
REPETITIONS = 400
CLAIM = Claim("x", "", "", "e", "regret", METHODS[0], METHODS[1:])


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    experiment = Experiment("runs", suite="paper", methods=METHODS)
    return Study([CLAIM], {"e": experiment}, tmp_path_factory.mktemp("claims"), [])


def templates(study, tasks):
    """A record for each cell, with the reference of its task."""
    references = study.known.references().by_fingerprint()
    jobs = study.jobs({"e": set(METHODS)}, LOOKS[-1])
    names = list(dict.fromkeys(job.cell.task for job in jobs if references[job.fingerprint].headroom))[:tasks]
    for job in jobs:
        if job.cell.task in names:
            run = RunRecord(
                suite="made-up",
                task=job.cell.task_label,
                horizon=float(job.task.horizon),
                num_steps=job.task.num_steps,
                method=job.cell.method_label,
                seed=0,
                status="ok",
                cost=0.0,
                curve=[],
                usage={"env_steps": 5000, "train_seconds": 1.0, "compile_seconds": 1.0},
                fingerprint=job.fingerprint,
                settings=job.settings,
            )
            yield names.index(job.cell.task), METHODS.index(job.cell.method), run, references[job.fingerprint]


def answers(study, effect, between, tasks, repetitions=REPETITIONS):
    """The answer and the seeds of each comparison in each repetition, where the subject is `effect` decades better."""
    cells = list(templates(study, tasks))
    rng = np.random.default_rng(0)
    found = []
    for _ in range(repetitions):
        gains = between * rng.normal(size=(tasks, len(METHODS))) / np.sqrt(2)
        gains[:, 0] += effect
        runs = []
        for task, method, run, reference in cells:
            decades = 1.2 + gains[task, method] + WITHIN[task] * rng.normal(size=LOOKS[-1])
            costs = reference.best + reference.headroom * 10**-decades
            runs += [(replace(run, seed=seed, cost=float(cost)), Path()) for seed, cost in enumerate(costs)]
        study.known = KnownRuns.among([], runs)
        found += study.judged([], [])
    return found


def share(found, *names, within=LOOKS[-1]):
    """The share of comparisons with one of these answers."""
    every = [c.verdict in names and c.seeds <= within for finding in found for c in finding.comparisons]
    return sum(every) / len(every)


# Three standard errors of a share of .05 in 400 repetitions, as if the three comparisons of a claim were one.
ALLOWED = 0.05 + 3 * (0.05 * 0.95 / REPETITIONS) ** 0.5


@pytest.mark.slow
@pytest.mark.parametrize(("tasks", "between"), [(7, 0.3), (7, 0.0), (3, 0.0)])
def test_a_claim_without_any_effect_is_seldom_told_apart(study, tasks, between):
    found = answers(study, 0.0, between, tasks)
    false = share(found, "better", "worse")
    print(f"{tasks} tasks, {between} between: {false:.3f} false")
    assert false <= ALLOWED


@pytest.mark.slow
@pytest.mark.parametrize(("tasks", "between"), [(7, 0.3), (7, 0.0), (3, 0.0)])
def test_an_effect_at_the_margin_is_seldom_called_equivalent(study, tasks, between):
    found = answers(study, 0.2, between, tasks)
    power = [f"{share(found, 'better', within=n):.2f} by {n}" for n in LOOKS]
    false, fails = share(found, "equivalent"), sum(f.verdict == "fails" for f in found) / len(found)
    print(f"{tasks} tasks, {between} between: {false:.3f} false, {fails:.3f} fail, power {', '.join(power)}")
    assert false <= ALLOWED
    assert fails <= ALLOWED  # the subject is better than all others
    assert share(found, "worse") <= 0.01
