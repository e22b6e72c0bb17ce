"""Gymnasium environments of the tasks, single and vectorised: importing this module registers them.

Rewards sum to minus the cost. An observation is the state in physical units, or what is observed of it under noise, and
the share of the horizon that is over. An action is the control scaled to [-1, 1], or in physical units. Numbers have
JAX's default precision.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Int, Key

from bench import registry
from bench.errors import UsageError, did_you_mean
from bench.noise import Noise
from bench.noisy_task import NoisyTask, end_cost, noisy, observed, plant_of
from bench.simulate import clip, transition
from tasks.base import AbstractTask, State

try:
    import gymnasium
    from gymnasium.spaces import Box
    from gymnasium.vector import AutoresetMode, VectorEnv
    from gymnasium.vector.utils import batch_space
except ImportError as error:
    raise ImportError("the Gymnasium environments need gymnasium: pip install 'myriad-bench[gym]'") from error

START_KINDS = ("fixed", "random")


class TaskEnv(gymnasium.Env[np.ndarray, np.ndarray]):
    """A Gymnasium environment of a task, itself or by name or "module:attr", with `settings` in place of its defaults.

    `noise` has levels like a suite's: `{"process": 0.02, "observation": 0.01, "distractors": 4}`, or some of them. It
    is drawn at every reset.

    Observations have shape "n + 1", actions "m". `reset(options={"start": "random"})` draws the start by the task's own
    law, and n numbers in place of "random" are the start; the default is the setting `starts`, "fixed" unless given.
    Raises SettingError for unknown names and settings, UsageError for an unknown option or start, and Gymnasium's own
    errors: UnsupportedMode for a render mode, InvalidAction for an action of another shape, and ResetNeeded for a step
    beyond the horizon.
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
        self.observation_space, self.action_space = _spaces(self.task, physical_units)
        self._k = self.task.num_steps
        self._compile()

    def _compile(self) -> None:
        self._step = jax.jit(lambda x, k, action: _interval(self.task, self.physical_units, x, k, action))
        self._draw = jax.jit(lambda key, start: _drawn(self.task, key, start))

    def __getstate__(self):
        return _without_programs(self)

    def __setstate__(self, state: dict[str, Any]):
        self.__dict__.update(state)
        self._compile()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        start = _start(plant_of(self.task), options, plant_of(self.task).x0.shape)
        self._x = _begun(self.task, start, lambda: self._draw(_key(self.np_random), start))
        self._k = 0
        return np.append(observed(self._x), self._x.dtype.type(0)), {}

    def step(self, action: np.ndarray):
        if self._k == self.task.num_steps:
            raise gymnasium.error.ResetNeeded("the horizon is reached: call reset() before the next step.")
        self._x, observation, reward = self._step(
            self._x, self._k, checked(action, self.action_space.shape, self._x.dtype)
        )
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
        self.single_observation_space, self.single_action_space = _spaces(self.task, physical_units)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._k, self._start = self.task.num_steps, None
        self._compile()

    def _compile(self) -> None:
        def one(x, k, action):
            return _interval(self.task, self.physical_units, x, k, action)

        self._step = jax.jit(jax.vmap(one, in_axes=(0, None, 0)))
        drawn = jax.vmap(lambda key, start: _drawn(self.task, key, start))
        self._draw = jax.jit(lambda key, start: drawn(jr.split(key, self.num_envs), start))

    def __getstate__(self):
        return _without_programs(self)

    def __setstate__(self, state: dict[str, Any]):
        self.__dict__.update(state)
        self._compile()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        self._start = _start(plant_of(self.task), options, (self.num_envs, *plant_of(self.task).x0.shape))
        return self._begin(), {}

    def step(self, actions: np.ndarray):
        none = np.zeros(self.num_envs, bool)
        if self._k == self.task.num_steps:
            return self._begin(), np.zeros(self.num_envs, self._x.dtype), none, none.copy(), {}
        actions = checked(actions, self.action_space.shape, self._x.dtype)
        self._x, observations, rewards = self._step(self._x, self._k, actions)
        self._k += 1
        return np.array(observations), np.array(rewards), none | (self._k == self.task.num_steps), none, {}

    def _begin(self) -> Float[np.ndarray, "batch observation"]:
        self._x = _begun(self.task, self._start, lambda: self._draw(_key(self.np_random), self._start))
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


def _begun(task: AbstractTask, start: Float[Array, "*batch n"] | None, draw: Callable[[], Any]) -> Any:
    """Return the state or states in which episodes begin: the start, unless it or its noise is drawn."""
    return draw() if start is None or isinstance(task, NoisyTask) else start


def _drawn(task: AbstractTask, key: Key[Array, ""], start: Float[Array, " n"] | None) -> State:
    """Draw the start of an episode, unless it is given, and its noise."""
    if not isinstance(task, NoisyTask):
        return task.sample_start(key)
    start_key, noise_key = jr.split(key)
    return task.begin_at(task.plant.sample_start(start_key) if start is None else start, noise_key)


def _spaces(task: AbstractTask, physical_units: bool) -> tuple[Box, Box]:
    """Return the spaces (observations, actions). A state's range is no constraint, so observations are unbounded."""
    dtype, m = task.x0.dtype, len(task.controls)
    low, high = task.bounds if physical_units else (-np.ones(m), np.ones(m))
    return Box(-np.inf, np.inf, (len(task.states) + 1,), dtype), Box(low.astype(dtype), high.astype(dtype), dtype=dtype)


def control(task: AbstractTask, physical_units: bool, action: Float[Array, " m"]) -> Float[Array, " m"]:
    """Return the control in bounds that an action stands for."""
    low, high = (jnp.asarray(b, action.dtype) for b in task.bounds)
    return clip(task, action if physical_units else low + (high - low) * (action + 1) / 2)


def _interval(
    task: AbstractTask, physical_units: bool, x: State, k: Int[Array, ""], action: Float[Array, " m"]
) -> tuple[State, Float[Array, " observation"], Float[Array, ""]]:
    """Return (state, observation, reward) at the end of interval k; the last reward includes the terminal cost."""
    x, cost = transition(task, k * jnp.asarray(task.dt, x.dtype), x, control(task, physical_units, action))
    cost += jnp.where(k + 1 == task.num_steps, end_cost(task, x), 0)
    return x, jnp.append(observed(x), (k + 1) / jnp.asarray(task.num_steps, x.dtype)), -cost


def _start(
    task: AbstractTask, options: Mapping[str, Any] | None, shape: tuple[int, ...]
) -> Float[Array, "*batch n"] | None:
    """Return the states of this shape in which episodes start, or None where they are drawn. Raises UsageError."""
    for option in options or {}:
        if option != "start":
            raise UsageError(did_you_mean("reset option", str(option), ["start"]))
    start = (options or {}).get("start", task.starts)
    if isinstance(start, str):
        if start not in START_KINDS:
            raise UsageError(did_you_mean("start", start, START_KINDS))
        return jnp.broadcast_to(task.x0, shape) if start == "fixed" else None
    try:
        given = np.asarray(start, float)
    except (TypeError, ValueError):
        given = np.full(1, np.nan)
    if given.shape not in (shape, shape[-1:]) or not np.all(np.isfinite(given)):
        raise UsageError(f"a start is 'fixed', 'random' or {shape[-1]} finite numbers, one a state, got {start!r}.")
    return jnp.broadcast_to(jnp.asarray(given, task.x0.dtype), shape)


def checked(action: Any, shape: tuple[int, ...] | None, dtype: np.dtype) -> np.ndarray:
    """Return the action as an array. Raises gymnasium.error.InvalidAction for another shape."""
    if np.shape(action) != shape:
        raise gymnasium.error.InvalidAction(
            f"an action has shape {shape}, one number a control, got {np.shape(action)}."
        )
    return np.asarray(action, dtype)


def _refuse_rendering(mode: str | None) -> None:
    if mode is not None:
        raise gymnasium.error.UnsupportedMode(
            f"these environments draw nothing: render_mode must be None, got {mode!r}. `bench show` draws episodes."
        )


def _without_programs(env: "TaskEnv | TaskVectorEnv") -> dict[str, Any]:
    """Return what a copy needs; compiled programs cannot be pickled, so it compiles its own."""
    return {name: value for name, value in vars(env).items() if name not in ("_step", "_draw")}


def _key(rng: np.random.Generator) -> Key[Array, ""]:
    return jr.key(rng.integers(2**31))


for name, kind in registry.TASKS.items():
    gymnasium.register(
        f"Myriad/{kind.__name__}-v0",
        entry_point="bench.gym:TaskEnv",
        vector_entry_point="bench.gym:TaskVectorEnv",
        kwargs={"task": name},
    )
