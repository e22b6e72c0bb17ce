"""Claims: verdicts on made-up effects, the table of claims, an experiment, and findings in words."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from synthetic import record, references
from typer.testing import CliRunner

from bench import registry
from bench.analysis.leaderboard import build
from bench.claims import report, verdicts
from bench.claims.claim import Claim, Experiment, load_claims
from bench.claims.effects import EFFECTS, Evidence
from bench.claims.experiments import collect_evidence
from bench.claims.verdicts import Comparison
from bench.cli import app
from bench.errors import UsageError
from bench.gradients.records import SIMULATOR, Landscape, Measurement
from bench.gradients.runner import Runner
from bench.report.page import html_page
from bench.sweep.executors import InProcess
from bench.sweep.job import prepare
from bench.sweep.observer import Silent
from bench.sweep.schedule import in_process


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        ([(0.1, 0.5, 0.6), (0.2, 0.3, 0.4)], "holds"),
        ([(0.1, 0.5, 0.6), (-0.1, 0.3, 0.4)], "undecided"),
        ([(0.1, 0.5, 0.6), (-0.5, -0.2, -0.1)], "fails"),
        ([(0.1, 0.5, 0.6), (-0.5, -0.2, 0.1)], "undecided"),  # reaches above 0 at the level for two comparisons
        ([(0.0, 0.0, 0.0)], "fails"),  # no advantage, for sure
        ([(None, None, None)], "undecided"),
        ([], "undecided"),
    ],
)
def test_verdicts_follow_the_rule(ends, expected):
    assert verdicts.verdict([Comparison("m", 0.0, *each, 2) for each in ends]) == expected


def test_an_interval_is_students_over_seeds_within_strata():
    assert verdicts.mean_interval([np.array([0.0, 2.0])], 0.95) == pytest.approx(
        (1, 1 - 12.7062, 1 + 12.7062), rel=1e-5
    )
    # Two strata of equal variance 2 over 2 seeds: the variance of the mean is 1/2, Welch's degrees of freedom are 2.
    found = verdicts.mean_interval([np.array([0.0, 2.0]), np.array([10.0, 12.0])], 0.95)
    half = 4.30265 * math.sqrt(0.5)
    assert found == pytest.approx((6, 6 - half, 6 + half), rel=1e-5)
    assert verdicts.mean_interval([np.array([1.0])], 0.95) == (1.0, None, None)


GRIDS = {("t", 1.0, 10), ("t", 1.0, 40)}


def judged(records, effect="regret", others=("b",)):
    experiment = Experiment("runs", ("t",), 3, methods=("a", *others))
    claim = Claim("x", "", "", "e", effect, "a", others)
    return verdicts.judge(claim, experiment, Evidence(records, {"e": GRIDS}, references(records), [], []), quick=False)


def test_regrets_are_compared_in_decades_and_a_failed_run_counts_as_the_worst():
    """Scores of 0.99 and 0.9 are regrets of 0.01 and 0.1 of the headroom: one decade."""
    runs = [record(m, seed, s, suite="claims") for m, s in (("a", 0.99), ("b", 0.9)) for seed in range(3)]
    finding = judged(runs)
    assert (finding.verdict, finding.seeds) == ("holds", 3)
    assert finding.comparisons[0].effect == pytest.approx(math.log10(0.1 / 0.01), rel=1e-3)
    failed = [record("a", seed, None, suite="claims") for seed in range(3)] + runs[3:]
    assert judged(failed).comparisons[0].effect == pytest.approx(0.0)
    elsewhere = [record(m, seed, 0.5, num_steps=20, suite="claims") for m in "ab" for seed in range(3)]
    assert judged(runs + elsewhere).comparisons == finding.comparisons
    assert judged(runs[:3]).verdict == "undecided"
    assert judged(runs[:3]).remarks == ["no result of b"]


def test_runs_of_unknown_code_are_marked():
    runs = [record(m, seed, 0.5, suite="claims") for m in "ab" for seed in range(3)]
    known = [replace(run, method_fingerprint="f") for run in runs]
    assert judged(known).unknown_code == 0
    assert not any("unknown code" in line for line in report.lines(judged(known)))
    assert any("6 runs are of unknown code" in line for line in report.lines(judged(runs)))


def test_the_trend_is_per_doubling_of_the_steps():
    scores = {("a", 10): 0.9, ("b", 10): 0.9, ("a", 40): 0.99, ("b", 40): 0.9}
    runs = [record(m, i, s, num_steps=n, suite="claims") for (m, n), s in scores.items() for i in range(3)]
    effect = judged(runs, "regret_by_doubling").comparisons[0].effect
    assert effect == pytest.approx(0.5, rel=1e-2)  # a decade over two doublings


def measured(model, updates, fit, norms, seed=0):
    numbers = {"norm": norms, "fit_error": fit, "growth": {"power": 1.0, "better": ""}}
    return Measurement("s", "t", 1.0, 20, "h", "final", model, updates, seed, 5.0, [5, 20], numbers, "f")


def test_growth_at_equal_fit_compares_models_where_they_predict_equally_well():
    found = [
        measured("a", 1, 0.8, [1.0, 10.0]),
        measured("a", 9, 0.5, [1.0, 100.0]),  # the worst of the two at its best
        measured("b", 1, 0.5, [1.0, 1000.0]),
        measured("b", 9, 0.1, [1.0, 1e5]),
    ]
    experiment = Experiment("gradients", ("t",), 1, models=("a", "b"), updates=(1, 9))
    for effect, expected in (("growth", 3.0), ("growth_at_equal_fit", 1.0)):
        claim = Claim("x", "", "", "e", effect, "a", ("b",))
        finding = verdicts.judge(claim, experiment, Evidence([], {}, {}, found, []), quick=True)
        assert finding.comparisons[0].effect == pytest.approx(expected)


def test_effects_of_gradients_and_landscapes_are_above_0_for_the_claim():
    """A norm that grows like H, a cosine that gains 0.2 by the cut, and 3 of 4 ascents against 1 of 4."""
    found = measured("a", 9, 0.5, [1.0, 4.0])
    found = replace(found, numbers=found.numbers | {"cosine": [0.9, 0.5], "direct_cosine": [0.9, 0.7]})
    surfaces = [{"model": m, "returns": [], "gradients": [], "ends": [], "end_returns": []} for m in "ab"]
    shares = [surface | {"reached": share} for surface, share in zip(surfaces, (0.75, 0.25), strict=True)]
    landscape = Landscape("s", "t", 20, 0, "first", "controls", 5.0, [], shares, "f")
    experiment = Experiment("landscapes", ("t",), 1, models=("a", "b"), updates=(9,))
    for effect, other, expected in (
        ("below_cubic", "a", 2.0),
        ("cosine_of_the_rest", "a", 0.2),
        ("reaching", "b", 0.5),
    ):
        claim = Claim("x", "", "", "e", effect, "a", (other,))
        finding = verdicts.judge(claim, experiment, Evidence([], {}, {}, [found], [landscape]), quick=True)
        assert finding.comparisons[0].effect == pytest.approx(expected)
        assert finding.unit == EFFECTS[effect].unit


@pytest.mark.parametrize("quick", [True, False])
def test_the_table_of_claims_is_well_formed(tmp_path, quick):
    claims, experiments = load_claims(quick)
    assert len({claim.name for claim in claims}) == len(claims)
    for claim in claims:
        experiment = experiments[claim.experiment]
        assert claim.effect in EFFECTS
        assert claim.subject in (*experiment.methods, *experiment.models)
        assert experiment.seeds > 1
        if not quick:
            assert set(claim.others) <= {*experiment.methods, *experiment.models, SIMULATOR}
    for experiment in experiments.values():
        if experiment.kind == "runs":
            assert prepare(experiment.cells(), tmp_path)
        for model in experiment.models:
            assert registry.method(model)
        assert all(max(experiment.horizons, default=1) <= registry.task(task).num_steps for task in experiment.tasks)


def test_an_experiment_of_runs_is_run_and_judged(tmp_path):
    experiment = Experiment("runs", ("copy",), 2, methods=("constant", "random"))
    runner = Runner(tmp_path, in_process(Silent()), Silent())
    assert isinstance(runner.backend.executor, InProcess)
    evidence = collect_evidence(runner, {"e": experiment})
    claim = Claim("x", "the best constant beats chance", "", "e", "regret", "constant", ("random",))
    finding = verdicts.judge(claim, experiment, evidence, quick=True)
    assert finding.comparisons[0].effect > 0.1  # both are far from the optimum, on average the constant is nearer
    assert json.dumps(verdicts.findings_to_json([finding]))
    assert finding.where_run == "copy (+0.0)"


def test_findings_are_told_in_the_terminal_in_markdown_and_on_the_page(tmp_path):
    runs = [record(m, seed, s, suite="claims") for m, s in (("a", 0.99), ("b", 0.9)) for seed in range(3)]
    finding = replace(judged(runs), statement="a <i> beats b", quick=True)
    assert report.lines(finding)[0] == "x: HOLDS (indicative)  a <i> beats b"
    assert "over b  +1.00 [+1.00, +1.00]" in report.lines(finding)[2]
    assert "| x | a <i> beats b | **holds**, indicative |" in report.markdown([finding])
    assert report.section(tmp_path) == {}
    broken = tmp_path / "broken" / "gradients" / "x.json"
    broken.parent.mkdir(parents=True)
    broken.write_text("[{")
    (tmp_path / "broken" / "claims.json").write_text('[{"claim": 3}]')
    told: list[str] = []
    assert report.section(tmp_path / "broken", told.append) == {}
    assert [line.partition(": ")[2][:11] for line in told] == ["no measurem", "no findings"]
    (tmp_path / "claims.json").write_text(json.dumps(verdicts.findings_to_json([finding])))
    board = replace(build(runs, references(runs)), diagnostics=report.section(tmp_path))
    shown = html_page(board)
    assert "x: a &lt;i&gt; beats b" in shown
    assert "a over b +1.00 [+1.00, +1.00]" in shown
    assert "Gradients and claims" not in html_page(build(runs, references(runs)))


def test_an_unknown_claim_is_told_with_the_nearest(tmp_path):
    result = CliRunner().invoke(app, ["claims", "--only", "a4", "--out", str(tmp_path)])
    assert isinstance(result.exception, UsageError)
    assert "Did you mean 'a3'?" in str(result.exception)
