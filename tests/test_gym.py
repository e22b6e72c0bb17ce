"""Gymnasium environments: Gymnasium's own checker, the project's simulator, and the PPO of another library."""

import copy
import pickle
import runpy
import subprocess
import sys
import warnings
from pathlib import Path

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.wrappers.vector import RecordEpisodeStatistics
from skrl_ppo import SkrlPPO

import bench.gym
from bench.errors import UsageError
from bench.gym import environments
from bench.reference import lookup
from bench.simulate import open_loop
from tasks import TASKS

ENV = "Myriad/CancerTreatment-v0"


def env_id(name):
    return f"Myriad/{TASKS[name].__name__}-v0"


def episode(env, actions, **reset):
    """(observations "knots ...", rewards "steps ...") of one episode, which must end at the last action."""
    observation, _ = env.reset(**reset)
    observations, rewards = [observation], []
    for k, action in enumerate(actions):
        observation, reward, terminated, truncated, _ = env.step(action)
        observations.append(observation)
        rewards.append(reward)
        assert np.all(terminated == (k + 1 == len(actions)))
        assert not np.any(truncated)
    return np.array(observations), np.array(rewards)


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.filterwarnings("ignore:.*Box observation space m.*imum value is:UserWarning")  # states have no bounds
def test_every_task_passes_gymnasiums_check_and_pays_our_cost(name, x64):
    task = TASKS[name]()
    actions = np.random.default_rng(0).uniform(-1, 1, (2, task.num_steps, len(task.controls)))
    low, high = task.bounds
    rollout = jax.jit(lambda us: open_loop(task, us, task.x0))
    ours = [rollout(us) for us in low + (high - low) * (actions + 1) / 2]

    single = gymnasium.make(env_id(name)).unwrapped
    check_env(single)
    observations, rewards = episode(single, actions[0])
    batch = gymnasium.make_vec(env_id(name), num_envs=2)
    many_observations, many_rewards = episode(batch, actions.swapaxes(0, 1))

    # 1e-6: float64 on both sides, but the same sums in another order, which chaos amplifies in two tasks.
    np.testing.assert_allclose(-np.sum(rewards), ours[0].cost, rtol=1e-6)
    np.testing.assert_allclose(-np.sum(many_rewards, 0), [t.cost for t in ours], rtol=1e-6)
    scale = np.max(np.abs(ours[0].xs), 0)
    np.testing.assert_allclose(observations[:, :-1] / scale, ours[0].xs / scale, atol=1e-6)
    np.testing.assert_allclose(many_observations[:, 1, :-1] / scale, ours[1].xs / scale, atol=1e-6)
    # 1e-15: the time is a quotient of two whole numbers, so only its rounding differs.
    np.testing.assert_allclose(observations[:, -1], np.linspace(0, 1, task.num_steps + 1), atol=1e-15)
    np.testing.assert_array_equal(many_observations[:, 1, -1], observations[:, -1])


@pytest.mark.filterwarnings("ignore:.*Box observation space m.*imum value is:UserWarning")  # states have no bounds
def test_noise_is_drawn_at_a_reset_and_observed():
    levels = {"observation": 0.1, "distractors": 2}
    plain, noisy = (
        gymnasium.make(ENV, num_steps=10).unwrapped,
        gymnasium.make(ENV, num_steps=10, noise=levels).unwrapped,
    )
    check_env(noisy, skip_render_check=True)
    actions = np.full((10, 1), 0.3, np.float32)
    clean, paid = episode(plain, actions)
    (seen, same), (again, _), (other, _) = (episode(noisy, actions, seed=seed) for seed in (0, 0, 1))
    assert seen.shape == (11, 4)  # the state, two distractors, the time
    np.testing.assert_array_equal(same, paid)  # actions that no observation decides
    np.testing.assert_array_equal(seen, again)
    assert not np.any(seen[:, :3] == other[:, :3])
    np.testing.assert_array_equal(seen[:, 3], clean[:, 1])
    batch = gymnasium.make_vec(ENV, num_envs=2, num_steps=10, noise={"process": 0.1})
    many, _ = episode(batch, np.full((10, 2, 1), 0.3, np.float32), seed=0)
    np.testing.assert_array_equal(many[0, 0], many[0, 1])  # one fixed start
    assert not np.any(many[1:, 0, 0] == many[1:, 1, 0])  # each with noise of its own
    with pytest.raises(UsageError, match=r"unknown noise 'proces'\. Did you mean 'process'"):
        gymnasium.make(ENV, noise={"proces": 1.0})


def test_a_new_process_makes_an_environment_without_an_import_of_ours():
    code = f"import gymnasium; print(gymnasium.make('bench.gym:{ENV}', num_steps=7).unwrapped.task.num_steps)"
    root = Path(__file__).parent.parent
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout == "7\n"


def test_actions_in_physical_units_are_the_controls_and_the_bounds_hold():
    scaled, physical = gymnasium.make(ENV), gymnasium.make(ENV, physical_units=True)
    assert (physical.action_space.low, physical.action_space.high) == (0.0, 2.0)

    def rewards(env, action):
        return episode(env, np.full((100, 1), action, np.float32))[1]

    for share, control in ((-0.5, 0.5), (1, 2), (1, 9)):
        np.testing.assert_array_equal(rewards(physical, control), rewards(scaled, share))


def test_numbers_have_the_precision_of_jax(x64):
    doubles = gymnasium.make(ENV)
    assert doubles.reset()[0].flags.writeable
    assert doubles.step(doubles.action_space.sample())[0].flags.writeable
    assert doubles.observation_space.dtype == doubles.action_space.dtype == doubles.reset()[0].dtype == np.float64


def test_numbers_are_single_by_default():
    singles = gymnasium.make_vec(ENV, num_envs=2)
    start, _ = singles.reset()
    observations, rewards, *_ = singles.step(singles.action_space.sample())
    assert all(numbers.flags.writeable for numbers in (start, observations, rewards))  # or PyTorch warns
    assert singles.observation_space.dtype == observations.dtype == rewards.dtype == np.float32


@pytest.mark.parametrize("make", [gymnasium.make, gymnasium.make_vec])
def test_a_step_is_compiled_once(make, monkeypatch):
    traced = []
    monkeypatch.setattr(environments, "transition", lambda *a: (traced.append(1), (a[2], jnp.sum(a[3])))[1])
    env = make(ENV, num_steps=5)
    for seed in range(2):
        env.reset(seed=seed, options={"start": "random"})
        for _ in range(5):
            env.step(env.action_space.sample())
    assert len(traced) == 1


def test_starts_are_fixed_or_drawn_by_the_task_and_follow_the_seed():
    env, envs = gymnasium.make(ENV), gymnasium.make_vec(ENV, num_envs=3)
    random = {"start": "random"}
    assert env.reset()[0][0] == np.float32(0.975)
    drawn = [env.reset(seed=seed, options=random)[0] for seed in (1, 1, 2)]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert drawn[0][0] != drawn[2][0]
    assert env.reset(options=random)[0][0] != drawn[2][0]  # without a seed the random stream goes on
    batch = envs.reset(seed=1, options=random)[0]
    np.testing.assert_array_equal(envs.reset(seed=1, options=random)[0], batch)
    assert len(set(batch[:, 0])) == 3
    # The task draws within a tenth of 0.975, and no density is above 1.
    assert np.all((batch[:, 0] >= 0.8775) & (batch[:, 0] <= 1))
    assert np.all(batch[:, 1] == 0)


def test_the_vector_environment_resets_itself_on_the_step_after_the_end():
    envs = gymnasium.make_vec(ENV, num_envs=3, num_steps=4)
    assert envs.metadata["autoreset_mode"] is gymnasium.vector.AutoresetMode.NEXT_STEP
    actions = np.zeros((4, 3, 1), np.float32)
    first = episode(envs, actions, seed=0, options={"start": "random"})
    observation, rewards, terminated, truncated, _ = envs.step(actions[0])
    assert not np.any(rewards)
    assert not np.any(terminated | truncated)
    assert np.all(observation[:, 1] == 0)
    assert not np.any(observation == first[0][0, :, :1])  # new random starts, like the last reset
    again = [envs.step(action)[2] for action in actions]
    np.testing.assert_array_equal(again, [[k == 3] * 3 for k in range(4)])


def test_wrong_use_says_what_to_do():
    env = bench.gym.TaskEnv("cancer_treatment", num_steps=2)
    with pytest.raises(UsageError, match="Did you mean 'random'"):
        env.reset(options={"start": "randon"})
    with pytest.raises(gymnasium.error.ResetNeeded, match="no episode is under way"):
        env.step(np.zeros(1, np.float32))
    episode(env, np.zeros((2, 1), np.float32))
    with pytest.raises(gymnasium.error.ResetNeeded, match="call reset"):
        env.step(np.zeros(1, np.float32))
    with pytest.raises(UsageError, match="Did you mean 'num_steps'"):
        bench.gym.TaskEnv("cancer_treatment", num_step=3)
    with pytest.raises(UsageError, match="unknown reset option 'reset_mask'"):
        env.reset(options={"reset_mask": [True]})
    for start in ([0.5, 0.5], [float("nan")], ["x"], None):
        with pytest.raises(UsageError, match="1 finite numbers"):
            env.reset(options={"start": start})


@pytest.mark.parametrize("make", [gymnasium.make, gymnasium.make_vec])
def test_another_shape_of_action_and_a_render_mode_are_refused_by_gymnasiums_errors(make):
    env = make(ENV, num_steps=3)
    env.reset()
    wanted = env.action_space.shape
    for wrong in (np.array(0.5), np.zeros((*wanted, 1)), np.zeros((2, *wanted[1:])), np.zeros((0, *wanted[1:]))):
        with pytest.raises(gymnasium.error.InvalidAction, match="shape"):
            env.step(wrong)
    for wrong in (np.nan, "x", None, 1j):
        with pytest.raises(gymnasium.error.InvalidAction, match="an action is numbers, one a control, got"):
            env.step(np.full(wanted, wrong))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Gymnasium warns of it, too
        with pytest.raises(gymnasium.error.UnsupportedMode, match="render_mode must be None"):
            make(ENV, render_mode="rgb_array")


def test_numbers_are_a_start_of_one_episode_or_of_many():
    assert gymnasium.make(ENV).reset(options={"start": [0.5]})[0].tolist() == [0.5, 0.0]
    envs = gymnasium.make_vec(ENV, num_envs=2, num_steps=1)
    envs.reset(options={"start": [[0.5], [0.25]]})
    envs.step(np.zeros((2, 1)))
    assert envs.step(np.zeros((2, 1)))[0].tolist() == [[0.5, 0.0], [0.25, 0.0]]  # the next episode starts there, too
    assert envs.reset(options={"start": [0.5]})[0].tolist() == [[0.5, 0.0]] * 2


@pytest.mark.parametrize("make", [gymnasium.make, gymnasium.make_vec])
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
def test_a_copy_goes_on_in_mid_episode(make, copied):
    env = make(ENV, num_steps=3)
    env.reset(seed=0, options={"start": "random"})
    action = np.full(env.action_space.shape, 0.1, np.float32)
    env.step(action)
    other = copied(env)
    assert np.array_equal(other.step(action)[0], env.step(action)[0])


def test_without_gymnasium_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    with pytest.raises(ImportError, match=r"pip install 'myriad-bench\[gym\]'"):
        runpy.run_path(bench.gym.__file__)


def test_a_client_that_is_not_ours_trains(tmp_path):
    """PPO of the library skrl halves its regret on the vector environment, by Gymnasium's own statistics."""
    size, steps = 8, TASKS["cancer_treatment"]().num_steps
    envs = RecordEpisodeStatistics(gymnasium.make_vec(ENV, num_envs=size))
    SkrlPPO(envs, size, tmp_path).train(8 * (steps + 1))  # with the resets
    returns = np.array(envs.return_queue)
    assert len(returns) == 8 * size
    best = -lookup.lookup(TASKS["cancer_treatment"]()).best
    # Exploration alone costs about 1, the first policy 6 more than the optimum.
    assert best - np.mean(returns[-size:]) < 0.5 * (best - np.mean(returns[:size]))
    assert np.max(returns) < best
