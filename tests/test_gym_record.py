"""Agents of other libraries: judged like methods, counted, recorded, and resumed without a loss."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array, Float
from skrl_ppo import SkrlPPO

import bench.gym
from bench.analysis.leaderboard import build
from bench.errors import UsageError
from bench.gym.judge import Judge
from bench.noisy_task import noisy
from bench.records.cell_file import read_records
from bench.records.references import References
from bench.records.run import RunRecord
from bench.reference.starts import evaluation_starts, evaluation_states
from bench.simulate import AbstractPolicy, rollout
from bench.training.rescore import rescore
from tasks import TASKS

SUITE = """
description = "an agent of one's own"
tasks = ["cancer_treatment"]
methods = ["random"]
seeds = 1

[budget]
episodes = 6
evals = 3
"""


class Search:
    """An agent written by hand: the best so far of random linear feedback laws, each tried for an episode."""

    def __init__(self):
        self.rng, self.weights, self.best = np.random.default_rng(0), np.zeros(2), -np.inf
        self.bests = []

    def act(self, observation):
        return np.tanh(self.weights @ observation)[None]

    def train(self, env, episodes):
        for _ in range(episodes):
            tried, total, over = self.rng.normal(size=2), 0.0, False
            observation, _ = env.reset(seed=0)
            self.bests.append(self.best)
            while not over:
                observation, reward, over, _, _ = env.step(np.tanh(tried @ observation)[None])
                total += reward
                if over and total > self.best:
                    self.weights, self.best = tried, total

    def save(self, path):
        path.write_text(json.dumps([self.weights.tolist(), self.best, self.rng.bit_generator.state]))

    def load(self, path):
        weights, self.best, self.rng.bit_generator.state = json.loads(path.read_text())
        self.weights = np.array(weights)


@pytest.fixture
def recorded(tmp_path):
    (tmp_path / "own.toml").write_text(SUITE)

    def make(agent, **options):
        arguments = {"task": "cancer_treatment", "suite": str(tmp_path / "own.toml"), "method": "search", "seed": 3}
        return bench.gym.record(**{**arguments, "act": agent.act, "out": tmp_path / "out", **options})

    return make


def test_a_run_is_counted_judged_and_recorded(recorded, tmp_path):
    agent = Search()
    with recorded(agent, framework="numpy", settings={"laws": 6}) as env:
        assert env.left == 600
        agent.train(env, 6)
        env.reset()
        with pytest.raises(bench.gym.BudgetSpent, match="600 environment steps"):
            env.step(env.action_space.sample())
    (run,) = read_records(tmp_path)
    assert isinstance(run, RunRecord)
    assert [point["env_steps"] for point in run.curve] == [0, 200, 400, 600]
    assert (run.method, run.seed, run.status, run.usage["env_steps"]) == ("search", 3, "ok", 600)
    assert run.settings["method"] == {"framework": f"numpy {np.__version__}", "laws": 6}
    # Training starts where the judge does, so evaluations are the best returns so far: 100 sums in float32. In the step
    # that ends an episode the agent has not learnt from it yet.
    costs = [point["cost"] for point in run.curve[1:]]
    assert costs == pytest.approx([-best for best in agent.bests[1::2]], rel=1e-5)
    assert run.rescored["finer"] == pytest.approx(run.rescored["adaptive"], rel=1e-3)  # a smooth law on a smooth task
    notes = build([run], References.beside(tmp_path / "out").by_fingerprint()).notes
    assert any("search was trained outside" in note and "numpy" in note for note in notes)
    with recorded(agent, framework="numpy", settings={"laws": 6}) as env:  # done already
        assert env.left == 0


def test_an_agent_of_another_library_is_recorded(recorded, tmp_path):
    agents = []
    with recorded(
        Search(), act=lambda observation: agents[0].act(observation), method="skrl_ppo", framework="skrl"
    ) as env:
        agents.append(SkrlPPO(env, 1, tmp_path))
        agents[0].train(env.left)
    (run,) = read_records(tmp_path)
    assert (run.method, run.status, run.usage["env_steps"]) == ("skrl_ppo", "ok", 600)
    assert run.provenance["external"].startswith("skrl ")
    assert len({point["cost"] for point in run.curve}) == 4  # it changes between its evaluations


def test_an_interrupted_run_goes_on_from_its_last_evaluation(recorded, tmp_path):
    whole, first, second = Search(), Search(), Search()
    with recorded(whole, seed=0) as env:
        whole.train(env, 6)
    with recorded(first, seed=1, save=first.save, load=first.load) as env:
        first.train(env, 3)
    assert len(list(read_records(tmp_path))) == 1
    with recorded(second, seed=1, save=second.save, load=second.load) as env:
        assert env.left == 400  # the third episode is not judged yet, and is lost
        second.train(env, 4)
    one, other = sorted(read_records(tmp_path), key=lambda run: run.seed)
    costs = [[point["cost"] for point in run.curve] for run in (one, other)]
    assert costs[0] == costs[1]
    assert (one.cost, one.rescored) == (other.cost, other.rescored)
    assert not list((tmp_path / "out" / "checkpoints").iterdir())


def test_a_full_disk_loses_no_finished_run(recorded, tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    agent = Search()
    with recorded(agent, save=agent.save, load=agent.load) as env, monkeypatch.context() as disk:
        disk.setattr("bench.records.cell_file.CellFile.put", full)
        with pytest.raises(OSError, match="No space left"):
            agent.train(env, 6)
    assert not list(read_records(tmp_path))
    with recorded(agent, save=agent.save, load=agent.load) as env:
        assert env.left == 0
    (run,) = read_records(tmp_path)
    assert [point["env_steps"] for point in run.curve] == [0, 200, 400, 600]
    assert run.rescored


def test_a_checkpoint_without_room_does_not_end_the_training(recorded, tmp_path, monkeypatch):
    def full(path):
        raise OSError(28, "No space left on device")

    agent = Search()
    with pytest.warns(UserWarning, match="training goes on"), recorded(agent, save=full) as env:
        agent.train(env, 6)
    assert len(list(read_records(tmp_path))) == 1


def test_closing_twice_leaves_the_lock_of_another_alone(recorded, tmp_path):
    env = recorded(Search())
    env.close()
    with recorded(Search()):
        env.close()
        assert len(list((tmp_path / "out" / "locks").glob("*.lock"))) == 1


@pytest.mark.parametrize("damage", ["{", "[]", '{"done": 7, "agent": "agent-7", "curve": []}'])
def test_a_checkpoint_that_cannot_be_read_is_told_and_the_run_starts_afresh(recorded, tmp_path, damage):
    agent = Search()
    with recorded(agent, save=agent.save, load=agent.load) as env:
        agent.train(env, 3)
    (progress,) = (tmp_path / "out").rglob("progress.json")
    progress.write_text(damage)
    with pytest.warns(UserWarning, match="cannot be used"), recorded(agent, save=agent.save, load=agent.load) as env:
        assert env.left == 600


def test_what_does_not_fit_is_refused_in_one_line(recorded):
    agent = Search()
    for options, reason in [
        ({"method": "sac"}, "names a method of this package"),
        ({"seed": -1}, "seed must be a whole number"),
        ({"num_steps": 20}, "has grids of 100 steps"),
        ({"task": "cancer_treatmen"}, "cancer_treatment"),
    ]:
        with pytest.raises(UsageError, match=reason):
            recorded(agent, **options)
    with recorded(agent), pytest.raises(UsageError, match="another process records search"):
        recorded(agent)


class Feedback(AbstractPolicy):
    """The control in the middle of the bounds, moved by the observation and the share of the horizon."""

    low: Float[Array, " m"]
    high: Float[Array, " m"]
    steps: Float[Array, ""]

    def initial(self):
        return jnp.zeros(())

    def __call__(self, t, x, k):
        action = jnp.full(self.low.shape, jnp.tanh(jnp.sum(x) - k / self.steps))
        return self.low + (self.high - self.low) * (action + 1) / 2, k + 1


@pytest.mark.parametrize("noise", [{}, {"process": 0.02, "observation": 0.01, "distractors": 2}])
@pytest.mark.parametrize("name", ["cancer_treatment", "one_bounce"])
def test_an_agent_is_judged_like_a_method(name, noise):
    task = noisy(TASKS[name](num_steps=8, starts="random"), **noise)
    low, high = (jnp.asarray(bound, task.x0.dtype) for bound in task.bounds)
    policy = Feedback(low, high, jnp.asarray(task.num_steps, low.dtype))
    episodes = jax.vmap(lambda x: rollout(task, policy, x))(evaluation_states(task))
    judge = Judge(task, physical_units=False)

    def act(observation):
        return np.full(len(task.controls), np.tanh(observation[:-1].sum() - observation[-1]))

    ours = [float(each) for each in (episodes.cost.mean(), episodes.end_error.mean(), episodes.violation.max())]
    # NumPy's tanh and sums round otherwise than JAX's, in float32, over 8 intervals.
    assert judge.scores(act) == pytest.approx(ours, rel=1e-4, abs=1e-6)
    again = rescore(task, lambda state: state, [jax.tree.map(lambda leaf: leaf[None], policy)], evaluation_starts(task))
    theirs = judge.rescored(act)
    for field in ("adaptive", "finer", "end_error", "violation"):
        assert getattr(theirs, field) == pytest.approx(getattr(again, field), rel=1e-4, abs=1e-6)
