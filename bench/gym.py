"""Gymnasium environments of the tasks: importing this module registers each as "Myriad/<its class>-v0".

    gymnasium.make("bench.gym:Myriad/CancerTreatment-v0", num_steps=100)    # imports this module by itself

Rewards sum to minus the cost. An observation is the state in physical units and the share of the horizon that is over.
An action is the control scaled to [-1, 1], or in physical units. Numbers have JAX's default precision.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Int, Key

from bench import registry
from bench.errors import UsageError, did_you_mean
from bench.simulate import clip, transition
from tasks.base import AbstractTask

try:
    import gymnasium
    from gymnasium.spaces import Box
    from gymnasium.vector import AutoresetMode, VectorEnv
    from gymnasium.vector.utils import batch_space
except ImportError as error:
    raise ImportError("the Gymnasium environments need gymnasium: pip install 'myriad-bench[gym]'") from error

START_KINDS = ("fixed", "random")


class TaskEnv(gymnasium.Env[np.ndarray, np.ndarray]):
    """A Gymnasium environment of a task, by its name or "module:attr", with `settings` in place of its defaults.

    Observations have shape "n + 1", actions "m". `reset(options={"start": "random"})` draws the start by the task's own
    law; the default is the setting `starts`, "fixed" unless given. Raises SettingError for unknown names and settings,
    UsageError for an unknown start, and gymnasium.error.ResetNeeded for a step beyond the horizon.
    """

    # Gymnasium reads this off the class, but declares it an attribute of instances: RUF012's ClassVar is a type error.
    metadata = {"render_modes": []}  # noqa: RUF012

    def __init__(self, task: str, physical_units: bool = False, **settings: Any):
        self.task = registry.task(task, settings)
        self.observation_space, self.action_space = _spaces(self.task, physical_units)
        self._step = jax.jit(lambda x, k, action: _interval(self.task, physical_units, x, k, action))
        self._draw = jax.jit(lambda key: self.task.sample_start(key))
        self._k = self.task.num_steps

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        self._x = self._draw(_key(self.np_random)) if _start(self.task, options) == "random" else self.task.x0
        self._k = 0
        return np.append(self._x, self._x.dtype.type(0)), {}

    def step(self, action: np.ndarray):
        if self._k == self.task.num_steps:
            raise gymnasium.error.ResetNeeded("the horizon is reached: call reset() before the next step.")
        self._x, observation, reward = self._step(self._x, self._k, np.asarray(action, self._x.dtype))
        self._k += 1
        # The horizon is part of the problem and time is observed, so the episode terminates there. It is not truncated:
        # there is no value beyond it that a learner should bootstrap.
        return np.array(observation), float(reward), self._k == self.task.num_steps, False, {}


class TaskVectorEnv(VectorEnv):
    """A Gymnasium vector environment of a task: `num_envs` episodes, stepped by one vmapped call.

    Settings, starts and errors are those of TaskEnv. All episodes begin and end together, because the horizon is fixed.
    The step after the last one resets: it ignores its actions, returns zero rewards, and draws starts like the last
    `reset`.
    """

    # Gymnasium declares this an attribute of instances too.
    metadata = {"render_modes": [], "autoreset_mode": AutoresetMode.NEXT_STEP}  # noqa: RUF012

    def __init__(self, task: str, num_envs: int = 1, physical_units: bool = False, **settings: Any):
        self.task, self.num_envs = registry.task(task, settings), num_envs
        self.single_observation_space, self.single_action_space = _spaces(self.task, physical_units)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        one = jax.vmap(lambda x, k, action: _interval(self.task, physical_units, x, k, action), in_axes=(0, None, 0))
        self._step = jax.jit(one)
        self._draw = jax.jit(lambda key: jax.vmap(self.task.sample_start)(jr.split(key, num_envs)))
        self._k, self._start = self.task.num_steps, self.task.starts

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        self._start = _start(self.task, options)
        return self._begin(), {}

    def step(self, actions: np.ndarray):
        none = np.zeros(self.num_envs, bool)
        if self._k == self.task.num_steps:
            return self._begin(), np.zeros(self.num_envs, self._x.dtype), none, none.copy(), {}
        self._x, observations, rewards = self._step(self._x, self._k, np.asarray(actions, self._x.dtype))
        self._k += 1
        return np.array(observations), np.array(rewards), none | (self._k == self.task.num_steps), none, {}

    def _begin(self) -> Float[np.ndarray, "batch observation"]:
        fixed = jnp.broadcast_to(self.task.x0, (self.num_envs, len(self.task.states)))
        self._x = self._draw(_key(self.np_random)) if self._start == "random" else fixed
        self._k = 0
        return np.pad(self._x, ((0, 0), (0, 1)))


def _spaces(task: AbstractTask, physical_units: bool) -> tuple[Box, Box]:
    """Return the spaces (observations, actions). A state's range is no constraint, so observations are unbounded."""
    dtype, m = task.x0.dtype, len(task.controls)
    low, high = task.bounds if physical_units else (-np.ones(m), np.ones(m))
    return Box(-np.inf, np.inf, (len(task.states) + 1,), dtype), Box(low.astype(dtype), high.astype(dtype), dtype=dtype)


def _interval(
    task: AbstractTask, physical_units: bool, x: Float[Array, " n"], k: Int[Array, ""], action: Float[Array, " m"]
) -> tuple[Float[Array, " n"], Float[Array, " observation"], Float[Array, ""]]:
    """Return (state, observation, reward) at the end of interval k; the last reward includes the terminal cost."""
    low, high = (jnp.asarray(b, x.dtype) for b in task.bounds)
    u = clip(task, action if physical_units else low + (high - low) * (action + 1) / 2)
    x, cost = transition(task, k * jnp.asarray(task.dt, x.dtype), x, u)
    cost += jnp.where(k + 1 == task.num_steps, task.terminal_cost(x), 0)
    return x, jnp.append(x, (k + 1) / jnp.asarray(task.num_steps, x.dtype)), -cost


def _start(task: AbstractTask, options: Mapping[str, Any] | None) -> str:
    start = (options or {}).get("start", task.starts)
    if start not in START_KINDS:
        raise UsageError(did_you_mean("start", str(start), START_KINDS))
    return start


def _key(rng: np.random.Generator) -> Key[Array, ""]:
    return jr.key(rng.integers(2**31))


for name, kind in registry.TASKS.items():
    gymnasium.register(
        f"Myriad/{kind.__name__}-v0",
        entry_point="bench.gym:TaskEnv",
        vector_entry_point="bench.gym:TaskVectorEnv",
        kwargs={"task": name},
    )
