"""Gymnasium environments of the tasks, single and vectorised.

Rewards sum to minus the cost. An observation is the state in physical units, or what is observed of it under noise, and
the share of the horizon that is over. An action is the control scaled to [-1, 1], or in physical units. Numbers have
JAX's default precision.
"""

import abc
import dataclasses
from collections.abc import Mapping
from typing import Any

import gymnasium
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from jaxtyping import Array, Float, Int, Key

from bench import registry
from bench.errors import UsageError, did_you_mean
from bench.gym.actions import control, spaces, trained_action
from bench.gym.starts import begun, drawn, start_of
from bench.noise import Noise
from bench.noisy_task import end_cost, noisy, observed, plant_of
from bench.simulate import transition
from tasks.base import AbstractTask, State


class _CompilesAnew:
    """A copy or a pickle of an environment compiles its own programs, because compiled ones cannot be pickled."""

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in ("_step", "_draw")}

    def __setstate__(self, state: dict[str, Any]):
        self.__dict__.update(state)
        self._compile()

    @abc.abstractmethod
    def _compile(self) -> None:
        """Make the programs `_step` and `_draw`."""


class TaskEnv(_CompilesAnew, gymnasium.Env[np.ndarray, np.ndarray]):
    """A Gymnasium environment of a task, itself or by name or "module:attr", with `settings` in place of its defaults.

    `noise` has levels like a suite's: `{"process": 0.02, "observation": 0.01, "distractors": 4}`, or some of them. It
    is drawn at every reset.

    Observations have shape "n + 1", actions "m". `reset(options={"start": "random"})` draws the start by the task's own
    law, and n numbers in place of "random" are the start; the default is the setting `starts`, "fixed" unless given.
    Raises SettingError for unknown names and settings, UsageError for an unknown option or start, and Gymnasium's own
    errors: UnsupportedMode for a render mode, InvalidAction for another shape of action or nan, and ResetNeeded for a
    step before the first reset or beyond the horizon.
    """

    # Gymnasium reads this off the class, but declares it an attribute of instances: RUF012's ClassVar is a type error.
    metadata = {"render_modes": []}  # noqa: RUF012

    def __init__(
        self,
        task: str | AbstractTask,
        physical_units: bool = False,
        render_mode: str | None = None,
        noise: Mapping[str, Any] | None = None,
        **settings: Any,
    ):
        _refuse_rendering(render_mode)
        self.task, self.physical_units = _task(task, settings, noise), physical_units
        self.observation_space, self.action_space = spaces(self.task, physical_units)
        self._k = self.task.num_steps
        self._compile()

    def _compile(self) -> None:
        self._step = jax.jit(lambda x, k, action: _interval(self.task, self.physical_units, x, k, action))
        self._draw = jax.jit(lambda key, start: drawn(self.task, key, start))

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        start = start_of(plant_of(self.task), options, plant_of(self.task).x0.shape)
        self._x = begun(self.task, start, lambda: self._draw(_key(self.np_random), start))
        self._k = 0
        return np.append(observed(self._x), self._x.dtype.type(0)), {}

    def step(self, action: np.ndarray):
        if self._k == self.task.num_steps:
            raise gymnasium.error.ResetNeeded("no episode is under way: call reset() first, and at the horizon again.")
        action = trained_action(action, self.action_space.shape, self._x.dtype)
        self._x, observation, reward = self._step(self._x, self._k, action)
        self._k += 1
        # The horizon is part of the problem and time is observed, so the episode terminates there. It is not truncated:
        # there is no value beyond it that a learner should bootstrap.
        return np.array(observation), float(reward), self._k == self.task.num_steps, False, {}


class TaskVectorEnv(_CompilesAnew, VectorEnv):
    """A Gymnasium vector environment of a task: `num_envs` episodes, stepped by one vmapped call.

    Settings, starts and errors are those of TaskEnv. All episodes begin and end together, because the horizon is fixed.
    The step after the last one resets: it ignores its actions, returns zero rewards, and draws starts like the last
    `reset`.
    """

    # Gymnasium declares this an attribute of instances too.
    metadata = {"render_modes": [], "autoreset_mode": AutoresetMode.NEXT_STEP}  # noqa: RUF012

    def __init__(
        self,
        task: str | AbstractTask,
        num_envs: int = 1,
        physical_units: bool = False,
        render_mode: str | None = None,
        noise: Mapping[str, Any] | None = None,
        **settings: Any,
    ):
        _refuse_rendering(render_mode)
        self.task, self.num_envs, self.physical_units = _task(task, settings, noise), num_envs, physical_units
        self.single_observation_space, self.single_action_space = spaces(self.task, physical_units)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._k, self._start = self.task.num_steps, None
        self._compile()

    def _compile(self) -> None:
        def one(x, k, action):
            return _interval(self.task, self.physical_units, x, k, action)

        self._step = jax.jit(jax.vmap(one, in_axes=(0, None, 0)))
        draw = jax.vmap(lambda key, start: drawn(self.task, key, start))
        self._draw = jax.jit(lambda key, start: draw(jr.split(key, self.num_envs), start))

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        self._start = start_of(plant_of(self.task), options, (self.num_envs, *plant_of(self.task).x0.shape))
        return self._begin(), {}

    def step(self, actions: np.ndarray):
        none = np.zeros(self.num_envs, bool)
        if self._k == self.task.num_steps:
            return self._begin(), np.zeros(self.num_envs, self._x.dtype), none, none.copy(), {}
        actions = trained_action(actions, self.action_space.shape, self._x.dtype)
        self._x, observations, rewards = self._step(self._x, self._k, actions)
        self._k += 1
        return np.array(observations), np.array(rewards), none | (self._k == self.task.num_steps), none, {}

    def _begin(self) -> Float[np.ndarray, "batch observation"]:
        self._x = begun(self.task, self._start, lambda: self._draw(_key(self.np_random), self._start))
        self._k = 0
        return np.pad(jax.vmap(observed)(self._x), ((0, 0), (0, 1)))


def _task(task: str | AbstractTask, settings: Mapping[str, Any], noise: Mapping[str, Any] | None) -> AbstractTask:
    """Return the task under noise. Raises UsageError for an unknown kind of noise or an impossible level."""
    kinds = [f.name for f in dataclasses.fields(Noise)]
    for kind in noise or {}:
        if kind not in kinds:
            raise UsageError(did_you_mean("noise", str(kind), kinds))
    made = registry.task(task, settings) if isinstance(task, str) else dataclasses.replace(task, **settings)
    return noisy(made, **noise) if noise else made


def _interval(
    task: AbstractTask, physical_units: bool, x: State, k: Int[Array, ""], action: Float[Array, " m"]
) -> tuple[State, Float[Array, " observation"], Float[Array, ""]]:
    """Return (state, observation, reward) at the end of interval k; the last reward includes the terminal cost."""
    x, cost = transition(task, k * jnp.asarray(task.dt, x.dtype), x, control(task, physical_units, action))
    cost += jnp.where(k + 1 == task.num_steps, end_cost(task, x), 0)
    return x, jnp.append(observed(x), (k + 1) / jnp.asarray(task.num_steps, x.dtype)), -cost


def _refuse_rendering(mode: str | None) -> None:
    if mode is not None:
        raise gymnasium.error.UnsupportedMode(
            f"these environments draw nothing: render_mode must be None, got {mode!r}. `bench show` draws episodes."
        )


def _key(rng: np.random.Generator) -> Key[Array, ""]:
    return jr.key(rng.integers(2**31))
