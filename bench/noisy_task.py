"""A task under noise. Methods see it as an ordinary task whose states are what is observed.

On interval k of H, with w_k, v_k, e_k independent and normal, one for each component, and r the states' ranges:

    x' = f(t, x, u) + process r w_k / √(Δt T)                   held over the interval, so that after n of them an
                                                                integrator has the variance (process r)² n / H
    y_k = (x_k + observation r v_k, z_k)                        is observed at the start of the interval
    z_{k+1} = ρ z_k + √(1 - ρ²) e_k,   ρ = exp(-10 Δt / T)      distractors, of variance 1

Costs, misses of targets and violations are those of x. The known cost functions take an observation y for x, because a
model predicts nothing else. The noise of an episode is drawn at its start. It is the same on finer grids of a second
score, and in any precision, as it is drawn in float32.
"""

import math
from collections.abc import Callable
from typing import Any, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Int, Key

from bench.noise import Noise, NoiseError
from tasks.base import AbstractHiddenState, AbstractNoisyTask, AbstractTask, State, StateVar

MEMORIES = 10  # correlation times of a distractor in the horizon


class Draw(eqx.Module):
    """The noise of one episode. Kinds that have the level 0 are None."""

    push: Float[Array, "steps n"] | None  # added to the vector field
    error: Float[Array, "knots n"] | None  # of the observation
    distractors: Float[Array, "knots distractors"]


class NoisyState(AbstractHiddenState):
    """The state of a noisy episode at knot k, with its noise."""

    x: Float[Array, " n"]
    k: Int[Array, ""]
    draw: Draw

    @property
    def observed(self) -> Float[Array, " observed"]:
        """The observation of the state."""
        seen = self.x if self.draw.error is None else self.x + self.draw.error[self.k]
        return jnp.concatenate([seen, self.draw.distractors[self.k]])

    @property
    def push(self) -> Float[Array, " n"] | None:
        """What the noise adds to the vector field on the interval that starts here."""
        return None if self.draw.push is None else self.draw.push[self.k]

    @property
    def dtype(self) -> jnp.dtype:
        """The precision of the state."""
        return self.x.dtype

    def moved(self, x: Float[Array, " n"]) -> "NoisyState":
        """Return the state x at the next knot of the same episode."""
        return NoisyState(x, self.k + 1, self.draw)


def _distractors(count: int) -> tuple[StateVar, ...]:
    return tuple(StateVar(f"distractor {i + 1}", 0.0, -3.0, 3.0, spread=3.0) for i in range(count))


def _derived(getter: Callable[["NoisyTask"], Any]) -> Any:
    """Return a property, whose type is Any because the base class declares a variable of its name."""
    return property(getter)


class NoisyTask(AbstractNoisyTask):
    """A plant under noise. `noisy` makes it."""

    plant: AbstractTask
    noise: Noise = eqx.field(static=True)

    states = _derived(lambda self: self.plant.states + _distractors(self.noise.distractors))  # what is observed
    controls = _derived(lambda self: self.plant.controls)
    horizon = _derived(lambda self: self.plant.horizon)
    num_steps = _derived(lambda self: self.plant.num_steps)
    solver = _derived(lambda self: self.plant.solver)
    substeps = _derived(lambda self: self.plant.substeps)

    def vector_field(self, t, x, u):
        """Return the mean of the observation's derivative."""
        n = len(self.plant.states)
        return jnp.concatenate([self.plant.vector_field(t, x[:n], u), -MEMORIES / self.horizon * x[n:]])

    def running_cost(self, t, x, u):
        return self.plant.running_cost(t, x[: len(self.plant.states)], u)

    def terminal_cost(self, x):
        return self.plant.terminal_cost(x[: len(self.plant.states)])

    def begin(self, key):
        start_key, noise_key = jr.split(key)
        return self.begin_at(self.plant.start(start_key), noise_key)

    def begin_at(self, x: Float[Array, " n"], key: Key[Array, ""]) -> NoisyState:
        """Return the state of an episode that starts at x, with noise by the key."""
        return NoisyState(x, jnp.zeros((), jnp.int32), self.draw(key, x.dtype))

    def draw(self, key: Key[Array, ""], dtype: jnp.dtype) -> Draw:
        """Draw the noise of an episode."""
        push_key, error_key, distractor_key = jr.split(key, 3)
        steps = self.num_steps
        sizes = jnp.array([s.size for s in self.plant.states], dtype)

        def normal(key: Key[Array, ""], length: int, width: int) -> Float[Array, "length width"]:
            return jr.normal(key, (length, width), jnp.float32).astype(dtype)

        def scaled(level: float, key: Key[Array, ""], length: int) -> Float[Array, "length n"] | None:
            return level * sizes * normal(key, length, len(sizes)) if level else None

        push = scaled(self.noise.process / math.sqrt(self.plant.dt * self.horizon), push_key, steps)
        error = scaled(self.noise.observation, error_key, steps + 1)
        distractors = normal(distractor_key, steps + 1, self.noise.distractors)
        return Draw(push, error, _remembering(distractors, math.exp(-MEMORIES / steps)))


def noisy(
    task: AbstractTask, process: int | float = 0.0, observation: int | float = 0.0, distractors: int = 0
) -> AbstractTask:
    """Return the task under noise of these levels (see `Noise`); the task itself where all are 0.

    Raises NoiseError, a UsageError.
    """
    noise = Noise(process, observation, distractors)
    if isinstance(task, NoisyTask):
        raise NoiseError("this task is noisy already: give all levels at once, to the plain task.")
    make = cast("Callable[..., NoisyTask]", NoisyTask)  # the variables that its base class declares are no arguments
    return make(task, noise, starts=task.starts) if noise else task


def plant_of(task: AbstractTask) -> AbstractTask:
    """Return the task that is simulated: a noisy task's plant, or the task itself."""
    return task.plant if isinstance(task, NoisyTask) else task


def observed(x: State) -> Float[Array, " n"]:
    """Return what a policy may see of a state: all of it, unless the task is noisy."""
    return x.observed if isinstance(x, AbstractHiddenState) else x


def end_cost(task: AbstractTask, x: State) -> Float[Array, ""]:
    """Return the terminal cost of an episode that ends in the state x, which may be that of a noisy task."""
    return task.plant.terminal_cost(x.x) if isinstance(task, NoisyTask) else task.terminal_cost(x)


def knot(x: State) -> Any:
    """Return what an episode keeps of a state: itself, or for a noisy one the plant's state and the observation."""
    return (x.x, x.observed) if isinstance(x, NoisyState) else x


def _remembering(white: Float[Array, "knots d"], memory: float) -> Float[Array, "knots d"]:
    """Turn independent draws into a process of variance 1 that remembers the share `memory` of the knot before."""

    def step(z, e):
        z = memory * z + math.sqrt(1 - memory**2) * e
        return z, z

    return jnp.concatenate([white[:1], jax.lax.scan(step, white[0], white[1:])[1]])
