"""Judge an agent of another library, which is no program of JAX, in the episodes and by the numbers of every method."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from bench.gym.actions import control, shaped
from bench.noisy_task import NoisyState, observed, plant_of
from bench.reference.starts import evaluation_starts, evaluation_states
from bench.simulate import Trajectory, episode, transition
from bench.training.rescore import Rescore, rescore_agent
from tasks.base import AbstractTask, State

Act = Callable[[Float[np.ndarray, " observation"]], Any]


class Judge:
    """Judges agents on a task. An agent maps an observation of the task's environment to an action."""

    def __init__(self, task: AbstractTask, physical_units: bool):
        self.task = task
        self._control = jax.jit(jax.vmap(partial(control, task, physical_units)))
        self._interval = jax.jit(jax.vmap(partial(_interval, task), in_axes=(None, 0, 0)))
        self._episode = jax.jit(jax.vmap(partial(episode, plant_of(task))))

    def scores(self, act: Act) -> tuple[float, float, float]:
        """Return cost, end error and violation as for a method: means over the starts, and the largest violation.

        Raises gymnasium.error.InvalidAction for an action of another shape than the controls'.
        """
        states, xs, us, costs = evaluation_states(self.task), [], [], []
        for k in range(self.task.num_steps):
            xs.append(_plant_state(states))
            us.append(self._controls(act, k, np.asarray(jax.vmap(observed)(states))))
            states, running = self._interval(k, states, us[-1])
            costs.append(running)
        xs.append(_plant_state(states))
        found: Trajectory = self._episode(*(jnp.stack(each, axis=1) for each in (xs, us, costs)), xs[-1])
        return float(jnp.mean(found.cost)), float(jnp.mean(found.end_error)), float(jnp.max(found.violation))

    def rescored(self, act: Act) -> Rescore:
        """Score the agent again by an adaptive solver and on a finer grid."""
        return rescore_agent(self.task, partial(self._controls, act), evaluation_starts(self.task))

    def _controls(
        self, act: Act, k: int, seen: Float[np.ndarray, "episodes observed"]
    ) -> Float[np.ndarray, "episodes m"]:
        share = seen.dtype.type(k) / seen.dtype.type(self.task.num_steps)
        shape = (len(self.task.controls),)
        actions = [shaped(act(np.append(each, share)), shape) for each in seen]
        return np.asarray(self._control(np.stack(actions).astype(seen.dtype)))


def _interval(task: AbstractTask, k: Int[Array, ""], x: State, u: Float[Array, " m"]) -> tuple[State, Float[Array, ""]]:
    return transition(task, k * jnp.asarray(task.dt, x.dtype), x, u)


def _plant_state(states: Any) -> Float[Array, "episodes n"]:
    return states.x if isinstance(states, NoisyState) else states
