"""Gradients against known answers, verdicts on made-up effects, and the commands at tiny sizes."""

import json
import math
from dataclasses import replace
from typing import get_args

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from reference_tasks import DoubleIntegrator, Unstable
from synthetic import record, references
from typer.testing import CliRunner

from baselines.exploration import warmup_episode
from baselines.model_gradient import ModelGradient
from baselines.networks import Scales
from baselines.simulator_gradient import WithoutFeedbackGradient
from baselines.world_models import HistoryTransformer, OneStep
from bench import registry
from bench.analysis.leaderboard import build
from bench.claims import claim, effects, experiments, report, verdicts
from bench.claims.claim import Claim, Experiment
from bench.claims.effects import Evidence
from bench.claims.verdicts import Comparison
from bench.cli import app
from bench.cli.landscape import Direction, Space
from bench.errors import UsageError
from bench.gradients import differentiate, landscape, metrics, records, snapshots
from bench.gradients.growth import growth
from bench.gradients.records import Measurement, read_all_measurements
from bench.gradients.runner import Runner
from bench.report.page import html_page
from bench.simulate import open_loop, rollout
from bench.sweep.executors import InProcess
from bench.sweep.job import prepare
from bench.sweep.observer import Silent
from bench.sweep.schedule import in_process


def test_growth_recovers_the_rate_and_the_exponent_and_says_which():
    horizons, scales = np.array([5.0, 10, 20, 50]), np.array([[1.0], [3.0]])
    exponential = growth(horizons, scales * np.exp(0.3 * horizons))
    power = growth(horizons, scales * horizons**2.5)
    # Exact laws: only the rounding of logarithms.
    assert (exponential.rate, exponential.better) == (pytest.approx(0.3, rel=1e-12), "exponential")
    assert (power.power, power.better) == (pytest.approx(2.5, rel=1e-12), "power")
    two = growth(horizons, np.stack([horizons**2.0, horizons**3.0]))
    # Student's t of two slopes, 2 and 3: the mean 2.5 and 12.7062 standard errors of a half.
    assert (two.power_low, two.power_high) == (pytest.approx(2.5 - 6.3531, rel=1e-4), pytest.approx(2.5 + 6.3531, 1e-4))
    assert growth(horizons, np.full((2, 4), np.nan)).better == ""


@pytest.mark.usefixtures("x64")
def test_gradients_of_a_linear_system_grow_by_its_spectral_radius():
    """x' = 20 x + u, controls held for 0.05: each step multiplies ∂c_last / ∂u[s] by e."""
    task = Unstable()
    us = 0.1 * jnp.ones((task.num_steps, 1))
    heads = differentiate.heads(task.num_steps, (10,))
    gradients = jax.jit(lambda us: differentiate.by_controls(task, differentiate.simulator(task, task.x0), us, heads))(
        us
    )
    last = np.abs(np.asarray(gradients)[-1, :-1, 0])
    # 1e-7: dopri8 over half of an interval in which x grows by e.
    np.testing.assert_allclose(last[:-1] / last[1:], math.e, rtol=1e-7)


@pytest.mark.usefixtures("x64")
def test_costs_of_all_horizons_are_those_of_shorter_tasks():
    task, short = DoubleIntegrator(num_steps=8), DoubleIntegrator(horizon=DoubleIntegrator().horizon / 2, num_steps=4)
    us = jr.normal(jr.key(0), (8, 1))
    heads = differentiate.heads(8, (4, 8))
    gradients = jax.jit(lambda us: differentiate.by_controls(task, differentiate.simulator(task, task.x0), us, heads))(
        us
    )
    alone = jax.jit(jax.grad(lambda us: open_loop(short, us, task.x0).cost))(us[:4])
    np.testing.assert_allclose(gradients[0], jnp.concatenate([alone, jnp.zeros((4, 1))]), rtol=1e-12, atol=1e-12)
    differences = jax.jit(
        lambda us: differentiate.finite_differences(
            task, differentiate.simulator(task, task.x0), us, heads, jnp.ones((8, 1)), 1e-5
        )
    )(us)
    # Costs are quadratic, so central differences err by rounding alone: 1e-16 / 1e-5.
    np.testing.assert_allclose(jnp.sum(gradients, axis=(1, 2)), differences, rtol=1e-8)


def test_pulled_back_to_parameters_it_is_the_methods_policy_gradient():
    task, method = DoubleIntegrator(num_steps=10), ModelGradient(OneStep, warmup=4)

    @jax.jit
    def both(key):
        state = method.init(task, key)
        xs, us = differentiate.on_policy(task, method, state, task.x0)
        by_controls = differentiate.by_controls(
            task, differentiate.simulator(task, task.x0), us, differentiate.heads(10, (10,))
        )
        pulled = differentiate.by_parameters(task, method, state, xs, by_controls)[0]

        def cost(net):
            policy = method.policy(task, method.with_parameters(state, net))
            return rollout(task, WithoutFeedbackGradient(policy), task.x0).cost

        return pulled, jax.flatten_util.ravel_pytree(jax.grad(cost)(state.net))[0]

    pulled, direct = both(jr.key(0))
    np.testing.assert_allclose(pulled, direct, rtol=1e-4, atol=1e-5 * np.abs(direct).max())  # float32
    assert np.linalg.norm(direct) > 0


class Linear(eqx.Module):
    """x[t+1] = x[t] + a r[t] + u[t], which reads r = x[t], cut or not: paths can be counted."""

    a: jax.Array
    cut: bool = eqx.field(static=True)

    def __call__(self, x0, us):
        def step(x, u):
            read = jax.lax.stop_gradient(x) if self.cut else x
            return (x + self.a * read + u,) * 2

        return jax.lax.scan(step, x0, us)[1]


def test_circuitous_and_direct_paths_add_up():
    """∂x[T] / ∂u[s] = (1 + a)^d at distance d, of which 1 is direct."""
    model = Linear(jnp.array(0.5), cut=False)
    blind = differentiate.same_weights(model, Linear(jnp.array(9.0), cut=True))

    def by_first(model):
        return float(jax.grad(lambda us: model(jnp.zeros(1), us)[-1, 0])(jnp.zeros((4, 1)))[0, 0])

    total, direct = by_first(model), by_first(blind)
    assert (total, direct) == (pytest.approx(1.5**3), 1.0)
    shares = metrics.path_shares(np.full((1, 2, 1), total), np.full((1, 2, 1), direct), np.ones((1, 2, 1)))
    assert shares["circuitous_share"] == [pytest.approx((1.5**3 - 1) / 1.5**3)]


def test_a_history_model_that_ignores_states_has_no_circuits():
    task = DoubleIntegrator(num_steps=6)
    episodes = jax.vmap(lambda k: warmup_episode(task, k))(jr.split(jr.key(0), 4))
    scales = Scales.of(task, episodes.xs, jnp.ones(4))
    model = HistoryTransformer(scales, width=8, depth=1, heads=1, key=jr.key(1))
    blind = HistoryTransformer(scales, width=8, depth=1, heads=1, cut_predictions=True, key=jr.key(2))
    us = episodes.us[0]

    @jax.jit
    def gradients(model):
        return jax.grad(lambda us: jnp.sum(model(task.x0, us)[-1]))(us)

    cut = differentiate.same_weights(model, blind)
    np.testing.assert_allclose(jax.jit(cut.__call__)(task.x0, us), jax.jit(model.__call__)(task.x0, us), rtol=1e-5)
    assert not np.allclose(gradients(cut), gradients(model), rtol=1e-3)
    # Of states of infinite scale the network sees nothing.
    ignorant = eqx.tree_at(lambda m: (m.scales.std, m.scales.increment_std), model, (jnp.full(2, 1e30), scales.std))
    np.testing.assert_allclose(gradients(differentiate.same_weights(ignorant, blind)), gradients(ignorant), rtol=1e-5)


def test_cosines_and_signal_to_noise():
    a, b = np.array([[1.0, 0.0], [0.0, 0.0]]), np.array([[1.0, 1.0], [1.0, 0.0]])
    np.testing.assert_allclose(metrics.cosine(a, b), [1 / math.sqrt(2), np.nan])
    samples = np.array([[[3.0, 1.0]], [[3.0, -1.0]]])  # mean (3, 0), unbiased noise 2
    np.testing.assert_allclose(metrics.signal_to_noise(samples), [4.5])
    assert np.isnan(metrics.signal_to_noise(np.ones((2, 1, 3))))


def test_the_best_basin():
    returns = np.array([0.0, 0.0, 1.0, 0.0, 0.8])  # the best is 1, the median 0: from 0.9 on
    assert records.share_in_best_basin(returns, np.array([0.95, 0.8, 1.0, -3.0])) == 0.5


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        ([(0.1, 0.5, 0.6), (0.2, 0.3, 0.4)], "holds"),
        ([(0.1, 0.5, 0.6), (-0.1, 0.3, 0.4)], "undecided"),
        ([(0.1, 0.5, 0.6), (-0.5, -0.2, -0.1)], "fails"),
        ([(0.1, 0.5, 0.6), (-0.5, -0.2, 0.1)], "undecided"),  # not at the level for two comparisons
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
    test = Experiment("runs", ("t",), 3, methods=("a", *others))
    claim = Claim("x", "", "", "e", effect, "a", others)
    return verdicts.judge(claim, test, Evidence(records, {"e": GRIDS}, references(records), [], []), quick=False)


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
    test = Experiment("gradients", ("t",), 1, models=("a", "b"), updates=(1, 9))
    for effect, expected in (("growth", 3.0), ("growth_at_equal_fit", 1.0)):
        claim = Claim("x", "", "", "e", effect, "a", ("b",))
        finding = verdicts.judge(claim, test, Evidence([], {}, {}, found, []), quick=True)
        assert finding.comparisons[0].effect == pytest.approx(expected)


@pytest.mark.parametrize("quick", [True, False])
def test_the_table_of_claims_is_well_formed(tmp_path, quick):
    known, experiments = claim.load(quick)
    assert len({claim.name for claim in known}) == len(known)
    for claim in known:
        test = experiments[claim.experiment]
        assert claim.effect in effects.EFFECTS
        assert claim.subject in (*test.methods, *test.models)
        assert test.seeds > 1
        if not quick:
            assert set(claim.others) <= {*test.methods, *test.models, records.SIMULATOR}
    for test in experiments.values():
        if test.kind == "runs":
            assert prepare(test.cells(), tmp_path)
        for model in test.models:
            assert registry.method(model)
        assert all(max(test.horizons, default=1) <= registry.task(task).num_steps for task in test.tasks)


def test_the_command_offers_what_there_is():
    assert {d.value for d in Direction} == set(get_args(landscape.Direction))
    assert {s.value for s in Space} == set(get_args(landscape.Space))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """After `bench gradients` on copy at the least size."""
    out = tmp_path_factory.mktemp("gradients")
    arguments = ["--task", "copy", "--model", "one_step_model", "--by", "one_step_model", "--horizons", "5,10,20"]
    arguments += ["--updates", "60", "--seeds", "1", "--episodes", "14", "--out", str(out), "--workers", "0"]
    result = CliRunner().invoke(app, ["gradients", *arguments])
    assert result.exit_code == 0, result.output
    again = CliRunner().invoke(app, ["gradients", *arguments])
    assert "begins" not in again.output  # nothing is done twice
    assert "gradients at" not in again.output
    return out


def test_the_command_measures_every_policy(folder):
    found = list(read_all_measurements(folder))
    assert {(m.policy, m.model) for m in found} == {
        (policy, model) for policy in snapshots.POLICIES for model in ("simulator", "one_step_model")
    }
    for m in found:
        assert m.numbers["non_finite"] == [0.0] * 3
        if m.model == "simulator":
            assert m.numbers["cosine"] == pytest.approx([1.0] * 3)
            # float64 and steps of 1e-6: copy's cost is quadratic, so rounding of 1e-16 / 1e-6 is all.
            assert max(m.numbers["finite_difference_error"]) < 1e-6
            # Only the first control counts: the last cost has no gradient by any other.
            assert m.numbers["by_distance"][:-1] == [0.0] * 19
            assert m.numbers["by_distance"][-1] > 0
    header, *lines = (folder / "gradients.csv").read_text().splitlines()
    assert len(lines) == 3 * len(found)
    assert header.startswith("suite,task,num_steps,method,policy,model,updates,seed,fit_error,horizon,lyapunov,norm")
    assert (folder / "gradients.png").stat().st_size > 10_000


def test_a_snapshot_is_a_policy_to_look_at(folder, tmp_path):
    (file,) = folder.glob("snapshots/*-final.checkpoint")
    arguments = [
        "--model",
        "one_step_model",
        "--horizons",
        "10,20",
        "--updates",
        "60",
        "--out",
        str(tmp_path),
        "--workers",
        "0",
    ]
    result = CliRunner().invoke(app, ["gradients", "--policy", str(file), *arguments])
    assert result.exit_code == 0, result.output
    own, there = (
        next(m for m in read_all_measurements(where) if m.model == "simulator" and "final" in m.policy)
        for where in (tmp_path, folder)
    )
    assert own.numbers["norm"] == there.numbers["norm"][1:]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--horizons", "5,x"], "--horizons takes whole numbers"),
        (["--task", "copy", "--horizons", "30"], "a horizon of 30 steps is longer than copy, which has 20"),
        (["--model", "sac"], "'sac' fits no world model"),
        (["--policy", "nowhere.checkpoint"], "cannot read the policy snapshot nowhere.checkpoint"),
        (["--policy", "pyproject.toml"], "pyproject.toml is no policy snapshot"),
    ],
)
def test_wrong_usage_is_told_before_anything_runs(tmp_path, arguments, message):
    result = CliRunner().invoke(app, ["gradients", *arguments, "--out", str(tmp_path)])
    assert isinstance(result.exception, UsageError)
    assert message in str(result.exception)


def test_a_landscape_knows_the_optimum_of_copy(tmp_path):
    arguments = ["--task", "copy", "--model", "one_step_model", "--points", "41", "--starts", "8", "--updates", "60"]
    result = CliRunner().invoke(
        app, ["landscape", *arguments, "--episodes", "8", "--out", str(tmp_path), "--workers", "0"]
    )
    assert result.exit_code == 0, result.output
    (found,) = records.read_all_landscapes(tmp_path)
    truth = found.surface("simulator")
    returns, slopes = np.array(truth.returns), np.array(truth.gradients)[:, 0]
    alphas = np.array(found.alphas)[:, 0]
    inside = np.abs(alphas - 0.25) < 0.7  # the return is 10 - 20 (u - 0.5)² there, and at least -10
    np.testing.assert_allclose(returns[alphas > -0.5], 10 - 20 * (alphas[alphas > -0.5] - 0.5) ** 2, atol=1e-9)
    np.testing.assert_allclose(slopes[inside], -40 * (alphas[inside] - 0.5), atol=1e-9)
    # Ascent has no slope below -0.5, where two of eight starts lie.
    assert truth.reached == 0.75
    assert (tmp_path / "landscape-copy-seed0.png").stat().st_size > 10_000


def test_an_experiment_of_runs_is_run_and_judged(tmp_path):
    test = Experiment("runs", ("copy",), 2, methods=("constant", "random"))
    work = Runner(tmp_path, in_process(Silent()), Silent())
    assert isinstance(work.backend.executor, InProcess)
    evidence = experiments.collect_evidence(work, {"e": test})
    claim = Claim("x", "the best constant beats chance", "", "e", "regret", "constant", ("random",))
    finding = verdicts.judge(claim, test, evidence, quick=True)
    assert finding.comparisons[0].effect > 0.1  # both are far from the optimum, the constant on average less
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
    with pytest.raises(UsageError, match=r"x\.json: no measurement"):
        report.section(tmp_path / "broken")
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
