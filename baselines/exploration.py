"""Collection of episodes: with noise around a policy, and before there is a policy."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Key

from baselines.normalisation import Scales, from_unit
from bench.simulate import AbstractPolicy, Trajectory, open_loop, rollout
from tasks.base import AbstractTask, Scalar

SMALLEST = 1e-30  # a spread of costs that are all the same, above the smallest normal number of float32


def ou_noise(task: AbstractTask, key: Key[Array, ""], correlation: float = 0.9) -> Float[Array, "steps m"]:
    """Draw Ornstein-Uhlenbeck noise of unit variance, one value per held control (Uhlenbeck & Ornstein, 1930)."""
    return correlated(jr.normal(key, (task.num_steps, len(task.controls))), correlation)


def correlated(white: Float[Array, "steps m"], correlation: Scalar) -> Float[Array, "steps m"]:
    """Turn independent standard normal draws into a sequence of standard normal values that remember the one before."""

    def step(e, w):
        return (correlation * e + (1 - correlation**2) ** 0.5 * w,) * 2

    return jnp.concatenate([white[:1], jax.lax.scan(step, white[0], white[1:])[1]])


def explore(
    task: AbstractTask,
    perturbed: Callable[[Float[Array, "steps m"]], AbstractPolicy],
    amplitudes: Float[Array, " episodes"],
    key: Key[Array, ""],
    correlation: float = 0.9,
) -> Trajectory:
    """Play a policy with Ornstein-Uhlenbeck noise of each amplitude: an episode each, side by side.

    `perturbed` returns the policy with a given noise in half ranges.
    """

    def episode(keys, amplitude):
        noise = amplitude * ou_noise(task, keys[0], correlation)
        return rollout(task, perturbed(noise), task.start(keys[1]))

    return jax.vmap(episode)(jr.split(key, (len(amplitudes), 2)), amplitudes)


def warmup_episode(task: AbstractTask, key: Key[Array, ""]) -> Trajectory:
    """Play a random constant control plus Ornstein-Uhlenbeck noise with a deviation of a quarter of the range."""
    level_key, noise_key, start_key = jr.split(key, 3)
    level = jr.uniform(level_key, (len(task.controls),), minval=-1.0, maxval=1.0)
    return open_loop(task, from_unit(task, level + 0.5 * ou_noise(task, noise_key)), task.start(start_key))


def warm_up(task: AbstractTask, key: Key[Array, ""], episodes: int) -> Trajectory:
    """Play warm-up episodes: a Trajectory with the episodes as a leading axis."""
    return jax.vmap(lambda k: warmup_episode(task, k))(jr.split(key, episodes))


def cost_spread(episodes: Trajectory) -> Float[Array, ""]:
    """Return the standard deviation of the episodes' costs, the unit in which a method learns.

    It is at least a millionth of their size, which is rounding in float32, and never 0.
    """
    return size_of_spread(jnp.std(episodes.cost), jnp.mean(episodes.cost))


def size_of_spread(deviation: Float[Array, ""], mean: Float[Array, ""]) -> Float[Array, ""]:
    """Return a standard deviation, raised to a millionth of the mean: less is rounding in float32. It is never 0.

    In another unit of cost it is the same, in that unit. A constant that is added to the costs changes it only where
    it drowns them.
    """
    return jnp.maximum(jnp.maximum(deviation, 1e-6 * jnp.abs(mean)), SMALLEST)


def best_level(scales: Scales, episodes: Trajectory) -> Float[Array, " m"]:
    """Return the mean control, in [-1, 1], of the cheapest of the episodes: where a search may start."""
    cost = jnp.where(jnp.isfinite(episodes.cost), episodes.cost, jnp.inf)
    return scales.control(jnp.mean(episodes.us[jnp.argmin(cost)], axis=0))
