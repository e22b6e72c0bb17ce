"""Noise: its size, what it leaves alone, the same draws for all, and what methods see of it."""

import dataclasses
import math
from functools import partial

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from reference_tasks import DoubleIntegrator

from baselines import METHODS
from bench import suite
from bench.method import inform
from bench.noise import NO_NOISE, NoiseError
from bench.noisy_task import NoisyTask, noisy
from bench.records.reference import Reference
from bench.records.references import References
from bench.reference import lookup
from bench.reference.fingerprint import fingerprint
from bench.reference.starts import evaluation_starts, evaluation_states
from bench.simulate import AbstractPolicy, open_loop, rollout
from bench.sweep.execute import execute
from bench.sweep.job import prepare
from bench.training.hidden_simulation import hidden_simulation
from bench.training.rescore import rescore
from tasks import AbstractTask, ControlVar, StateVar

MADE_UP = Reference("t", 2.0, 10, "f", 1.0, [0.0], 0.0, "C", 0.0, "", [[0.0]], [0.0])
LEVELS = {"process": 0.05, "observation": 0.03, "distractors": 2}


class Integrator(AbstractTask):
    """min ∫ x² dt + x(T)²,  x' = u, over a range of 2."""

    states = (StateVar("x", 0.0, -1.0, 1.0),)
    controls = (ControlVar("u", -1.0, 1.0),)
    horizon: float = 3.0
    num_steps: int = 8
    solver: str = "tsit5"
    substeps: int = 1

    def vector_field(self, t, x, u):
        return u

    def running_cost(self, t, x, u):
        return x[0] ** 2

    def terminal_cost(self, x):
        return x[0] ** 2


class Gain(AbstractPolicy):
    """u = -gain times the first component that is observed."""

    gain: float

    def initial(self):
        return ()

    def __call__(self, t, x, carry):
        return -self.gain * x[:1], carry


@pytest.fixture(scope="module")
def draws():
    """Observations of 4000 episodes of an integrator without controls: first its state, then two distractors."""
    task = noisy(Integrator(), process=0.05, distractors=2)
    us = jnp.zeros((8, 1))
    return jax.jit(jax.vmap(lambda key: open_loop(task, us, task.start(key)).xs))(jr.split(jr.key(0), 4000))


def test_the_variance_of_an_integrator_grows_by_the_same_in_each_interval(draws):
    # (process range)² / H an interval. .11: five standard deviations √(2 / 4000) of a variance of 4000 normal numbers.
    np.testing.assert_allclose(np.var(draws[:, 1:, 0], axis=0), (0.05 * 2) ** 2 * np.arange(1, 9) / 8, rtol=0.11)
    assert np.all(draws[:, 0, 0] == 0)


def test_distractors_are_processes_of_their_own(draws):
    z = np.asarray(draws[:, :, 1:])
    np.testing.assert_allclose(np.var(z, axis=0), 1.0, rtol=0.11)
    both = np.corrcoef(z[:, 3].T, z[:, 4].T)
    # .08: five standard deviations 1 / √4000 of a correlation.
    assert both[0, 2] == pytest.approx(math.exp(-10 / 8), abs=0.08)
    assert both[0, 1] == pytest.approx(0.0, abs=0.08)
    assert np.corrcoef(z[:, 4, 0], draws[:, 4, 0])[0, 1] == pytest.approx(0.0, abs=0.08)


def test_no_noise_is_the_task_itself_and_its_bits():
    plant = DoubleIntegrator()
    assert noisy(plant) is plant
    assert noisy(plant, process=0, observation=0.0, distractors=0) is plant
    still = NoisyTask(plant, NO_NOISE)
    us = jnp.linspace(-1, 2, 10)[:, None]
    plain = jax.jit(lambda us: open_loop(plant, us, plant.x0))(us)
    found = jax.jit(lambda us: open_loop(still, us, still.start(jr.key(0))))(us)
    jax.tree.map(np.testing.assert_array_equal, found, plain)


@pytest.mark.parametrize("levels", [{"observation": 0.3}, {"distractors": 3}, {"observation": 0.3, "distractors": 3}])
def test_what_is_observed_changes_nothing_that_controls_alone_decide(levels):
    plant = DoubleIntegrator()
    task = noisy(plant, **levels)
    us = jnp.linspace(-1, 2, 10)[:, None]
    plain = jax.jit(lambda us: open_loop(plant, us, plant.x0))(us)
    found = jax.jit(lambda us, key: open_loop(task, us, task.start(key)))(us, jr.key(3))
    for name in ("us", "costs", "cost", "end_error", "violation"):
        np.testing.assert_array_equal(getattr(found, name), getattr(plain, name))
    assert found.xs.shape == (11, 2 + levels.get("distractors", 0))
    errors = np.asarray(found.xs[:, :2] - plain.xs)
    # 1e-6: rounding of a sum. A sixth to six times the level: of 22 normal numbers, the deviation is within.
    level = levels.get("observation", 0.0)
    assert np.all(np.abs(errors) < 1e-6) if level == 0 else level / 6 < errors.std() < 6 * level


def test_a_policy_acts_on_what_is_observed():
    task = noisy(Integrator(), **LEVELS)
    episode = jax.jit(lambda key: rollout(task, Gain(0.7), task.start(key)))(jr.key(1))
    # 1e-6: a product in float32, in or out of a compiled program.
    np.testing.assert_allclose(episode.us[:, 0], -0.7 * episode.xs[:-1, 0], rtol=1e-6)


def test_the_gradient_goes_through_the_draw(x64):
    task = noisy(DoubleIntegrator(), process=0.2)
    start = task.start(jr.key(2))
    cost = jax.jit(lambda us: open_loop(task, us, start).cost)
    us, step = jnp.full((10, 1), 0.3), 1e-5
    ends = [float(cost(us.at[4].add(sign * step))) for sign in (1, -1)]
    # 1e-8: the cost is a quadratic form, so a central difference is exact but for rounding, 1e-16 / 1e-5 of it.
    assert jax.jit(jax.grad(cost))(us)[4, 0] == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-8)


def test_all_are_judged_on_the_same_draws_and_scored_again_on_them():
    task = noisy(DoubleIntegrator(), **LEVELS)

    def judge(gain):
        return jax.vmap(lambda x0: rollout(task, Gain(gain), x0))(evaluation_states(task))

    first, again = (jax.jit(judge)(0.4) for _ in range(2))
    jax.tree.map(np.testing.assert_array_equal, first, again)
    assert first.cost.shape == (16,)
    assert len({float(cost) for cost in first.cost}) == 16
    scored = rescore(task, lambda gain: Gain(gain), [np.full(1, 0.4, np.float32)], evaluation_starts(task))
    # 1e-5: float32 against float64 over ten intervals. Other draws would change the mean by a tenth of it.
    assert scored.adaptive[0] == pytest.approx(float(jnp.mean(first.cost)), rel=1e-5)
    assert scored.finer[0] == pytest.approx(float(jnp.mean(first.cost)), rel=1e-5)
    assert scored.states.shape == (1, 11, 2)  # of the plant


@pytest.mark.parametrize("name", ["awm_gru", "sac", "shac", "constant"])
def test_methods_see_an_ordinary_task(name):
    task = noisy(DoubleIntegrator(starts="random"), **LEVELS)
    known = [dataclasses.replace(MADE_UP, start=[1.0, velocity]) for velocity in (0.0, 0.1)]
    method = inform(METHODS[name](), tuple(known))
    state = jax.eval_shape(partial(method.init, task), jr.key(0))
    again = jax.eval_shape(partial(method.step, task), state, jr.key(0))
    assert jax.tree.map(lambda leaf: leaf.shape, again) == jax.tree.map(lambda leaf: leaf.shape, state)
    episode = jax.eval_shape(
        lambda state, x: rollout(task, method.policy(task, state), x), state, task.start(jr.key(0))
    )
    assert episode.xs.shape == (11, 4)


def test_a_simulation_of_the_plant_is_found():
    task = noisy(DoubleIntegrator(), **LEVELS)
    assert "vector_field" in hidden_simulation(
        task, lambda task, x: task.plant.vector_field(0.0, x[:2], x[:1]), task.x0
    )
    assert hidden_simulation(task, lambda task, u: open_loop(task, u, task.start(jr.key(0))).cost, jnp.ones((10, 1)))
    assert hidden_simulation(task, lambda task, x: task.running_cost(0.0, x, x[:1]), task.x0) == ""


def test_a_cell_carries_its_noise_and_is_judged_by_a_bound(tmp_path):
    (tmp_path / "s.toml").write_text(
        'description = "d"\ntasks = ["test_noise:Integrator"]\nmethods = ["random"]\nseeds = 1\n'
        "[noise]\nprocess = 0.05\ndistractors = 2\n[budget]\nenv_steps = 100"
    )
    loaded = suite.load(str(tmp_path / "s.toml"))
    (job,) = prepare(loaded.cells(), tmp_path)
    (plain,) = prepare(dataclasses.replace(loaded, noise=NO_NOISE).cells(), tmp_path)
    assert job.settings["task"] == plain.settings["task"] | {
        "noise.process": 0.05,
        "noise.observation": 0.0,
        "noise.distractors": 2,
    }
    assert plain.fingerprint == fingerprint(Integrator())
    assert job.fingerprint == fingerprint(noisy(Integrator(), 0.05, 0.0, 2)) != plain.fingerprint
    own = dataclasses.replace(MADE_UP, fingerprint=plain.fingerprint)
    known = lookup.complete(References({own.key: own}), "integrator", job.task, tmp_path / "references.toml")
    assert lookup.lookup_each(job.task, known) == (dataclasses.replace(own, fingerprint=job.fingerprint, bound=True),)
    assert lookup.lookup_each(plain.task, known) == (own,)
    records = [execute(job).records[0] for _ in range(2)]
    assert records[0].status == "ok", records[0].error
    assert records[0].cost == records[1].cost
    assert records[0].rescored == records[1].rescored


@pytest.mark.parametrize(
    ("levels", "words"),
    [
        (
            {"process": -0.1},
            "process must be a number of at least 0 and at most 100, in units of a state's range, got -0.1",
        ),
        ({"observation": math.nan}, "observation must be a number of at least 0"),
        ({"process": math.inf}, "got inf"),
        ({"process": True}, "got True"),
        ({"distractors": -1}, "distractors must be a whole number of at least 0 and at most 1000, got -1"),
    ],
)
def test_a_level_that_cannot_be_is_one_line(levels, words):
    with pytest.raises(NoiseError) as caught:
        noisy(Integrator(), **levels)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_episode_without_its_noise_is_refused():
    task = noisy(Integrator(), **LEVELS)
    with pytest.raises(ValueError, match=r"starts at task.start\(key\)"):
        rollout(task, Gain(1.0), task.x0)
